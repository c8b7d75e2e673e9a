"""A documentation website on this machine: real HTTP, scripted answers, every request remembered.

async with FakeWebsite() as site:
    site.put("/llms.txt", "- [Pools](/pools.md)")
    site.put("/pools.md", "# Pools", content_type="text/markdown", etag='"1"')
    …
    assert site.paths == ["/robots.txt", "/llms.txt", "/pools.md"]
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web


@dataclass(frozen=True)
class Reply:
    """One answer. `stalls` never comes, `hangs_up` closes the connection in its place."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    stalls: bool = False
    hangs_up: bool = False


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    path: str
    headers: Mapping[str, str]


class FakeWebsite:
    """Answers 404 to all that was not put there. A queue of replies is used up before what was put."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.url = ""
        self.port = 0
        self._replies: dict[str, Reply] = {}
        self._queues: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._at_once = 0
        self._meetings: dict[str, asyncio.Barrier] = {}
        self._runner: web.AppRunner | None = None

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def put(
        self,
        path: str,
        body: str | bytes = b"",
        *,
        content_type: str = "text/plain",
        status: int = 200,
        etag: str = "",
        last_modified: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Puts a page there; asked with its validator, it answers 304."""
        named = {
            "content-type": content_type,
            "etag": etag,
            "last-modified": last_modified,
            **(headers or {}),
        }
        data = body.encode() if isinstance(body, str) else body
        self._replies[path] = Reply(data, status, {name: value for name, value in named.items() if value})

    def queue(self, path: str, *replies: Reply) -> None:
        """The next answers at the path, before what was put there."""
        self._queues[path].extend(replies)

    def always(self, path: str, reply: Reply) -> None:
        self._replies[path] = reply

    def meet(self, paths: Iterable[str], parties: int) -> None:
        """Answers these paths only when so many of them are asked for at once."""
        self._meetings |= dict.fromkeys(paths, asyncio.Barrier(parties))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Request(request.path, dict(request.headers)))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if barrier := self._meetings.get(request.path):
                await barrier.wait()
            return await self._reply(request)
        finally:
            self._at_once -= 1

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        queued = self._queues[request.path]
        reply = queued.popleft() if queued else self._replies.get(request.path, Reply(b"not here", 404))
        if reply.stalls:
            await asyncio.Event().wait()
        if reply.hangs_up:
            assert request.transport is not None
            request.transport.abort()
        if _unchanged(request, reply):
            return web.Response(
                status=304, headers={k: v for k, v in reply.headers.items() if k != "content-type"}
            )
        return web.Response(body=reply.body, status=reply.status, headers=dict(reply.headers))


def _unchanged(request: web.Request, reply: Reply) -> bool:
    etag, modified = reply.headers.get("etag"), reply.headers.get("last-modified")
    return (etag is not None and request.headers.get("if-none-match") == etag) or (
        modified is not None and request.headers.get("if-modified-since") == modified
    )
