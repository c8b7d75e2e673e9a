"""What a build has done, told to people: one sentence, and the details below it."""

from collections.abc import Iterator, Mapping

from knowledge.evaluation import Scores
from knowledge.report import BuildReport, Change, Progress, SourceReport, Stage
from tools.proposal import Detail, Link, Proposal, Receipt

# Pages named of each kind in a source: a message is read on a telephone as well.
NAMED = 5
# Of each stage its number, what is done, and what is counted.
STAGES: Mapping[Stage, tuple[int, str, str]] = {
    "fetch": (1, "reading", "pages"),
    "embed": (2, "embedding", "passages"),
    "write": (3, "writing", "passages"),
    "check": (4, "asking the golden questions", ""),
    "swap": (4, "making it live", ""),
}
STEPS = 4
CHANGES: tuple[Change, ...] = ("added", "changed", "removed")


def receipt(report: BuildReport, *, force_with: str, undo: Proposal | None = None) -> Receipt:
    """The receipt of a reindex; `force_with` is what a person types to override the gate."""
    if report.held_back:
        how = f"For a card that does, type: `{force_with}`"
        return Receipt(
            ok=False, text=f"{report.held_back} {how}", short="held_back", details=tuple(_details(report))
        )
    broken = sum(not source.ok for source in report.sources)
    return Receipt(
        ok=broken < len(report.sources),
        text=_broken_first(report, broken) if broken else summary(report),
        short="partly" if 0 < broken < len(report.sources) else "",
        details=tuple(_details(report)) if report.swapped or broken else (),
        undo=undo,
    )


def in_words(report: BuildReport) -> str:
    """All of it in one paragraph; a source that failed is named with its reason."""
    broken = [f"{source.name}: {source.error}" for source in report.sources if not source.ok]
    return f"{summary(report)} Not brought up to date: {' '.join(broken)}" if broken else summary(report)


def summary(report: BuildReport) -> str:
    """One sentence or two, without what went wrong in single sources."""
    if report.held_back:
        return f"{report.held_back} ({report.seconds:.0f} s)"
    pages = report.pages
    if not report.swapped and not pages.differ():
        held = f"Nothing has changed: {pages.unchanged} unchanged pages"
        return f"{held}, generation {report.generation} stays live. ({report.seconds:.0f} s)"
    counts = ", ".join(f"{number} {what}" for what, number in pages.model_dump().items() if number)
    live = f"Generation {report.generation} is live."
    return f"Reindexed in {report.seconds:.0f} s. Pages: {counts or 'none'}. {live}"


def _broken_first(report: BuildReport, broken: int) -> str:
    all_of = len(report.sources)
    which = "No source" if broken == all_of else f"{broken} of {all_of} sources"
    said = "could be read" if broken == all_of else "could not be read"
    return f"{which} {said}; what was there before was kept. {summary(report)}"


def _details(report: BuildReport) -> Iterator[Detail]:
    for source in sorted(report.sources, key=lambda source: source.ok):
        yield from _of_source(source)
    if report.score_after:
        yield Detail(text=scores_in_words(report.score_before, report.score_after))


def _of_source(source: SourceReport) -> Iterator[Detail]:
    if source.error:
        yield Detail(text=f"{source.name} failed: {source.error}")
    for change in CHANGES:
        count = getattr(source.pages, change)
        links = [Link(title=each.title, url=each.url) for each in source.changes if each.change == change]
        if count:
            named = tuple(links[:NAMED])
            yield Detail(text=f"{source.name}: {count} {change}", links=named, more=count - len(named))
    if source.pages.failed and not source.error:
        kept = "where there was an older copy, it was kept"
        yield Detail(text=f"{source.name}: {source.pages.failed} could not be read; {kept}")


def stage_in_words(progress: Progress) -> str:
    """`Step 1 of 4, reading prefect-docs: 120 of 488 pages`."""
    number, doing, things = STAGES[progress.stage]
    doing = f"{doing} {progress.source or 'the sources'}" if progress.stage == "fetch" else doing
    counted = f"{progress.done:,} of {progress.total:,} {things}" if progress.total and things else ""
    return f"Step {number} of {STEPS}, {doing}{f': {counted}' if counted else ''}"


def scores_in_words(before: Scores | None, after: Scores) -> str:
    """`84 golden questions: hit@5 0.952 → 0.964, MRR 0.812 → 0.820`."""
    hits, ranks = f"{after.hit_at_5:.3f}", f"{after.mrr:.3f}"
    if before:
        hits, ranks = f"{before.hit_at_5:.3f} → {hits}", f"{before.mrr:.3f} → {ranks}"
    return f"{after.questions} golden questions: hit@5 {hits}, MRR {ranks}"
