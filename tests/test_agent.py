"""The agent: from a question to an answer, with a scripted model and without one."""

import json
from typing import Any

import pytest

from bot.events import CardProposed, ToolFinished, ToolStarted
from bot.loop import MAX_ROUNDS
from bot.people import Person
from tests.fakes.model import Fail, FakeModel, Reply, Say
from tests.house import AppFactory, ask, events_of, model_variables

SAMPLES = [
    pytest.param("What is prefect and what does it do?", "v3/get-started", id="prefect"),
    pytest.param(
        "explain the difference between a worker, workpool, and agent in prefect.",
        "v3/concepts/workers",
        id="compared",
    ),
    pytest.param(
        'what is a workpool of type "prefect-agent" and how is it different from the other types?',
        "v3/how-to-guides/migrate/upgrade-agents-to-workers",
        id="prefect-agent",
    ),
    pytest.param(
        "please explain the different options for infrastructure and where the flow code is being run?",
        "v3/concepts/work-pools",
        id="infrastructure",
    ),
]
MEMBER = Person(id="U1", team="T1")
GUEST = Person(id="U2", team="T1", is_guest=True)


@pytest.mark.parametrize(("question", "page"), SAMPLES)
async def test_without_a_model_the_right_concept_page_is_quoted_first(
    app_for: AppFactory, question: str, page: str
) -> None:
    async with app_for() as app:
        answer = await ask(app, question)
    assert answer.mode == "extractive"
    assert answer.citations[0].n == 1
    assert answer.citations[0].url.startswith(f"https://docs.prefect.io/{page}")
    assert all(f"[{citation.n}]" in answer.text for citation in answer.citations)


async def test_workpool_in_one_word_finds_work_pools(app_for: AppFactory) -> None:
    async with app_for() as app:
        answer = await ask(app, "what is a workpool?")
    assert "work-pools" in answer.citations[0].url
    assert "work pool" in answer.text


async def test_the_model_gets_the_passages_and_its_citations_become_sources(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("A work pool is a bridge to infrastructure [1].\n\nVERDICT: answered")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "what is a workpool?")
    assert "work pool" in model.last_messages[-1]["content"].lower()
    assert answer.mode == "llm"
    assert answer.text == "A work pool is a bridge to infrastructure [1]."
    assert [citation.n for citation in answer.citations] == [1]
    assert answer.usage == {"prompt_tokens": 100, "completion_tokens": 20}
    assert answer.tool_calls[0].name == "search_docs"
    assert not answer.abstained


async def test_a_citation_of_a_passage_that_does_not_exist_is_dropped(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("A work pool is a pool of robots, as everybody knows [39].")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "what is a workpool?")
    assert "[39]" not in answer.text
    assert "not from the docs" in answer.text
    assert answer.citations == ()


async def test_the_verdict_not_in_passages_is_an_abstention(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Say("That is not in the docs.\nVERDICT: not_in_passages")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "does Prefect make coffee?")
    assert answer.abstained


async def test_calls_of_one_round_run_and_every_result_reaches_the_model(
    app_for: AppFactory, model: FakeModel
) -> None:
    calls = [("search_docs", '{"question": "agent"}'), ("list_work_pools", "{}")]
    model.replies = [Say(calls=calls), Say("No server is connected.")]
    async with app_for(**model_variables(model)) as app:
        events = await events_of(app, "and agents? list my pools too")
    started = [event.name for event in events if isinstance(event, ToolStarted)]
    finished = {event.name: event.ok for event in events if isinstance(event, ToolFinished)}
    assert started == ["search_docs", "list_work_pools"]
    assert finished == {"search_docs": True, "list_work_pools": False}
    assert [message["role"] for message in model.last_messages[-2:]] == ["tool", "tool"]
    assert "PREFECT_API_URL" in model.last_messages[-1]["content"]


async def test_broken_json_for_a_tool_is_told_to_the_model_which_can_mend_it(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say(calls=[("search_docs", '{"question": "agent"')]), Say("I see [1].")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "what is an agent in Prefect?")
    assert "not valid JSON" in model.last_messages[-1]["content"]
    assert answer.text == "I see [1]."


async def test_an_endless_loop_of_calls_ends_with_a_round_without_tools(
    app_for: AppFactory, model: FakeModel
) -> None:
    def script(body: dict[str, Any]) -> Reply:
        number = len(model.requests)
        if "tools" not in body:
            return Say("Enough [1].")
        return Say(calls=[("search_docs", json.dumps({"question": f"worker {number}"}))])

    model.script = script
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "tell me all about workers")
    assert answer.text.endswith("Enough [1].")
    assert len(model.requests) == MAX_ROUNDS


async def test_the_same_call_twice_is_not_run_twice(app_for: AppFactory, model: FakeModel) -> None:
    call = ("search_docs", '{"question": "worker"}')
    model.replies = [Say(calls=[call]), Say(calls=[call]), Say("Done [1].")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "what is a worker?")
    assert "very call before" in model.last_messages[-1]["content"]
    assert [call.name for call in answer.tool_calls] == ["search_docs", "search_docs"]


async def test_a_model_that_fails_is_replaced_by_quotes(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Fail(401, "bad key")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "what is a workpool?")
    assert answer.mode == "extractive"
    assert "does not accept the key" in answer.text
    assert "bad key" not in answer.text
    assert answer.citations


async def test_an_answer_that_breaks_off_says_so_and_keeps_what_was_said(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("A work pool is a bridge [1] and much more.", size=10, break_after=3)]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "what is a workpool?")
    assert answer.text.startswith("A work pool is a bridge [1]")
    assert "breaks off here" in answer.text


async def test_a_model_that_says_nothing_is_replaced_by_quotes(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Say("")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "what is a workpool?")
    assert answer.citations


async def test_a_follow_up_keeps_the_context_of_its_thread(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Say("A bridge [1]."), Say("For Kubernetes too [1].")]
    async with app_for(**model_variables(model)) as app:
        await ask(app, "what is a work pool?", conversation="C1")
        follow_up = await ask(app, "and for kubernetes?", conversation="C1")
    contents = [message["content"] for message in model.last_messages]
    assert "what is a work pool?" in contents
    assert "A bridge ." in contents
    assert "what is a work pool?" in follow_up.tool_calls[0].args["question"]


async def test_another_thread_knows_nothing_of_it(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Say("A bridge [1]."), Say("Which one?")]
    async with app_for(**model_variables(model)) as app:
        await ask(app, "what is a work pool?", conversation="C1")
        await ask(app, "and for kubernetes?", conversation="C2")
    assert len(model.last_messages) == 2


async def test_an_action_becomes_a_card_and_nothing_is_done(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Say(calls=[("reindex_knowledge", "{}")]), Say("The card waits for you.")]
    async with app_for(**model_variables(model)) as app:
        events = await events_of(app, "please reindex the docs, would you?")
        cards = [event.card for event in events if isinstance(event, CardProposed)]
        assert [card.proposal.action for card in cards] == ["reindex_knowledge"]
        assert cards[0].state == "open"
    assert "Nothing has been done" in model.last_messages[-1]["content"]


async def test_somebody_without_the_role_gets_no_card(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Say(calls=[("reindex_knowledge", "{}")]), Say("You may not.")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "please reindex the docs, would you?", person=MEMBER)
    assert answer.cards == ()
    assert "role admin" in model.last_messages[-1]["content"]


async def test_a_guest_is_offered_the_docs_tools_alone_and_refused_the_others(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say(calls=[("list_work_pools", "{}")]), Say("I may not look.")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, "show me our pools please", person=GUEST)
    offered = {tool["function"]["name"] for tool in model.requests[0]["tools"]}
    assert offered == {"search_docs", "read_page"}
    assert "documentation only" in model.last_messages[-1]["content"]
    assert [call.name for call in answer.tool_calls] == ["search_docs"]


async def test_an_empty_question_is_answered_with_what_to_do(app_for: AppFactory) -> None:
    async with app_for() as app:
        answer = await ask(app, "   ")
    assert "help" in answer.text
    assert answer.tool_calls == ()


@pytest.mark.parametrize("text", ["hi", "Thanks!", "thank you, Marvin", "ok."])
async def test_without_a_model_small_talk_gets_no_passages(app_for: AppFactory, text: str) -> None:
    async with app_for() as app:
        answer = await ask(app, text)
    assert answer.tool_calls == ()
    assert "help" in answer.text


async def test_a_stack_trace_of_60_kilobytes_is_answered(app_for: AppFactory, model: FakeModel) -> None:
    frames = "\n".join(
        f'  File "/app/flows/etl_{n}.py", line {n}, in step_{n}\n    run()' for n in range(1000)
    )
    trace = f"Traceback (most recent call last):\n{frames}\nValueError: work pool 'k8s' not found"
    model.replies = [Say("The pool does not exist [1].")]
    async with app_for(**model_variables(model)) as app:
        answer = await ask(app, f"why does this fail?\n{trace}")
    assert len(trace) > 60_000
    assert answer.text == "The pool does not exist [1]."
    sent = model.last_messages[-1]["content"]
    assert "why does this fail?" in sent
    assert "work pool 'k8s' not found" in sent
    assert len(sent) < 60_000


async def test_a_secret_in_the_question_is_not_kept(app_for: AppFactory) -> None:
    token = "xoxb-" + "123456789012-1234567890123-abcdefghijklmnopqrstuvwx"
    async with app_for() as app:
        await ask(app, f"is {token} a good work pool name, tell me please?", conversation="C1")
        turns = await app.memory.recall("C1", 1)
    assert token not in turns[0].question
