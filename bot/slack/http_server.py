"""The HTTP server: health for everybody, and Slack's signed events, read within bounds."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import parse_qs

import h11
import uvicorn
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.settings import Settings
from bot.slack.transport import State
from knowledge.errors import BadInput

log = logging.getLogger(__name__)

HTTP_SHUTDOWN_S = 5
# Slack's own payloads stay far below: a view holds at most 250 kB, a message's blocks 50 × 3,000 characters.
MAX_BODY = 1_000_000
# All of a request line and its headers; Slack sends about 1 kB, a proxy adds some.
MAX_HEADERS = 16_384
# Slack itself gives up after 3 s (https://docs.slack.dev/apis/events-api/#responding).
REQUEST_WITHIN_S = 10.0
# Below what a process may open by default, 1,024 files.
MAX_CONNECTIONS = 500
# Slack looks whether the address of a slash command has a certificate, with a request that is not signed.
MAX_SSL_CHECK = 1024


@asynccontextmanager
async def listening(
    settings: Settings, bolt: AsyncApp, state: State, *, within_s: float = REQUEST_WITHIN_S
) -> AsyncIterator[None]:
    """Answer while inside. A request that has not come in whole after `within_s` is given up.

    Raises BadInput where the port is taken.
    """
    bound = _bind(settings.host, settings.port)
    server = _Server(_config(_routes(settings, bolt, state, within_s), within_s))
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    log.info("listening on http://%s:%d", *bound.getsockname()[:2])
    try:
        yield
    finally:
        server.should_exit = True
        await serving
        bound.close()  # uvicorn leaves it open when it is told to stop before it has begun.


def _routes(settings: Settings, bolt: AsyncApp, state: State, within_s: float) -> list[Route]:
    async def healthz(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(_request: Request) -> Response:
        ready = state.connected and state.index_open
        return JSONResponse(
            {"slack": state.connected, "index": state.index_open, "failed_looks": state.failed_looks()},
            status_code=200 if ready else 503,
        )

    routes = [Route("/healthz", healthz), Route("/readyz", readyz)]
    if settings.slack_app_token is None and settings.slack_signing_secret is not None:
        border = _Border(bolt, settings.slack_signing_secret.get_secret_value(), within_s)
        routes.append(Route("/slack/events", border.events, methods=["POST"]))
    return routes


class _Border:
    """Lets through to Bolt what Slack has signed; nothing else is parsed."""

    def __init__(self, bolt: AsyncApp, signing_secret: str, within_s: float) -> None:
        self._bolt = bolt
        self._verifier = SignatureVerifier(signing_secret)
        self._within_s = within_s

    async def events(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(self._within_s):
                body = await _body(request)
        except TimeoutError:
            return _refusal(408)
        except ClientDisconnect:
            return _refusal(400)
        if body is None:
            return _refusal(413)
        if self._is_signed(body, request):
            return to_starlette_response(
                await self._bolt.async_dispatch(to_async_bolt_request(request, body))
            )
        return Response() if _is_ssl_check(body) else _refusal(401)

    def _is_signed(self, body: bytes, request: Request) -> bool:
        try:
            return self._verifier.is_valid_request(body, request.headers)
        except (ValueError, TypeError):
            return False  # A time that is no number, or letters that no signature has.


async def _body(request: Request) -> bytes | None:
    """None for one that is too large, which is not read to its end."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        return None
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_BODY:
            return None
    return bytes(parts)


def _refusal(status: int) -> Response:
    """Closes the connection too, or the rest of the request would be read on and on."""
    return Response(status_code=status, headers={"connection": "close"})


def _is_ssl_check(body: bytes) -> bool:
    return len(body) <= MAX_SSL_CHECK and parse_qs(body.decode("ascii", "replace")).get("ssl_check") == ["1"]


def _config(routes: list[Route], within_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        Starlette(routes=routes),
        http=_protocol(within_s),
        ws="none",
        h11_max_incomplete_event_size=MAX_HEADERS,
        limit_concurrency=MAX_CONNECTIONS,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=HTTP_SHUTDOWN_S,
    )


def _protocol(within_s: float) -> type[H11Protocol]:
    """Uvicorn waits without end for what comes letter by letter, headers or a body that nobody reads."""

    class Impatient(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def _wait(self) -> None:
            self._stop_waiting()
            if not self.transport.is_closing():
                self._waiting = self.loop.call_later(within_s, self._give_up)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _give_up(self) -> None:
            # Also what is still being sent in when its answer has gone out, which would be read on and on.
            if self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE:
                self.transport.close()

    return Impatient


class _Server(uvicorn.Server):
    """Leaves the signals to `serve`, which has more to finish than HTTP."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OSError:
        raise BadInput(
            f"Port {port} on {host} cannot be used; another program may have it.",
            "Set ASK_MARVIN_PORT to a free one, or 0.",
        ) from None
