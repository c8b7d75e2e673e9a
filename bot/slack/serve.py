"""`ask-marvin serve`: connects to Slack first, then opens the index and begins to work through the inbox."""

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta

from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.app import App, build
from bot.database import DATABASE_ERRORS
from bot.follow.watch import Poller
from bot.inbox import Workers
from bot.indexing.schedule import Schedule
from bot.settings import Settings
from bot.slack.card_view import CardView
from bot.slack.errors import CONNECTION, code_of
from bot.slack.follower import Follower
from bot.slack.http_server import listening
from bot.slack.listeners import register
from bot.slack.parameter_edits import ParameterEdits
from bot.slack.people import People
from bot.slack.presses import Presses
from bot.slack.renderer import SlackRenderer
from bot.slack.surface import SlackSurface
from bot.slack.transport import State, connected
from knowledge.errors import BadInput, ExpectedError, IndexDamaged, Refused, Unreachable

log = logging.getLogger(__name__)

INDEX_POLL_S = 2.0
SWEEP_EVERY_S = 30.0
PURGE_EVERY_S = 3600.0
# Slack sends an event again for up to a day, so a finished item's keys are kept a little longer.
INBOX_KEPT = timedelta(days=2)


async def serve(_options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    """Run until SIGTERM or SIGINT; what is being answered then is finished first."""
    _check(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with build(settings, environ) as app:
        await run(app, stop)
    return 0


async def run(app: App, stop: asyncio.Event) -> None:
    """Connect, work, and wait for `stop`. Raises Refused or Unreachable when Slack does not let it in."""
    client = slack_client(app.settings)
    await _sign_in(client)
    people = People(client, groups=lambda: app.policy.groups)
    renderer = SlackRenderer(client, placed=app.cards.placed, model=app.settings.model_name)
    view = CardView(app.cards, app.watches, app.workspaces)
    follower = Follower(
        client,
        lease=app.following,
        watches=app.watches,
        poller=Poller(app.workspaces, app.watches),
        cards=app.cards,
        view=view,
        prefects=app.workspaces,
        paces=renderer.workspaces,
        policy=app.policy,
        kept=_kept(app),
    )
    presses = Presses(
        client,
        cards=app.cards,
        view=view,
        people=people,
        workspaces=renderer.workspaces,
        begun=follower.at_once,
    )
    forms = ParameterEdits(
        client, cards=app.cards, edits=app.edits, people=people, presses=presses, prefect=app.workspaces
    )
    bolt = _bolt(app, client, forms)
    surface = SlackSurface(
        client,
        agent=app.agent,
        memory=app.memory,
        people=people,
        renderer=renderer,
        presses=presses,
    )
    state = State(failed_looks=lambda: follower.failures)
    async with (
        listening(app.settings, bolt, state),
        connected(app.settings, bolt, state),
        asyncio.TaskGroup() as tasks,
    ):
        jobs = (
            _watch_index(app, state),
            _work(app, surface, state),
            _keep_fresh(app, state),
            follower.run(),
            _every(SWEEP_EVERY_S, lambda: _sweep(app, presses)),
            _every(PURGE_EVERY_S, lambda: _purge(app)),
        )
        background = [tasks.create_task(job) for job in jobs]
        await stop.wait()
        log.info("stopping")
        for task in background:
            task.cancel()


def slack_client(settings: Settings) -> AsyncWebClient:
    """Without retry handlers: a call that was cut off may have been carried out; the writers know."""
    assert settings.slack_bot_token is not None
    url = settings.slack_api_url.rstrip("/") + "/"
    return AsyncWebClient(token=settings.slack_bot_token.get_secret_value(), base_url=url, retry_handlers=[])


def _check(settings: Settings) -> None:
    if settings.slack_bot_token is None:
        raise BadInput(
            "SLACK_BOT_TOKEN is not set.",
            "Create the app from `ask-marvin manifest` and set its bot token (xoxb-…).",
        )
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        raise BadInput(
            "Neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is set.",
            "Set SLACK_APP_TOKEN (xapp-…) for Socket Mode, or the signing secret for HTTP.",
        )


async def _sign_in(client: AsyncWebClient) -> None:
    try:
        me = await client.auth_test()
    except SlackApiError as error:
        raise Refused(
            f"Slack does not accept the bot token ({code_of(error)}).",
            "Take the present one from the app's page, OAuth & Permissions, and set SLACK_BOT_TOKEN.",
        ) from None
    except CONNECTION as error:
        raise Unreachable("Slack cannot be reached.", "Check the network and SLACK_API_URL.") from error
    log.info("signed in to %s as %s", me.get("team"), me.get("user"))


def _bolt(app: App, client: AsyncWebClient, forms: ParameterEdits) -> AsyncApp:
    # With these two set, Bolt turns into an OAuth app by itself and drops the bot token.
    for name in ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"):
        os.environ.pop(name, None)
    secret = app.settings.slack_signing_secret
    bolt = AsyncApp(
        client=client,
        signing_secret=secret.get_secret_value() if secret else "",
        # Socket Mode needs no signatures; over HTTP nothing unsigned may pass.
        request_verification_enabled=app.settings.slack_app_token is None,
    )
    register(bolt, app.inbox, app.memory, forms)
    return bolt


async def _watch_index(app: App, state: State) -> None:
    """Open the index, then follow the pointer to each new generation; a problem is logged once."""
    problem = ""
    while True:
        try:
            await _open_or_follow(app, state)
            problem = ""
        except ExpectedError as error:
            if str(error) != problem:
                log.error("the index is not in use: %s", error)
            problem = str(error)
        state.index_open = app.library.ready
        state.index_tried.set()
        await asyncio.sleep(INDEX_POLL_S)


async def _open_or_follow(app: App, state: State) -> None:
    """A damaged index is built again here, while an older one answers."""
    if state.index_tried.is_set():
        try:
            await asyncio.to_thread(app.library.refresh)
            return
        except IndexDamaged as error:
            log.error("the index is built again: %s", error.message)
    async for _step in app.open_index(rebuild=True):
        if app.library.ready:
            state.index_open = True
            state.index_tried.set()


async def _keep_fresh(app: App, state: State) -> None:
    """Not before people get answers: a build takes processor time."""
    await state.index_tried.wait()
    await Schedule(app.sources, app.library, app.reindexer).run()


async def _work(app: App, surface: SlackSurface, state: State) -> None:
    """Questions that come before the index is open wait in the inbox."""
    await state.index_tried.wait()
    async with Workers(app.inbox, handle=surface.handle, give_up=surface.give_up):
        log.info("ready")
        await asyncio.Event().wait()


async def _sweep(app: App, presses: Presses) -> None:
    """Take the buttons off cards whose time is over."""
    for card in await app.cards.expire_due():
        await presses.show(card)


async def _purge(app: App) -> None:
    """Delete what is older than the retention that was promised."""
    kept = _kept(app)
    await app.memory.purge(kept)
    await app.inbox.purge(min(kept, INBOX_KEPT))
    await app.cards.purge(kept)
    await app.watches.purge(kept)


def _kept(app: App) -> timedelta:
    return timedelta(days=app.settings.retention_days)


async def _every(seconds: float, job: Callable[[], Awaitable[None]]) -> None:
    """Again and again; a database that is away for a while is waited for."""
    while True:
        try:
            await job()
        except DATABASE_ERRORS:
            log.warning("the database refused housekeeping; trying again", exc_info=True)
        await asyncio.sleep(seconds)
