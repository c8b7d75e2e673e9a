"""A polite HTTP client of one website: stays on its host, within limits, and tries again within reason."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

USER_AGENT = "ask-marvin"

ATTEMPTS = 3
NOT_READY = frozenset({502, 503, 504})
_BUSY = NOT_READY | {429}
# Longer than this a site cannot make one page wait; the page is then reported as failed instead.
_MAX_WAIT_SECONDS = 30.0
_FIRST_WAIT_SECONDS = 0.5
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response, after redirects."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text; bytes that do not fit its encoding become U+FFFD."""
        _, _, said = self.headers.get("content-type", "").lower().partition("charset=")
        encoding = said.partition(";")[0].strip(" \"'") or "utf-8"
        # Python has encodings that are none of text, and some that refuse to replace anything.
        with contextlib.suppress(LookupError, ValueError):
            return self.body.decode(encoding, errors="replace")
        return self.body.decode("utf-8", errors="replace")


class RequestFailed(Exception):
    """One address could not be read; `reason` says why. `silent` when the site did not answer at all."""

    def __init__(self, reason: str, *, silent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.silent = silent


class Site:
    """Reads addresses of one host. Requests are spaced by `delay` seconds, which robots.txt may set.

    Answers of a status in `retried` are asked for again; `timeout` is the seconds that one request may take.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        *,
        timeout: float,
        retried: frozenset[int] = _BUSY,
    ) -> None:
        self.base = httpx.URL(base_url)
        self.timeout = timeout
        self.delay = 0.0
        self._retried = retried
        self._client = client
        self._turn = asyncio.Lock()
        self._next_turn = 0.0

    def owns(self, url: str) -> bool:
        """Whether the address is on this site: the same host and port, never less encrypted."""
        try:
            other = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        if (other.scheme, other.host, other.port) == (self.base.scheme, self.base.host, self.base.port):
            return not other.userinfo
        upgraded = (
            (self.base.scheme, other.scheme) == ("http", "https") and not self.base.port and not other.port
        )
        return upgraded and other.host == self.base.host and not other.userinfo

    async def get(self, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer of any status; at most `limit` bytes are read.

        Raises:
            RequestFailed: no answer within the tries, too large, or redirected away from the host.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._persistently(url, limit, headers or {})
            target = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or not target:
                return answer
            # httpx has already refused a target that is no address.
            url = str(httpx.URL(url).join(target))
            if not self.owns(url):
                raise RequestFailed(f"redirects to another host, {httpx.URL(url).host}")
        raise RequestFailed(f"redirects more than {_MAX_REDIRECTS} times")

    async def _persistently(self, url: str, limit: int, headers: Mapping[str, str]) -> Answer:
        for attempt in range(1, ATTEMPTS + 1):
            wait = _FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
            try:
                answer = await self._once(url, limit, headers)
            except (httpx.TransportError, TimeoutError) as error:
                problem = _problem(error, self.timeout)
            else:
                if answer.status not in self._retried:
                    return answer
                problem = f"answers {answer.status}"
                wait = _retry_after(answer.headers.get("retry-after", ""), wait)
            if wait > _MAX_WAIT_SECONDS:
                raise RequestFailed(f"{problem} and asks to wait {wait:.0f} s", silent=True)
            if attempt < ATTEMPTS:
                await asyncio.sleep(wait)
        raise RequestFailed(f"{problem}, {ATTEMPTS} times", silent=True)

    async def _once(self, url: str, limit: int, headers: Mapping[str, str]) -> Answer:
        await self._wait_for_turn()
        # httpx limits each wait for bytes; this limits the whole, against a site that drips.
        async with asyncio.timeout(self.timeout), self._opened(url, headers) as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > limit:
                    raise RequestFailed(f"is larger than {limit} bytes (`max_page_bytes`)")
            return Answer(url, response.status_code, response.headers, bytes(body))

    @contextlib.asynccontextmanager
    async def _opened(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        try:
            async with self._client.stream("GET", url, headers=dict(headers)) as response:
                yield response
        except (httpx.InvalidURL, httpx.DecodingError, httpx.UnsupportedProtocol) as error:
            raise RequestFailed("has no readable answer") from error

    async def _wait_for_turn(self) -> None:
        if not self.delay:
            return
        async with self._turn:
            await asyncio.sleep(max(0.0, self._next_turn - time.monotonic()))
            self._next_turn = time.monotonic() + self.delay


def _problem(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"does not answer within {timeout:g} s"
    return "cannot be reached" if isinstance(error, httpx.ConnectError) else "breaks off its answer"


def _retry_after(value: str, otherwise: float) -> float:
    """Seconds to wait by a Retry-After header, which holds seconds or a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return otherwise
