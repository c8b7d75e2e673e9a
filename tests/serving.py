"""The app as `serve` runs it, against the strict fake of Slack."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.app import App
from bot.slack.serve import run
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import CHANNEL, Thread
from tests.house import AppFactory

ANSWERED_WITHIN = 20.0


def slack_variables(slack: FakeSlack) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "ASK_MARVIN_PORT": "0",
    }


@asynccontextmanager
async def serving(slack: FakeSlack, app_for: AppFactory, **variables: str) -> AsyncIterator[App]:
    """The app as `serve` runs it, connected by Socket Mode."""
    async with app_for(**slack_variables(slack), **variables) as app, running(app):
        await slack.connected()
        yield app


@asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run(app, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def answered(slack: FakeSlack, ts: str, *, channel: str = CHANNEL, count: int = 1) -> Thread:
    """The thread, once it holds `count` finished messages of the bot."""

    def finished() -> bool:
        return sum(message.state != "streaming" for message in slack.thread(channel, ts).bot) >= count

    await slack.until(finished, timeout=ANSWERED_WITHIN, why=f"{count} answers")
    return slack.thread(channel, ts)


async def unplaced(card_id: str, *, channel: str, ts: str) -> None:
    """Of what shows cards, for tests where none is pressed."""
