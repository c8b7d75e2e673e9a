"""The generation that a build starts from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from knowledge.chunks import CHUNKER, chunk_page
from knowledge.contents import CONTENTS, Contents
from knowledge.errors import IndexDamaged, IndexMissing
from knowledge.generations import Generations
from knowledge.manifest import SourceState, changed_files, read_manifest
from knowledge.models import Page
from knowledge.sources.fetch import Validators

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Previous:
    """What an older generation holds, as far as it can still be read; all empty when there is none."""

    number: int = 0
    contents: Contents | None = None
    states: tuple[SourceState, ...] = ()
    reusable: bool = False
    """Its chunks and vectors are like those made now, and no file of it was damaged."""

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

    def carry(self, source: str, path: str, into: Contents) -> None:
        """Take a page over as it was, with its chunks and vectors where they can be used."""
        page = self.contents.page(source, path) if self.contents else None
        assert page is not None
        self.put(page, into)

    def put(self, page: Page, into: Contents) -> None:
        """Write a page whose text is the same as here."""
        if self.contents and self.reusable:
            into.put_again(page, self.contents)
        else:
            into.put(page, chunk_page(page))


@contextmanager
def open_previous(generations: Generations, embedder: str, *, full: bool) -> Iterator[Previous]:
    """Open the live generation to build upon; with `full`, only for sources that fail to fall back on."""
    try:
        number = generations.current()
        generations.ensure(number)
        previous = _open(generations, number, embedder, full=full)
    except (IndexMissing, IndexDamaged) as error:
        logger.info("Building from nothing: %s", error.message)
        yield Previous()
        return
    try:
        yield previous
    finally:
        if previous.contents:
            previous.contents.close()


def _open(generations: Generations, number: int, embedder: str, *, full: bool) -> Previous:
    folder = generations.folder(number)
    manifest = read_manifest(folder)
    changed = changed_files(folder, manifest)
    if CONTENTS in changed:
        raise IndexDamaged(f"The texts of generation {number} were damaged.")
    reusable = not full and not changed and manifest.same_kind(embedder, CHUNKER)
    return Previous(number, Contents.open(folder / CONTENTS), manifest.sources, reusable)


def _validators(page: Page) -> Validators:
    return Validators(page.metadata.get("etag", ""), page.metadata.get("last_modified", ""))
