"""One generation of the index, open for searching."""

import logging
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from knowledge import lexicon
from knowledge.chunks import CHUNKER
from knowledge.contents import CONTENTS, Contents
from knowledge.errors import EmbedderMismatch, IndexDamaged
from knowledge.generations import Generations
from knowledge.keywords import Keywords, write_keywords
from knowledge.lexicon import Lexicon
from knowledge.manifest import KnownVector, Manifest, changed_files, read_manifest
from knowledge.symbols.table import Symbols, read_symbols
from knowledge.vectors import DenseIndex

logger = logging.getLogger(__name__)

KEYWORDS = "tantivy"
REBUILD = "Run: ask-marvin reindex --full"
# float16 keeps three digits.
SAME = 0.99


@dataclass(frozen=True)
class Index:
    """Texts, keywords, vectors and manifest of one generation; safe to read from several threads."""

    manifest: Manifest
    contents: Contents
    keywords: Keywords
    vectors: DenseIndex
    lexicon: Lexicon
    symbols: Symbols | None = None
    opened: ExitStack = field(default_factory=ExitStack)
    """What is to be closed with it."""

    def close(self) -> None:
        self.opened.close()


def write_derived(folder: Path, contents: Contents) -> None:
    """Make what keyword search needs from a generation's texts."""
    write_keywords(folder / KEYWORDS, contents.all_chunks())
    lexicon.save(lexicon.learn(chunk for _, chunk in contents.all_chunks()), folder)


def open_index(generations: Generations, number: int, embedder: str) -> Index:
    """Open a generation after making sure that it is what its manifest says.

    Raises:
        EmbedderMismatch: questions of that embedder cannot be compared with it.
        IndexDamaged: it is not as it was built.
    """
    generations.ensure(number)
    folder = generations.folder(number)
    manifest = _manifest_of(folder, embedder)
    with ExitStack() as opening:
        opening.enter_context(generations.reading(number))
        return _open(generations, manifest, folder, opening)


def open_built(generations: Generations, number: int, embedder: str) -> Index:
    """Open a generation that is written but not sealed; raises like `open_index`."""
    folder = generations.building(number)
    manifest = _manifest_of(folder, embedder)
    with ExitStack() as opening:
        return _open(generations, manifest, folder, opening)


def _manifest_of(folder: Path, embedder: str) -> Manifest:
    manifest = read_manifest(folder)
    _require_same_kind(manifest, embedder)
    if changed := changed_files(folder, manifest):
        number = manifest.generation
        logger.warning("Changed since generation %d was built: %s", number, ", ".join(changed))
        raise IndexDamaged(f"Generation {number} of the index was damaged after it was built.", REBUILD)
    return manifest


def _require_same_kind(manifest: Manifest, embedder: str) -> None:
    if manifest.embedder != embedder:
        raise EmbedderMismatch(
            f"The index was built with the embedder {manifest.embedder!r}, but {embedder!r} is configured.",
            REBUILD,
        )
    if not manifest.same_kind(embedder, CHUNKER):
        raise IndexDamaged("The index was built by another version of this program.", REBUILD)


def _open(generations: Generations, manifest: Manifest, folder: Path, opening: ExitStack) -> Index:
    contents = opening.enter_context(closing(Contents.open(folder / CONTENTS)))
    vectors = opening.enter_context(closing(generations.open_vectors(manifest.generation)))
    index = Index(
        manifest, contents, Keywords(folder / KEYWORDS), vectors, lexicon.load(folder), read_symbols(folder)
    )
    _verify(index)
    return replace(index, opened=opening.pop_all())


def _verify(index: Index) -> None:
    expected = index.manifest.chunks
    counts = {
        "texts": index.contents.counts()[1],
        "keywords": index.keywords.count(),
        "vectors": index.vectors.count(),
    }
    for part, count in counts.items():
        if count != expected:
            raise IndexDamaged(
                f"Generation {index.manifest.generation} has {expected} chunks, but its {part} hold {count}.",
                REBUILD,
            )
    found = [_finds(index, known) for known in index.manifest.known]
    # The search is approximate: one of them may be missed in a sound index of many chunks that are all alike.
    if 2 * sum(found) < len(found):
        raise IndexDamaged(f"Generation {index.manifest.generation} does not find its own content.", REBUILD)


def _finds(index: Index, known: KnownVector) -> bool:
    nearest = index.vectors.nearest(known.numbers(), 1)
    return bool(nearest) and nearest[0][0] == known.key and nearest[0][1] >= SAME
