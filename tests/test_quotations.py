"""What an answer gives as a quotation of a passage stands in that passage, or is labelled."""

import pytest

from bot.egress.filter import EgressFilter
from bot.egress.links import Links
from bot.egress.quotations import NOT_LITERAL, Quotations, plain

PASSAGES = {
    1: "A **work pool** is a [bridge](https://x) between\nthe orchestration layer and infrastructure.\n"
    "> Pools don’t run anything themselves.",
    2: "A worker polls a `work pool` for new runs to execute.",
}


def shown(text: str) -> str:
    quotations = Quotations(lambda number: PASSAGES.get(number, ""))
    egress = EgressFilter(links=Links(), redact=str, passages=2, quotations=quotations)
    return egress.feed(text) + egress.close()


@pytest.mark.parametrize(
    "text",
    [
        'It says "a work pool is a bridge between the orchestration layer" [1].',
        "It says “A worker polls a *work pool* for new runs to execute.” [2]",
        'It says "A work pool is a bridge … orchestration layer and infrastructure" [1].',
        'It says "pools don\'t run anything themselves, " [1]; so there.',
        'In [2] it says "polls a work pool for new runs to execute".',
        'Both say "a worker polls a work pool for new runs" [1][2].',
        "> A worker polls a work pool for new runs to execute. [2]",
        "> A work pool is a bridge\n> between the orchestration layer and infrastructure. [1]",
        'He asked "why does my worker never start anything at all".',
        'It is called "a kind of bridge" [1].',
        'The log says "could not reach the api of the server" and that is all there is to be said of it here [1].',
        "> **Note:** a pool of yours may well be paused just now. [1]",
        'Run `echo "one two three four five six seven"` [1].',
    ],
)
def test_a_literal_quotation_and_what_is_none_pass_as_they_are(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'It says "a work pool is a queue for the orchestration layer" [1].',
            f'It says "a work pool is a queue for the orchestration layer" [1]{NOT_LITERAL}.',
        ),
        (
            "“A worker polls every pool for new runs to execute” [1][2], and more.",
            f"“A worker polls every pool for new runs to execute” [1][2]{NOT_LITERAL}, and more.",
        ),
        (
            'It says "a worker polls a work pool for new runs" [1].',
            f'It says "a worker polls a work pool for new runs" [1]{NOT_LITERAL}.',
        ),
        (
            'In [2] it says "a worker polls every pool there is".\n\nNext.',
            f'In [2] it says "a worker polls every pool there is".{NOT_LITERAL}\n\nNext.',
        ),
        (
            "> A worker is the brain of everything. [2]\n\nNext.",
            f"> A worker is the brain of everything. [2]{NOT_LITERAL}\n\nNext.",
        ),
        (
            "As the docs [2] say:\n\n> A worker is the brain of everything.",
            f"As the docs [2] say:\n\n> A worker is the brain of everything.{NOT_LITERAL}",
        ),
    ],
)
def test_a_quotation_that_is_not_in_its_passage_is_labelled(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_words_are_the_same_however_they_are_marked_up() -> None:
    assert (
        plain("**A** [link](https://x/y) to `code`,\n  and “quotes” it’s")
        == "a link to code, and quotes it's"
    )
