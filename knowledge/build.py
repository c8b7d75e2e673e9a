"""Building a generation: take what changed from the sources, embed it, write it beside the live one, swap."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from knowledge.chunks import CHUNKER
from knowledge.contents import CONTENTS, Contents
from knowledge.errors import BadInput, ExpectedError, IndexDamaged, Unreachable
from knowledge.generations import KEEP, Generations
from knowledge.index import open_index, write_derived
from knowledge.intake import Intake, PageCounts, SourceReport
from knowledge.manifest import Manifest, SourceState, pick_known
from knowledge.models import Chunk, Embedder
from knowledge.previous import Previous, open_previous
from knowledge.server import generations_at
from knowledge.sources.config import SourceConfig

logger = logging.getLogger(__name__)

Stage = Literal["fetch", "embed", "write", "check", "swap"]


@dataclass(frozen=True)
class Progress:
    """How far a stage is; `total` is 0 while it is not known, `source` is empty after the fetch."""

    stage: Stage
    source: str
    done: int
    total: int


class BuildReport(BaseModel):
    """What a build did."""

    model_config = ConfigDict(frozen=True)

    generation: int
    """The live one afterwards."""
    pages: PageCounts
    chunks: int
    seconds: float
    sources: tuple[SourceReport, ...]
    swapped: bool
    """False when nothing had changed, so that the live generation stayed."""


Report = Callable[[Progress], None]


async def build(
    index_dir: Path,
    sources: Sequence[SourceConfig],
    embedder: Embedder,
    *,
    report: Report,
    only: str | None = None,
    full: bool = False,
    chroma_url: str | None = None,
    keep: int = KEEP,
) -> BuildReport:
    """Bring the index up to date with its sources, or just with the one called `only`.

    `full` fetches, chunks and embeds everything anew. A source that fails keeps its old pages, and its report
    says why; the others are taken in. `report` is called from this thread and from others, one at a time.

    Raises:
        BadInput: there is no source called `only`.
        Refused: another build is running.
        ExpectedError: no source gave a page and there is no older generation.
    """
    _require_known(only, sources)
    started = time.monotonic()
    with ExitStack() as held:
        generations = held.enter_context(
            closing(await asyncio.to_thread(generations_at, index_dir, chroma_url))
        )
        run = await asyncio.to_thread(_begin, held, generations, embedder, report, full=full)
        reports = await run.take_in(sources, only)
        swapped = await asyncio.to_thread(run.finish, reports, keep)
        chunks = run.contents.counts()[1]
    return BuildReport(
        generation=run.number if swapped else run.previous.number,
        pages=sum((source.pages for source in reports), PageCounts()),
        chunks=chunks,
        seconds=round(time.monotonic() - started, 2),
        sources=tuple(reports),
        swapped=swapped,
    )


def _require_known(only: str | None, sources: Sequence[SourceConfig]) -> None:
    if only is not None and only not in {source.name for source in sources}:
        names = ", ".join(source.name for source in sources)
        raise BadInput(f"There is no source called {only!r}.", f"The sources are: {names}.")


def _begin(
    held: ExitStack, generations: Generations, embedder: Embedder, report: Report, *, full: bool
) -> "_Build":
    """Take the lock and make the new folder; `held` lets go of all of it."""
    held.enter_context(generations.lock())
    previous = held.enter_context(open_previous(generations, embedder.name, full=full))
    number = generations.begin()
    folder = generations.building(number)
    held.callback(shutil.rmtree, folder, ignore_errors=True)  # nothing is there any more once it is sealed
    contents = held.enter_context(closing(Contents.create(folder / CONTENTS)))
    return _Build(generations, previous, contents, embedder, number, report)


@dataclass(frozen=True)
class _Build:
    """One run, holding the lock, on its way to generation `number`."""

    generations: Generations
    previous: Previous
    contents: Contents
    embedder: Embedder
    number: int
    report: Report

    async def take_in(self, sources: Sequence[SourceConfig], only: str | None) -> list[SourceReport]:
        """Fill the contents from the sources, and from the generation before for what is not fetched."""
        wanted = [source for source in sources if only in (None, source.name)]
        reports = [await self._take(source) for source in wanted]
        for name in self.previous.sources():
            if only is not None and name != only:
                self._carry(name)
            elif name not in {source.name for source in wanted}:
                gone = PageCounts(removed=len(self.previous.hashes(name)))
                reports.append(SourceReport(name=name, ok=True, pages=gone))
        self.contents.commit()
        return reports

    def finish(self, reports: Sequence[SourceReport], keep: int) -> bool:
        """Embed, write, check and swap; tells whether it did, since nothing may have changed."""
        if self.contents.counts()[0] == 0:
            raise _nothing(reports)
        if not any(source.pages.differ() for source in reports) and self._previous_serves():
            return False
        self._embed()
        self._write(reports)
        self._say("check", 0, 1)
        open_index(self.generations, self.number, self.embedder.name).close()
        self._say("check", 1, 1)
        self.generations.point_to(self.number)
        self.generations.retire(keep)
        self._say("swap", 1, 1)
        return True

    def _previous_serves(self) -> bool:
        if not self.previous.reusable:
            return False
        try:
            open_index(self.generations, self.previous.number, self.embedder.name).close()
        except IndexDamaged as error:
            logger.warning("Nothing has changed, but the index is written anew: %s", error.message)
            return False
        return True

    async def _take(self, source: SourceConfig) -> SourceReport:
        intake = Intake(source, self.previous, self.contents)
        return await intake.run(lambda done, total: self._say("fetch", done, total, source.name))

    def _carry(self, source: str) -> None:
        for path in self.previous.hashes(source):
            self.previous.carry(source, path, self.contents)

    def _embed(self) -> None:
        done, total = 0, self.contents.count_without_vector()
        self._say("embed", done, total)
        for batch in self.contents.without_vector():
            vectors = self.embedder.embed([_embedded_text(chunk) for _, chunk in batch])
            self.contents.set_vectors([key for key, _ in batch], vectors)
            done += len(batch)
            self._say("embed", done, total)
        self.contents.commit()

    def _write(self, reports: Sequence[SourceReport]) -> None:
        total = self.contents.counts()[1]
        self._say("write", 0, total)
        write_derived(self.generations.building(self.number), self.contents)
        self.generations.store_vectors(
            self.number, self.contents, lambda done: self._say("write", done, total)
        )
        self.generations.seal(self.number, self._manifest(reports))

    def _manifest(self, reports: Sequence[SourceReport]) -> Manifest:
        pages, chunks = self.contents.counts()
        known = pick_known(self.contents.vectors, chunks)
        return Manifest(
            generation=self.number,
            embedder=self.embedder.name,
            chunker=CHUNKER,
            dims=self.contents.dims(),
            pages=pages,
            chunks=chunks,
            sources=self._states(reports),
            known=known,
            built_at=datetime.now(UTC),
        )

    def _states(self, reports: Sequence[SourceReport]) -> tuple[SourceState, ...]:
        fetched = {source.name: source for source in reports}
        failed = {source.name for source in reports if source.error}
        names = sorted({*self.contents.sources(), *failed})
        return tuple(self._state(name, fetched.get(name)) for name in names)

    def _state(self, name: str, report: SourceReport | None) -> SourceState:
        before = self.previous.state(name)
        pages, chunks = self.contents.counts(name)
        fetched_at, error = (before.fetched_at, before.error) if before else (None, "")
        if report:
            fetched_at, error = (datetime.now(UTC) if report.ok else fetched_at), report.error
        return SourceState(name=name, pages=pages, chunks=chunks, fetched_at=fetched_at, error=error)

    def _say(self, stage: Stage, done: int, total: int, source: str = "") -> None:
        self.report(Progress(stage, source, done, total))


def _embedded_text(chunk: Chunk) -> str:
    """Say what the chunk is about before its text, which seldom repeats it; a change needs a new LAYOUT."""
    return f"{chunk.title}\n{chunk.heading}\n{chunk.text}"


def _nothing(reports: Sequence[SourceReport]) -> ExpectedError:
    errors = " ".join(source.error for source in reports if source.error)
    return Unreachable(
        f"Nothing could be indexed. {errors}".strip(), "Correct the sources, then run it again."
    )
