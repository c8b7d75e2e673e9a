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

from knowledge.chunks import CHUNKER
from knowledge.contents import CONTENTS, Contents
from knowledge.errors import BadInput, EmbedderMismatch, ExpectedError, IndexDamaged, Unreachable
from knowledge.evaluation import EvalQuestion, Scores
from knowledge.freshness import book_text, noted, read_book
from knowledge.gate import Exam, Verdict, drops, in_a_sentence, losses, remembering
from knowledge.generations import KEEP, Generations
from knowledge.index import open_built, open_index, write_derived
from knowledge.intake import Intake, removed
from knowledge.manifest import Manifest, SourceState, pick_known, read_manifest, write_manifest
from knowledge.models import Chunk, Embedder
from knowledge.previous import Previous, open_previous
from knowledge.report import BuildReport, PageCounts, Progress, SourceReport, Stage
from knowledge.server import generations_at
from knowledge.sources.config import SourceConfig
from knowledge.symbols.package import Origin, bring_up_to_date
from knowledge.symbols.since import with_since
from knowledge.symbols.table import Symbols, write_symbols

logger = logging.getLogger(__name__)

Report = Callable[[Progress], None]


async def build(
    index_dir: Path,
    sources: Sequence[SourceConfig],
    embedder: Embedder,
    *,
    report: Report,
    only: str | None = None,
    full: bool = False,
    force: bool = False,
    golden: Sequence[EvalQuestion] = (),
    prefect: Origin | None = None,
    chroma_url: str | None = None,
    keep: int = KEEP,
) -> BuildReport:
    """Bring the index up to date with its sources, or just with the one called `only`.

    `full` fetches, chunks and embeds everything anew. A source that fails keeps its old pages, and its report
    says why; the others are taken in. A generation that answers the `golden` questions worse than the live
    one, or has lost many pages, is thrown away, unless `force` is set. `prefect` is the one whose symbols go
    into the index; with None there are none. `report` is called from this thread and from others, one at a
    time.

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
        # The very first index of one source is to be there at once; symbols come with the next.
        if prefect and (only is None or run.previous.number):
            run.symbols = await asyncio.to_thread(bring_up_to_date, prefect, run.previous.symbols, full=full)
        swapped, verdict = await asyncio.to_thread(run.finish, reports, golden, force=force, keep=keep)
        held_back = "" if swapped else in_a_sentence(verdict.objections, run.previous.number)
        await asyncio.to_thread(run.note, reports, held_back, [source.name for source in sources])
        chunks = run.contents.counts()[1]
    return BuildReport(
        generation=run.number if swapped else run.previous.number,
        pages=sum((source.pages for source in reports), PageCounts()),
        chunks=chunks,
        seconds=round(time.monotonic() - started, 2),
        sources=tuple(reports),
        previous=run.previous.number,
        swapped=swapped,
        score_before=verdict.before,
        score_after=verdict.after,
        held_back=held_back,
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
    return _Build(generations, previous, contents, embedder, number, report, previous.symbols)


@dataclass
class _Build:
    """One run, holding the lock, on its way to generation `number`."""

    generations: Generations
    previous: Previous
    contents: Contents
    embedder: Embedder
    number: int
    report: Report
    symbols: Symbols | None

    async def take_in(self, sources: Sequence[SourceConfig], only: str | None) -> list[SourceReport]:
        """Fill the contents from the sources, and from the generation before for what is not fetched."""
        wanted = [source for source in sources if only in (None, source.name)]
        reports = [await self._take(source) for source in wanted]
        for name in self.previous.sources():
            if only is not None and name != only:
                self._carry(name)
            elif name not in {source.name for source in wanted}:
                reports.append(self._gone(name))
        self.contents.commit()
        return reports

    def finish(
        self, reports: Sequence[SourceReport], golden: Sequence[EvalQuestion], *, force: bool, keep: int
    ) -> tuple[bool, Verdict]:
        """Embed, write, check and swap; tells whether it did, as nothing may have changed, and the scores."""
        if self.contents.counts()[0] == 0:
            raise _nothing(reports)
        differs = any(source.pages.differ() for source in reports)
        if not differs and self.symbols is self.previous.symbols and self._previous_serves():
            return False, Verdict(self.previous.score, self.previous.score)
        must_serve = force or not self.previous.live  # Anything is better than what cannot be read.
        if not must_serve and (returning := self._rejected(reports)):
            return False, Verdict(self.previous.score, objections=returning)
        self._embed()
        self._write(reports)
        verdict = self._check(golden)
        if verdict.objections and not must_serve:
            self.generations.discard(self.number)
            return False, verdict
        self._go_live(reports, verdict, keep)
        return True, verdict

    def note(self, reports: Sequence[SourceReport], held_back: str, configured: Sequence[str]) -> None:
        """Keep when each source was read, also where nothing had changed."""
        book = read_book(self.generations.freshness())
        now = datetime.now(UTC)
        book = noted(book, reports, held_back=held_back, configured=configured, now=now)
        self.generations.keep_freshness(book_text(book))

    def _rejected(self, reports: Sequence[SourceReport]) -> tuple[str, ...]:
        """Object to sources that hold again, or still, what somebody rolled back from."""
        marks = self.generations.rejected() if self.previous.number else {}
        names = [source.name for source in reports if source.ok]
        again = [name for name in names if marks.get(name) == self.contents.fingerprint(name)]
        return tuple(f"source {name!r} still holds what was rolled back from" for name in again)

    def _previous_serves(self) -> bool:
        if not self.previous.reusable or not self.previous.live:
            return False
        sound = self.generations.holds_vectors(self.previous.number, self.contents.counts()[1])
        if not sound:
            logger.warning("Nothing has changed, but the index was damaged, so it is written anew")
        return sound

    def _gone(self, source: str) -> SourceReport:
        paths = self.previous.hashes(source)
        changes = tuple(removed(self.previous, source, paths))
        return SourceReport(name=source, ok=True, pages=PageCounts(removed=len(paths)), changes=changes)

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
        if self.symbols:
            write_symbols(self.generations.building(self.number), with_since(self.symbols, self.contents))
        write_manifest(self.generations.building(self.number), self._manifest(reports))

    def _check(self, golden: Sequence[EvalQuestion]) -> Verdict:
        """Make sure that it can be opened, and ask it and then the live one the golden questions."""
        self._say("check", 0, 1)
        held = [self.previous.contents] if self.previous.contents else []
        both, alone = Exam.on(golden, *held, self.contents), Exam.on(golden, self.contents)
        embedder = remembering(self.embedder)
        with closing(open_built(self.generations, self.number, embedder.name)) as new:
            own = alone.score(new, embedder)
            after = own if both == alone else both.score(new, embedder)
        before = self._score_live(both, embedder)
        lost = [loss for contents in held for loss in losses(contents, self.contents)]
        self._say("check", 1, 1)
        return Verdict(before, after or own, own, (*drops(before, after), *lost))

    def _score_live(self, exam: Exam, embedder: Embedder) -> Scores | None:
        if not exam.questions or not self.previous.number:
            return None
        try:
            live = open_index(self.generations, self.previous.number, embedder.name)
        except (EmbedderMismatch, IndexDamaged) as error:
            logger.info("The live generation cannot be compared with: %s", error.message)
            return None
        with closing(live):
            return exam.score(live, embedder)

    def _go_live(self, reports: Sequence[SourceReport], verdict: Verdict, keep: int) -> None:
        manifest = read_manifest(self.generations.building(self.number))
        self.generations.seal(self.number, manifest.model_copy(update={"score": verdict.own}))
        # Of sources that were not read now, what somebody rolled back from is still to be kept out.
        read = {source.name for source in reports if source.ok}
        left = {name: mark for name, mark in self.generations.rejected().items() if name not in read}
        self.generations.point_to(self.number, left)
        self.generations.retire(keep)
        self._say("swap", 1, 1)

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
            previous=self.previous.number,
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
