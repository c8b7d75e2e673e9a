"""The handle on the live index that a running program holds."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from knowledge.errors import BadInput, IndexMissing
from knowledge.generations import KEEP, Generations
from knowledge.index import Index, open_index
from knowledge.manifest import SourceState
from knowledge.models import Embedder, Passage
from knowledge.search import search
from knowledge.server import generations_at

logger = logging.getLogger(__name__)


class PageText(BaseModel):
    """A whole page."""

    model_config = ConfigDict(frozen=True)

    page: str
    title: str
    url: str
    source: str
    markdown: str


class IndexStatus(BaseModel):
    """What the open generation holds and how fresh it is."""

    model_config = ConfigDict(frozen=True)

    generation: int
    built_at: datetime
    embedder: str
    pages: int
    chunks: int
    sources: tuple[SourceState, ...]


class _Lease:
    """An open index, how many searches are using it, and whether it is to be closed after them."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.users = 0
        self.retired = False
        self.closed = False


class Library:
    """Searches the live generation and moves on to the next one; safe for reading from several threads."""

    def __init__(
        self, index_dir: Path, embedder: Embedder, *, chroma_url: str | None = None, keep: int = KEEP
    ) -> None:
        self._index_dir = index_dir
        self._chroma_url = chroma_url
        self._embedder = embedder
        self._keep = keep
        self._generations: Generations | None = None
        self._lease: _Lease | None = None
        self._lock = threading.Lock()
        self._moving = threading.Lock()

    @property
    def ready(self) -> bool:
        return self._lease is not None

    def open(self) -> None:
        """Open the live generation; raises IndexMissing, EmbedderMismatch, IndexDamaged or Unreachable."""
        self.refresh()

    def refresh(self) -> bool:
        """Move on when another generation has become the live one; tells whether it has."""
        with self._moving:
            generations = self._open_generations()
            number = generations.current()
            if self._lease and self._lease.index.manifest.generation == number:
                return False
            self._swap(open_index(generations, number, self._embedder.name))
            generations.prune(self._keep)
            return True

    def search(self, question: str, top: int = 8) -> list[Passage]:
        """Give the passages that answer the question best; BadInput when it has no words."""
        with self._reading() as index:
            return search(index, self._embedder, question, top)

    def page(self, page: str) -> PageText:
        """Give a page by its path; BadInput, with the nearest paths, when there is none."""
        path = page.strip().strip("/")
        with self._reading() as index:
            found = index.contents.find(path)
            if found is None:
                near = ", ".join(index.contents.near(path))
                raise BadInput(
                    f"There is no page {path[:100]!r}.", f"Near to it: {near}." if near else "Search for it."
                )
        return PageText(
            page=found.path, title=found.title, url=found.url, source=found.source, markdown=found.markdown
        )

    def status(self) -> IndexStatus:
        with self._reading() as index:
            return IndexStatus.model_validate(
                index.manifest.model_dump(include=set(IndexStatus.model_fields))
            )

    def close(self) -> None:
        self._swap(None)
        if self._generations:
            self._generations.close()
            self._generations = None

    def _open_generations(self) -> Generations:
        if self._generations is None:
            self._generations = generations_at(self._index_dir, self._chroma_url)
        return self._generations

    def _swap(self, index: Index | None) -> None:
        with self._lock:
            old, self._lease = self._lease, _Lease(index) if index else None
            if old:
                old.retired = True
        if old:
            self._close_unused(old)

    @contextmanager
    def _reading(self) -> Iterator[Index]:
        with self._lock:
            lease = self._lease
            if lease is None:
                raise IndexMissing(
                    "The index is not open yet.", "Try again in a moment, or run: ask-marvin reindex"
                )
            lease.users += 1
        try:
            yield lease.index
        finally:
            with self._lock:
                lease.users -= 1
            self._close_unused(lease)

    def _close_unused(self, lease: _Lease) -> None:
        with self._lock:
            closing = lease.retired and lease.users == 0 and not lease.closed
            lease.closed = lease.closed or closing
        if closing:
            lease.index.close()
