"""GitHub's REST API, read one request at a time: lists page by page, and within its limits.

Facts: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api and its page on
rate limits. Requests one after another are what GitHub asks for; side by side they meet its second limit.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from knowledge.sources.config import SourceConfig
from knowledge.sources.site import NOT_READY, USER_AGENT, Answer, RequestFailed, Site

# What GitHub gives at most in one answer.
PER_PAGE = 100
# A hundred rows with bodies of the largest size that GitHub takes (65,536 characters).
_MAX_ANSWER_BYTES = 30_000_000
# 100,000 rows; the list of a larger repository is cut there.
_MAX_PARTS = 1_000
# Seconds that one reading may wait for limits altogether: enough for the short ones, not for the hourly one.
_PATIENCE_SECONDS = 120.0
_MAX_TRIES = 4
# What GitHub asks for where it names no time.
_UNNAMED_WAIT_SECONDS = 60.0
# GitHub's limits are by the hour; a date of some later millennium is none that can be told.
_LONGEST_WAIT_SECONDS = 86_400.0
_MAX_SAID = 200

_LINK = re.compile(r'<(?P<url>[^<>]+)>\s*;\s*rel="(?P<rel>\w+)"')

Row = TypeVar("Row", bound="Wire")


class Wire(BaseModel):
    """What GitHub answers; fields that are not named here are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Author(Wire):
    login: str = ""
    type: str = ""


class Label(Wire):
    name: str = ""


class Release(Wire):
    html_url: str
    tag_name: str
    name: str | None = None
    body: str | None = None
    draft: bool = False
    prerelease: bool = False
    published_at: datetime | None = None


class Issue(Wire):
    number: int
    html_url: str
    title: str
    state: str
    state_reason: str | None = None
    labels: tuple[Label, ...] = ()
    body: str | None = None
    comments: int = 0
    user: Author | None = None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    pull_request: dict[str, Any] | None = None
    """Set when it is a pull request, which GitHub lists among the issues."""


class Comment(Wire):
    id: int
    body: str | None = None
    user: Author | None = None
    author_association: str = ""
    created_at: datetime


class Part(BaseModel):
    """One answer of a list."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    rows: list[Any]
    etag: str
    next: str
    last: str


class GitHubApi:
    """One repository of one server."""

    def __init__(self, client: httpx.AsyncClient, config: SourceConfig) -> None:
        # A busy answer (429) is judged here, by what GitHub says about its limits.
        self._site = Site(client, config.api_url, timeout=config.timeout, retried=NOT_READY)
        self._config = config
        self._patience = _PATIENCE_SECONDS

    async def parts(
        self, path: str, row: type[Row], *, query: Mapping[str, str] | None = None, etag: str = ""
    ) -> AsyncIterator[Part]:
        """The answers of a list below the repository; none when its first is still the one of `etag`.

        Raises:
            BadInput: there is no such repository for us, or its issues are switched off.
            Refused: GitHub does not accept the token, or not for this.
            Unreachable: no answer, or the limit of requests is used up.
        """
        url = self._url(path, query or {})
        for _ in range(_MAX_PARTS):
            answer = await self._get(url, etag)
            if answer.status == httpx.codes.NOT_MODIFIED:
                return
            part = self._part(answer, row)
            yield part
            if not part.next:
                return
            url, etag = part.next, ""

    async def ends(self, path: str, row: type[Row]) -> list[Row]:
        """The first hundred rows of a list, and those of its last answer where there are more."""
        first = self._part(await self._get(self._url(path, {}), ""), row)
        last = self._part(await self._get(first.last, ""), row) if first.last else None
        return [*first.rows, *(last.rows if last else [])]

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        url = f"{self._config.api_url}/repos/{self._config.repo}/{path}"
        return str(httpx.URL(url, params={"per_page": str(PER_PAGE), **query}))

    async def _get(self, url: str, etag: str) -> Answer:
        headers = {"if-none-match": etag} if etag else {}
        for _ in range(_MAX_TRIES):
            try:
                answer = await self._site.get(url, limit=_MAX_ANSWER_BYTES, headers=headers)
            except RequestFailed as error:
                raise self._unreachable(f"{self._site.base.host} {error.reason}") from error
            wait = limit_wait(answer, time.time())
            if wait is None:
                return answer if answer.status in (200, 304) else self._fail(answer)
            if wait > self._patience:
                raise self._limited(wait)
            self._patience -= wait
            await asyncio.sleep(wait)
        raise self._limited(_UNNAMED_WAIT_SECONDS)

    def _part(self, answer: Answer, row: type[Row]) -> Part:
        try:
            rows = TypeAdapter(list[row]).validate_json(answer.body)  # type: ignore[valid-type]
        except ValidationError:
            raise BadInput(
                f"Source {self._config.name!r}: {self._config.api_url} does not speak GitHub's REST API.",
                "Correct its `api_url`; on GitHub Enterprise it is https://HOST/api/v3.",
            ) from None
        links = {link["rel"]: link["url"] for link in _LINK.finditer(answer.headers.get("link", ""))}
        if foreign := [url for url in links.values() if not self._site.owns(url)]:
            raise self._unreachable(f"its list goes on at another host, {foreign[0][:_MAX_SAID]}")
        etag = answer.headers.get("etag", "")
        return Part(rows=rows, etag=etag, next=links.get("next", ""), last=links.get("last", ""))

    def _fail(self, answer: Answer) -> Answer:
        """Raise what the answer means."""
        name, repo = self._config.name, self._config.repo
        match answer.status:
            case 401:
                raise Refused(
                    f"Source {name!r}: GitHub does not accept the token in GITHUB_TOKEN.",
                    "Set a valid one; for a public repository none is needed.",
                )
            case 404:
                raise self._not_there()
            case 410:
                raise BadInput(
                    f"Source {name!r}: the issues of {repo} are switched off.",
                    'Write `what = ["releases"]` in the source.',
                )
            case 403 | 451:
                raise Refused(
                    f"Source {name!r}: GitHub refuses to give {repo}{_said(answer)}.",
                    "Use a token in GITHUB_TOKEN that may read it (issues and contents).",
                )
        raise self._unreachable(f"{self._site.base.host} answers {answer.status}")

    def _not_there(self) -> ExpectedError:
        message = f"Source {self._config.name!r}: there is no repository {self._config.repo} at GitHub"
        if self._config.token is None:
            return BadInput(
                f"{message}, or it is private.",
                "Correct `repo`, or set GITHUB_TOKEN to one that may read it.",
            )
        return BadInput(
            f"{message} that this token may read.", "Correct `repo`, or let the token read the repository."
        )

    def _unreachable(self, problem: str) -> Unreachable:
        return Unreachable(
            f"Source {self._config.name!r} cannot be read: {problem}.",
            f"Check the network and the source's `api_url` ({self._config.api_url}), or try again later.",
        )

    def _limited(self, wait: float) -> Unreachable:
        free = datetime.fromtimestamp(time.time() + min(wait, _LONGEST_WAIT_SECONDS), UTC)
        message = (
            f"Source {self._config.name!r}: GitHub's limit of requests is used up until {free:%H:%M} UTC; "
            "what was read so far is kept."
        )
        if self._config.token:
            return Unreachable(message, "Reindex again after that: it goes on from there.")
        return Unreachable(
            message, "Set GITHUB_TOKEN: without a token GitHub allows 60 requests an hour, with one 5,000."
        )


def github_client(config: SourceConfig) -> httpx.AsyncClient:
    """A client that sends the source's token, if it has one; `Site` keeps it to one host."""
    headers = {
        "user-agent": USER_AGENT,
        "accept": "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
    }
    if config.token:
        headers["authorization"] = f"Bearer {config.token.get_secret_value()}"
    return httpx.AsyncClient(timeout=httpx.Timeout(config.timeout), headers=headers)


def limit_wait(answer: Answer, now: float) -> float | None:
    """Seconds after which GitHub may be asked again; None when the answer is not about a limit."""
    if answer.status not in (403, 429):
        return None
    headers = answer.headers
    if (after := headers.get("retry-after", "")).isdecimal():
        return float(after)
    if (
        headers.get("x-ratelimit-remaining") == "0"
        and (reset := headers.get("x-ratelimit-reset", "")).isdecimal()
    ):
        # A second more, as clocks differ.
        return max(0.0, float(reset) - now) + 1.0
    limited = answer.status == 429 or "rate limit" in answer.text[:1_000].lower()
    return _UNNAMED_WAIT_SECONDS if limited else None


def _said(answer: Answer) -> str:
    """GitHub's own reason, such as an organization's single sign-on."""
    try:
        message = TypeAdapter(dict[str, Any]).validate_json(answer.body).get("message")
    except ValidationError:
        return ""
    return f": {' '.join(message.split())[:_MAX_SAID].rstrip('.')}" if isinstance(message, str) else ""
