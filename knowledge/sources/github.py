"""Releases and issues of a GitHub repository as a source.

Each page is held with what GitHub said of it: an issue with the time of its last change, from which the next
reading goes on; a release with the ETag of the list that it was in. Both carry a mark of the source's own
choice (labels, patterns, …): pages that were chosen otherwise do not count as held, so all is listed anew.
"""

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime

from knowledge.models import Page
from knowledge.sources.config import SourceConfig
from knowledge.sources.files import wanted
from knowledge.sources.github_api import Comment, GitHubApi, Issue, Release, github_client
from knowledge.sources.github_pages import (
    issue_page,
    issue_path,
    issue_prefix,
    release_page,
    release_path,
    release_prefix,
)
from knowledge.sources.outcome import FailedPage, Fetched, Total, Unchanged, Validators


async def read_github(config: SourceConfig, known: Mapping[str, Validators]) -> AsyncGenerator[Fetched]:
    """The releases, then the issues that changed, oldest change first; of those held, that they did not.

    A reading that breaks off goes on from there the next time. An issue that is deleted on GitHub stays until
    everything is read anew (`known` is empty).

    Raises:
        ExpectedError: see `GitHubApi.parts`.
    """
    reading = _Reading(config, known)
    async with github_client(config) as client:
        api = GitHubApi(client, config)
        if "releases" in config.what:
            async for outcome in reading.releases(api):
                yield outcome
        if "issues" in config.what:
            async for outcome in reading.issues(api):
                yield outcome


class _Reading:
    """One reading of a repository; `room` is how many more pages the source may have."""

    def __init__(self, config: SourceConfig, known: Mapping[str, Validators]) -> None:
        self.config = config
        self.mark = _mark(config)
        self.room = config.max_pages
        self.held = {
            path: Validators(said.etag.removeprefix(self.mark), said.last_modified)
            for path, said in known.items()
            if said.etag.startswith(self.mark)
        }

    async def releases(self, api: GitHubApi) -> AsyncGenerator[Fetched]:
        held = {
            path: said for path, said in self.held.items() if path.startswith(release_prefix(self.config))
        }
        newest = max(held.values(), key=lambda said: said.last_modified, default=Validators())
        pages = [page async for page in self._release_pages(api, newest.etag)]
        unchanged = [] if pages else list(held)
        self.room -= len(pages) + len(unchanged)
        yield Total(len(pages) + len(unchanged))
        for path in unchanged:
            yield Unchanged(path)
        for page in pages:
            yield page

    async def _release_pages(self, api: GitHubApi, etag: str) -> AsyncGenerator[Page]:
        """Every release that is wanted, newest first; nothing when the list has not changed."""
        room = self.room
        async for part in api.parts("releases", Release, etag=etag):
            for release in part.rows:
                path = release_path(self.config, release.tag_name)
                if not release.draft and room and wanted(path, self.config):
                    room -= 1
                    yield release_page(release, self.config, etag=f"{self.mark}{part.etag}")
            if not room:
                return

    async def issues(self, api: GitHubApi) -> AsyncGenerator[Fetched]:
        prefix = issue_prefix(self.config)
        held = {p: said.last_modified for p, said in self.held.items() if p.startswith(prefix)}
        listed = await self._listed(api, since=max(held.values(), default=""))
        chosen = {path: issue for path, issue in listed.items() if self._chosen(path, issue)}
        updated = {path: time for path, time in held.items() if path not in listed}
        updated |= {path: issue.updated_at.isoformat() for path, issue in chosen.items()}
        newest = sorted(updated, key=lambda path: updated[path])[-self.room :] if self.room else []
        yield Total(self.config.max_pages - self.room + len(newest))
        if len(updated) > len(newest):
            yield FailedPage(
                prefix.rstrip("/"), f"has more; the {len(newest)} changed last are read (`max_pages`)"
            )
        for path in newest:
            if held.get(path) == updated[path]:
                yield Unchanged(path)
            else:
                yield await self._issue_page(api, chosen[path])

    async def _listed(self, api: GitHubApi, *, since: str) -> dict[str, Issue]:
        """The issues that changed since; without a time all, though no more than there is room for.

        Newest change first: what changes meanwhile then comes twice instead of slipping between two answers.
        """
        query = {"state": "all", "sort": "updated", "direction": "desc"}
        if since:
            query["since"] = f"{datetime.fromisoformat(since):%Y-%m-%dT%H:%M:%SZ}"
        else:
            # Later on, issues that are of the choice no more have to be seen as well.
            query |= {"state": self.config.state, "labels": ",".join(self.config.labels)}
        found: dict[str, Issue] = {}
        async for part in api.parts(
            "issues", Issue, query={name: value for name, value in query.items() if value}
        ):
            for issue in part.rows:
                if issue.pull_request is None:
                    found.setdefault(issue_path(self.config, issue.number), issue)
            if not since and sum(self._chosen(path, issue) for path, issue in found.items()) > self.room:
                break
        return found

    def _chosen(self, path: str, issue: Issue) -> bool:
        carried = {label.name.casefold() for label in issue.labels}
        return (
            self.config.state in ("all", issue.state)
            and carried.issuperset(label.casefold() for label in self.config.labels)
            and wanted(path, self.config)
        )

    async def _issue_page(self, api: GitHubApi, issue: Issue) -> Page:
        comments = await api.ends(f"issues/{issue.number}/comments", Comment) if issue.comments else []
        return issue_page(issue, comments, self.config, etag=self.mark)


def _mark(config: SourceConfig) -> str:
    """Tells choices apart; stands before the ETag of each page."""
    choice = config.model_dump(
        mode="json", include={"repo", "what", "state", "labels", "include", "exclude", "max_pages", "api_url"}
    )
    return hashlib.sha256(json.dumps(choice, sort_keys=True).encode()).hexdigest()[:8] + ";"
