"""GitHub's REST API on this machine: strict where GitHub is, every request remembered.

async with FakeGitHub() as github:
    github.repo("owner/name").issue(1, "It crashes", comments=[comment("Fixed by 3.4.")])
    …
    assert github.paths == ["/repos/owner/name/issues"]

It pages by Link header, answers 304 to a known ETag without charging it (to those with a token), counts the
requests of each hour, lists pull requests among issues, and hides private repositories behind 404.
"""

import hashlib
import json
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from aiohttp import web

TOKEN = "ghp_testtoken0123456789"
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_MAX_PER_PAGE = 100
_LIST = {"per_page", "page"}
_QUERIES = {
    "releases": _LIST,
    "issues": _LIST | {"state", "labels", "sort", "direction", "since"},
    "comments": _LIST | {"since"},
}


def at(day: int) -> str:
    """The moment so many days after the first, as GitHub writes it."""
    return (START + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")


def comment(body: str | None, *, day: int = 0, by: str = "someone", role: str = "NONE", **more: Any) -> Any:
    kind = "Bot" if by.endswith("[bot]") else "User"
    return {
        "body": body,
        "user": {"login": by, "type": kind},
        "author_association": role,
        "created_at": at(day),
        **more,
    }


@dataclass
class Repository:
    """One repository as GitHub holds it."""

    name: str
    url: str
    private: bool = False
    has_issues: bool = True
    releases: list[dict[str, Any]] = field(default_factory=list)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def release(self, tag: str, body: str | None = "Notes.", *, day: int = 0, **more: Any) -> None:
        row: dict[str, Any] = {
            "tag_name": tag,
            "name": tag,
            "body": body,
            "html_url": f"{self.url}/releases/tag/{tag}",
            "draft": False,
            "prerelease": False,
            "published_at": at(day),
            "assets": [],
        }
        self.releases.insert(0, row | more)

    def issue(
        self,
        number: int,
        title: str = "A problem",
        body: str | None = "It fails.",
        *,
        day: int = 0,
        state: str = "open",
        reason: str | None = None,
        labels: Sequence[str] = (),
        comments: Iterable[dict[str, Any]] = (),
        pull_request: bool = False,
        by: str = "reporter",
    ) -> None:
        """Put an issue there, or another version of it; `day` is when it changed last."""
        given = list(comments)
        self.comments[number] = [{"id": number * 1000 + i, **row} for i, row in enumerate(given)]
        self.issues[number] = {
            "number": number,
            "title": title,
            "body": body,
            "state": state,
            "state_reason": reason,
            "labels": [{"id": 1, "name": name} for name in labels],
            "comments": len(given),
            "user": {"login": by, "type": "User"},
            "created_at": at(0),
            "updated_at": at(day),
            "closed_at": at(day) if state == "closed" else None,
            "html_url": f"{self.url}/{'pull' if pull_request else 'issues'}/{number}",
            **({"pull_request": {"url": "…"}} if pull_request else {}),
        }


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int


class FakeGitHub:
    """A server of repositories. `allowed` is how many requests are left to this client in this hour."""

    def __init__(self, *, page_size: int = _MAX_PER_PAGE) -> None:
        self.asked: list[Asked] = []
        self.mistakes: list[str] = []
        self.url = ""
        self.allowed = 5000
        self.resets_in = 3600
        self.page_size = page_size
        self._answers: deque[tuple[int, dict[str, str], str]] = deque()
        self._repositories: dict[str, Repository] = {}
        self._moved: dict[str, str] = {}
        self._runner: web.AppRunner | None = None

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def repo(self, name: str, **more: Any) -> Repository:
        made = Repository(name, f"https://github.example/{name}", **more)
        return self._repositories.setdefault(name.lower(), made)

    def move(self, old: str, new: str) -> None:
        """Rename a repository: the old name redirects."""
        self._moved[old.lower()] = new

    def next(self, status: int, headers: dict[str, str] | None = None, message: str = "") -> None:
        """Answer the next request so, whatever it is."""
        self._answers.append((status, headers or {}, message))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/repos/{owner}/{name}/releases", self._releases)
        app.router.add_get("/repos/{owner}/{name}/issues", self._issues)
        app.router.add_get("/repos/{owner}/{name}/issues/{number}/comments", self._comments)
        app.middlewares.append(self._gate)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        assert not self.mistakes, self.mistakes

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response = await self._allowed(request, handler)
        headers, query = dict(request.headers), dict(request.query)
        self.asked.append(Asked(request.path, query, headers, response.status))
        return response

    async def _allowed(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("User-Agent", "") == "" or "X-GitHub-Api-Version" not in request.headers:
            self.mistakes.append(f"{request.path}: no User-Agent or API version")
        if self._answers:
            status, headers, message = self._answers.popleft()
            return _json({"message": message}, status, headers)
        given = request.headers.get("Authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            return _json({"message": "Bad credentials"}, 401)
        if self.allowed <= 0:
            return _json({"message": "API rate limit exceeded for 127.0.0.1."}, 403, self._limits())
        _, _, owner, name, rest = request.path.split("/", 4)
        if target := self._moved.get(f"{owner}/{name}".lower()):
            return _json({}, 301, {"Location": f"{self.url}/repos/{target}/{rest}?{request.query_string}"})
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            response = _json({"message": "Not Found"}, 404)
        if response.status != 304 or given is None:
            self.allowed -= 1
        response.headers.update(self._limits())
        return response

    def _limits(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": "5000",
            "x-ratelimit-remaining": str(max(0, self.allowed)),
            "x-ratelimit-reset": str(int(time.time()) + self.resets_in),
        }

    def _repository(self, request: web.Request) -> Repository:
        name = f"{request.match_info['owner']}/{request.match_info['name']}".lower()
        found = self._repositories.get(name)
        if found is None or (found.private and "Authorization" not in request.headers):
            raise web.HTTPNotFound
        return found

    async def _releases(self, request: web.Request) -> web.Response:
        return self._list(request, "releases", self._repository(request).releases)

    async def _issues(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        if not repository.has_issues:
            return _json({"message": "Issues are disabled for this repo"}, 410)
        query = request.query
        wanted = set(filter(None, query.get("labels", "").casefold().split(",")))
        state, since = query.get("state", "open"), query.get("since", "")
        rows = [
            row
            for row in repository.issues.values()
            if state in ("all", row["state"])
            and row["updated_at"] >= since
            and wanted <= {label["name"].casefold() for label in row["labels"]}
        ]
        by = {"created": "created_at", "updated": "updated_at"}[query.get("sort", "created")]
        rows.sort(key=lambda row: (row[by], row["number"]), reverse=query.get("direction", "desc") == "desc")
        return self._list(request, "issues", rows)

    async def _comments(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        return self._list(request, "comments", self._repository(request).comments[number])

    def _list(self, request: web.Request, what: str, rows: list[dict[str, Any]]) -> web.Response:
        if unknown := set(request.query) - _QUERIES[what]:
            self.mistakes.append(f"{request.path}: GitHub ignores {sorted(unknown)}")
        size = min(int(request.query.get("per_page", 30)), _MAX_PER_PAGE, self.page_size)
        page, last = int(request.query.get("page", 1)), max(1, -(-len(rows) // size))
        body = json.dumps(rows[(page - 1) * size : page * size])
        etag = f'W/"{hashlib.sha256(body.encode()).hexdigest()}"'
        headers = {"ETag": etag}
        if last > 1:
            headers["Link"] = ", ".join(self._links(request, page, last))
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(text=body, content_type="application/json", headers=headers)

    def _links(self, request: web.Request, page: int, last: int) -> Iterable[str]:
        numbers = {"next": page + 1, "last": last} if page < last else {"prev": page - 1, "first": 1}
        for rel, number in numbers.items():
            url = request.rel_url.update_query(page=str(number))
            yield f'<{self.url}{url}>; rel="{rel}"'


def _json(document: Any, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(document, status=status, headers=headers)
