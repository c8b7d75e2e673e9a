"""A tiny HTTP server with scripted answers, for what a real Prefect server does only under load or by accident."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False
    """Whether the connection is closed after it, without saying so first."""
    raw: bytes | None = None
    """Sent as the body instead of JSON."""


# Takes the request and closes the connection without a word.
SILENCE = Answer(status=0, closes=True)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class ScriptedPrefect:
    """Answers in the order of the script and remembers what it was asked."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = deque(answers)
        self.requests: list[Request] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                self.requests.append(request)
                answer = self._answers.popleft()
                if answer is not SILENCE:
                    writer.write(_bytes(answer))
                    await writer.drain()
                if answer.closes:
                    return
        finally:
            writer.close()


@asynccontextmanager
async def scripted_prefect(*answers: Answer) -> AsyncIterator[ScriptedPrefect]:
    fake = ScriptedPrefect(answers)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    async with server:
        fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
        yield fake


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(body) if body else None)


def _bytes(answer: Answer) -> bytes:
    body = json.dumps(answer.body).encode() if answer.raw is None else answer.raw
    headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode() + body
