"""Reindexing and going back from Slack: real builds in real child processes, seen as their readers see them."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.app import DATABASE_FILE, App
from bot.cards.table import Card, CardTable
from bot.database import open_store, sqlite_url
from bot.inbox import Delivery, Item
from bot.indexing.embedding import embedder
from bot.people import Person
from bot.question import Place
from bot.settings import Settings
from bot.slack.blocks import plain_message
from bot.slack.card_view import CardView
from bot.slack.conversation import Conversation, Target
from bot.slack.pace import Pace, Workspaces
from bot.slack.people import People
from bot.slack.presses import Presses
from bot.slack.progress import ProgressMessage
from bot.store import audit, now
from knowledge.build import build
from knowledge.generations import Generations
from knowledge.golden import load_golden
from knowledge.report import Progress
from knowledge.sources.config import load_sources
from tests.corpora import write_pages
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import ADA, ADMIN, CHANNEL, OWNER, TEAM, Message
from tests.fakes.website import FakeWebsite
from tests.house import AppFactory
from tests.serving import ANSWERED_WITHIN, answered, serving, slack_variables
from tests.waiting import until

BUILT_WITHIN = 60.0
PAGES = {f"page-{n}": f"# Page {n}\n\nThis is about subject{n}.\n" for n in range(20)}
SIGN_IN = "# Welcome\n\nSign in.\n"
# Reading the symbols of the one that is installed takes seconds, which are spent elsewhere.
HEAD = 'field_guide = false\nprefect = "nowhere"\ngolden = "golden.jsonl"\n'


@pytest.fixture
async def site() -> AsyncIterator[FakeWebsite]:
    async with FakeWebsite() as site:
        site.put("/llms.txt", "- [Pools](/pools.md)\n")
        site.put("/pools.md", "# Pools\n\nA pool of water.\n", content_type="text/markdown")
        yield site


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder of pages that is a source called `ours`, with golden questions about them."""
    write_pages(tmp_path / "pages", PAGES)
    golden = [{"id": p, "question": f"subject{n}", "gold": [p]} for n, p in enumerate(PAGES)]
    (tmp_path / "golden.jsonl").write_text("\n".join(map(json.dumps, golden)))
    source = (
        '[[source]]\nname = "ours"\nkind = "files"\npath = "pages"\nbase_url = "https://docs.example.com"\n'
    )
    (tmp_path / "sources.toml").write_text(f"{HEAD}{source}")
    return tmp_path / "pages"


@pytest.fixture
def variables(tmp_path: Path, pages: Path) -> dict[str, str]:
    return {
        "ASK_MARVIN_SOURCES": str(pages.parent / "sources.toml"),
        "ASK_MARVIN_HOME": str(tmp_path / "own"),
    }


@pytest.fixture
async def index(variables: dict[str, str]) -> Callable[[], Any]:
    """Builds a generation here, without a child process; the first one is there already."""
    settings = Settings.from_env(variables)

    async def generate(*, force: bool = False) -> int:
        report = await build(
            settings.index_folder,
            load_sources(settings.sources),
            embedder(settings),
            golden=load_golden(settings.sources),
            force=force,
            report=lambda _step: None,
        )
        return report.generation

    await generate()
    return generate


def add_website(variables: dict[str, str], site: FakeWebsite) -> None:
    file = Path(variables["ASK_MARVIN_SOURCES"])
    file.write_text(
        f'{file.read_text()}[[source]]\nname = "site"\nkind = "website"\nbase_url = "{site.url}"\n'
        "timeout = 60\n"
    )


async def asked(slack: FakeSlack, text: str, *, user: str = ADMIN) -> Message:
    """The bot's answer to a command, which may be a card."""
    post = slack.mention(text, user=user)
    await slack.deliver(post.envelopes[0])
    return (await answered(slack, post.ts)).bot[-1]


async def pressed(slack: FakeSlack, card: Message, *, user: str = ADMIN) -> None:
    await slack.deliver(slack.press(card, "card_confirm", user=user))


async def says(slack: FakeSlack, message: Message, words: str, *, timeout: float = BUILT_WITHIN) -> None:
    await slack.until(
        lambda: words in message.seen, timeout=timeout, why=f"{words!r}; it says: {message.seen}"
    )


async def whispers(slack: FakeSlack, count: int) -> str:
    await slack.until(lambda: len(slack.ephemeral) >= count, timeout=ANSWERED_WITHIN, why="a whisper")
    return slack.ephemeral[count - 1].seen


async def decisions(variables: dict[str, str]) -> list[tuple[str, str, str]]:
    """Who decided what about which action, in the order of the audit table."""
    async with open_store(sqlite_url(Path(variables["ASK_MARVIN_HOME"]) / DATABASE_FILE)) as engine:
        return await _decisions(engine)


async def _decisions(engine: AsyncEngine) -> list[tuple[str, str, str]]:
    query = select(audit.c.user_id, audit.c.action, audit.c.decision).order_by(audit.c.id)
    async with engine.connect() as connection:
        return [tuple(row) for row in (await connection.execute(query)).all()]


def live(variables: dict[str, str]) -> int:
    return Generations(Path(variables["ASK_MARVIN_HOME"]) / "index").current()


async def reindexed(slack: FakeSlack, pages: Path) -> Message:
    """A finished reindex with changes: three pages added, one changed, one removed."""
    write_pages(
        pages,
        {f"new-{n}": f"# New {n}\n\nNews.\n" for n in range(3)}
        | {"page-3": "# Page 3\n\nMore of subject3.\n"},
    )
    (pages / "page-4.md").unlink()
    card = await asked(slack, "reindex")
    await pressed(slack, card)
    await says(slack, card, "is live")
    return card


# -- the card, and the report in the same message


async def test_a_card_says_what_will_happen_and_its_message_then_says_what_did(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    async with serving(slack, app_for, **variables):
        card = await asked(slack, "reindex ours")
        assert "*Fetch ours again and rebuild the index*" in card.seen
        assert "ours alone" in card.seen
        assert re.search(r"folder, 20 pages, fetched 20\d\d-\d\d-\d\d \d\d:\d\d UTC", card.seen)
        assert "present index (generation 1)" in card.seen
        assert "golden questions" in card.seen

        done = await reindexed(slack, pages)
        messages = [call.args["ts"] for call in slack.called("chat.update")]
        assert set(messages) == {done.ts}
        assert f"✅ *Done* · <@{ADMIN}>" in done.seen
        assert "Pages: 3 added, 1 changed, 18 unchanged, 1 removed. Generation 2 is live." in done.seen
        added = ", ".join(f"<https://docs.example.com/new-{n}|New {n}>" for n in range(3))
        assert f"• ours: 3 added: {added}" in done.seen
        assert "• ours: 1 removed: <https://docs.example.com/page-4|Page 4>" in done.seen
        assert re.search(r"• 20 golden questions: hit@5 1.000 → 0.950, MRR 1.000 → 0.9\d+", done.seen)
        assert "Meanwhile" not in done.seen
        assert [button["text"]["text"] for button in done.buttons] == ["Roll back to generation 1"]


async def test_when_nothing_changed_one_line_says_so(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], index: Any
) -> None:
    async with serving(slack, app_for, **variables):
        card = await asked(slack, "reindex")
        await pressed(slack, card)
        await says(slack, card, "Nothing has changed: 20 unchanged pages, generation 1 stays live.")
    assert card.buttons == []
    assert len(card.seen.splitlines()) == 3


@pytest.mark.slow
async def test_a_source_that_failed_is_told_with_its_reason_and_nothing_looks_whole(
    slack: FakeSlack,
    app_for: AppFactory,
    variables: dict[str, str],
    pages: Path,
    site: FakeWebsite,
    index: Any,
) -> None:
    add_website(variables, site)
    site.put("/llms.txt", "", status=500)
    site.put("/sitemap.xml", "", status=500)
    async with serving(slack, app_for, **variables):
        done = await reindexed(slack, pages)
    assert f"⚠️ *Done in part* · <@{ADMIN}>" in done.seen
    assert "1 of 2 sources could not be read" in done.seen
    assert "• site failed: " in done.seen
    assert (ADMIN, "reindex_knowledge", "partly") in await decisions(variables)


async def test_when_no_source_can_be_read_it_has_failed(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    pages.rename(pages.parent / "away")
    async with serving(slack, app_for, **variables):
        card = await asked(slack, "reindex")
        await pressed(slack, card)
        await says(slack, card, "No source could be read")
    assert "❌ *Failed*" in card.seen
    assert card.buttons == []


# -- held back


@pytest.mark.slow
async def test_a_worse_index_is_not_made_live_and_says_how_to_insist(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    write_pages(pages, {f"page-{n}": SIGN_IN for n in range(12)})
    async with serving(slack, app_for, **variables):
        card = await asked(slack, "reindex ours")
        await pressed(slack, card)
        await says(slack, card, "held back")
        assert f"✋ *Not made live; the present index stays* · <@{ADMIN}>" in card.seen
        assert "hit@5 from 1.000 to" in card.seen
        assert "generation 1 stays live" in card.seen
        assert "`reindex ours --force`" in card.seen
        assert "✅" not in card.seen + card.text
        assert "• ours: 12 changed: " in card.seen
        assert "and 7 more" in card.seen
        assert card.buttons == []
        assert live(variables) == 1

        forced = await asked(slack, "reindex ours —force")
        assert "even if it answers worse" in forced.seen
        assert [button.get("style") for button in forced.buttons] == ["danger", None]
        await pressed(slack, forced)
        await says(slack, forced, "Generation 2 is live")
    assert (ADMIN, "reindex_knowledge", "held_back") in await decisions(variables)


# -- going back


@pytest.mark.slow
async def test_an_admin_goes_back_by_the_button_and_the_message_says_who(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    async with serving(slack, app_for, **variables) as app:
        done = await reindexed(slack, pages)
        assert app.library.status().generation == 2
        (button,) = done.buttons
        assert "generation 1, built" in button["confirm"]["text"]["text"]
        await pressed(slack, done, user=ADA)
        assert "role admin" in await whispers(slack, 1)
        first, second = (slack.press(done, "card_confirm", user=user) for user in (OWNER, ADMIN))
        await slack.deliver(first)
        await slack.deliver(second)
        assert "only once" in await whispers(slack, 2)
        await says(slack, done, f"↩️ *Rolled back* · <@{OWNER}>")
        assert "Generation 1 is live, in place of 2." in done.seen
        assert "`reindex --force`" in done.seen
        assert done.buttons == []
        assert app.library.status().generation == live(variables) == 1
    assert [row for row in await decisions(variables) if row[1] == "rollback_knowledge"] == [
        (ADMIN, "rollback_knowledge", "proposed"),
        (ADA, "rollback_knowledge", "refused"),
        (OWNER, "rollback_knowledge", "confirmed"),
        (OWNER, "rollback_knowledge", "done"),
        (ADMIN, "rollback_knowledge", "refused"),
    ]


@pytest.mark.slow
async def test_the_button_is_refused_when_the_index_has_moved_on(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    async with serving(slack, app_for, **variables):
        done = await reindexed(slack, pages)
        write_pages(pages, {"newest": "# Newest\n\nStill more.\n"})
        assert await index() == 3
        await pressed(slack, done)
        await says(slack, done, "🚫 *Not rolled back*")
    assert "generation 3 is live by now" in done.seen
    assert "Type `rollback`" in done.seen
    assert done.buttons == []
    assert live(variables) == 3


@pytest.mark.slow
async def test_the_button_waits_while_the_index_is_being_built(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    async with serving(slack, app_for, **variables):
        done = await reindexed(slack, pages)
        with Generations(Path(variables["ASK_MARVIN_HOME"]) / "index").lock():
            await pressed(slack, done)
            assert f"process {os.getpid()} on " in await whispers(slack, 1)
        assert done.buttons
        await pressed(slack, done)
        await says(slack, done, "Generation 1 is live")


async def test_going_back_is_a_command_with_a_card_as_well(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    write_pages(pages, {"new": "# New\n\nNews.\n"})
    await index()
    async with serving(slack, app_for, **variables):
        refused = await asked(slack, "rollback", user=ADA)
        assert "role admin" in refused.seen
        card = await asked(slack, "rollback")
        assert "*Go back to generation 1 of the index*" in card.seen
        assert "21 pages" in card.seen
        await pressed(slack, card)
        await says(slack, card, "Generation 1 is live, in place of 2.")
        nowhere = await asked(slack, "rollback to 9")
        assert "There is no generation 9." in nowhere.seen


# -- two admins


@pytest.mark.slow
async def test_the_second_admin_is_told_who_is_at_it_and_where_to_look(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], site: FakeWebsite, index: Any
) -> None:
    add_website(variables, site)
    site.meet(["/pools.md"], 2)
    async with serving(slack, app_for, **variables):
        first, second = await asked(slack, "reindex"), await asked(slack, "reindex", user=OWNER)
        await pressed(slack, first)
        await says(slack, first, "Step 1 of 4, reading")
        assert f"Confirmed by <@{ADMIN}>" in first.seen
        await pressed(slack, second, user=OWNER)
        told = await whispers(slack, 1)
        third = await asked(slack, "reindex", user=OWNER)
        link = f"/archives/{CHANNEL}/p{first.ts.replace('.', '')}"
        for said in (told, third.seen):
            assert f"<@{ADMIN}> has been at it since <!date^" in said
            assert link in said
        assert third.buttons == []
        assert second.buttons

        await release(site, "/pools.md")
        site.meet(["/pools.md"], 1)
        await says(slack, first, "Generation 2 is live")
        await pressed(slack, second, user=OWNER)
        await says(slack, second, "Nothing has changed")


async def has_asked(site: FakeWebsite, path: str) -> bool:
    return path in site.paths


async def release(site: FakeWebsite, path: str) -> None:
    """Be the second one to ask for the page that the build waits for."""
    async with httpx.AsyncClient() as http:
        await http.get(f"{site.url}{path}", timeout=BUILT_WITHIN)


async def test_a_build_that_was_started_elsewhere_is_named_by_its_process(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], index: Any
) -> None:
    async with serving(slack, app_for, **variables):
        with Generations(Path(variables["ASK_MARVIN_HOME"]) / "index").lock():
            told = await asked(slack, "reindex")
    assert f"already being built by process {os.getpid()} on " in told.seen
    assert ", since " in told.seen
    assert told.buttons == []


# -- progress


TICK = Progress("embed", "", 1, 2)


@asynccontextmanager
async def shown_progress(slack: FakeSlack, pace: Pace) -> AsyncIterator[tuple[ProgressMessage, Message]]:
    conversation = Conversation(slack.client(retry_handlers=[]), Target(TEAM, CHANNEL, ADMIN))
    ts = await conversation.post(plain_message("a card"))
    message = ProgressMessage(
        conversation, ts, title="Reindexing", below="by nobody", workspaces=Workspaces(pace)
    )
    async with message:
        yield message, slack.message(CHANNEL, ts)


async def test_however_much_is_reported_slack_is_called_at_its_pace(slack: FakeSlack) -> None:
    async with shown_progress(slack, Pace(update=3600)) as (progress, message):
        for done in range(500):
            await progress.report(Progress("fetch", "docs", done, 500))
        await says(slack, message, "reading docs: 499 of 500 pages")
        for _ in range(500):
            await progress.report(TICK)
    assert len(slack.called("chat.update")) == 1


async def test_the_newest_is_shown_when_its_time_has_come(slack: FakeSlack) -> None:
    async with shown_progress(slack, Pace(update=0.01, update_each=0.01)) as (progress, message):
        await progress.report(Progress("fetch", "docs", 1, 5))
        await says(slack, message, "reading docs: 1 of 5 pages")
        await progress.report(TICK)
        await says(slack, message, "Step 2 of 4, embedding: 1 of 2 passages")


async def test_an_update_that_is_under_way_does_not_come_after_the_end(slack: FakeSlack) -> None:
    hold = slack.hold("chat.update")
    async with shown_progress(slack, Pace()) as (progress, _):
        await progress.report(TICK)
        await hold.reached.wait()
        asyncio.get_running_loop().call_later(0.05, hold.release)
    assert [call.status for call in slack.called("chat.update")] == [200]


@pytest.mark.parametrize("error", ["ratelimited", "internal_error"])
async def test_after_a_passing_refusal_the_same_is_shown_again(slack: FakeSlack, error: str) -> None:
    slack.fail("chat.update", error, headers={"Retry-After": "0"})
    async with shown_progress(slack, Pace(update=0.01, update_each=0.01)) as (progress, message):
        await progress.report(TICK)
        await says(slack, message, "Step 2 of 4")


async def test_a_message_that_is_gone_is_not_written_to_again(slack: FakeSlack) -> None:
    async with shown_progress(slack, Pace(update=0.01, update_each=0.01)) as (progress, message):
        message.state = "deleted"
        await progress.report(TICK)
        await slack.wait_for_call("chat.update")
        await progress.report(TICK)
    assert len(slack.called("chat.update")) == 1


@pytest.mark.slow
async def test_a_report_whose_message_was_deleted_is_posted_anew_with_its_button(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], pages: Path, index: Any
) -> None:
    write_pages(pages, {"new": "# New\n\nNews.\n"})
    async with serving(slack, app_for, **variables):
        card = await asked(slack, "reindex")
        press = slack.press(card, "card_confirm", user=ADMIN)
        card.state = "deleted"
        await slack.deliver(press)
        thread = slack.thread(CHANNEL, card.thread_ts)
        await slack.until(
            lambda: "is live" in slack.thread(CHANNEL, card.thread_ts).text,
            timeout=BUILT_WITHIN,
            why=thread.text,
        )
        anew = slack.thread(CHANNEL, card.thread_ts).bot[-1]
        await pressed(slack, anew)
        await says(slack, anew, "Generation 1 is live")


# -- what breaks off


async def card_of(app: App, slack: FakeSlack, person: Person, text: str = "reindex") -> tuple[Any, Message]:
    """A card that stands in Slack, made without the server."""
    outcome = await app.toolbox.call("reindex_knowledge", {})
    assert outcome.proposal
    card = await app.cards.propose(outcome.proposal, person, f"{TEAM}:{CHANNEL}:1", Place(CHANNEL, "default"))
    ts = await Conversation(slack.client(), Target(TEAM, CHANNEL, person.id)).post(plain_message(text))
    await app.cards.placed(card.id, channel=CHANNEL, ts=ts)
    return card, slack.message(CHANNEL, ts)


def press_on(card: Any, message: Message) -> dict[str, Any]:
    return {
        "user": ADMIN,
        "user_team": TEAM,
        "team": TEAM,
        "card": card.id,
        "confirm": True,
        "channel": CHANNEL,
        "message_ts": message.ts,
        "thread_ts": message.ts,
    }


TRILLIAN = Person(ADMIN, TEAM, is_workspace_admin=True)


async def test_after_a_restart_a_card_that_was_running_says_that_it_broke_off(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], index: Any
) -> None:
    async with app_for(**slack_variables(slack), **variables) as app:
        card, message = await card_of(app, slack, TRILLIAN)
        async with open_store(sqlite_url(Path(variables["ASK_MARVIN_HOME"]) / DATABASE_FILE)) as engine:
            await CardTable(engine).move(card, "open", "running", decided_by=ADMIN, decided_at=now())
        await app.inbox.put(Delivery("1", f"{TEAM}:card:{card.id}", "press", press_on(card, message)))
        assert await app.inbox.claim()
    async with serving(slack, app_for, **variables):
        await says(slack, message, "⚠️ *Started, and it is not known how it ended*")
    assert "`status` says which generation is live" in message.seen
    assert message.buttons == []


async def nothing_begun(_card: Card) -> None:
    """A build has no runs."""


async def test_when_the_server_stops_the_build_ends_and_the_message_says_so(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], site: FakeWebsite, index: Any
) -> None:
    add_website(variables, site)
    site.meet(["/pools.md"], 2)
    async with app_for(**slack_variables(slack), **variables) as app:
        card, message = await card_of(app, slack, TRILLIAN)
        client = slack.client(retry_handlers=[])
        presses = Presses(
            client,
            cards=app.cards,
            view=CardView(app.cards, app.watches, app.workspaces),
            people=People(client),
            workspaces=Workspaces(Pace(update=0.01)),
            begun=nothing_begun,
        )
        item = Item(1, "x", "press", press_on(card, message), 1)
        handling = asyncio.create_task(presses.handle(item))
        await says(slack, message, "Step 1 of 4, reading")
        await until(lambda: has_asked(site, "/pools.md"))
        handling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handling
        assert "⚠️ *Started, and it is not known how it ended*" in message.seen
        asked_before = len(site.paths)
        with Generations(Path(variables["ASK_MARVIN_HOME"]) / "index").lock():
            assert len(site.paths) == asked_before  # The child has gone, and let go of the lock.


async def test_a_build_whose_process_dies_leaves_a_failed_card(
    slack: FakeSlack, app_for: AppFactory, variables: dict[str, str], site: FakeWebsite, index: Any
) -> None:
    add_website(variables, site)
    site.meet(["/pools.md"], 2)
    root = Path(variables["ASK_MARVIN_HOME"]) / "index"
    async with serving(slack, app_for, **variables):
        card = await asked(slack, "reindex")
        await pressed(slack, card)
        await says(slack, card, "Step 1 of 4, reading")
        await until(lambda: has_asked(site, "/pools.md"))
        holder = Generations(root).holder()
        pid = re.match(r"process (\d+) on ", holder)
        assert pid
        os.kill(int(pid[1]), 9)
        await says(slack, card, "Reindexing broke off; the old index is still in use.")
    assert "❌ *Failed*" in card.seen
