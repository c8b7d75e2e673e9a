"""How Slack reaches the bot by Socket Mode, and what is known of the connection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from bot.settings import Settings
from bot.slack.errors import CONNECTION, code_of
from knowledge.errors import Refused, Unreachable

log = logging.getLogger(__name__)

# The SDK retries one issued address for ever; after this long without a connection it gets a new one.
WATCHDOG_S = 30.0
CONNECT_WITHIN_S = 30.0


class State:
    """What `/readyz` tells, and what the workers wait for."""

    def __init__(self, *, failed_looks: Callable[[], int]) -> None:
        self.failed_looks = failed_looks
        """How often in a row runs could not be followed because of a bug."""
        self.connected = False
        self.index_tried = asyncio.Event()
        self.index_open = False


@asynccontextmanager
async def connected(settings: Settings, bolt: AsyncApp, state: State) -> AsyncIterator[None]:
    """Socket Mode while inside; with signed HTTP there is nothing to connect."""
    if settings.slack_app_token is None:
        state.connected = True
        yield
        return
    handler = AsyncSocketModeHandler(bolt, settings.slack_app_token.get_secret_value())
    try:
        await _connect(handler)
        state.connected = True
        log.info("connected to Slack by Socket Mode")
        watchdog = asyncio.create_task(_watch_socket(handler, state))
        try:
            yield
        finally:
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt leaves it out


async def _connect(handler: AsyncSocketModeHandler) -> None:
    """Connect once, or say why not: by itself the SDK would try a refused token for ever."""
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            handler.client.wss_uri = await handler.client.issue_new_wss_url()
            await handler.connect_async()  # type: ignore[no-untyped-call]  # as above
    except SlackApiError as error:
        raise Refused(
            f"Slack does not accept the app token ({code_of(error)}).",
            "Create one with the scope connections:write and set SLACK_APP_TOKEN.",
        ) from None
    except CONNECTION as error:
        raise Unreachable(
            "Slack's socket cannot be opened.", "Check the network and SLACK_API_URL."
        ) from error


async def _watch_socket(handler: AsyncSocketModeHandler, state: State) -> None:
    while True:
        await asyncio.sleep(WATCHDOG_S)
        state.connected = await handler.client.is_connected()
        if not state.connected:
            log.warning("the socket is down; asking Slack for a new address")
            with suppress(SlackApiError, *CONNECTION):
                handler.client.wss_uri = await handler.client.issue_new_wss_url()
