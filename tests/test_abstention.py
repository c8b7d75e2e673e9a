"""Saying that the docs do not answer."""

import pytest

from bot.abstention import nearest_pages
from bot.events import Answer
from knowledge.models import Passage
from tests.fakes.model import FakeModel, Say
from tests.house import AppFactory, ask, model_variables

UNANSWERABLE = "who won the football world cup in 1974?"
NOTHING_FITS = "found little that fits"


async def test_without_a_model_a_question_that_finds_little_gets_the_nearest_pages_and_no_quotes(
    app_for: AppFactory,
) -> None:
    async with app_for() as app:
        answer = await ask(app, UNANSWERABLE)
    assert answer.abstained
    assert "do not find an answer" in answer.text
    assert 2 <= len(answer.citations) <= 3
    assert all(f"({citation.url})" in answer.text for citation in answer.citations)
    assert len(answer.text) < 1_200
    assert answer.mode == "extractive"


async def test_without_a_model_a_question_that_finds_its_page_is_answered(app_for: AppFactory) -> None:
    async with app_for() as app:
        answer = await ask(app, "what is a work pool?")
    assert not answer.abstained


async def test_the_model_is_told_when_the_search_was_weak_and_only_then(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("A bridge [1].\nVERDICT: answered"), Say("No [1].\nVERDICT: not_in_passages")]
    async with app_for(**model_variables(model)) as app:
        await ask(app, "what is a work pool?")
        await ask(app, UNANSWERABLE)
    told = [NOTHING_FITS in request["messages"][0]["content"] for request in model.requests]
    assert told == [False, True]


async def test_where_the_model_names_no_page_the_nearest_are_added(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("The docs do not say that.\n\nVERDICT: not_in_passages")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, UNANSWERABLE)
    assert answer.abstained
    assert answer.mode == "llm"
    assert "The nearest pages: [" in answer.text
    assert 2 <= len(answer.citations) <= 3


async def test_where_the_model_names_pages_itself_none_are_added(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("The docs do not say that; near to it is [2].\n\nVERDICT: not_in_passages")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, UNANSWERABLE)
    assert answer.text == "The docs do not say that; near to it is [2]."
    assert answer.abstained


@pytest.mark.parametrize(
    "last",
    [
        pytest.param("A subprocess of the worker [9].\nVERDICT: answered", id="another verdict"),
        pytest.param("A subprocess of the worker [1].", id="none"),
    ],
)
async def test_a_verdict_from_before_the_models_own_search_is_not_that_of_the_answer(
    app_for: AppFactory, model: FakeModel, last: str
) -> None:
    search = ("search_docs", '{"question": "process work pool"}')
    model.replies = [Say("Let me look.\nVERDICT: not_in_passages\n", calls=[search]), Say(last)]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, UNANSWERABLE)
    assert not answer.abstained
    assert "nearest pages" not in answer.text


async def test_a_model_that_fails_after_a_weak_search_leaves_the_nearest_pages(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, UNANSWERABLE)
    assert answer.abstained
    assert "do not find an answer" in answer.text
    assert answer.mode == "extractive"


@pytest.mark.parametrize("verdict", ["answered", "partly"])
async def test_other_verdicts_are_no_abstention_however_weak_the_search(
    app_for: AppFactory, model: FakeModel, verdict: str
) -> None:
    model.replies = [Say(f"Yes, it does [1].\n\nVERDICT: {verdict}")]
    async with app_for(**model_variables(model)) as app:
        answer: Answer = await ask(app, UNANSWERABLE)
    assert not answer.abstained


def test_two_passages_of_one_page_are_one_page_and_three_are_named_at_most() -> None:
    passages = [
        Passage(
            rank=n,
            score=1,
            page=page,
            title=page,
            heading="h",
            url=f"https://x/{page}#{n}",
            source="d",
            text="",
        )
        for n, page in enumerate("aabcd", 1)
    ]
    line = nearest_pages(list(enumerate(passages, 1)))
    assert line == (
        "The nearest pages: [a: h](https://x/a#1) [1], [b: h](https://x/b#3) [3], [c: h](https://x/c#4) [4]"
    )
    assert nearest_pages([]) == ""
