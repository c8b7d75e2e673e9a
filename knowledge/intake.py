"""Taking in one source: new pages are chunked, known ones carried over, failed ones keep their old copy."""

import logging
from collections.abc import Callable, Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict

from knowledge.chunks import chunk_page
from knowledge.contents import Contents, content_hash
from knowledge.errors import ExpectedError, Unreachable
from knowledge.models import Page
from knowledge.previous import Previous
from knowledge.sources.config import SourceConfig
from knowledge.sources.fetch import FailedPage, Fetched, Total, Unchanged, fetch

logger = logging.getLogger(__name__)


class PageCounts(BaseModel):
    """What became of pages, compared with the generation before."""

    model_config = ConfigDict(frozen=True)

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    """Could not be read; where there was an older copy, it was kept."""

    def __add__(self, other: Self) -> Self:
        return self.model_copy(
            update={name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields}
        )

    def differ(self) -> bool:
        """Tell whether anything is to be written."""
        return bool(self.added or self.changed or self.removed)


class SourceReport(BaseModel):
    """How taking in one source went."""

    model_config = ConfigDict(frozen=True)

    name: str
    ok: bool
    error: str = ""
    """One sentence when the source as a whole failed; its old pages were kept."""
    pages: PageCounts


class Intake:
    """One source on its way from the fetch into the contents of a new generation."""

    def __init__(self, source: SourceConfig, previous: Previous, contents: Contents) -> None:
        self._source = source
        self._previous = previous
        self._contents = contents
        self._before = previous.hashes(source.name)
        self._taken: set[str] = set()
        self._counts = PageCounts()
        self._total = 0

    async def run(self, progress: Callable[[int, int], None]) -> SourceReport:
        """Fetch the whole source; `progress` is told (pages done, pages expected or 0)."""
        error = ""
        try:
            async for fetched in fetch(self._source, self._previous.validators(self._source.name)):
                self._take(fetched)
                progress(sum(self._counts.model_dump().values()), self._total)
            if not self._taken and self._before:
                # A site that is empty from one day to the next is broken rather than empty.
                raise Unreachable(f"Source {self._source.name!r} has no pages any more.")
        except ExpectedError as failure:
            error = str(failure)
            self._keep(self._before)
        removed = len(self._before.keys() - self._taken)
        return SourceReport(
            name=self._source.name,
            ok=not error,
            error=error,
            pages=self._counts + PageCounts(removed=removed),
        )

    def _take(self, fetched: Fetched) -> None:
        if isinstance(fetched, Total):
            self._total = fetched.pages
        elif isinstance(fetched, Page):
            self._take_page(fetched)
        elif isinstance(fetched, Unchanged):
            self._keep([fetched.path])
        else:
            self._take_failed(fetched)

    def _take_page(self, page: Page) -> None:
        if page.path in self._taken:
            return
        self._taken.add(page.path)
        before = self._before.get(page.path)
        if before == content_hash(page):
            self._previous.put(page, self._contents)
            self._count(unchanged=1)
            return
        self._contents.put(page, chunk_page(page))
        self._count(added=before is None, changed=before is not None)

    def _take_failed(self, failed: FailedPage) -> None:
        logger.warning("Source %s: %s: %s", self._source.name, failed.path_or_url, failed.reason)
        self._count(failed=1)
        path = failed.path_or_url
        if path in self._before and path not in self._taken:
            self._carry(path)

    def _keep(self, paths: Iterable[str]) -> None:
        for path in paths:
            if path in self._before and path not in self._taken:
                self._carry(path)
                self._count(unchanged=1)

    def _carry(self, path: str) -> None:
        self._taken.add(path)
        self._previous.carry(self._source.name, path, self._contents)

    def _count(self, **more: int) -> None:
        self._counts += PageCounts(**more)
