"""From the event to the posted answer: the whole app against the strict fake of Slack."""

import asyncio
import sqlite3
from pathlib import Path

import httpx
import pytest

from bot.app import DATABASE_FILE, App
from bot.demo.server import free_port
from bot.inbox import Delivery
from bot.slack.serve import run
from knowledge.errors import BadInput, Refused
from tests.fakes.model import FakeModel, Say
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import ADA, ADMIN, CHANNEL, GUEST, TEAM
from tests.house import AppFactory, model_variables
from tests.serving import ANSWERED_WITHIN, answered, running, serving, slack_variables
from tests.waiting import until


async def test_a_mention_is_answered_once_in_its_thread_with_its_sources(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        post = slack.mention("what is a workpool?")
        for copy in post:
            await slack.deliver(copy)
        thread = await answered(slack, post.ts)
    assert len(thread.bot) == 1
    assert "work pool" in thread.text
    assert "https://docs.prefect.io/v3/concepts/work-pools" in thread.text
    assert "no model is configured" in thread.text


async def test_an_answer_of_the_model_says_who_wrote_it(
    slack: FakeSlack, app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("A work pool is a bridge to your infrastructure [1].")]
    async with serving(slack, app_for, **model_variables(model)):
        post = slack.mention("what is a workpool?")
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts)
    assert thread.markdown.strip() == "A work pool is a bridge to your infrastructure [1]."
    assert "Written by scripted" in thread.text


async def test_an_event_that_slack_sends_again_is_answered_once(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        post = slack.mention("what is a worker?")
        for retry in range(3):
            await slack.deliver(post.envelopes[0], retry=retry)
        other = slack.mention("what is a deployment?")
        await slack.deliver(other.envelopes[0])
        await answered(slack, other.ts)
        thread = await answered(slack, post.ts)
    assert len(thread.bot) == 1


async def test_a_reply_in_an_engaged_thread_needs_no_second_mention(
    slack: FakeSlack, app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("A bridge [1]."), Say("For Kubernetes too [1].")]
    async with serving(slack, app_for, **model_variables(model)):
        post = slack.mention("what is a work pool?")
        await slack.deliver(post.envelopes[0])
        await answered(slack, post.ts)
        await slack.deliver(slack.reply("and for kubernetes?", post.ts).envelopes[0])
        thread = await answered(slack, post.ts, count=2)
    assert "For Kubernetes too" in thread.text
    assert any(message["content"] == "what is a work pool?" for message in model.last_messages)


async def test_what_is_not_said_to_the_bot_is_neither_answered_nor_kept(
    slack: FakeSlack, app_for: AppFactory, home: Path
) -> None:
    async with serving(slack, app_for):
        engaged = slack.mention("what is a worker?")
        await slack.deliver(engaged.envelopes[0])
        await answered(slack, engaged.ts)
        elsewhere = slack.post("lunch?")
        silent = [
            elsewhere.envelopes[0],
            slack.reply("yes, tacos", elsewhere.ts).envelopes[0],
            slack.reply(f"<@{ADMIN}> what do you think?", engaged.ts).envelopes[0],
            slack.other_bot("what is a pool?", thread_ts=engaged.ts).envelopes[0],
            slack.own_echo(slack.thread(CHANNEL, engaged.ts).bot[0]),
            slack.edit(engaged.message, "what is an agent?"),
            slack.home_opened(),
        ]
        for envelope in silent:
            await slack.deliver(envelope)
        last = slack.mention("help")
        await slack.deliver(last.envelopes[0])
        await answered(slack, last.ts)
    assert len(slack.thread(CHANNEL, engaged.ts).bot) == 1
    assert slack.thread(CHANNEL, elsewhere.ts).bot == []
    with sqlite3.connect(home / DATABASE_FILE) as database:
        assert database.execute("SELECT count(*) FROM inbox").fetchone() == (2,)
    database.close()


async def test_a_direct_message_is_answered_under_it(slack: FakeSlack, app_for: AppFactory) -> None:
    async with serving(slack, app_for):
        post = slack.say_in_dm("what is a workpool?")
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts, channel=post.channel)
    assert "work pool" in thread.text


async def test_a_file_without_words_is_answered_with_what_can_be_read(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        post = slack.say_in_dm("", files=("log.txt",))
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts, channel=post.channel)
    assert "not files" in thread.text


async def test_what_is_attached_to_words_is_said_not_to_have_been_read(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        post = slack.say_in_dm("what is a work pool?", files=("log.txt",))
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts, channel=post.channel, count=2)
    answer, note = thread.bot
    assert "work pool" in answer.seen
    assert "not files" in note.seen


async def test_a_typed_command_works_without_a_model(slack: FakeSlack, app_for: AppFactory) -> None:
    async with serving(slack, app_for):
        post = slack.mention("whoami", user=GUEST)
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts)
    assert "docs only" in thread.text


async def test_a_private_slash_command_is_answered_to_its_author_alone(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        await slack.deliver(slack.slash("/ask-marvin", "whoami", user=ADMIN))
        await slack.until(lambda: bool(slack.ephemeral), timeout=ANSWERED_WITHIN, why="an ephemeral answer")
    assert "admin" in slack.ephemeral[0].seen


async def test_a_slash_command_shows_the_question_and_answers_below_it(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        await slack.deliver(slack.slash("/ask-marvin", "what is a workpool?"))
        call = await slack.wait_for_call("chat.postMessage", timeout=ANSWERED_WITHIN)
        root = call.body["ts"]
        thread = await answered(slack, root, count=2)
    assert "asked: what is a workpool?" in thread.messages[0].seen
    assert "work pool" in thread.text


@pytest.mark.slow
async def test_reindexing_needs_an_admin_and_works_once(
    slack: FakeSlack, app_for: AppFactory, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "robots.md").write_text("# Robots\n\nA robot has a brain the size of a planet.\n")
    sources = tmp_path / "sources.toml"
    sources.write_text(
        f'[[source]]\nname = "ours"\nkind = "files"\npath = "{pages}"\nbase_url = "https://docs.example.com"\n'
    )
    async with serving(
        slack, app_for, ASK_MARVIN_SOURCES=str(sources), ASK_MARVIN_HOME=str(tmp_path / "own")
    ) as app:
        post = slack.mention("reindex", user=ADMIN)
        await slack.deliver(post.envelopes[0])
        card = (await answered(slack, post.ts)).bot[-1]
        assert [button["action_id"] for button in card.buttons] == ["card_confirm", "card_decline"]

        await slack.deliver(slack.press(card, "card_confirm", user=ADA))
        await slack.until(lambda: bool(slack.ephemeral), timeout=ANSWERED_WITHIN, why="a refusal")
        assert "role admin" in slack.ephemeral[0].seen
        assert card.buttons

        press = slack.press(card, "card_confirm", user=ADMIN)
        again = slack.press(card, "card_confirm", user=ADMIN)
        await slack.deliver(press)
        await slack.deliver(again)
        await slack.until(lambda: "Reindexed" in card.seen, timeout=60, why="the outcome")
        await slack.until(
            lambda: len(slack.ephemeral) == 2, timeout=ANSWERED_WITHIN, why="the second refusal"
        )
        assert "only once" in slack.ephemeral[1].seen
        await until(lambda: has_source(app, "ours"))


async def has_source(app: App, name: str) -> bool:
    return name in [source.name for source in app.library.status().sources]


async def test_somebody_who_may_not_act_gets_the_reason_and_no_card(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    async with serving(slack, app_for):
        post = slack.mention("reindex", user=ADA)
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts)
    assert "role admin" in thread.text
    assert not any(message.buttons for message in thread.bot)


async def test_what_was_stored_before_a_crash_is_answered_after_the_start(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    post = slack.mention("what is a workpool?")
    payload = {
        "user": ADA,
        "user_team": TEAM,
        "team": TEAM,
        "channel": CHANNEL,
        "ts": post.ts,
        "thread_ts": post.ts,
        "text": "what is a workpool?",
        "has_files": False,
    }
    async with app_for(**slack_variables(slack)) as app:
        await app.inbox.put(Delivery(f"{TEAM}:event:1", f"{TEAM}:{CHANNEL}:{post.ts}", "message", payload))
        assert await app.inbox.claim()
    async with serving(slack, app_for):
        thread = await answered(slack, post.ts)
    assert len(thread.bot) == 1


async def test_a_bug_is_told_calmly_with_a_reference_and_without_its_details(
    slack: FakeSlack, app_for: AppFactory, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(slack, app_for):
        with sqlite3.connect(home / DATABASE_FILE) as database:
            database.execute("DROP TABLE turns")
        database.close()
        post = slack.mention("what is a workpool?")
        await slack.deliver(post.envelopes[0])
        thread = await answered(slack, post.ts)
        await slack.until(
            lambda: "broke on my side" in thread.text, timeout=ANSWERED_WITHIN, why="the apology"
        )
    reference = thread.text.split("broke on my side", 1)[1].split("`")[1]
    assert reference in caplog.text
    assert "turns" not in thread.text


async def test_signed_http_is_answered_and_a_wrong_signature_is_refused(
    slack: FakeSlack, app_for: AppFactory
) -> None:
    port = free_port()
    variables = slack_variables(slack) | {
        "SLACK_APP_TOKEN": "",
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "ASK_MARVIN_PORT": str(port),
    }
    async with (
        app_for(**variables) as app,
        running(app),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web,
    ):
        await until(lambda: is_ready(web))
        assert (await web.get("/healthz")).json() == {"ok": True}
        slack.request_url = f"http://127.0.0.1:{port}/slack/events"
        post = slack.mention("what is a workpool?")
        forged = await slack.deliver_http(post.envelopes[0], secret="guessed")
        assert forged.status == 401
        assert (await slack.deliver(post.envelopes[0])).status == 200
        thread = await answered(slack, post.ts)
    assert len(thread.bot) == 1


async def is_ready(web: httpx.AsyncClient) -> bool:
    try:
        answer = await web.get("/readyz")
        assert answer.json()["failed_looks"] == 0
        return answer.status_code == 200
    except httpx.ConnectError:
        return False


@pytest.mark.parametrize(
    ("method", "error", "says"),
    [
        pytest.param("auth.test", "invalid_auth", "bot token", id="bot-token"),
        pytest.param("apps.connections.open", "not_allowed_token_type", "app token", id="app-token"),
    ],
)
async def test_a_token_that_slack_refuses_is_one_clear_sentence(
    slack: FakeSlack, app_for: AppFactory, method: str, error: str, says: str
) -> None:
    slack.fail(method, error)
    async with app_for(**slack_variables(slack)) as app:
        with pytest.raises(Refused, match=says):
            await run(app, asyncio.Event())


async def test_a_port_that_is_taken_is_one_clear_sentence(slack: FakeSlack, app_for: AppFactory) -> None:
    async with app_for(**slack_variables(slack) | {"ASK_MARVIN_PORT": str(slack.port)}) as app:
        with pytest.raises(BadInput, match=str(slack.port)):
            await run(app, asyncio.Event())
