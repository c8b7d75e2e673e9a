"""Requests to Prefect's API: retries, pages, CSRF, and what a failure means. Knows no endpoint."""

import asyncio
import copy
import json
import re
import ssl
import uuid
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from tools import models
from tools.connection import PrefectConnection
from tools.prefect_errors import error_for, not_prefect

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
# SQLite answers 503 "database is locked" under load for a few hundred milliseconds at a time.
RETRIED_STATUSES = frozenset({408, 429, 502, 503})
MAX_ATTEMPTS = 4
FIRST_PAUSE = 0.2
# A longer Retry-After than this is told to the person instead of being waited for.
MAX_RETRY_AFTER = 10.0
# After a 500 the server closes its keep-alive connection, so that the next call fails once.
RETRIED_FAILURES = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
MAX_FAILURES = 3
# The server's largest page unless an operator has lowered PREFECT_SERVER_API_DEFAULT_LIMIT.
PAGE_SIZE = 200
MAX_ROWS = 2000
MAX_CONNECTIONS = 10
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_ALLOWED_LIMIT = re.compile(r"Invalid limit: must be less than or equal to (\d+)")
_CSRF = re.compile(r"csrf|client identifier", re.IGNORECASE)

Row = TypeVar("Row", bound=models.Wire)
Json = dict[str, Any]


class PrefectHttp:
    """The wire to one server; built without I/O. With no connection every call raises BadInput."""

    def __init__(self, connection: PrefectConnection | None) -> None:
        self._connection = connection
        self._http = _http_client(connection) if connection else None
        self._page_size = PAGE_SIZE
        self._csrf_client = str(uuid.uuid4())
        self._csrf_token = ""
        self._requests_left: int | None = None

    def bounded(self, requests: int) -> Self:
        """The same connection for one job that may make so many requests, repeated ones counted once."""
        other = copy.copy(self)
        other._requests_left = requests
        return other

    async def aclose(self) -> None:
        if self._http:
            await self._http.aclose()

    def connected(self) -> PrefectConnection:
        if self._connection is None:
            raise BadInput(
                "This bot is not connected to a Prefect server.",
                "Set PREFECT_API_URL (and PREFECT_API_KEY on Prefect Cloud), or choose a profile with "
                "`prefect profile use <name>`, then start the bot again.",
            )
        return self._connection

    async def one(self, path: str, model: type[Row]) -> Row:
        return self.parse(await self.checked("GET", path), model)

    async def json(self, method: str, path: str, body: Json | None = None) -> Any:
        response = await self.checked(method, path, body)
        try:
            return response.json()
        except ValueError:
            raise not_prefect(self.connected().address) from None

    async def rows(
        self, path: str, model: type[Row], body: Json, *, limit: int, offset: int = 0
    ) -> list[Row]:
        """Follows pages by offset until `limit` rows (at most MAX_ROWS) or the last page."""
        rows: list[Row] = []
        wanted = min(limit, MAX_ROWS)
        while len(rows) < wanted:
            size = min(self._page_size, wanted - len(rows))
            response = await self._send("POST", path, {**body, "limit": size, "offset": offset + len(rows)})
            if 0 < (allowed := _allowed_page_size(response)) < size:
                self._page_size = allowed
                continue
            page = self.parse_list(self._raise_for_status(response), model)
            rows.extend(page)
            if len(page) < size:
                break
        return rows

    async def first_rows(
        self, path: str, model: type[Row], body: Json, *, limit: int, max_bytes: int
    ) -> tuple[list[Row], bool]:
        """One page, of which no more than `max_bytes` is read; the second value: were rows left out by that?

        A row with a user's text, such as a log line or a state's message, may hold a megabyte.
        """
        size = min(limit, self._page_size)
        response = await self._send("POST", path, {**body, "limit": size}, max_bytes=max_bytes)
        if 0 < (allowed := _allowed_page_size(response)) < size:
            self._page_size = allowed
            return await self.first_rows(path, model, body, limit=allowed, max_bytes=max_bytes)
        whole = _whole_rows(self._raise_for_status(response).text)
        is_cut = len(response.content) >= max_bytes
        return cast(list[Row], self._valid(whole, TypeAdapter(list[model]))), is_cut  # type: ignore[valid-type]

    async def checked(
        self, method: str, path: str, body: Json | None = None, *, repeatable: bool = True
    ) -> httpx.Response:
        return self._raise_for_status(await self._send(method, path, body, repeatable=repeatable))

    def _raise_for_status(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        connection = self.connected()
        raise error_for(
            response.status_code, response.text, address=connection.address, is_cloud=connection.is_cloud
        )

    async def _send(
        self, method: str, path: str, body: Json | None = None, *, repeatable: bool = True, max_bytes: int = 0
    ) -> httpx.Response:
        self._count()
        response = await self._repeated(method, path, body, repeatable=repeatable, max_bytes=max_bytes)
        if response.status_code == httpx.codes.FORBIDDEN and _CSRF.search(response.text):
            await self._fetch_csrf_token()
            response = await self._repeated(method, path, body, repeatable=repeatable, max_bytes=max_bytes)
        return response

    def _count(self) -> None:
        if self._requests_left is None:
            return
        if self._requests_left == 0:
            raise Refused("It was not asked for, as enough was asked of Prefect for one answer.")
        self._requests_left -= 1

    async def _repeated(
        self, method: str, path: str, body: Json | None, *, repeatable: bool, max_bytes: int
    ) -> httpx.Response:
        failures = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                response = await self._once(method, path, body, max_bytes)
            except RETRIED_FAILURES as error:
                failures += 1
                if not repeatable or failures >= MAX_FAILURES:
                    raise self._unreachable(error) from None
                continue
            pause = _pause(response, attempt)
            if not repeatable or pause is None:
                return response
            await asyncio.sleep(pause)
        return response

    async def _once(self, method: str, path: str, body: Json | None, max_bytes: int) -> httpx.Response:
        self.connected()
        assert self._http is not None
        headers = {"Prefect-Csrf-Client": self._csrf_client, "Prefect-Csrf-Token": self._csrf_token}
        request = self._http.build_request(
            method, path, json=body, headers=headers if self._csrf_token else None
        )
        try:
            if max_bytes:
                return await _beginning(self._http, request, max_bytes)
            return await self._http.send(request)
        except RETRIED_FAILURES:
            raise
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    async def _fetch_csrf_token(self) -> None:
        self._csrf_token = ""
        answer = await self.checked("GET", f"csrf-token?client={self._csrf_client}")
        self._csrf_token = str(answer.json().get("token", ""))

    def _unreachable(self, error: httpx.HTTPError) -> ExpectedError:
        connection = self.connected()
        certificate = _is_certificate_problem(error)
        if certificate:
            fix = "Set PREFECT_API_SSL_CERT_FILE to the certificate of the authority that signed it."
            return Unreachable(f"The TLS certificate of Prefect at {connection.address} is not trusted.", fix)
        how = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
        return Unreachable(
            f"Prefect at {connection.address} {how}.",
            f"Check that the server runs and that PREFECT_API_URL (from {connection.source}) is right.",
        )

    def parse(self, response: httpx.Response, model: type[Row]) -> Row:
        return cast(Row, self._validated(response, TypeAdapter(model)))

    def parse_list(self, response: httpx.Response, model: type[Row]) -> list[Row]:
        return cast(list[Row], self._validated(response, TypeAdapter(list[model])))  # type: ignore[valid-type]

    def _validated(self, response: httpx.Response, shape: TypeAdapter[Any]) -> Any:
        return self._valid(response.content, shape)

    def _valid(self, content: bytes | str, shape: TypeAdapter[Any]) -> Any:
        try:
            return shape.validate_json(content)
        except ValidationError:
            raise not_prefect(self.connected().address) from None


def _http_client(connection: PrefectConnection) -> httpx.AsyncClient:
    headers = {name: value.get_secret_value() for name, value in connection.headers.items()}
    auth: httpx.Auth | None = None
    if connection.auth_string:
        user, _, password = connection.auth_string.get_secret_value().partition(":")
        auth = httpx.BasicAuth(user, password)
    elif connection.api_key:
        headers["Authorization"] = f"Bearer {connection.api_key.get_secret_value()}"
    return httpx.AsyncClient(
        base_url=f"{connection.api_url}/",
        headers=headers,
        auth=auth,
        timeout=TIMEOUT,
        verify=_tls(connection),
        limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
        # A proxy for the world outside does not lead to this machine.
        trust_env=urlsplit(connection.api_url).hostname not in LOOPBACK,
    )


async def _beginning(http: httpx.AsyncClient, request: httpx.Request, max_bytes: int) -> httpx.Response:
    """The response with at most `max_bytes` of its body; the rest is not waited for."""
    response = await http.send(request, stream=True)
    try:
        content = bytearray()
        async for part in response.aiter_bytes():
            content += part
            if len(content) >= max_bytes:
                break
    finally:
        await response.aclose()
    retry = {name: value for name, value in response.headers.items() if name == "retry-after"}
    return httpx.Response(response.status_code, headers=retry, content=bytes(content[:max_bytes]))


def _whole_rows(text: str) -> str:
    """A JSON list that ends anywhere, without the row that is not complete."""
    decoder = json.JSONDecoder()
    end = position = text.find("[") + 1
    while position and position < len(text):
        try:
            _row, end = decoder.raw_decode(text, position)
        except ValueError:
            break
        position = end + 1
    return f"{text[:end]}]"


def _tls(connection: PrefectConnection) -> ssl.SSLContext | bool:
    if urlsplit(connection.api_url).scheme != "https":
        # Trusts nobody. Reading the authorities of the world takes 25 ms, and nobody would ask for them.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if connection.verify_tls and connection.ca_file:
        return ssl.create_default_context(cafile=connection.ca_file)
    return connection.verify_tls


def _is_certificate_problem(error: httpx.HTTPError) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _allowed_page_size(response: httpx.Response) -> int:
    """The page size that the server allows, when it refused ours; else 0."""
    if response.status_code != httpx.codes.UNPROCESSABLE_ENTITY:
        return 0
    found = _ALLOWED_LIMIT.search(response.text)
    return int(found[1]) if found else 0


def _pause(response: httpx.Response, attempt: int) -> float | None:
    """Seconds to wait before the next try; None when this answer is final."""
    if response.status_code not in RETRIED_STATUSES or attempt == MAX_ATTEMPTS:
        return None
    asked = response.headers.get("Retry-After", "")
    if not asked.isdigit():
        return float(FIRST_PAUSE * 2 ** (attempt - 1))
    return float(asked) if float(asked) <= MAX_RETRY_AFTER else None
