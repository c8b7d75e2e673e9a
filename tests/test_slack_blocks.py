"""Blocks and texts: within Slack's limits, and nothing that people wrote becomes more than words."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cards.table import Card, CardState
from bot.events import Answer, Citation
from bot.slack.blocks import (
    Message,
    answer_messages,
    footer,
    markdown_message,
    plainer,
    plainest,
    progress_message,
)
from bot.slack.card_blocks import HEADINGS, card_message
from bot.slack.mrkdwn import escape, link, plain_text, sections_of, shorten, to_mrkdwn
from tests.fakes.slack_blocks import check_message_blocks
from tests.fakes.slack_world import read
from tools.proposal import Detail, Fact, Link, Proposal

PAGE = "https://docs.prefect.io/v3/concepts/work-pools"
EVIL = "<!channel> <@U01ADA> @here *bold* <https://evil.example|click> & `x`"


def seen(message: Message) -> str:
    return "\n".join(read(block) for block in message.blocks)


# -- answers


def test_a_short_answer_is_one_message_with_its_sources_and_footer() -> None:
    (message,) = answer_messages(
        "A **pool**. [1]", [Citation(1, "Work pools", PAGE, "docs")], "From the docs"
    )
    kinds = [block["type"] for block in message.blocks]
    assert kinds == ["markdown", "context", "context"]
    assert message.blocks[0]["text"] == "A **pool**. [1]"
    assert message.text == "A pool. [1]"
    assert f"[1] <{PAGE}|Work pools>" in seen(message)


def test_a_page_that_is_cited_twice_is_named_once() -> None:
    citations = [Citation(n, "Work pools", PAGE, "docs") for n in (2, 1)] + [
        Citation(3, "Workers", "", "docs")
    ]
    (message,) = answer_messages("x", citations)
    assert seen(message) == f"x\n[1] [2] <{PAGE}|Work pools>\n[3] Workers"


def test_a_title_cannot_break_out_of_its_link() -> None:
    (message,) = answer_messages("x", [Citation(1, "a|b> <!channel>", PAGE, "docs")])
    assert f"<{PAGE}|a¦b&gt; &lt;!channel&gt;>" in seen(message)


def test_an_empty_answer_has_no_message() -> None:
    assert answer_messages("") == []
    assert answer_messages(" \n ") == []


def test_sources_come_last_and_alone_when_the_last_part_is_full() -> None:
    citations = [Citation(n, "t" * 90, f"https://docs.example/{n}/{'x' * 300}", "docs") for n in range(20)]
    messages = answer_messages("word " * 2_100, citations, "footer")
    assert [bool(message.markdown) for message in messages] == [True, False]
    assert "footer" in seen(messages[-1])


def test_answer_text_for_notifications_is_bounded_and_escaped() -> None:
    (message,) = answer_messages("&" * 4_000)
    assert len(message.text) <= 3_000
    assert message.text.endswith("&amp;…")


citations = st.builds(
    Citation,
    st.integers(1, 40),
    st.text(max_size=150),
    st.sampled_from(["", PAGE, "https://x.example/" + "y" * 800, "javascript:alert(1)"]),
    st.just("docs"),
)


@settings(deadline=None, max_examples=80)
@given(
    st.text(st.sampled_from("ab &<>#|-`*[]()\n."), max_size=20_000),
    st.lists(citations, max_size=30),
    st.text(max_size=200),
)
def test_slack_takes_every_message_of_every_answer(text: str, cited: list[Citation], below: str) -> None:
    for message in answer_messages(text, cited, below.strip()):
        check_message_blocks(message.blocks)
        assert len(message.text) <= 3_000
        for simple in plainer(message):
            check_message_blocks(simple.blocks)
            assert all(len(plain.text) <= 3_000 for plain in plainest(simple))


@pytest.mark.parametrize(
    ("answer", "model", "words"),
    [
        pytest.param(
            Answer("x", mode="extractive"),
            "",
            "From the docs, quoted; no model is configured",
            id="without a model",
        ),
        pytest.param(
            Answer("x", mode="extractive"),
            "gpt-5.4-mini",
            "From the docs, quoted; the model did not answer",
            id="the model failed",
        ),
        pytest.param(
            Answer("x", (Citation(1, "a", "b", "c"),) * 5, timings={"total": 3_240}),
            "gpt-5.4-mini",
            "Written by gpt-5.4-mini from 5 passages; it can be wrong · 3.2 s",
            id="from passages",
        ),
        pytest.param(Answer("x"), "m", "Written by m; it can be wrong", id="from no passage"),
        pytest.param(Answer("x", mode="command"), "m", "", id="a command"),
    ],
)
def test_the_footer_is_honest(answer: Answer, model: str, words: str) -> None:
    assert footer(answer, model) == words


# -- mrkdwn


def test_escaped_text_calls_nobody() -> None:
    assert escape("<!here> @here a&b") == "&lt;!here&gt; @\u200bhere a&amp;b"


def test_only_web_addresses_become_links() -> None:
    assert link("javascript:alert(1)", "x") == "x"
    assert link("https://a.example/?a=1&b=2", "<x>") == "<https://a.example/?a=1&amp;b=2|&lt;x&gt;>"


def test_shortening_leaves_no_half_entity() -> None:
    assert shorten("a&amp;b", 5) == "a…"


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        pytest.param("# A **b** c", "*A b c*", id="heading"),
        pytest.param("**b** *i* ~~s~~ `a*b*`", "*b* _i_ ~s~ `a*b*`", id="styles"),
        pytest.param("- a\n  * b\n1. c", "• a\n  • b\n1. c", id="lists"),
        pytest.param("[t](https://x.y/a_b_c?d=*e*)", "<https://x.y/a_b_c?d=*e*|t>", id="link"),
        pytest.param("![alt](https://x.y/z)", "<https://x.y/z|alt>", id="image"),
        pytest.param("<https://x.y/?a=1&b=2>", "<https://x.y/?a=1&amp;b=2>", id="autolink"),
        pytest.param("a < b & c", "a &lt; b &amp; c", id="entities"),
        pytest.param("```py\nif a < b: *c*\n```", "```\nif a &lt; b: *c*\n```", id="fence"),
        pytest.param("| a |\n|---|\n| b |\nend", "```\n| a |\n|---|\n| b |\n```\nend", id="table"),
        pytest.param("\\*no\\* snake_case 2 * 3 * 4", "*no* snake_case 2 * 3 * 4", id="no style"),
        pytest.param("<!channel>", "&lt;!channel&gt;", id="broadcast"),
        pytest.param("```\nopen", "```\nopen\n```", id="open fence"),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, mrkdwn: str) -> None:
    assert to_mrkdwn(markdown) == mrkdwn


def test_plain_text_has_the_words_without_the_markup() -> None:
    markdown = "# Pools\n\nA **pool** [here](https://x.y) <b>\n\n```py\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    assert plain_text(markdown) == "Pools\nA pool here &lt;b&gt;\nx = 1\na\nb\n1\n2"


@settings(deadline=None, max_examples=60)
@given(st.text(st.sampled_from("a&<> \n`*-|"), max_size=9_000))
def test_sections_hold_all_the_words(markdown: str) -> None:
    # What follows the mark of a fence is no word: it names a language.
    markdown = markdown.replace("```", "``a")
    texts = sections_of(markdown)
    assert all(0 < len(text) <= 3_000 for text in texts)
    assert "".join(texts).count("a") - "".join(texts).count("&a") == markdown.count("a")


# -- cards


def card(state: CardState = "open", **more: Any) -> Card:
    facts = {
        "action": "trigger_run",
        "title": "Start a run of etl/nightly",
        "target": "etl/nightly",
        "target_url": "http://127.0.0.1:4200/deployments/1",
    }
    expires = datetime(2026, 10, 1, 14, 5, tzinfo=UTC)
    proposal = Proposal(
        **(facts | {key: more.pop(key) for key in list(more) if key in Proposal.model_fields})
    )
    return Card("card-1", proposal, asked_by="U01ADA", expires_at=expires, state=state, **more)


def buttons(message: Message) -> list[dict[str, Any]]:
    return [button for block in message.blocks if block["type"] == "actions" for button in block["elements"]]


def test_an_open_card_shows_what_will_happen_and_two_buttons() -> None:
    message = card_message(card(facts=(Fact(label="Parameters", value='{"day": 1}'),)))
    confirm, decline = buttons(message)
    assert (confirm["action_id"], confirm["value"], confirm["style"]) == ("card_confirm", "card-1", "primary")
    assert (decline["action_id"], decline["value"], "style" in decline) == ("card_decline", "card-1", False)
    words = seen(message)
    assert "*Start a run of etl/nightly*" in words
    assert "<http://127.0.0.1:4200/deployments/1|etl/nightly>" in words
    assert '{"day": 1}' in words
    assert "Asked by <@U01ADA> · expires at <!date^1790863500^{time}|14:05 UTC>" in words
    check_message_blocks(message.blocks)


def test_cancelling_runs_is_red_and_not_declined_by_a_button_called_cancel() -> None:
    confirm, decline = buttons(card_message(card(action="cancel_runs")))
    assert confirm["style"] == "danger"
    assert (confirm["text"]["text"], decline["text"]["text"]) == ("Cancel the runs", "Leave them")


@pytest.mark.parametrize("state", [state for state in HEADINGS if state != "open"])
def test_a_decided_card_says_who_and_what_came_of_it_and_has_no_buttons(state: CardState) -> None:
    decided = card(
        state, decided_by="U01ADMIN", outcome="Run *brave*-owl <x>", outcome_url="http://127.0.0.1/r/1"
    )
    message = card_message(decided)
    assert buttons(message) == []
    assert f"*{HEADINGS[state]}* · <@U01ADMIN>" in seen(message)
    assert "Run *brave*-owl &lt;x&gt;\n<http://127.0.0.1/r/1|Open in Prefect>" in seen(message)
    check_message_blocks(message.blocks)


def test_what_people_wrote_stays_words_on_a_card() -> None:
    evil = Fact(label=EVIL, value=EVIL), Fact(label="long", value=EVIL + "\n" + EVIL)
    message = card_message(card(title=EVIL, target=EVIL, facts=evil))
    for block in message.blocks[:-2]:
        for text in [block.get("text"), *block.get("fields", [])]:
            if text and text["type"] == "mrkdwn":
                assert text["verbatim"] is True
                assert "<!channel>" not in text["text"]
                assert "<@" not in text["text"]
    assert message.text.count("<") == 0


def test_a_local_or_odd_asker_is_no_mention() -> None:
    assert "Asked by local" in seen(card_message(replace(card(), asked_by="local")))
    assert "<@" not in seen(card_message(replace(card(), asked_by="U01|x>")))


def test_a_long_value_is_preformatted_and_what_is_left_out_is_said() -> None:
    message = card_message(card(facts=(Fact(label="Parameters", value="x" * 20_000),)))
    preformatted = [block for block in message.blocks if block["type"] == "rich_text"]
    assert sum(len(read(block)) for block in preformatted) == 9_000
    assert "… 11,000 more characters, not shown here" in seen(message)
    check_message_blocks(message.blocks)


def test_many_facts_are_bounded_and_counted() -> None:
    facts = tuple(Fact(label=f"run {n}", value="state") for n in range(100))
    message = card_message(card(facts=facts))
    assert "… and 60 more, not shown here" in seen(message)
    check_message_blocks(message.blocks)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.builds(Fact, label=st.text(max_size=300), value=st.text(max_size=4_000)), max_size=50),
    st.text(min_size=1, max_size=3_000),
    st.sampled_from(list(HEADINGS)),
)
def test_slack_takes_every_card(facts: list[Fact], words: str, state: CardState) -> None:
    message = card_message(card(state, facts=tuple(facts), title=words, target=words, outcome=words))
    check_message_blocks(message.blocks)
    assert 0 < len(message.text) <= 3_000


# -- what came of a card, and the way back

details = st.builds(
    Detail,
    text=st.text(max_size=3_000),
    links=st.lists(
        st.builds(
            Link,
            title=st.text(max_size=200),
            url=st.sampled_from(["", PAGE, "https://x.example/" + "y" * 2_000, "javascript:alert(1)"]),
        ),
        max_size=6,
    ).map(tuple),
    more=st.integers(0, 5_000),
)


@settings(deadline=None, max_examples=80)
@given(st.lists(details, max_size=40), st.text(max_size=3_000), st.sampled_from(list(HEADINGS)))
def test_slack_takes_every_report_with_its_way_back(
    found: list[Detail], words: str, state: CardState
) -> None:
    facts = (Fact(label="From", value=words), Fact(label="To", value=words))
    undo = card(state, facts=facts, action="rollback_knowledge", target=words or "x", outcome=words)
    done = card(
        "done",
        action="reindex_knowledge",
        outcome=words,
        details=tuple(found),
        undo=replace(undo, id="card-2"),
    )
    check_message_blocks(card_message(done).blocks)


def test_a_report_names_a_few_pages_and_counts_the_others() -> None:
    pages = (Link(title="a|b> <!channel>", url=PAGE), Link(title="No address"))
    told = card("done", details=(Detail(text="docs: 14 added", links=pages, more=12), Detail(text="41 s")))
    words = seen(card_message(told))
    assert f"• docs: 14 added: <{PAGE}|a¦b&gt; &lt;!channel&gt;>, No address and 12 more\n• 41 s" in words


def test_a_report_that_is_too_long_says_so() -> None:
    told = card("done", details=tuple(Detail(text="x" * 1_400) for _ in range(10)))
    assert "… and 7 more lines, not shown here" in seen(card_message(told))


@pytest.mark.parametrize("state", ["done", "failed", "held_back", "partly", "unclear"])
def test_how_the_index_stood_before_is_not_shown_when_it_is_over(state: CardState) -> None:
    ended = card(
        state, action="reindex_knowledge", facts=(Fact(label="Meanwhile", value="the present index"),)
    )
    assert "the present index" not in seen(card_message(ended)).replace(HEADINGS[state], "")


def test_what_overrides_a_safeguard_is_red_and_says_so() -> None:
    confirm, _ = buttons(card_message(card(action="reindex_knowledge", dangerous=True)))
    assert (confirm["style"], confirm["text"]["text"]) == ("danger", "Confirm, even if worse")


def test_a_way_back_that_was_taken_is_read_before_what_it_took_back() -> None:
    undo = card("done", action="rollback_knowledge", decided_by="U02", outcome="Generation 1 is live.")
    words = seen(
        card_message(card("done", action="reindex_knowledge", outcome="Generation 2 is live.", undo=undo))
    )
    assert words.index("↩️ *Rolled back* · <@U02>\nGeneration 1 is live.") < words.index(
        "Generation 2 is live."
    )


def test_a_way_back_whose_time_is_over_names_the_command() -> None:
    expired = card("expired", action="rollback_knowledge")
    late = card_message(card("done", action="reindex_knowledge", undo=expired))
    assert buttons(late) == []
    assert "`rollback`" in seen(late)


def test_what_takes_a_pause_back_says_what_it_does_before_and_after() -> None:
    undo = card("open", action="resume_deployment", title="Resume etl/nightly")
    (button,) = buttons(card_message(card("done", action="pause_deployment", undo=undo)))
    assert button["text"]["text"] == "Resume etl/nightly"
    assert button["confirm"]["title"]["text"] == "Resume etl/nightly?"
    taken = card("done", action="resume_deployment", title="Resume etl/nightly", decided_by="U02")
    words = seen(card_message(card("done", action="pause_deployment", undo=taken)))
    assert "↩️ *Taken back*: Resume etl/nightly · <@U02>" in words
    assert "ollback" not in words


# -- progress


def test_progress_is_a_bar_with_words() -> None:
    message = progress_message("Reindexing <docs>", done=45, total=100, detail="embedding · 45/100")
    assert seen(message) == "*Reindexing &lt;docs&gt;*\n`█████████░░░░░░░░░░░` 45%\nembedding · 45/100"
    assert message.text == "Reindexing &lt;docs&gt;: 45%"
    check_message_blocks(message.blocks)


def test_progress_without_a_total_and_beyond_it() -> None:
    assert "`…`" in seen(progress_message("Reindexing", done=3, total=0))
    assert "100%" in seen(progress_message("Reindexing", done=7, total=5))


def test_a_markdown_message_has_a_text_for_notifications() -> None:
    assert markdown_message("**hi**").text == "hi"
