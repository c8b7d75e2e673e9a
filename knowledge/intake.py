"""Taking in one source: new pages are chunked, known ones carried over, failed ones keep their old copy."""

import logging
from collections.abc import Callable, Collection, Iterable
from itertools import islice

from knowledge.chunks import chunk_page
from knowledge.contents import Contents, content_hash
from knowledge.errors import ExpectedError, Unreachable
from knowledge.models import Page
from knowledge.previous import Previous
from knowledge.report import LISTED, Change, PageChange, PageCounts, SourceReport
from knowledge.sources.config import SourceConfig
from knowledge.sources.fetch import FailedPage, Fetched, Total, Unchanged, fetch

logger = logging.getLogger(__name__)


class Intake:
    """One source on its way from the fetch into the contents of a new generation."""

    def __init__(self, source: SourceConfig, previous: Previous, contents: Contents) -> None:
        self._source = source
        self._previous = previous
        self._contents = contents
        self._before = previous.hashes(source.name)
        self._taken: set[str] = set()
        self._counts = PageCounts()
        self._changes: list[PageChange] = []
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
        gone = self._before.keys() - self._taken
        return SourceReport(
            name=self._source.name,
            ok=not error,
            error=error,
            pages=self._counts + PageCounts(removed=len(gone)),
            changes=(*self._changes, *removed(self._previous, self._source.name, gone)),
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
        self._count_new(page, "added" if before is None else "changed")

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

    def _count_new(self, page: Page, change: Change) -> None:
        if getattr(self._counts, change) < LISTED:
            self._changes.append(PageChange.of(change, page))
        self._count(**{change: 1})

    def _count(self, **more: int) -> None:
        self._counts += PageCounts(**more)


def removed(previous: Previous, source: str, paths: Collection[str]) -> list[PageChange]:
    """Name pages of the generation before that are no more, as many as are listed."""
    pages = (previous.page(source, path) for path in islice(sorted(paths), LISTED))
    return [PageChange.of("removed", page) for page in pages]
