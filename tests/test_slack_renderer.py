"""The renderer against the strict fake: nothing is lost, nothing is said twice, whatever Slack refuses."""

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cards.table import Card
from bot.events import Answer, CardProposed, Citation, Done, Event, Status, TextDelta, ToolStarted
from bot.slack.conversation import TRIES, Target
from bot.slack.errors import CannotDeliver
from bot.slack.pace import Pace
from bot.slack.renderer import Delivered, SlackRenderer
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_events import Post
from tests.fakes.slack_world import ADA, BOT_USER, CHANNEL, ELSEWHERE, OTHER_TEAM, STRANGER, TEAM
from tests.serving import unplaced
from tools.proposal import Proposal

AT_ONCE = Pace(first=0.0, append=0.0, append_each=0.0, update=0.0, update_each=0.0, between_statuses=0.0)
CITED = Citation(1, "Work pools", "https://docs.prefect.io/v3/concepts/work-pools", "docs")
LINES = [f"Line {number} says something about work pools.\n" for number in range(720)]


@pytest.fixture
def asked(slack: FakeSlack) -> Post:
    return slack.mention("what is a work pool?")


def target(post: Post, **more: Any) -> Target:
    facts = {"team": TEAM, "user": ADA, "thread_ts": post.ts, "message_ts": post.ts}
    return Target(channel=post.channel, **(facts | more))


def renderer(slack: FakeSlack, pace: Pace = AT_ONCE, **more: Any) -> SlackRenderer:
    more = {"placed": unplaced} | more
    return SlackRenderer(slack.client(retry_handlers=[]), pace=pace, model="gpt-test", **more)


def done(text: str = "", **more: Any) -> Done:
    return Done(Answer(text, **more))


async def told(*events: Event | Callable[[], Any]) -> AsyncIterator[Event]:
    """The events in order; a function among them is awaited before the next one is told."""
    for event in events:
        if callable(event):
            await event()
        else:
            yield event


def calls(slack: FakeSlack) -> list[str]:
    decoration = ("assistant.threads.setStatus", "reactions.add", "reactions.remove")
    return [call.method for call in slack.calls if call.method not in decoration]


def one_by_one(slack: FakeSlack, lines: Iterable[str]) -> list[Event | Callable[[], Any]]:
    """Each line is on its way before the next one is written."""
    events: list[Event | Callable[[], Any]] = []
    for count, line in enumerate(lines, start=1):
        events += [TextDelta(line), functools.partial(seen_calls, slack, count)]
    return events


async def seen_calls(slack: FakeSlack, count: int, *, timeout: float = 5.0) -> None:
    why = f"call {count}; so far {calls(slack)}"
    await slack.until(lambda: len(calls(slack)) >= count, timeout=timeout, why=why)


# -- the usual ways


async def test_an_answer_is_streamed_line_by_line(slack: FakeSlack, asked: Post) -> None:
    events = told(*one_by_one(slack, ["# Work pools\n", "They *hold* runs. [1]\n"]), done(citations=(CITED,)))
    delivered = await renderer(slack).render(events, target(asked))
    assert calls(slack) == ["chat.startStream", "chat.appendStream", "chat.stopStream"]
    (message,) = slack.thread(CHANNEL, asked.ts).bot
    assert message.state == "stopped"
    assert message.markdown == "# Work pools\nThey *hold* runs. [1]\n"
    assert "<https://docs.prefect.io/v3/concepts/work-pools|Work pools>" in message.seen
    assert "Written by gpt-test from 1 passage; it can be wrong" in message.seen
    assert delivered == Delivered(CHANNEL, asked.ts, (message.ts,))


async def test_half_a_line_waits_for_its_end(slack: FakeSlack, asked: Post) -> None:
    async def only_the_line_is_shown() -> None:
        await seen_calls(slack, 1)
        assert slack.thread(CHANNEL, asked.ts).markdown == "whole\n"

    events = told(TextDelta("whole\nha"), only_the_line_is_shown, TextDelta("lf"), done())
    await renderer(slack).render(events, target(asked))
    assert slack.thread(CHANNEL, asked.ts).markdown == "whole\nhalf"


async def test_an_answer_that_is_there_at_once_is_one_ordinary_message(slack: FakeSlack, asked: Post) -> None:
    events = told(TextDelta("| pool |\n|---|\n| k8s |\n"), done(mode="command"))
    await renderer(slack, Pace(first=60)).render(events, target(asked))
    (call,) = slack.called("chat.postMessage")
    assert call.args["thread_ts"] == asked.ts
    assert calls(slack) == ["chat.postMessage"]


async def test_text_that_only_done_carries_is_posted(slack: FakeSlack, asked: Post) -> None:
    await renderer(slack).render(told(done("Don't panic.", mode="command")), target(asked))
    assert slack.thread(CHANNEL, asked.ts).text == "Don't panic."


async def test_an_empty_answer_still_gets_one_reply(slack: FakeSlack, asked: Post) -> None:
    await renderer(slack).render(told(done(mode="command")), target(asked))
    assert slack.thread(CHANNEL, asked.ts).text == "I have nothing to say to that."


async def test_a_direct_message_is_answered_in_its_thread(slack: FakeSlack) -> None:
    post = slack.say_in_dm("hello")
    await renderer(slack).render(told(*one_by_one(slack, ["Sigh.\n"]), done()), target(post))
    assert "Sigh." in slack.thread(post.channel, post.ts).text


async def test_somebody_of_another_workspace_is_named_as_recipient(slack: FakeSlack) -> None:
    post = slack.mention("hello", user=STRANGER)
    where = target(post, user=STRANGER, user_team=OTHER_TEAM)
    await renderer(slack).render(told(*one_by_one(slack, ["Sigh.\n"]), done()), where)
    args = slack.called("chat.startStream")[0].args
    assert (args["recipient_user_id"], args["recipient_team_id"]) == (STRANGER, OTHER_TEAM)


async def test_without_a_thread_the_answer_is_posted_and_updated(slack: FakeSlack, asked: Post) -> None:
    where = target(asked, thread_ts="", message_ts="")
    await renderer(slack).render(told(*one_by_one(slack, ["one\n", "two\n"]), done()), where)
    assert calls(slack)[:2] == ["chat.postMessage", "chat.update"]
    assert slack.channel_thread(CHANNEL).markdown == "one\ntwo\n"


async def test_nothing_that_is_posted_is_unfurled(slack: FakeSlack, asked: Post) -> None:
    await renderer(slack).render(told(done("See https://evil.example/?q=secret")), target(asked))
    for call in slack.called("chat.postMessage"):
        assert (call.args["unfurl_links"], call.args["unfurl_media"]) == (False, False)


async def test_a_markdown_answer_is_not_altered(slack: FakeSlack, asked: Post) -> None:
    text = "a & b < c `<!here>` **x** [1] <https://x.example>\n\n```py\nif a < b:\n    pass\n```\n"
    await renderer(slack).render(told(*one_by_one(slack, [text]), done()), target(asked))
    assert slack.thread(CHANNEL, asked.ts).markdown == text


# -- status


async def test_a_status_is_shown_at_once_and_follows_the_work(slack: FakeSlack, asked: Post) -> None:
    async def thinking() -> None:
        await slack.until(lambda: slack.status(CHANNEL, asked.ts) == "is thinking…")

    async def searching() -> None:
        await slack.until(lambda: slack.status(CHANNEL, asked.ts) == "is searching the docs…")

    async def looking() -> None:
        await slack.until(lambda: slack.status(CHANNEL, asked.ts) == "is looking at work pools…")

    started = ToolStarted("1", "list_work_pools", "Looking at work pools")
    events = told(thinking, Status("is searching the docs…"), searching, started, looking, done("x"))
    await renderer(slack).render(events, target(asked))
    assert slack.status(CHANNEL, asked.ts) == ""


async def test_a_status_is_set_again_before_it_vanishes(slack: FakeSlack, asked: Post) -> None:
    async def again() -> None:
        await slack.wait_for_call("assistant.threads.setStatus", count=3)

    await renderer(slack, Pace(status=0.0)).render(told(again, done("x")), target(asked))
    statuses = [call.args["status"] for call in slack.called("assistant.threads.setStatus")]
    assert statuses[:3] == ["is thinking…"] * 3


async def test_where_no_status_is_offered_the_question_gets_eyes_meanwhile(
    slack: FakeSlack, asked: Post
) -> None:
    slack.fail("assistant.threads.setStatus", "method_not_supported_for_channel_type", times=None)

    async def eyes() -> None:
        await slack.until(lambda: asked.message.reactions.get("eyes") == {BOT_USER})

    await renderer(slack).render(told(eyes, done("Sigh.")), target(asked))
    assert asked.message.reactions["eyes"] == set()


async def test_refused_decorations_never_lose_the_answer(slack: FakeSlack, asked: Post) -> None:
    for method in ("assistant.threads.setStatus", "reactions.add", "reactions.remove"):
        slack.fail(method, "missing_scope", times=None)
    await renderer(slack).render(told(done("Sigh.")), target(asked))
    assert "Sigh." in slack.thread(CHANNEL, asked.ts).text


# -- refusals


@pytest.mark.parametrize("error", ["unknown_method", "method_deprecated", "feature_not_enabled"])
async def test_where_streams_are_not_offered_a_post_is_updated_and_it_is_remembered(
    slack: FakeSlack, asked: Post, error: str
) -> None:
    slack.fail("chat.startStream", error, times=None)
    render = renderer(slack).render
    for _ in range(2):
        slack.calls.clear()
        await render(told(*one_by_one(slack, ["one\n", "two\n", "three\n"]), done()), target(asked))
    assert slack.thread(CHANNEL, asked.ts).markdown == "one\ntwo\nthree\n" * 2
    assert slack.called("chat.startStream") == []
    assert calls(slack)[:2] == ["chat.postMessage", "chat.update"]


async def test_a_latch_opens_again_after_an_hour(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.startStream", "unknown_method", times=1)
    render = renderer(slack, clock=slack.now).render
    await render(told(*one_by_one(slack, ["one\n", "two\n"]), done()), target(asked))
    slack.skip(3601)
    slack.calls.clear()
    await render(told(*one_by_one(slack, ["three\n"]), done()), target(asked))
    assert calls(slack)[0] == "chat.startStream"


async def test_a_thread_that_cannot_be_streamed_to_is_not_remembered(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.startStream", "channel_type_not_supported", times=1)
    render = renderer(slack).render
    await render(told(*one_by_one(slack, ["one\n", "two\n"]), done()), target(asked))
    await render(
        told(TextDelta("three\n"), lambda: slack.wait_for_call("chat.startStream", count=2), done()),
        target(asked),
    )
    assert slack.thread(CHANNEL, asked.ts).markdown == "one\ntwo\nthree\n"


async def test_a_busy_slack_gets_the_whole_answer_in_one_post(slack: FakeSlack, asked: Post) -> None:
    slack.rate_limit("chat.startStream", times=None, retry_after=0)
    slack.rate_limit("chat.postMessage", times=2, retry_after=0)
    events = told(*one_by_one(slack, ["one\n"]), TextDelta("two\n"), TextDelta("three\n"), done())
    await renderer(slack).render(events, target(asked))
    assert len(slack.called("chat.startStream")) == 1
    assert slack.thread(CHANNEL, asked.ts).markdown == "one\ntwo\nthree\n"


async def test_an_expired_stream_goes_on_in_the_same_message(slack: FakeSlack, asked: Post) -> None:
    async def expire() -> None:
        await seen_calls(slack, 1)
        slack.skip(301)

    async def written_anew() -> None:
        await slack.wait_for_call("chat.update")

    events = told(TextDelta("one\n"), expire, TextDelta("two\n"), written_anew, TextDelta("three\n"), done())
    await renderer(slack).render(events, target(asked))
    (message,) = slack.thread(CHANNEL, asked.ts).bot
    assert message.markdown == "one\ntwo\nthree\n"
    assert "it can be wrong" in message.seen


async def test_when_an_expired_stream_cannot_be_rewritten_only_the_rest_is_posted(
    slack: FakeSlack, asked: Post
) -> None:
    slack.fail("chat.update", "block_mismatch")

    async def expire() -> None:
        await seen_calls(slack, 1)
        slack.skip(301)

    events = told(TextDelta("```py\none\n"), expire, TextDelta("two\n```\n"), done())
    await renderer(slack).render(events, target(asked))
    first, second = slack.thread(CHANNEL, asked.ts).bot
    assert (first.markdown, second.markdown) == ("```py\none\n", "```py\ntwo\n```\n")


async def test_a_stream_that_grows_old_is_followed_by_another(slack: FakeSlack, asked: Post) -> None:
    async def grow_old() -> None:
        await seen_calls(slack, 1)
        slack.skip(280)
        await slack.wait_for_call("chat.stopStream")

    events = told(TextDelta("```py\none\n"), grow_old, *one_by_one(slack, ["two\n```\n"]), done())
    await renderer(slack, clock=slack.now).render(events, target(asked))
    first, second = slack.thread(CHANNEL, asked.ts).bot
    assert (first.markdown, first.state) == ("```py\none\n```\n", "stopped")
    assert second.markdown == "```py\ntwo\n```\n"


async def test_a_piece_that_may_have_arrived_is_not_said_twice(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.appendStream", "", status=0, applied=True)
    await renderer(slack).render(
        told(*one_by_one(slack, ["one\n", "two\n", "three\n"]), done()), target(asked)
    )
    assert slack.thread(CHANNEL, asked.ts).markdown == "one\ntwo\nthree\n"


async def test_an_end_that_may_have_arrived_is_not_said_twice(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.stopStream", "", status=0, applied=True)
    await renderer(slack).render(told(*one_by_one(slack, ["one\n"]), TextDelta("two"), done()), target(asked))
    assert slack.thread(CHANNEL, asked.ts).markdown == "one\ntwo"


async def test_a_person_who_stops_the_stream_hears_no_more(slack: FakeSlack, asked: Post) -> None:
    closed = asyncio.Event()

    async def events() -> AsyncIterator[Event]:
        try:
            yield TextDelta("one\n")
            await seen_calls(slack, 1)
            slack.stop_stream_as_user(slack.streaming()[0])
            yield TextDelta("two\n")
            await asyncio.Event().wait()
        finally:
            closed.set()

    delivered = await renderer(slack).render(events(), target(asked))
    assert delivered.stopped
    assert closed.is_set()
    assert slack.thread(CHANNEL, asked.ts).text == "one\n"


async def test_an_update_of_a_deleted_message_says_all_of_it_again(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.startStream", "unknown_method")

    async def delete() -> None:
        await seen_calls(slack, 2)
        slack.thread(CHANNEL, asked.ts).bot[0].state = "deleted"

    events = told(TextDelta("one\n"), delete, TextDelta("two\n"), done())
    await renderer(slack).render(events, target(asked))
    assert slack.thread(CHANNEL, asked.ts).markdown == "one\ntwo\n"


@pytest.mark.parametrize("error", ["edit_window_closed", "cant_update_message", "msg_too_long"])
async def test_a_message_that_cannot_be_updated_is_followed_by_the_rest(
    slack: FakeSlack, asked: Post, error: str
) -> None:
    slack.fail("chat.startStream", "unknown_method")
    slack.fail("chat.update", error, times=None)
    await renderer(slack).render(told(*one_by_one(slack, ["one\n", "two\n"]), done()), target(asked))
    assert slack.thread(CHANNEL, asked.ts).markdown == "one\ntwo\n"


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_blocks_too_long"])
async def test_refused_markdown_blocks_become_plain_sections(
    slack: FakeSlack, asked: Post, error: str
) -> None:
    slack.fail("chat.postMessage", error, times=1)
    text = "# Head\n\n" + "**bold** & [link](https://x.example)\n\n" * 200
    await renderer(slack, Pace(first=60)).render(told(done(text, citations=(CITED,))), target(asked))
    seen = slack.thread(CHANNEL, asked.ts).text
    assert seen.count("*bold* &amp; <https://x.example|link>") == 200
    assert seen.count("Work pools") == 1


async def test_a_slack_that_takes_no_blocks_at_all_gets_text(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.postMessage", "invalid_blocks", times=2)
    await renderer(slack, Pace(first=60)).render(told(done("one\n\ntwo", citations=(CITED,))), target(asked))
    assert slack.thread(CHANNEL, asked.ts).bot[0].seen == "one\n\ntwo"
    assert "Work pools" in slack.thread(CHANNEL, asked.ts).text


async def test_refused_blocks_below_a_stream_are_posted_after_it(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.stopStream", "invalid_blocks", times=1)
    events = told(*one_by_one(slack, ["one\n"]), done(citations=(CITED,)))
    await renderer(slack).render(events, target(asked))
    first, second = slack.thread(CHANNEL, asked.ts).bot
    assert (first.seen, first.state) == ("one\n", "stopped")
    assert "Work pools" in second.seen


async def test_refused_markdown_while_it_grows_is_said_once(slack: FakeSlack, asked: Post) -> None:
    slack.fail("chat.startStream", "unknown_method")
    slack.fail("chat.postMessage", "invalid_blocks", times=1)
    events = told(*one_by_one(slack, ["one\n"]), TextDelta("two\n"), TextDelta("three\n"), done())
    await renderer(slack).render(events, target(asked))
    seen = slack.thread(CHANNEL, asked.ts).text
    assert [seen.count(word) for word in ("one", "two", "three")] == [1, 1, 1]


async def test_where_the_bot_may_not_write_the_asker_gets_it_directly(slack: FakeSlack) -> None:
    post = slack.post("hello", channel=ELSEWHERE)
    delivered = await renderer(slack).render(told(*one_by_one(slack, ["Sigh.\n"]), done()), target(post))
    reason, answer = slack.channel_thread(slack.dm(ADA)).bot
    assert reason.seen == f"You asked in <#{ELSEWHERE}>, where I may not write."
    assert "Sigh." in answer.seen
    assert delivered.channel == slack.dm(ADA)


async def test_an_answer_that_cannot_be_delivered_anywhere_is_an_error(slack: FakeSlack) -> None:
    post = slack.post("hello", channel=ELSEWHERE)
    slack.fail("conversations.open", "user_disabled", times=None)
    with pytest.raises(CannotDeliver) as caught:
        await renderer(slack).render(told(done("Sigh.")), target(post))
    assert caught.value.slack_error == "not_in_channel"
    assert not caught.value.is_dead


async def test_a_revoked_token_is_told_apart(slack: FakeSlack, asked: Post) -> None:
    for method in ("chat.startStream", "chat.postMessage"):
        slack.fail(method, "token_revoked", times=None)
    with pytest.raises(CannotDeliver) as caught:
        await renderer(slack).render(told(done("Sigh.")), target(asked))
    assert caught.value.is_dead


async def test_slacks_own_trouble_is_waited_out(slack: FakeSlack, asked: Post) -> None:
    at_once = {"Retry-After": "0"}
    slack.fail("chat.postMessage", "internal_error", times=2, headers=at_once)
    slack.fail("chat.postMessage", "", status=500, times=1, headers=at_once)
    await renderer(slack, Pace(first=60)).render(told(done("Sigh.")), target(asked))
    assert slack.thread(CHANNEL, asked.ts).markdown == "Sigh."


# -- the agent fails


async def test_a_failing_agent_leaves_no_stream_behind(slack: FakeSlack, asked: Post) -> None:
    async def events() -> AsyncIterator[Event]:
        yield TextDelta("one\nand ")
        await seen_calls(slack, 1)
        raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        await renderer(slack).render(events(), target(asked))
    (message,) = slack.thread(CHANNEL, asked.ts).bot
    assert (message.seen, message.state) == ("one\nand ", "stopped")
    assert slack.status(CHANNEL, asked.ts) == ""


async def test_events_that_end_without_done_are_a_bug(slack: FakeSlack, asked: Post) -> None:
    with pytest.raises(RuntimeError, match="without Done"):
        await renderer(slack).render(told(), target(asked))


async def test_a_cancelled_rendering_stops_its_stream(slack: FakeSlack, asked: Post) -> None:
    events = told(*one_by_one(slack, ["one\n", "two\n"]), asyncio.Event().wait, done())
    task = asyncio.create_task(renderer(slack).render(events, target(asked)))
    await slack.wait_for_call("chat.appendStream")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slack.streaming() == []


# -- cards


def card(id: str = "card-1") -> Card:
    proposal = Proposal(action="trigger_run", title="Start a run of etl/nightly", target="etl/nightly")
    return Card(id, proposal, asked_by=ADA, expires_at=datetime.now(UTC) + timedelta(minutes=10))


async def test_cards_are_messages_of_their_own_below_the_answer(slack: FakeSlack, asked: Post) -> None:
    events = told(CardProposed(card()), CardProposed(card("card-2")), TextDelta("Here.\n"), done())
    noted: list[tuple[str, str, str]] = []

    async def placed(card_id: str, *, channel: str, ts: str) -> None:
        noted.append((card_id, channel, ts))

    await renderer(slack, Pace(first=60), placed=placed).render(events, target(asked))
    answer, first, second = slack.thread(CHANNEL, asked.ts).bot
    assert answer.buttons == []
    assert [button["value"] for button in first.buttons] == ["card-1", "card-1"]
    assert noted == [("card-1", CHANNEL, first.ts), ("card-2", CHANNEL, second.ts)]


async def test_a_card_without_words_stands_alone(slack: FakeSlack, asked: Post) -> None:
    await renderer(slack).render(told(CardProposed(card()), done(mode="command")), target(asked))
    (message,) = slack.thread(CHANNEL, asked.ts).bot
    assert [button["action_id"] for button in message.buttons] == ["card_confirm", "card_decline"]


async def test_a_card_waits_for_a_busy_slack(slack: FakeSlack, asked: Post) -> None:
    slack.rate_limit("chat.postMessage", times=3, retry_after=0)
    await renderer(slack).render(told(CardProposed(card()), done(mode="command")), target(asked))
    assert len(slack.thread(CHANNEL, asked.ts).bot) == 1


# -- long answers, and everything together


async def test_86000_characters_arrive_whole_in_several_streams(slack: FakeSlack, asked: Post) -> None:
    text = "\n".join(f"Paragraph {number}: {'word ' * 50}\n" for number in range(325))
    assert len(text) > 86_000
    deltas = [TextDelta(text[at : at + 997]) for at in range(0, len(text), 997)]
    await renderer(slack).render(told(*deltas, done(citations=(CITED,))), target(asked))
    thread = slack.thread(CHANNEL, asked.ts)
    assert thread.markdown == text
    assert all(len(message.markdown) <= 11_000 for message in thread.bot)
    assert ["Work pools" in message.seen for message in thread.bot] == [False] * (len(thread.bot) - 1) + [
        True
    ]


async def test_a_code_fence_over_several_messages_is_code_in_each(slack: FakeSlack, asked: Post) -> None:
    text = "Look:\n\n```python\n" + "x = 'a line of code'\n" * 1_200 + "```\n\nThat is all.\n"
    await renderer(slack, Pace(first=60)).render(
        told(TextDelta(text), done(citations=(CITED,))), target(asked)
    )
    first, *middle, last = slack.thread(CHANNEL, asked.ts).bot
    assert first.markdown.endswith("```\n")
    assert all(message.markdown.startswith("```python\nx = ") for message in [*middle, last])
    assert "That is all." in last.markdown
    assert slack.thread(CHANNEL, asked.ts).markdown.count("x = ") == 1_200


STEPS = ["chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage", "chat.update"]
REFUSALS = [
    "unknown_method",
    "internal_error",
    "message_not_in_streaming_state",
    "ratelimited",
    "block_mismatch",
]


def refused_posts(broken: list[tuple[str, str, int, int]]) -> int:
    """How often a post may be refused; in the end it is given up, which is another story."""
    return sum(times for method, _, _, times in broken if method == "chat.postMessage")


faults = st.tuples(st.sampled_from(STEPS), st.sampled_from(REFUSALS), st.integers(0, 3), st.integers(1, 2))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.lists(faults, max_size=4).filter(lambda broken: refused_posts(broken) < TRIES),
    st.integers(0, 12),
)
async def test_whatever_slack_refuses_every_line_is_there_once_and_in_order(
    sizes: list[int], broken: list[tuple[str, str, int, int]], expiry: int
) -> None:
    async with FakeSlack() as slack:
        asked = slack.mention("tell me everything")
        for method, error, after, times in broken:
            if method != "chat.postMessage" or error in ("internal_error", "ratelimited"):
                status = 429 if error == "ratelimited" else 200
                headers = {"Retry-After": "0"}
                slack.fail(method, error, after=after, times=times, status=status, headers=headers)

        async def events() -> AsyncIterator[Event]:
            lines = iter(LINES)
            for position, size in enumerate(sizes):
                before = len(calls(slack))
                yield TextDelta("".join(itertools.islice(lines, size)))
                # Where Slack is busy, nothing more is called before the end.
                with contextlib.suppress(AssertionError):
                    await seen_calls(slack, before + 1, timeout=0.05)
                if position == expiry:
                    slack.skip(301)
            yield done(citations=(CITED,))

        await renderer(slack).render(events(), target(asked))
        thread = slack.thread(CHANNEL, asked.ts)
        shown = [line for message in thread.bot for line in message.markdown.splitlines() if line]
        assert shown == [line.strip() for line in LINES[: len(shown)]]
        assert len(shown) == sum(sizes)
        assert thread.text.count("it can be wrong") == 1
        assert slack.status(CHANNEL, asked.ts) == ""
