"""The model's server, through OpenAI's client: one streamed turn at a time.

Any server that speaks Chat Completions will do. What a model or server refuses of the optional
parameters is dropped once and remembered, so that OpenAI's newest and a local Ollama both work.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import openai
from openai import AsyncOpenAI

from bot.turns import RequestedCall, Turn
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable

log = logging.getLogger(__name__)

MAX_ANSWER_TOKENS = 2000
READ_TIMEOUT_S = 60.0
CONNECT_RETRIES = 2
# Servers that need no key still get a header; the client refuses to work without one.
NO_KEY = "none"
DEFAULT_BASE_URL = "https://api.openai.com/v1"


def connect(api_key: str | None, base_url: str | None) -> AsyncOpenAI:
    """A client for the configured server. Only what is given here is used, nothing of the environment."""
    return AsyncOpenAI(
        api_key=api_key or NO_KEY,
        base_url=base_url or DEFAULT_BASE_URL,
        timeout=READ_TIMEOUT_S,
        max_retries=CONNECT_RETRIES,
    )


class Model:
    """One model on one server, and what is known of the parameters it takes."""

    def __init__(self, client: AsyncOpenAI, name: str) -> None:
        self.name = name
        self._client = client
        self._optional: dict[str, Any] = {
            "temperature": 0.2,
            "max_completion_tokens": MAX_ANSWER_TOKENS,
            "parallel_tool_calls": True,
            "stream_options": {"include_usage": True},
        }
        self._takes_tools = True

    async def complete(self, messages: list[dict[str, Any]], *, max_tokens: int, within_s: float) -> Turn:
        """A short text that a program reads: bounded in tokens and time, and with no variety.

        Raises the ExpectedError tree, Unreachable when the time is over.
        """
        turn = Turn()
        terse = {"temperature": 0, "max_completion_tokens": max_tokens, "max_tokens": max_tokens}
        try:
            async with asyncio.timeout(within_s):
                async for _ in self.stream(messages, [], turn, instead=terse):
                    pass
        except TimeoutError as error:
            raise Unreachable("The model's server did not answer in time.", "Try again.") from error
        return turn

    async def stream(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        turn: Turn,
        *,
        instead: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[str]:
        """Yield the text as it comes and fill `turn`. Raises the ExpectedError tree when the server fails.

        `instead` gives optional parameters another value, where the server takes them.
        """
        try:
            async with await self._open(messages, tools, instead or {}) as stream:
                async for chunk in stream:
                    text = _take(chunk, turn)
                    if text:
                        turn.text += text
                        yield text
        except openai.APIError as error:
            raise expected_error(error, self.name) from error
        except ValueError as error:  # a line of the stream that is no JSON
            raise Unreachable("The model's server sent what cannot be read.", "Try again.") from error
        turn.calls = [call for call in turn.calls if call.name]

    async def _open(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], instead: Mapping[str, Any]
    ) -> Any:
        """Start the stream; each refusal drops at least one parameter, so this ends."""
        while True:
            request = self._request(messages, tools)
            request |= {name: value for name, value in instead.items() if name in request}
            try:
                return await self._client.chat.completions.create(**request)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._drop_refused(error, request):
                    raise

    def _request(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        request = {"model": self.name, "messages": messages, "stream": True, **self._optional}
        if tools and self._takes_tools:
            request["tools"] = tools
        else:
            request.pop("parallel_tool_calls", None)
        return request

    def _drop_refused(self, error: openai.APIStatusError, request: dict[str, Any]) -> bool:
        """Drop what the refusal names of what was sent; False when it names nothing of it."""
        complaint = f"{getattr(error, 'param', None) or ''} {error.message}".lower()
        if error.code == "context_length_exceeded" or re.search(r"context|too large|too long", complaint):
            return False  # The request is at fault, not the parameter that the message happens to name.
        if "max_completion_tokens" in request and "max_tokens" in complaint:
            self._optional["max_tokens"] = self._optional.pop("max_completion_tokens")
        elif named := [name for name in self._optional if name in request and name in complaint]:
            self._replace(named[0])
        elif "tools" in request and re.search(r"tool.{0,40}not support|not support.{0,40}tool", complaint):
            self._takes_tools = False
        else:
            return False
        log.info("the model's server refused a parameter; it is not sent again (%s)", sorted(self._optional))
        return True

    def _replace(self, name: str) -> None:
        dropped = self._optional.pop(name)
        if name == "max_completion_tokens":
            self._optional["max_tokens"] = dropped


def _take(chunk: Any, turn: Turn) -> str:
    """Put one chunk of the stream into `turn`; gives its text."""
    if chunk.usage:
        turn.usage = {
            "prompt_tokens": chunk.usage.prompt_tokens or 0,
            "completion_tokens": chunk.usage.completion_tokens or 0,
        }
    if not chunk.choices:
        return ""
    choice = chunk.choices[0]
    turn.finish_reason = choice.finish_reason or turn.finish_reason
    if choice.delta is None:
        return ""
    for part in choice.delta.tool_calls or ():
        _take_call(part, turn)
    return choice.delta.content or ""


def _take_call(part: Any, turn: Turn) -> None:
    """Add a piece of a tool call; some servers send no index, and a whole call in each piece."""
    index = part.index if part.index is not None else len(turn.calls)
    while len(turn.calls) <= index:
        turn.calls.append(RequestedCall(id=f"call_{len(turn.calls)}"))
    call = turn.calls[index]
    call.id = part.id or call.id
    if part.function:
        call.name += part.function.name or ""
        call.arguments += part.function.arguments or ""


def expected_error(error: openai.APIError, model: str) -> ExpectedError:
    """What the failure means for whoever set it up."""
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return Refused("The model's server does not accept the key.", "Correct OPENAI_API_KEY.")
        case openai.NotFoundError():
            return BadInput(
                f"The model's server knows no model {model!r}.",
                "Correct ASK_MARVIN_MODEL or OPENAI_BASE_URL.",
            )
        case openai.RateLimitError():
            return Unreachable("The model's server is at its limit.", "Try again in a minute.")
        case openai.APITimeoutError():
            return Unreachable("The model's server did not answer in time.", "Try again.")
        case openai.APIConnectionError():
            return Unreachable(
                "The model's server cannot be reached.", "Check OPENAI_BASE_URL and the network."
            )
        case openai.InternalServerError():
            return Unreachable("The model's server failed.", "Try again in a minute.")
    return ExpectedError(
        "The model's server refused the request.", "See the log; a shorter question may help."
    )
