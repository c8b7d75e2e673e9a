"""The model's client against a scripted server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.llm import Model, connect
from bot.turns import Turn
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from tests.fakes.model import Fail, FakeModel, Say, fake_model

QUESTION = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": "list_work_pools", "parameters": {"type": "object"}}}]


@pytest.fixture
async def server() -> AsyncIterator[FakeModel]:
    async with fake_model() as model:
        yield model


@pytest.fixture
async def model(server: FakeModel) -> AsyncIterator[Model]:
    async with connect("k", server.url).with_options(max_retries=0) as client:
        yield Model(client, "scripted")


async def ask(model: Model, tools: list[dict[str, Any]] | None = None) -> Turn:
    turn = Turn()
    streamed = [text async for text in model.stream(QUESTION, tools or [], turn)]
    assert "".join(streamed) == turn.text
    return turn


async def test_text_is_streamed_and_counted(server: FakeModel, model: Model) -> None:
    server.replies = [Say("A work pool holds runs.", size=3)]
    turn = await ask(model)
    assert turn.text == "A work pool holds runs."
    assert turn.usage == {"prompt_tokens": 100, "completion_tokens": 20}


async def test_tool_calls_are_put_together_from_their_pieces(server: FakeModel, model: Model) -> None:
    server.replies = [Say("Let me look.", calls=[("list_work_pools", "{}"), ("read_logs", '{"run": "a"}')])]
    turn = await ask(model, TOOLS)
    assert [(call.name, call.arguments) for call in turn.calls] == [
        ("list_work_pools", "{}"),
        ("read_logs", '{"run": "a"}'),
    ]


@pytest.mark.parametrize("parameter", ["temperature", "parallel_tool_calls", "stream_options"])
async def test_a_refused_parameter_is_dropped_once_and_remembered(
    server: FakeModel, model: Model, parameter: str
) -> None:
    server.refused = {parameter: f"Unsupported parameter: '{parameter}' is not supported with this model."}
    server.replies = [Say("one"), Say("two")]
    await ask(model, TOOLS)
    await ask(model, TOOLS)
    assert [parameter in request for request in server.requests] == [True, False, False]


async def test_a_server_of_the_old_limit_gets_max_tokens(server: FakeModel, model: Model) -> None:
    server.refused = {"max_completion_tokens": "Unrecognized argument: max_completion_tokens"}
    server.replies = [Say("one")]
    await ask(model)
    assert "max_tokens" in server.requests[-1]


async def test_everything_refused_at_once_still_ends_in_an_answer(server: FakeModel, model: Model) -> None:
    names = (
        "temperature",
        "max_completion_tokens",
        "max_tokens",
        "parallel_tool_calls",
        "stream_options",
        "tools",
    )
    server.refused = {name: f"{name} is not supported" for name in names}
    server.replies = [Say("plain")]
    assert (await ask(model, TOOLS)).text == "plain"


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Refused), (404, BadInput), (429, Unreachable), (500, Unreachable), (400, ExpectedError)],
)
async def test_each_failure_of_the_server_is_one_that_can_be_told(
    server: FakeModel, model: Model, status: int, error: type[ExpectedError]
) -> None:
    server.replies = [Fail(status, "no")]
    with pytest.raises(error) as caught:
        await ask(model)
    assert caught.value.fix


async def test_a_connection_that_breaks_mid_stream_is_told(server: FakeModel, model: Model) -> None:
    server.replies = [Say("A work pool holds runs.", size=3, break_after=3)]
    turn = Turn()
    with pytest.raises(Unreachable):
        async for _ in model.stream(QUESTION, [], turn):
            pass
    assert turn.text == "A work po"


async def test_a_short_text_is_bounded_and_not_varied(server: FakeModel, model: Model) -> None:
    server.replies = [Say("one"), Say("two")]
    turn = await model.complete(QUESTION, max_tokens=50, within_s=5)
    assert turn.text == "one"
    assert turn.usage
    assert (server.requests[0]["max_completion_tokens"], server.requests[0]["temperature"]) == (50, 0)
    await ask(model)
    assert server.requests[1]["max_completion_tokens"] > 50


async def test_a_short_text_is_bounded_also_where_parameters_are_refused(
    server: FakeModel, model: Model
) -> None:
    server.refused = {
        "temperature": "temperature is not supported",
        "max_completion_tokens": "Unrecognized argument: max_completion_tokens",
    }
    server.replies = [Say("one")]
    await model.complete(QUESTION, max_tokens=50, within_s=5)
    assert server.requests[-1]["max_tokens"] == 50
    assert "temperature" not in server.requests[-1]


async def test_nobody_waits_longer_for_a_short_text_than_was_said(server: FakeModel, model: Model) -> None:
    held = server.hold()
    with pytest.raises(Unreachable):
        await model.complete(QUESTION, max_tokens=50, within_s=0.05)
    held.set()
