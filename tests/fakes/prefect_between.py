"""Stands between a client and a real Prefect server: remembers what is asked, and can be away or in the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import ClientSession, DummyCookieJar, web

from tests.fakes.prefect import Request

OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "content-encoding", "connection"})


class Between:
    """Passes everything on, unless it is told to break connections, to hang or to fail at certain paths."""

    def __init__(self, target: str, session: ClientSession) -> None:
        self._target = target.removesuffix("/api")
        self._session = session
        self._hangs: set[str] = set()
        self._released = asyncio.Event()
        self.requests: list[Request] = []
        self.url = ""
        self.away = False
        """Whether every connection breaks."""
        self.dies_after: int | None = None
        """Every connection breaks once so many requests were made."""
        self.fails: dict[str, int] = {}
        """The status of the answer to paths with this text in them."""

    @property
    def paths(self) -> list[str]:
        """What was asked, below the address of the API."""
        return [request.path.removeprefix("/api/") for request in self.requests]

    def asked(self, path: str) -> list[Request]:
        """The requests to that path of the API."""
        return [request for request in self.requests if request.path == f"/api/{path}"]

    def hang(self, part: str = "") -> None:
        """From now on requests to paths with that text in them wait for `release`."""
        self._hangs.add(part)

    def release(self) -> None:
        """What waits is passed on, late."""
        self._hangs.clear()
        self._released.set()
        self._released = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        parsed: Any = json.loads(body) if body else None
        self.requests.append(Request(request.method, request.path, dict(request.headers), parsed))
        is_dead = self.dies_after is not None and len(self.requests) > self.dies_after
        if self.away or is_dead:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if any(part in request.path for part in self._hangs):
            await self._released.wait()
        for part, status in self.fails.items():
            if part in request.path:
                return _failure(status)
        return await self._pass_on(request, body)

    async def _pass_on(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in OWN_HEADERS}
        address = f"{self._target}{request.rel_url}"
        async with self._session.request(
            request.method, address, data=body, headers=headers, allow_redirects=False
        ) as answer:
            back = {name: value for name, value in answer.headers.items() if name.lower() not in OWN_HEADERS}
            return web.Response(status=answer.status, body=await answer.read(), headers=back)


def _failure(status: int) -> web.Response:
    """As Prefect says it: its own failures have another field than what it refuses."""
    field = "exception_message" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "detail"
    return web.json_response({field: HTTPStatus(status).phrase}, status=status)


@asynccontextmanager
async def between(target: str) -> AsyncIterator[Between]:
    """`target` is the API address of the real server; give `url` to the client."""
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        fake = Between(target, session)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", fake.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
            yield fake
        finally:
            fake.release()
            await runner.cleanup()
