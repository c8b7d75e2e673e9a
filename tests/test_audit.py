"""The audit: what is kept of every decision, who may read it, and that nobody reads along."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.app import DATABASE_FILE, App
from bot.audit.trail import MAX_AFFECTED, Audit, Entry, Wanted
from bot.audit.words import MAX_SHOWN, decisions, wanted
from bot.database import open_store, sqlite_url
from bot.grammar import Command, parse
from bot.people import LOCAL, Person
from bot.question import Place, Question
from bot.store import audit, now
from knowledge.errors import BadInput
from tests.command_line import Cli
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import ADA, ADMIN, CHANNEL, TEAM
from tests.house import AppFactory, events_of
from tests.serving import ANSWERED_WITHIN, answered, serving
from tools.proposal import Affected, Proposal

BOSS = Person(id="U1BOSS", team="T1", timezone="Europe/Lisbon", is_workspace_admin=True)
ANN = Person(id="U2ANN", team="T1")
OTHER = Person(id="U1BOSS", team="T2")
OPS = Place("C0OPS", "prod")
START = Proposal(
    action="trigger_run",
    title="Start",
    target="etl/nightly",
    affected=(Affected(deployment="etl/nightly", work_pool="k8s-prod"),),
)
CANCEL = Proposal(
    action="cancel_runs",
    title="Cancel",
    target="2 flow runs",
    affected=(
        Affected(deployment="etl/nightly", work_pool="k8s-prod"),
        Affected(deployment="ml/train_100%", work_pool="k8s-prod"),
    ),
)
# In summer, when Lisbon is an hour ahead.
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


async def found(engine: AsyncEngine, **which: object) -> list[tuple[str, str]]:
    entries, _ = await Audit(engine).latest(Wanted(**which))  # type: ignore[arg-type]
    return [(entry.user_id, entry.target) for entry in entries]


@pytest.fixture
async def filled(engine: AsyncEngine) -> AsyncEngine:
    """Three decisions, Ann's the last of her team."""
    book = Audit(engine)
    await book.record(BOSS, "confirmed", START, place=OPS, card_id="c1")
    await book.record(OTHER, "proposed", START, place=OPS, card_id="c2")
    await book.record(ANN, "refused", CANCEL, place=Place("D0ANN", "prod"), detail="Only U1BOSS may.")
    return engine


# -- what is kept


async def test_a_decision_is_kept_with_when_who_what_and_where(filled: AsyncEngine) -> None:
    (entry, *_), more = await Audit(filled).latest(Wanted())
    assert timedelta() <= now() - entry.at < timedelta(minutes=1)
    assert (entry.team, entry.user_id, entry.decision) == ("T1", ANN.id, "refused")
    assert (entry.action, entry.target, entry.detail) == ("cancel_runs", "2 flow runs", "Only U1BOSS may.")
    assert (entry.workspace, entry.channel, entry.card_id) == ("prod", "D0ANN", "")
    assert not more


async def test_the_newest_come_first_and_there_is_said_to_be_more(filled: AsyncEngine) -> None:
    entries, more = await Audit(filled).latest(Wanted(limit=2))
    assert [entry.user_id for entry in entries] == [ANN.id, OTHER.id]
    assert more


async def test_a_row_of_before_has_no_channel(filled: AsyncEngine) -> None:
    async with filled.begin() as connection:
        await connection.execute(update(audit).values(channel=None, affected=None))
    entries, _ = await Audit(filled).latest(Wanted(about="etl"))
    assert [entry.channel for entry in entries] == ["", ""]


@pytest.mark.parametrize(
    ("which", "users"),
    [
        pytest.param({"team": "T1"}, ["U2ANN", "U1BOSS"], id="team"),
        pytest.param({"user_id": "U1BOSS"}, ["U1BOSS", "U1BOSS"], id="person"),
        pytest.param({"user_id": "U1BOSS", "team": "T2"}, ["U1BOSS"], id="both"),
        pytest.param({"about": "ETL/night"}, ["U2ANN", "U1BOSS", "U1BOSS"], id="part of a name, any case"),
        pytest.param({"about": "ml/train_100%"}, ["U2ANN"], id="what a bulk action touched"),
        pytest.param({"about": "k8s-prod", "user_id": "U2ANN"}, ["U2ANN"], id="work pool"),
        pytest.param({"about": "ml%100"}, [], id="percent is no wildcard"),
        pytest.param({"about": "etl_nightly"}, [], id="underscore is no wildcard"),
        pytest.param({"since": NOON + timedelta(days=36500)}, [], id="since then"),
        pytest.param({"since": NOON - timedelta(days=3650)}, ["U2ANN", "U1BOSS", "U1BOSS"], id="since long"),
    ],
)
async def test_decisions_are_found_by(
    filled: AsyncEngine, which: dict[str, object], users: list[str]
) -> None:
    assert [user for user, _ in await found(filled, **which)] == users


async def test_a_bulk_action_on_everything_is_kept_within_bounds(engine: AsyncEngine) -> None:
    many = tuple(Affected(deployment=f"flow/{number:04d}" * 5) for number in range(1000))
    await Audit(engine).record(ANN, "done", CANCEL.model_copy(update={"affected": many}), place=OPS)
    async with engine.connect() as connection:
        kept = (await connection.execute(audit.select())).one().affected
    assert len(kept) == MAX_AFFECTED


# -- what is asked for


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("audit", ()),
        ("Audit 50", ("50",)),
        ("audit @U012ABC", ("@U012ABC",)),
        ("audit etl/nightly", ("etl/nightly",)),
        ("audit today", ("today",)),
        ("audit etl/nightly today", ("etl/nightly", "today")),
    ],
)
def test_audit_is_a_command(text: str, words: tuple[str, ...]) -> None:
    assert parse(text) == Command("audit", words)


@pytest.mark.parametrize(
    "text",
    [
        "audit logs",
        "audit log",
        "audit trail",
        "audit events",
        "audit my deployments please",
        "how do I audit deployments?",
        "audit etl/nightly yesterday",
    ],
)
def test_a_sentence_about_audits_is_a_question(text: str) -> None:
    assert parse(text) is None


MIDNIGHT_IN_LISBON = datetime(2026, 6, 30, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), Wanted(team="T1")),
        (("50",), Wanted(team="T1", limit=50)),
        (("0",), Wanted(team="T1", limit=1)),
        (("9999",), Wanted(team="T1", limit=MAX_SHOWN)),
        (("@U012ABC",), Wanted(team="T1", user_id="U012ABC")),
        (("U012ABC",), Wanted(team="T1", user_id="U012ABC")),
        (("W012ABC", "5"), Wanted(team="T1", user_id="W012ABC", limit=5)),
        (("local",), Wanted(team="T1", user_id="local")),
        (("etl/nightly",), Wanted(team="T1", about="etl/nightly")),
        (("UPDATE",), Wanted(team="T1", about="UPDATE")),
        (("today",), Wanted(team="T1", since=MIDNIGHT_IN_LISBON)),
        (("etl", "Today"), Wanted(team="T1", about="etl", since=MIDNIGHT_IN_LISBON)),
    ],
)
def test_words_say_which_decisions(words: tuple[str, ...], expected: Wanted) -> None:
    assert wanted(words, BOSS, NOON) == expected


def test_the_user_of_the_terminal_sees_all_teams() -> None:
    assert wanted((), LOCAL, NOON) == Wanted()


def test_a_person_by_name_is_asked_back() -> None:
    with pytest.raises(BadInput, match=r"@ann.*U…"):
        wanted(("@ann",), BOSS, NOON)


def entry(**changes: str) -> Entry:
    values = {"team": "T1", "user_id": "U2ANN", "decision": "held_back", "action": "trigger_run"}
    values |= {"target": "etl/nightly", "workspace": "prod", "channel": "C0OPS", "card_id": "c", "detail": ""}
    return Entry(at=NOON, **{**values, **changes})


def test_the_table_gives_times_in_the_readers_zone_and_ids_that_notify_nobody() -> None:
    text = decisions([entry()], BOSS, NOON, more=False)
    assert "when (WEST)" in text
    row = "| 07-01 13:00 | `U2ANN` | held back | `trigger_run` | `etl/nightly` | `prod` | `C0OPS` |"
    assert row in text
    assert "more" not in text
    assert "more" in decisions([entry()], BOSS, NOON, more=True)


def test_a_zone_that_is_none_is_utc() -> None:
    nowhere = Person(id="U1", team="T1", timezone="../../etc/passwd")
    assert "07-01 12:00" in decisions([entry()], nowhere, NOON, more=False)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"channel": "D0ANN"}, "| direct |"),
        ({"team": "local", "channel": ""}, "| terminal |"),
        ({"channel": ""}, "| – |"),
        ({"workspace": ""}, "| – |"),
        ({"target": "a|b`c <!channel>"}, "`a¦bˋc <!channel>`"),
        ({"detail": "see [this](http://evil) | <!here>"}, r"see \[this\](http://evil) ¦ \<!here\>"),
    ],
)
def test_a_row_is_harmless_and_complete(changes: dict[str, str], shown: str) -> None:
    assert shown in decisions([entry(**changes)], BOSS, NOON, more=False)


def test_no_rows_are_said_in_words() -> None:
    assert decisions([], BOSS, NOON, more=False) == "Nothing of that kind has been decided."


# -- who may read it


@pytest.fixture
async def app(app_for: AppFactory, home: Path) -> AsyncIterator[App]:
    """The bot, with one decision of a team's and one of another's."""
    async with open_store(sqlite_url(home / DATABASE_FILE)) as engine:
        await Audit(engine).record(ANN, "confirmed", START, place=OPS, card_id="c1")
        await Audit(engine).record(OTHER, "confirmed", CANCEL, place=OPS, card_id="c2")
    async with app_for() as app:
        yield app


async def told(app: App, person: Person, channel: str, *, private: bool = False) -> str:
    question = Question("audit", person, "T1:C:1", channel, private=private)
    events = [event async for event in app.agent.answer(question)]
    return events[-1].answer.text  # type: ignore[union-attr]


async def test_an_admin_reads_their_own_teams_decisions_alone(app: App) -> None:
    text = await told(app, BOSS, "D0BOSS")
    assert "`U2ANN`" in text
    assert "etl/nightly" in text
    assert "2 flow runs" not in text


async def test_the_terminal_reads_all(app: App) -> None:
    events = await events_of(app, "audit")
    text = events[-1].answer.text  # type: ignore[union-attr]
    assert "etl/nightly" in text
    assert "2 flow runs" in text


async def test_who_is_no_admin_reads_nothing(app: App) -> None:
    text = await told(app, ANN, "D0ANN", private=True)
    assert "for admins" in text
    assert "etl/nightly" not in text


async def test_nothing_is_told_where_others_read_it(app: App) -> None:
    text = await told(app, BOSS, "C0OPS")
    assert "/ask-marvin audit" in text
    assert "etl/nightly" not in text
    assert "etl/nightly" in await told(app, BOSS, "C0OPS", private=True)


# -- in Slack


@pytest.fixture
async def seen(home: Path) -> None:
    """One decision of the team that the fake Slack is."""
    async with open_store(sqlite_url(home / DATABASE_FILE)) as engine:
        await Audit(engine).record(Person(ADA, TEAM), "confirmed", START, place=Place(CHANNEL, "default"))


@pytest.mark.usefixtures("seen")
async def test_asked_in_a_channel_it_is_shown_to_the_admin_alone(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        post = slack.mention(f"audit <@{ADA}>", user=ADMIN)
        await slack.deliver(post.envelopes[0])
        await slack.until(lambda: bool(slack.ephemeral), timeout=ANSWERED_WITHIN, why="an ephemeral answer")
    (message,) = slack.ephemeral
    assert ADA in message.seen
    assert "etl/nightly" in message.seen
    assert message.thread_ts == post.ts
    assert slack.thread(CHANNEL, post.ts).bot == []


@pytest.mark.usefixtures("seen")
async def test_a_slash_command_is_answered_to_the_admin_alone(slack: FakeSlack, app_for: AppFactory) -> None:
    async with serving(slack, app_for):
        await slack.deliver(slack.slash("/ask-marvin", f"audit <@{ADA}|ada>", user=ADMIN))
        await slack.until(lambda: bool(slack.ephemeral), timeout=ANSWERED_WITHIN, why="an ephemeral answer")
    assert "etl/nightly" in slack.ephemeral[0].seen
    assert slack.called("chat.postMessage") == []


@pytest.mark.usefixtures("seen")
async def test_where_nothing_ephemeral_can_be_shown_it_comes_as_a_direct_message(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    slack.fail("chat.postEphemeral", "user_not_in_channel")
    async with serving(slack, app_for):
        post = slack.mention("audit", user=ADMIN)
        await slack.deliver(post.envelopes[0])
        call = await slack.wait_for_call("chat.postMessage", timeout=ANSWERED_WITHIN)
    assert call.args["channel"] == slack.dm(ADMIN)
    assert slack.thread(CHANNEL, post.ts).bot == []


@pytest.mark.usefixtures("seen")
async def test_in_a_direct_message_it_is_an_ordinary_answer(slack: FakeSlack, app_for: AppFactory) -> None:
    async with serving(slack, app_for):
        post = slack.say_in_dm("audit", user=ADMIN)
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts, channel=post.channel)
    assert "etl/nightly" in thread.text


# -- on the command line


@pytest.mark.usefixtures("seen")
def test_the_command_line_prints_it_as_json_and_as_a_table(home: Path) -> None:
    cli = Cli(home, home)
    (row,) = cli.json("audit", "--since", "1d", "--about", "nightly", "--user", ADA)
    assert (row["user_id"], row["decision"], row["target"]) == (ADA, "confirmed", "etl/nightly")
    assert (row["channel"], row["workspace"]) == (CHANNEL, "default")
    assert datetime.fromisoformat(row["at"]).tzinfo
    assert ADA in cli.run("audit").stdout
    assert cli.json("audit", "--user", ADMIN) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--since", "yesterday"), "7d"), (("--limit", "0"), "1 to 1000"), (("--since", "99999999999w"), "7d")],
)
def test_a_wrong_argument_is_told(tmp_path: Path, arguments: tuple[str, str], said: str) -> None:
    done = Cli(tmp_path, tmp_path).here("audit", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
