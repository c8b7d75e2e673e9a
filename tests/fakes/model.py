"""A scripted model server: Chat Completions over real HTTP, strict about what a request must hold."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.prompt import persona_text


@dataclass
class Say:
    """One answer: text, streamed in pieces of `size` characters, and tool calls."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Name and arguments as the model writes them, which may be broken JSON."""
    size: int = 7
    break_after: int | None = None
    """Drop the connection after so many pieces."""


@dataclass
class Fail:
    status: int
    message: str
    param: str | None = None


Reply = Say | Fail
Script = Callable[[dict[str, Any]], Reply]


class FakeModel:
    """Answers from `replies`, first in first out, or by `script` when that is set."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.script: Script | None = None
        self.refused: dict[str, str] = {}
        """Parameter → the message with which a request that holds it is refused."""
        self.requests: list[dict[str, Any]] = []
        self.asides: dict[str, Reply | Script] = {
            "rewrite": Say('{"queries": []}'),
            "judge": Say('{"statements": []}'),
        }
        """Answers to requests that are about an answer and are none, by the file that instructs them."""
        self.aside_requests: dict[str, list[dict[str, Any]]] = {name: [] for name in self.asides}
        self.asked = asyncio.Event()
        """Set as soon as a request has come."""
        self.url = ""
        self._held: asyncio.Event | None = None

    def hold(self) -> asyncio.Event:
        """Answer nothing until the event is set."""
        self._held = asyncio.Event()
        return self._held

    @property
    def last_messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.requests[-1]["messages"]
        return messages

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        aside = self._aside(body)
        (self.aside_requests[aside] if aside else self.requests).append(body)
        self.asked.set()
        if self._held:
            await self._held.wait()
        problem = _problem(body)
        if problem:
            return _error(Fail(400, problem))
        for parameter, message in self.refused.items():
            if parameter in body:
                return _error(Fail(400, message, parameter))
        reply = self._reply(body, aside)
        return _error(reply) if isinstance(reply, Fail) else await _stream(request, reply, body)

    def _aside(self, body: dict[str, Any]) -> str:
        """Which of the asides this is; empty for an answer to somebody."""
        instructions = body["messages"][0]["content"]
        return next((name for name in self.asides if instructions == persona_text(name)), "")

    def _reply(self, body: dict[str, Any], aside: str) -> Reply:
        scripted = self.asides[aside] if aside else self.script
        if callable(scripted):
            return scripted(body)
        return scripted or self.replies.pop(0)


def _problem(body: dict[str, Any]) -> str:
    """What OpenAI would refuse: a tool's result without its call, a call without its result."""
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            return f"tool_call_ids did not have response messages: {sorted(open_calls)}"
        for call in message.get("tool_calls", ()):
            open_calls.add(call["id"])
    return f"tool_call_ids did not have response messages: {sorted(open_calls)}" if open_calls else ""


def _error(fail: Fail) -> web.Response:
    error = {"message": fail.message, "type": "invalid_request_error", "param": fail.param, "code": None}
    return web.json_response({"error": error}, status=fail.status)


async def _stream(request: web.Request, say: Say, body: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for number, delta in enumerate(_deltas(say)):
        if say.break_after is not None and number >= say.break_after:
            assert request.transport is not None
            request.transport.close()
            return response
        await _send(response, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    reason = "tool_calls" if say.calls else "stop"
    await _send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        await _send(response, {"choices": [], "usage": usage})
    await response.write(b"data: [DONE]\n\n")
    return response


def _deltas(say: Say) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": say.text[start : start + say.size]}
        for start in range(0, len(say.text), say.size)
    ]
    for index, (name, arguments) in enumerate(say.calls):
        head = {"index": index, "id": f"call_{index}_{name}", "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]})
        half = len(arguments) // 2
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
            for part in (arguments[:half], arguments[half:])
        ]
    return deltas


async def _send(response: web.StreamResponse, data: dict[str, Any]) -> None:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", **data}
    await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


@asynccontextmanager
async def fake_model() -> AsyncIterator[FakeModel]:
    model = FakeModel()
    app = web.Application(client_max_size=8 * 1024**2)
    app.router.add_post("/v1/chat/completions", model.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        model.url = f"http://{host}:{port}/v1"
        yield model
    finally:
        await runner.cleanup()
