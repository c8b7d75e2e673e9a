"""Going back: which generations there are, and making another than the newest the live one."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from knowledge.chunks import CHUNKER
from knowledge.contents import CONTENTS, Contents
from knowledge.errors import BadInput, EmbedderMismatch, IndexDamaged, IndexMissing, Refused
from knowledge.evaluation import Scores
from knowledge.generations import Generations
from knowledge.index import open_index
from knowledge.manifest import Manifest, SourceState
from knowledge.models import Embedder
from knowledge.server import generations_at

LIST = "See: ask-marvin generations"


class GenerationInfo(BaseModel):
    """One finished generation of the index."""

    model_config = ConfigDict(frozen=True)

    generation: int
    live: bool
    built_at: datetime | None = None
    previous: int = 0
    """The one that was live when it was built; 0 when that is not known."""
    pages: int = 0
    chunks: int = 0
    sources: tuple[SourceState, ...] = ()
    score: Scores | None = None
    """On the golden questions whose pages it holds, when it was built."""
    bytes: int | None = None
    """On this machine; None where that is not known, as on a Chroma server."""
    problem: str = ""
    """Why it cannot be made live, as far as that can be told without opening it; empty when it can."""


def list_generations(
    index_dir: Path, embedder: Embedder, *, chroma_url: str | None = None
) -> list[GenerationInfo]:
    """Describe the generations that are kept, oldest first; Unreachable or Refused for a Chroma server."""
    with closing(generations_at(index_dir, chroma_url)) as generations:
        live = _live(generations)
        return [_info(generations, number, live, embedder) for number in generations.stored()]


def rollback(
    index_dir: Path,
    embedder: Embedder,
    *,
    chroma_url: str | None = None,
    to: int | None = None,
    left: int | None = None,
) -> int:
    """Make a generation the live one, `to` or the one that was live before, and give its number.

    What the sources held in a newer one is marked as rejected: a build does not bring it back by itself.
    With `left` it is done only while that one is live.

    Raises:
        BadInput: there is no such generation, or it is the live one.
        Refused: it cannot be used, another than `left` is live by now, or (Busy) a build is running.
        IndexMissing: there is no live generation.
    """
    with _locked(index_dir, chroma_url) as generations:
        live = generations.current()
        if left not in (None, live):
            raise Refused(
                f"Generation {live} is live by now, and no longer {left}; nothing was changed.", LIST
            )
        number = chosen(generations.stored(), to, live=live, before=generations.before(live))
        try:
            target = open_index(generations, number, embedder.name)
        except (EmbedderMismatch, IndexDamaged) as error:
            raise Refused(f"Generation {number} cannot be made live. {error.message}", LIST) from error
        with closing(target):  # while it is open, nobody deletes it
            marks = _left_behind(generations, live, target.contents) if number < live else {}
            generations.point_to(number, marks)
    return number


def fall_back(index_dir: Path, embedder: Embedder, *, chroma_url: str | None = None) -> int | None:
    """In place of a damaged generation make the newest sound one live; gives None when there is none.

    Raises:
        Refused: a build is running.
    """
    with _locked(index_dir, chroma_url) as generations:
        live = _live(generations)
        for number in generations.to_fall_back_on(live):
            try:
                open_index(generations, number, embedder.name).close()
            except (EmbedderMismatch, IndexDamaged):
                continue
            if number != live:
                generations.point_to(number, generations.rejected())
            return number
    return None


@contextmanager
def _locked(index_dir: Path, chroma_url: str | None) -> Iterator[Generations]:
    with closing(generations_at(index_dir, chroma_url)) as generations, generations.lock():
        yield generations


def _live(generations: Generations) -> int:
    try:
        return generations.current()
    except IndexMissing:
        return 0


def chosen(stored: Sequence[int], to: int | None, *, live: int, before: int) -> int:
    """Choose which of the `stored` generations to go back to: `to`, or the one that was live `before`.

    Raises BadInput when there is no such one.
    """
    if to is not None:
        if to == live:
            raise BadInput(f"Generation {to} is live already.", LIST)
        if to not in stored:
            raise BadInput(f"There is no generation {to}.", LIST)
        return to
    older = [number for number in stored if number < live]
    if before not in stored and not older:
        raise BadInput(f"There is no generation before {live} to go back to.", LIST)
    return before if before in stored else older[-1]


def _left_behind(generations: Generations, live: int, back: Contents) -> dict[str, str]:
    """Give fingerprints of what the sources hold in the live generation and not in the one to go back to."""
    try:
        generations.ensure(live)
        contents = Contents.open(generations.folder(live) / CONTENTS)
        with closing(contents):
            marks = {name: contents.fingerprint(name) for name in contents.sources()}
    except (IndexDamaged, sqlite3.DatabaseError):
        return {}
    return {name: mark for name, mark in marks.items() if mark != back.fingerprint(name)}


def _info(generations: Generations, number: int, live: int, embedder: Embedder) -> GenerationInfo:
    try:
        manifest = generations.manifest(number)
    except IndexDamaged:
        return GenerationInfo(generation=number, live=number == live, problem="damaged")
    return GenerationInfo(
        generation=number,
        live=number == live,
        built_at=manifest.built_at,
        previous=manifest.previous,
        pages=manifest.pages,
        chunks=manifest.chunks,
        sources=manifest.sources,
        score=manifest.score,
        bytes=generations.size(number),
        problem=_problem(manifest, embedder),
    )


def _problem(manifest: Manifest, embedder: Embedder) -> str:
    if manifest.embedder != embedder.name:
        return f"built with the embedder {manifest.embedder}"
    return "" if manifest.same_kind(embedder.name, CHUNKER) else "built by another version of this program"
