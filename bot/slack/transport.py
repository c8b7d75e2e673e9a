"""How Slack reaches the bot: by Socket Mode, or by signed HTTP; and the health addresses."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.settings import Settings
from bot.slack.errors import CONNECTION, code_of
from knowledge.errors import BadInput, Refused, Unreachable

log = logging.getLogger(__name__)

# The SDK retries one issued address for ever; after this long without a connection it gets a new one.
WATCHDOG_S = 30.0
HTTP_SHUTDOWN_S = 5
CONNECT_WITHIN_S = 30.0


class State:
    """What `/readyz` tells, and what the workers wait for."""

    def __init__(self) -> None:
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


@asynccontextmanager
async def listening(settings: Settings, bolt: AsyncApp, state: State) -> AsyncIterator[None]:
    """The HTTP server: health for everybody, Slack's events when they come signed over HTTP."""
    slack = AsyncSlackRequestHandler(bolt)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(_request: Request) -> Response:
        ready = state.connected and state.index_open
        return JSONResponse(
            {"slack": state.connected, "index": state.index_open}, status_code=200 if ready else 503
        )

    async def events(request: Request) -> Response:
        return await slack.handle(request)

    routes = [Route("/healthz", healthz), Route("/readyz", readyz)]
    if settings.slack_app_token is None:
        routes.append(Route("/slack/events", events, methods=["POST"]))
    bound = _bind(settings.host, settings.port)
    config = uvicorn.Config(
        Starlette(routes=routes), log_config=None, access_log=False, lifespan="off",
        timeout_graceful_shutdown=HTTP_SHUTDOWN_S,
    )  # fmt: skip
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    log.info("listening on http://%s:%d", *bound.getsockname()[:2])
    try:
        yield
    finally:
        server.should_exit = True
        await serving
        bound.close()  # uvicorn leaves it open when it is told to stop before it has begun.


class _Server(uvicorn.Server):
    """Leaves the signals to `serve`, which has more to finish than HTTP."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OSError:
        raise BadInput(
            f"Port {port} on {host} cannot be used; another program may have it.",
            "Set ASK_MARVIN_PORT to a free one, or 0.",
        ) from None
