"""The generation that a build starts from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from knowledge.chunks import CHUNKER, chunk_page
from knowledge.contents import CONTENTS, Contents
from knowledge.errors import IndexDamaged, IndexMissing
from knowledge.evaluation import Scores
from knowledge.generations import Generations
from knowledge.manifest import SourceState, changed_files, read_manifest
from knowledge.models import Page
from knowledge.sources.fetch import Validators
from knowledge.symbols.table import SYMBOLS, Symbols, read_symbols

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Previous:
    """What an older generation holds, as far as it can still be read; all empty when there is none."""

    number: int = 0
    live: bool = False
    """It is what is served. Else the live one cannot be read, and this is the newest that can."""
    contents: Contents | None = None
    states: tuple[SourceState, ...] = ()
    reusable: bool = False
    """Its chunks and vectors are like those made now, and no file of it was damaged."""
    score: Scores | None = None
    symbols: Symbols | None = None

    def sources(self) -> list[str]:
        return self.contents.sources() if self.contents else []

    def hashes(self, source: str) -> dict[str, str]:
        return self.contents.hashes(source) if self.contents else {}

    def validators(self, source: str) -> dict[str, Validators]:
        """Give what conditional requests for a source's pages send; none when everything is to be fetched."""
        if not self.contents or not self.reusable:
            return {}
        return {page.path: _validators(page) for page in self.contents.pages(source)}

    def state(self, source: str) -> SourceState | None:
        return next((state for state in self.states if state.name == source), None)

    def page(self, source: str, path: str) -> Page:
        """Give a page that is known to be there."""
        page = self.contents.page(source, path) if self.contents else None
        assert page is not None
        return page

    def carry(self, source: str, path: str, into: Contents) -> None:
        """Take a page over as it was, with its chunks and vectors where they can be used."""
        self.put(self.page(source, path), into)

    def put(self, page: Page, into: Contents) -> None:
        """Write a page whose text is the same as here."""
        if self.contents and self.reusable:
            into.put_again(page, self.contents)
        else:
            into.put(page, chunk_page(page))


@contextmanager
def open_previous(generations: Generations, embedder: str, *, full: bool) -> Iterator[Previous]:
    """Open the live generation to build upon; with `full`, only for sources that fail to fall back on.

    Where it cannot be read, an older one still has the pages of sources that are not read now.
    """
    previous = _newest(generations, embedder, full=full)
    try:
        yield previous
    finally:
        if previous.contents:
            previous.contents.close()


def _newest(generations: Generations, embedder: str, *, full: bool) -> Previous:
    live = 0
    try:
        live = generations.current()
        return _open(generations, live, embedder, live=True, full=full)
    except (IndexMissing, IndexDamaged) as error:
        logger.info("Nothing can be taken over from what is live: %s", error.message)
    for number in generations.to_fall_back_on(live):
        with suppress(IndexDamaged):
            return _open(generations, number, embedder, live=False, full=full)
    return Previous()


def _open(generations: Generations, number: int, embedder: str, *, live: bool, full: bool) -> Previous:
    generations.ensure(number)
    folder = generations.folder(number)
    manifest = read_manifest(folder)
    changed = changed_files(folder, manifest)
    if CONTENTS in changed:
        raise IndexDamaged(f"The texts of generation {number} were damaged.")
    reusable = not full and not changed and manifest.same_kind(embedder, CHUNKER)
    symbols = read_symbols(folder) if SYMBOLS not in changed else None
    contents = Contents.open(folder / CONTENTS)
    return Previous(number, live, contents, manifest.sources, reusable, manifest.score, symbols)


def _validators(page: Page) -> Validators:
    return Validators(page.metadata.get("etag", ""), page.metadata.get("last_modified", ""))
