"""Following goes on, or says that it does not: bugs, a Slack that refuses, a channel that was closed for it."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.app import DATABASE_FILE
from bot.cards.table import Card, CardState
from bot.events import Offer
from bot.follow.followup import Explained
from bot.follow.run_words import Tasks
from bot.follow.watch import BROKEN_AFTER, FIRST_PAUSE, Away
from bot.follow.watch_table import Watch, WatchedRun
from bot.policy.policy import Policy
from bot.policy.rules import Level, Rules
from bot.slack.card_blocks import card_message
from bot.slack.follow_blocks import (
    HUSHED,
    Followed,
    let_go_message,
    notice_message,
    passed_message,
    short_message,
)
from bot.slack.follower import FORGOTTEN_BEFORE, LONGEST_PAUSE_S, TICK_S, pause_after
from bot.store import now
from bot.workspaces import Workspace, Workspaces
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_blocks import check_message_blocks
from tests.fakes.slack_world import CHANNEL
from tests.following import WORKSPACE, Clock
from tests.house import AppFactory
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to
from tests.serving import slack_variables
from tests.test_slack_follow import KEPT, Bot, bot_on
from tests.waiting import until
from tools.links import Links
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal
from tools.toolbox import Toolbox


def followed_of(name: str, runs: int = 1) -> Followed:
    each = WatchedRun("id", name, "FAILED", name, name, since=now(), due=now(), seconds=5.0, attempts=3)
    watch = Watch("card", "T1", WORKSPACE, "trigger_run", now(), (each,) * runs)
    away = Away(now(), now(), FIRST_PAUSE, name)
    return Followed(watch, Links("http://127.0.0.1:4200"), now(), Tasks(1, 2, 3), away, name)


def card_of(name: str, state: CardState) -> Card:
    facts = tuple(Fact(label=name, value=name) for _ in range(60))
    proposal = Proposal(action="trigger_run", title=name, target=name, target_url="http://u/1", facts=facts)
    url = "http://127.0.0.1:4200/runs/flow-run/1"
    return Card("card", proposal, "U1ANN", now(), state, "U1ANN", name, url)


DOCS_ONLY = Policy(Rules(channels={CHANNEL: Level.DOCS}))


@pytest.fixture
async def bot(slack: FakeSlack, app_for: AppFactory, prefect_url: str) -> AsyncIterator[Bot]:
    async with (
        app_for(**slack_variables(slack), PREFECT_API_URL=prefect_url) as app,
        bot_on(slack, app, Clock()) as bot,
    ):
        yield bot


@pytest.fixture
async def name(seed: Seed) -> str:
    """Of a deployment whose pool has a worker, by its heartbeat."""
    pool = await seed.pool()
    await seed.worker(pool)
    return str((await seed.deployment(pool=pool))["full_name"])


def in_database(home: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(home / DATABASE_FILE, timeout=10)) as database, database:
        database.execute(statement, values)


# -- as soon as Prefect has it


async def test_what_a_press_has_begun_is_shown_at_the_first_look_and_not_after_an_interval(
    bot: Bot, seed: Seed, name: str
) -> None:
    followed = await bot.begun("trigger_run", deployment=name)
    await seed.state(followed.runs[0], "RUNNING")
    await bot.tick(after=0)
    assert "Running for" in followed.message.seen


async def test_a_tick_in_between_does_not_have_slacks_allowance_once_more(bot: Bot, name: str) -> None:
    for _ in range(4):
        await bot.begun("trigger_run", deployment=name)
    before = len(bot.slack.called("chat.update"))
    for _ in range(4):
        await bot.tick(after=0)
    assert len(bot.slack.called("chat.update")) == before + 2


# -- bugs


async def test_a_bug_in_looking_is_logged_counted_and_said_and_it_goes_on(
    bot: Bot, seed: Seed, name: str, prefect_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with PrefectClient(connection_to(prefect_url)) as prefect:
        """Closed after this, and then no request can be made with it."""
    broken = Workspace(WORKSPACE, prefect.connection, prefect, Toolbox([]))
    async with bot_on(
        bot.slack, bot.app, bot.clock, looks_at=Workspaces([broken], default=WORKSPACE)
    ) as other:
        followed = await other.begun("trigger_run", deployment=name)
        await seed.state(followed.runs[0], "RUNNING")
        for number in range(1, BROKEN_AFTER + 1):
            assert "I cannot look at it" not in followed.message.seen
            await other.tick(after=FIRST_PAUSE.total_seconds() * 2**number)
            assert other.follower.failures == number
        assert "I cannot look at it: something broke on my side" in followed.message.seen
        reference = followed.message.seen.split("the log has it as `", 1)[1].split("`")[0]
        (record,) = [
            record for record in caplog.records if reference in record.getMessage() and record.exc_info
        ]
        assert record.levelno == logging.ERROR
    await bot.tick(after=120)
    assert "Running for" in followed.message.seen
    assert "I cannot look" not in followed.message.seen
    assert bot.follower.failures == 0


async def test_a_bug_in_a_tick_does_not_end_the_following(
    bot: Bot, seed: Seed, name: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    followed = await bot.begun("trigger_run", deployment=name)
    await seed.state(followed.runs[0], "COMPLETED")
    in_database(home, "UPDATE watches SET told = '5'")
    running = asyncio.create_task(bot.follower.run())
    await until(lambda: bot.follower.failures)
    assert "Traceback" in caplog.text
    in_database(home, "UPDATE watches SET told = '[]'")
    await until(lambda: "Completed in" in followed.message.seen)
    await until(lambda: bot.follower.failures == 0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_the_pause_after_bugs_grows_to_a_minute_and_stays_there_for_days() -> None:
    assert [pause_after(failures) for failures in (0, 1, 2)] == [TICK_S, 2 * TICK_S, 4 * TICK_S]
    assert pause_after(5) == pause_after(10_000) == LONGEST_PAUSE_S


async def test_a_card_that_cannot_be_read_does_not_keep_the_others_from_being_followed(
    bot: Bot, seed: Seed, name: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken, whole = [await bot.begun("trigger_run", deployment=name) for _ in range(2)]
    in_database(home, "UPDATE cards SET proposal = '{}' WHERE id = ?", broken.card.id)
    await seed.state(whole.runs[0], "COMPLETED")
    await bot.until(lambda: whole.news)
    assert (await broken.now()).ended == "broke"
    assert broken.card.id in caplog.text


# -- what may be shown, and kept


async def test_in_a_channel_that_was_made_docs_only_nothing_more_is_said_of_the_workspace(
    bot: Bot, seed: Seed, name: str
) -> None:
    followed = await bot.begun("trigger_run", deployment=name)
    await seed.state(followed.runs[0], "FAILED", message="the secret of the workspace")
    async with bot_on(bot.slack, bot.app, bot.clock, policy=DOCS_ONLY) as later:
        await later.tick()
        await later.tick()
    assert "I have stopped following it here" in followed.message.seen
    assert "secret of the workspace" not in bot.slack.channel_thread(CHANNEL).text
    assert followed.news == []
    assert (await followed.now()).ended == "hushed"


async def test_a_diagnosis_is_not_posted_when_the_channel_was_closed_between_two_ticks(
    bot: Bot, seed: Seed, name: str
) -> None:
    followed = await bot.begun("trigger_run", deployment=name)
    await seed.state(followed.runs[0], "FAILED", message="boom")
    bot.slack.rate_limit("chat.postMessage", retry_after=1)
    await bot.tick()
    async with bot_on(bot.slack, bot.app, bot.clock, policy=DOCS_ONLY) as later:
        await later.tick()
    assert followed.news == []
    assert (await followed.now()).ended == "hushed"


async def test_what_goes_on_for_longer_than_is_kept_says_that_it_is_not_followed_any_more(
    bot: Bot, name: str
) -> None:
    due = (now() + 2 * KEPT).isoformat()
    followed = await bot.begun("trigger_run", deployment=name, scheduled_time=due)
    await bot.tick()
    await bot.tick(after=(KEPT - 2 * FORGOTTEN_BEFORE).total_seconds())
    assert (await followed.now()).ended == ""
    await bot.tick(after=FORGOTTEN_BEFORE.total_seconds())
    assert "I have stopped following it: it is too old for me to keep it" in followed.message.seen
    assert f"/runs/flow-run/{followed.runs[0]['id']}|" in followed.message.seen
    assert (await followed.now()).ended == "forgotten"


# -- a Slack that refuses


async def test_of_a_card_that_slack_does_not_take_what_matters_is_shown(
    bot: Bot, seed: Seed, name: str
) -> None:
    followed = await bot.begun("trigger_run", deployment=name)
    await seed.state(followed.runs[0], "FAILED", message="boom")
    bot.slack.fail("chat.update", "msg_blocks_too_long")
    await bot.until(lambda: followed.news)
    assert "Start a run of" in followed.message.seen
    assert "Failed" in followed.message.seen


async def test_news_that_slack_puts_off_hold_nobody_up_and_are_told_when_it_takes_them(
    bot: Bot, seed: Seed, name: str
) -> None:
    some = [await bot.begun("trigger_run", deployment=name) for _ in range(3)]
    for followed in some:
        await seed.state(followed.runs[0], "FAILED", message="boom")
    posted = len(bot.slack.called("chat.postMessage"))
    bot.slack.rate_limit("chat.postMessage", times=None, retry_after=30)
    for _ in range(12):
        await bot.tick()
    assert len(bot.slack.called("chat.postMessage")) - posted <= 3
    assert all("❌" in followed.message.seen for followed in some)
    bot.slack.mend()
    await bot.tick(after=30)
    await bot.tick()
    assert [len(followed.news) for followed in some] == [1, 1, 1]


async def test_while_the_token_is_revoked_little_is_tried_and_nothing_is_lost(
    bot: Bot, seed: Seed, name: str
) -> None:
    some = [await bot.begun("trigger_run", deployment=name) for _ in range(3)]
    for followed in some:
        await seed.state(followed.runs[0], "RUNNING")
    calls = len(bot.slack.calls)
    for method in ("chat.update", "chat.postMessage"):
        bot.slack.fail(method, "token_revoked", times=None)
    for followed in some:
        await seed.state(followed.runs[0], "PAUSED", "Suspended")
    for _ in range(12):
        await bot.tick()
    assert len(bot.slack.calls) - calls <= 4
    bot.slack.mend()
    await bot.tick(after=60)
    await bot.until(lambda: all(followed.news for followed in some))


# -- what is read at night


async def test_how_it_gets_on_stands_above_what_was_asked_for_and_old_warnings_are_gone(
    bot: Bot, seed: Seed, name: str
) -> None:
    followed = await bot.begun("trigger_run", deployment=name)
    assert "*Warning*" in followed.message.seen
    await seed.state(followed.runs[0], "RUNNING")
    await bot.tick()
    assert "*Warning*" not in followed.message.seen
    assert followed.message.seen.index("Running for") < followed.message.seen.index("*Deployment*")


def test_a_time_in_a_notice_is_the_readers_own_but_for_code() -> None:
    told = Explained(
        ("It was due 2026-11-23T01:54:52Z, `not 2026-11-23T01:54:52Z`, 2026-99-99T01:54:52Z too.",)
    )
    text = notice_message(SHOWN, "end", SHOWN.watch.runs[0], "", told, []).text
    assert "due <!date^1795398892^" in text
    assert "`not 2026-11-23T01:54:52Z`, 2026-99-99T01:54:52Z too." in text


WILD = "<&*`|>"
SHOWN = followed_of(WILD)


@pytest.mark.parametrize("state", ["open", "done"])
@pytest.mark.parametrize("runs", [1, 100])
@pytest.mark.parametrize("length", [1, 100, 2_000])
def test_slack_takes_every_message_however_long_its_names_are(
    state: CardState, runs: int, length: int
) -> None:
    name = WILD * length
    followed, card = followed_of(name, runs), card_of(name, state)
    told = Explained((name, name), fix=name)
    offers = [Offer(name, "why x")] * 9
    for message in (
        card_message(card, followed if state == "done" else None),
        short_message(name, followed),
        notice_message(followed, "end", followed.watch.runs[0], "<@U1>", told, offers),
        passed_message(followed, "<@U1>"),
        let_go_message(card, HUSHED),
    ):
        check_message_blocks(message.blocks)
        assert len(message.text) <= 4_000
