"""The handle on the live index that a running program holds."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from knowledge.confidence import WEAK_BELOW
from knowledge.errors import BadInput, IndexMissing
from knowledge.freshness import read_book, with_freshness
from knowledge.generations import KEEP, Generations
from knowledge.index import Index, open_index
from knowledge.manifest import SourceState
from knowledge.models import Embedder, Passage
from knowledge.rollback import GenerationInfo, list_generations
from knowledge.search import Found, find, search
from knowledge.server import generations_at
from knowledge.symbols.table import Symbols

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
        self,
        index_dir: Path,
        embedder: Embedder,
        *,
        chroma_url: str | None = None,
        keep: int = KEEP,
        weak_below: float = WEAK_BELOW,
    ) -> None:
        self._index_dir = index_dir
        self._chroma_url = chroma_url
        self._embedder = embedder
        self._keep = keep
        self._weak_below = weak_below
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

    def find(self, question: str, top: int = 8) -> Found:
        """Search, and tell how sure it is that the answer is in what was found; BadInput as above."""
        with self._reading() as index:
            return find(index, self._embedder, question, top, weak_below=self._weak_below)

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

    def symbols(self) -> Symbols | None:
        """Give the symbol table of the configured Prefect; None when the open generation has none."""
        with self._reading() as index:
            return index.symbols

    def status(self) -> IndexStatus:
        """Say what is held; not for an event loop, as a Chroma server is asked how fresh it is."""
        with self._reading() as index:
            held = index.manifest.model_dump(include=set(IndexStatus.model_fields) - {"sources"})
            states = index.manifest.sources
        book = read_book(self._open_generations().freshness())
        return IndexStatus(**held, sources=with_freshness(states, book))

    def generations(self) -> list[GenerationInfo]:
        """Describe the generations that are kept, oldest first; not for an event loop either."""
        return list_generations(self._index_dir, self._embedder, chroma_url=self._chroma_url)

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
