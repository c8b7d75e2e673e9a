"""The HTTP server at the wire: what it does not read to the end, and whom it does not wait for."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp

from bot.demo.server import free_port
from bot.settings import Settings
from bot.slack.http_server import MAX_BODY, MAX_HEADERS, listening
from bot.slack.transport import State

SECRET = "a-signing-secret"
SOON = 0.3
ANSWERED_WITHIN = 10.0


@asynccontextmanager
async def border(*, within_s: float = ANSWERED_WITHIN) -> AsyncIterator[tuple[int, list[str]]]:
    """The port, and the types of the events that came through to Bolt."""
    port = free_port()
    seen: list[str] = []

    async def note(body: dict[str, str]) -> BoltResponse:
        seen.append(body["type"])
        return BoltResponse(status=200)

    bolt = AsyncApp(signing_secret=SECRET, token="xoxb-1", before_authorize=note)
    settings = Settings.from_env({"SLACK_SIGNING_SECRET": SECRET, "ASK_MARVIN_PORT": str(port)})
    state = State(failed_looks=lambda: 0)
    async with listening(settings, bolt, state, within_s=within_s):
        yield port, seen


async def said(port: int, *parts: bytes) -> bytes:
    """All that the server says until it closes the connection or has answered in whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(ANSWERED_WITHIN):
            return await reader.read()
    finally:
        writer.close()


def post(*headers: str) -> bytes:
    lines = ["POST /slack/events HTTP/1.1", "Host: bot", *headers, "", ""]
    return "\r\n".join(lines).encode()


def signed(body: bytes, *, at: str = "", signature: str = "") -> bytes:
    at = at or str(int(time.time()))
    digest = hmac.new(SECRET.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return post(
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Slack-Request-Timestamp: {at}",
        f"X-Slack-Signature: {signature or 'v0=' + digest}",
        "Connection: close",
    ) + body  # fmt: skip


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_what_slack_signed_comes_through() -> None:
    async with border() as (port, seen):
        assert status(await said(port, signed(b'{"type": "event_callback"}'))) == 200
    assert seen == ["event_callback"]


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() -> None:
    async with border() as (port, seen):
        assert status(await said(port, post(f"Content-Length: {MAX_BODY + 1}"))) == 413
    assert seen == []


async def test_a_body_without_a_length_is_read_up_to_the_limit_alone() -> None:
    async with border() as (port, _seen):
        chunk = f"{MAX_BODY + 1:x}\r\n".encode() + b"x" * (MAX_BODY + 1)
        assert status(await said(port, post("Transfer-Encoding: chunked"), chunk)) == 413


async def test_a_large_body_within_the_limit_is_looked_at() -> None:
    body = b'{"type": "block_actions", "filler": "' + b"x" * 500_000 + b'"}'
    async with border() as (port, seen):
        assert status(await said(port, signed(body))) == 200
    assert seen == ["block_actions"]


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with border(within_s=SOON) as (port, _seen):
        assert status(await said(port, post("Content-Length: 10"), b"abc")) == 408


@pytest.mark.parametrize("begun", [b"", b"P", b"POST /slack/events HTTP/1.1\r\nHost: b"])
async def test_headers_that_do_not_come_are_not_waited_for(begun: bytes) -> None:
    async with border(within_s=SOON) as (port, _seen):
        assert await said(port, begun) == b""


async def test_a_second_request_on_the_same_connection_is_not_waited_for_either() -> None:
    async with border(within_s=SOON) as (port, _seen):
        answer = await said(port, b"GET /healthz HTTP/1.1\r\nHost: bot\r\n\r\n", b"GET /he")
    assert answer.count(b"HTTP/1.1") == 1
    assert status(answer) == 200


@pytest.mark.parametrize("where", ["GET /healthz", "POST /nowhere", "PUT /slack/events"])
async def test_a_body_that_nobody_wants_is_not_read_on_and_on(where: str) -> None:
    async with border(within_s=SOON) as (port, _seen):
        head = f"{where} HTTP/1.1\r\nHost: bot\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        answer = asyncio.create_task(reader.read())
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                while not answer.done():
                    writer.write(b"1\r\na\r\n")
                    await asyncio.wait({answer}, timeout=SOON / 10)
                assert (await answer).startswith(b"HTTP/1.1 ")
        finally:
            writer.close()


async def test_headers_without_end_are_refused() -> None:
    async with border() as (port, _seen):
        assert status(await said(port, post().removesuffix(b"\r\n") + b"X-A: " + b"a" * MAX_HEADERS)) == 400


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(post("Content-Length: 2") + b"{}", id="unsigned"),
        pytest.param(signed(b"{}", signature="v0=guessed"), id="forged"),
        pytest.param(signed(b"{}", signature="v0=\u00e4"), id="not-ascii"),
        pytest.param(signed(b"{}", at="now"), id="no-time"),
        pytest.param(signed(b"{}", at="1"), id="old"),
        pytest.param(signed(b"\xff\xfe"), id="no-text"),
        pytest.param(signed(b"[" * 100_000, signature="v0=guessed"), id="too-deep-to-parse"),
        pytest.param(post("Content-Length: 2012") + b"ssl_check=1&" + b"a" * 2000, id="long-ssl-check"),
    ],
)
async def test_what_slack_did_not_sign_goes_no_further(
    request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with border() as (port, seen):
        assert status(await said(port, request_)) == 401
    assert seen == []
    assert "Traceback" not in caplog.text


async def test_slacks_look_at_the_certificate_is_answered_without_a_signature() -> None:
    async with border() as (port, seen):
        body = b"ssl_check=1&token=x"
        request = post(f"Content-Length: {len(body)}", "Connection: close") + body
        assert status(await said(port, request)) == 200
    assert seen == []
