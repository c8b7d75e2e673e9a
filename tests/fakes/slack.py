"""A Slack on this machine, at the wire: Web API, Socket Mode, signed HTTP, as strict as Slack is.

    async with FakeSlack() as slack:
        app = AsyncApp(client=slack.client(), signing_secret=slack.signing_secret)
        …
        post = slack.mention("what is a work pool?")
        for envelope in post:
            await slack.deliver(envelope)
        answer = await slack.until(lambda: slack.thread(CHANNEL, post.ts).bot)

`slack.thread(channel, ts)` is what a reader sees, `slack.calls` is what the app called, `slack.fail(…)`
makes calls go wrong. Waiting is always on a condition, never on the clock.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack_api import WebApi
from tests.fakes.slack_blocks import SlackError, check_message_blocks
from tests.fakes.slack_events import Doings, Envelope
from tests.fakes.slack_views import check_errors, inputs
from tests.fakes.slack_world import ADA, APP, BOT_ID, BOT_USER, RESPONSE_URL_SECONDS, Message, read

__all__ = ["FakeSlack", "NotAcknowledged", "SlackError"]

# The SDK obeys these and ignores NO_PROXY: even loopback would go to the proxy.
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
ACKNOWLEDGED_WITHIN = 3.0


class NotAcknowledged(AssertionError):
    """The app did not acknowledge in the three seconds that Slack gives it."""


@dataclass
class Call:
    """One request to the Web API and what came back."""

    method: str
    args: dict[str, Any]
    token: str
    status: int = 0
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return bool(self.body.get("ok"))

    @property
    def error(self) -> str:
        return str(self.body.get("error", ""))


@dataclass
class Fault:
    """What to do to the next calls of a method, in place of Slack's own answer or after it."""

    method: str
    error: str
    times: int | None
    after: int
    status: int
    headers: dict[str, str]
    applied: bool
    extra: dict[str, Any]


@dataclass
class Hold:
    """Calls of a method wait at the gate: `reached` is set by the first, `release()` lets all go."""

    method: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.opened.set()


@dataclass
class Reply:
    """What the app answered to a delivery: the HTTP status (200 for a socket) and the body, if any."""

    status: int
    body: Any = None


class FakeSlack(Doings):
    """One workspace with one app in it, served on a free loopback port."""

    signing_secret = "signing-secret"
    bot_token = "xoxb-test"
    app_token = "xapp-test"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.acks: list[dict[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.request_url = ""
        """Set it to the app's `/slack/events` address to deliver by signed HTTP."""
        self.refused_tickets = 0
        """So many more WebSocket connections are refused."""
        self.tickets: dict[str, bool] = {}
        self._faults: list[Fault] = []
        self._holds: list[Hold] = []
        self._acknowledged: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._envelopes = itertools.count(1)
        self._proxies: dict[str, str] = {}
        self.api = WebApi(self, "")

    async def __aenter__(self) -> Self:
        self._proxies = {name: os.environ.pop(name) for name in PROXIES if name in os.environ}
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/api/{method}", self._call)
        app.router.add_get("/link", self._link)
        app.router.add_post("/upload/{id}", self._uploaded)
        app.router.add_post("/response/{id}", self._responded)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.base = self.api.base = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hold in self._holds:
            hold.release()
        for socket in list(self.sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)
        await self._runner.cleanup()
        os.environ.update(self._proxies)

    @property
    def api_url(self) -> str:
        """For `SLACK_API_URL`, or `base_url` of the SDK's client."""
        return f"{self.base}/api/"

    def client(self, *, retry_handlers: list[AsyncRetryHandler] | None = None) -> AsyncWebClient:
        """The SDK's client of this workspace; without `retry_handlers` with the SDK's own defaults."""
        return AsyncWebClient(token=self.bot_token, base_url=self.api_url, retry_handlers=retry_handlers)

    # -- looking at calls, and making them fail

    def called(self, *methods: str) -> list[Call]:
        """The calls of these methods in order, refused ones included."""
        return [call for call in self.calls if call.method in methods]

    async def wait_for_call(self, method: str, *, count: int = 1, timeout: float = 5.0) -> Call:
        """The `count`-th call of a method, once it has been answered."""
        why = f"call {count} of {method}; so far {[call.method for call in self.calls]}"
        await self.until(lambda: len(self.called(method)) >= count, timeout=timeout, why=why)
        return self.called(method)[count - 1]

    def fail(
        self,
        method: str,
        error: str,
        *,
        times: int | None = 1,
        after: int = 0,
        status: int = 200,
        applied: bool = False,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        """Answers `error` to the next calls of a method, `after` so many went well; `times=None`: always.

        `applied=True`: the call does its work and only the answer is lost. `status=0` cuts the
        connection instead of answering.
        """
        self._faults.append(Fault(method, error, times, after, status, headers or {}, applied, extra))

    def rate_limit(self, method: str, *, times: int | None = 1, after: int = 0, retry_after: int = 1) -> None:
        """Answers 429 with `Retry-After` in seconds."""
        headers = {"Retry-After": str(retry_after)}
        self._faults.append(Fault(method, "ratelimited", times, after, 429, headers, False, {}))

    def hold(self, method: str) -> Hold:
        """Makes calls of a method wait until `release()`: a Slack that is slow."""
        self._holds.append(Hold(method))
        return self._holds[-1]

    def mend(self) -> None:
        """Forgets all faults."""
        self._faults.clear()

    # -- the Web API

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        call = Call(method, await arguments(request), token_of(request))
        for hold in [hold for hold in self._holds if hold.method == method]:
            hold.reached.set()
            await hold.opened.wait()
        fault = self._fault(method)
        if fault is None or fault.applied:
            call.status, call.body = 200, self._answer(call)
        if fault is not None:
            call.status = fault.status
            call.body = {"ok": False, "error": fault.error} | fault.extra
        self.calls.append(call)
        self.changed()
        return self._respond(request, call, fault)

    def _respond(self, request: web.Request, call: Call, fault: Fault | None) -> web.StreamResponse:
        if fault is not None and fault.status == 0 and request.transport is not None:
            request.transport.abort()
            return web.Response()
        headers = fault.headers if fault else {"x-oauth-scopes": ",".join(sorted(self.api.scopes))}
        if call.status >= 500:
            html = "<html>Server Error</html>"
            return web.Response(status=call.status, text=html, content_type="text/html", headers=headers)
        return web.json_response(call.body, status=call.status, headers=headers)

    def _fault(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.method != method:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times is None or fault.times > 0:
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    def _answer(self, call: Call) -> dict[str, Any]:
        try:
            if call.method == "apps.connections.open":
                return {"ok": True} | self._open_connection(call)
            if call.token != self.bot_token:
                raise SlackError("invalid_auth" if call.token else "not_authed")
            return {"ok": True} | self.api.method(call.method)(call.args)
        except SlackError as error:
            return {"ok": False, "error": error.error} | error.extra

    # -- Socket Mode

    def _open_connection(self, call: Call) -> dict[str, Any]:
        if call.token != self.app_token:
            raise SlackError("not_allowed_token_type" if call.token else "not_authed")
        ticket = f"ticket-{len(self.tickets) + 1}"
        self.tickets[ticket] = False
        return {"url": f"ws://127.0.0.1:{self.port}/link?ticket={ticket}&app_id={APP}"}

    async def _link(self, request: web.Request) -> web.StreamResponse:
        """A ticket opens one connection; a second try with it is refused, as is one on demand."""
        ticket = request.query.get("ticket", "")
        used = self.tickets.get(ticket, True)
        self.tickets[ticket] = True
        if used or self.refused_tickets > 0:
            self.refused_tickets -= self.refused_tickets > 0
            self.changed()
            return web.Response(status=403, text="invalid ticket")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(self._hello())
        self.sockets.append(socket)
        self.changed()
        await self._read(socket)
        self.sockets.remove(socket)
        self.changed()
        return socket

    def _hello(self) -> dict[str, Any]:
        debug = {"host": "applink-1", "approximate_connection_time": 18_060}
        open_now = len(self.sockets) + 1
        info = {"type": "hello", "num_connections": open_now, "connection_info": {"app_id": APP}}
        return info | {"debug_info": debug}

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                ack = json.loads(frame.data)
                self.acks.append(ack)
                waiting = self._acknowledged.pop(ack.get("envelope_id", ""), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(ack)
                self.changed()

    async def connected(self, count: int = 1, *, timeout: float = 5.0) -> None:
        """Waits until so many sockets are open."""
        why = f"{count} sockets; there are {len(self.sockets)}"
        await self.until(lambda: len(self.sockets) >= count, timeout=timeout, why=why)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tells every socket to go and get a new address, as Slack does every few hours."""
        for socket in list(self.sockets):
            await socket.send_json(
                {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}
            )

    async def drop(self) -> None:
        """Closes every socket without a word."""
        for socket in list(self.sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    # -- delivery

    async def deliver(
        self,
        envelope: Envelope,
        *,
        retry: int = 0,
        reason: str = "http_timeout",
        timeout: float = ACKNOWLEDGED_WITHIN,
    ) -> Reply:
        """Sends an envelope and gives the app's acknowledgement; `NotAcknowledged` when none comes.

        Over Socket Mode, unless `request_url` is set. `retry` is the number of the repeated try.
        """
        if self.request_url:
            return await self.deliver_http(envelope, retry=retry, reason=reason, timeout=timeout)
        await self.connected(timeout=timeout)
        id = f"envelope-{next(self._envelopes)}"
        again = {"retry_attempt": retry, "retry_reason": reason} if retry else {}
        frame = {"type": envelope.kind, "envelope_id": id, "payload": envelope.payload}
        waiting = self._acknowledged[id] = asyncio.get_running_loop().create_future()
        accepts = {"accepts_response_payload": envelope.accepts_response}
        await self.sockets[-1].send_json(frame | accepts | again)
        await asyncio.wait({waiting}, timeout=timeout)
        if not waiting.done():
            raise NotAcknowledged(f"{envelope.kind} was not acknowledged within {timeout} s")
        return Reply(200, waiting.result().get("payload"))

    async def submits(
        self, view: dict[str, Any], filled: Mapping[str, Any] | None = None, *, user: str = ADA
    ) -> dict[str, str]:
        """Somebody fills a modal in and submits it: the errors that stand at its fields, by their labels.

        With none the modal closes.
        """
        reply = await self.deliver(self.submit(view, filled or {}, user=user))
        if not reply.body:
            del self.views[view["id"]]
            self.changed()
            return {}
        assert reply.body["response_action"] == "errors", reply.body
        check_errors(view, reply.body["errors"])
        labels = {block["block_id"]: label for label, block in inputs(view).items()}
        return {labels[block]: text for block, text in reply.body["errors"].items()}

    async def modal(self, words: str = "", *, timeout: float = 10.0) -> dict[str, Any]:
        """The open modal, once it shows these words."""

        def shown() -> dict[str, Any] | None:
            return next((view for view in self.views.values() if words in read(view)), None)

        view: dict[str, Any] = await self.until(shown, timeout=timeout, why=f"a modal with {words!r}")
        return view

    async def deliver_http(
        self,
        envelope: Envelope,
        *,
        retry: int = 0,
        reason: str = "http_timeout",
        timeout: float = ACKNOWLEDGED_WITHIN,
        secret: str | None = None,
        age: int = 0,
    ) -> Reply:
        """Posts an envelope as Slack does; another `secret` or an `age` in seconds makes it a bad one."""
        body, content_type = encoded(envelope)
        headers = signed(body, secret or self.signing_secret, int(time.time()) - age)
        headers["Content-Type"] = content_type
        if retry:
            headers |= {"x-slack-retry-num": str(retry), "x-slack-retry-reason": reason}
        limit = aiohttp.ClientTimeout(total=timeout)
        async with aiohttp.ClientSession(timeout=limit) as session:
            try:
                async with session.post(self.request_url, data=body, headers=headers) as response:
                    text = await response.text()
            except TimeoutError:
                raise NotAcknowledged(f"{envelope.kind} was not answered within {timeout} s") from None
        is_json = response.content_type == "application/json" and text
        return Reply(response.status, json.loads(text) if is_json else text)

    # -- uploads and response addresses

    async def _uploaded(self, request: web.Request) -> web.Response:
        file = self.files.get(request.match_info["id"])
        data = await request.read()
        if file is None or file["data"] is not None or len(data) != file["length"]:
            return web.Response(status=400, text="bad upload")
        file["data"] = data
        return web.Response(text=f"OK - {len(data)}")

    async def _responded(self, request: web.Request) -> web.Response:
        """A `response_url`: ephemeral unless said otherwise; may replace or delete the message."""
        target = self.responses.get(request.match_info["id"])
        if target is None or self.now() - target["made"] > RESPONSE_URL_SECONDS:
            return web.Response(status=404, text="expired_url")
        body = await request.json()
        try:
            self._apply_response(target, body)
        except SlackError as error:
            return web.Response(status=400, text=error.error)
        target["bodies"].append(body)
        self.changed()
        return web.Response(text="ok")

    def _apply_response(self, target: dict[str, Any], body: dict[str, Any]) -> None:
        check_message_blocks(body.get("blocks") or [])
        original = self.messages.get((target["channel"], target["message_ts"]))
        if body.get("delete_original") and original:
            original.state = "deleted"
        elif body.get("replace_original") and original:
            original.text, original.blocks = body.get("text", ""), body.get("blocks", [])
            original.pieces, original.edits = [], original.edits + 1
        else:
            self._say_by_response(target, body)

    def _say_by_response(self, target: dict[str, Any], body: dict[str, Any]) -> None:
        if not body.get("text") and not body.get("blocks"):
            raise SlackError("no_text")
        said = Message(
            self.next_ts(), target["channel"], BOT_USER, body.get("text", ""), body.get("blocks", [])
        )
        said.thread_ts, said.bot_id = body.get("thread_ts", ""), BOT_ID
        said.arguments = {"user": target["user"]}
        if body.get("response_type") == "in_channel":
            self.put(said)
        else:
            self.ephemeral.append(said)


def encoded(envelope: Envelope) -> tuple[bytes, str]:
    """The body over HTTP: events are JSON, buttons a form field with JSON, commands a form."""
    form = "application/x-www-form-urlencoded"
    if envelope.kind == "events_api":
        return json.dumps(envelope.payload).encode(), "application/json"
    if envelope.kind == "interactive":
        return urlencode({"payload": json.dumps(envelope.payload)}).encode(), form
    return urlencode(envelope.payload).encode(), form


def signed(body: bytes, secret: str, timestamp: int) -> dict[str, str]:
    base = f"v0:{timestamp}:".encode() + body
    signature = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": str(timestamp), "x-slack-signature": f"v0={signature}"}


def token_of(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


async def arguments(request: web.Request) -> dict[str, Any]:
    """The SDK sends them as query, form or JSON, by method: all three are put together."""
    args: dict[str, Any] = dict(request.query)
    if request.can_read_body:
        body: Mapping[str, Any]
        body = await request.json() if request.content_type == "application/json" else await request.post()
        args.update(body)
    return args
