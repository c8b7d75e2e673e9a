"""The gate before a new generation becomes the live one: what could be found has to be found still.

Only sources that both generations have are compared: what was added to sources.toml or taken out of it was so
on purpose. Their pages alone are ranked, so that a new source does not count as a loss of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from knowledge.contents import Contents
from knowledge.evaluation import EvalQuestion, Scores, evaluate
from knowledge.golden import about
from knowledge.index import Index
from knowledge.models import Embedder, Passage, Vectors
from knowledge.search import search

# How far hit@5 and MRR may fall. Of a hundred questions four are lost then, and none won in exchange: that is
# two standard errors (4 against √4), so hardly chance, while an edit of a few pages moves one or two.
MARGIN = 0.03
# Scores have four digits, so their difference may be off by twice half of the last.
ROUNDING = 0.0002
# A source that shrinks by more is broken more often than tidied up; pages that only moved do not count.
MAX_LOSS = 0.2
# Of a source with few pages, some may go.
FEW_PAGES = 10


@dataclass(frozen=True)
class Verdict:
    """How a new generation compares with the live one, as far as the two can be compared."""

    before: Scores | None = None
    after: Scores | None = None
    own: Scores | None = None
    """Of the new one with all its sources, also those that the live one does not have."""
    objections: tuple[str, ...] = ()
    """Why it should not become the live one: clauses with figures."""


@dataclass(frozen=True)
class Exam:
    """Questions that are asked of generations, and the sources whose pages are looked at."""

    questions: Sequence[EvalQuestion]
    sources: frozenset[str]

    @classmethod
    def on(cls, golden: Sequence[EvalQuestion], *held: Contents) -> Self:
        """Choose what can be asked of generations with these contents, each and all of them."""
        sources = frozenset.intersection(*(frozenset(contents.sources()) for contents in held))
        pages = {path for contents in held for source in sources for path in contents.hashes(source)}
        return cls(about(golden, pages), sources)

    def score(self, index: Index, embedder: Embedder) -> Scores | None:
        """Give the scores of a generation; None when there is nothing to ask."""

        def find(question: str, top: int) -> list[Passage]:
            found = search(index, embedder, question, top)
            return [passage for passage in found if passage.source in self.sources]

        return evaluate(find, self.questions) if self.questions else None


def remembering(embedder: Embedder) -> Embedder:
    """Embed each text once: both generations are asked the same, and a hosted embedder is paid for."""
    known: dict[tuple[str, ...], Vectors] = {}

    def embed(texts: list[str]) -> Vectors:
        key = tuple(texts)
        if key not in known:
            known[key] = embedder.embed(texts)
        return known[key]

    return Embedder(embedder.name, embed)


def drops(before: Scores | None, after: Scores | None) -> list[str]:
    """Say which scores fell too far; nothing when one of the two is not known."""
    if before is None or after is None:
        return []
    # One question alone, lost out of a few, is no sign of anything.
    margin = max(MARGIN, 1 / before.questions)
    pairs = (("hit@5", before.hit_at_5, after.hit_at_5), ("MRR", before.mrr, after.mrr))
    fallen = [
        f"{name} from {old:.3f} to {new:.3f}" for name, old, new in pairs if old - new > margin + ROUNDING
    ]
    if not fallen:
        return []
    figures = " and ".join(fallen)
    return [f"on {before.questions} golden questions it falls in {figures} (by more than {margin:.2f})"]


def losses(before: Contents, after: Contents) -> list[str]:
    """Say which sources that both have lost too many pages."""
    both = [name for name in before.sources() if name in after.sources()]
    pages = [(name, before.counts(name)[0], after.counts(name)[0]) for name in both]
    return [
        f"source {name!r} shrinks from {old} to {new} pages (by more than {MAX_LOSS:.0%})"
        for name, old, new in pages
        if old - new > max(MAX_LOSS * old, FEW_PAGES)
    ]


def in_a_sentence(objections: Sequence[str], live: int) -> str:
    """Say why a generation was held back; empty when nothing spoke against it."""
    if not objections:
        return ""
    return (
        f"The new index was held back, because {', and '.join(objections)}; generation {live} stays live, "
        "and `--force` overrides this."
    )
