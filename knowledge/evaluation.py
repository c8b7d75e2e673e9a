"""How well questions find the pages that answer them."""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from knowledge.errors import BadInput
from knowledge.models import Passage
from knowledge.sources.config import FIELD_GUIDE
from knowledge.words import words

UNANSWERABLE = "unanswerable"
# Passages taken for one question: enough for ten different pages and more.
TAKEN = 50
MAX_QUESTIONS = 100_000

Search = Callable[[str, int], Sequence[Passage]]
"""Gives at most so many passages for a question, best first."""


class EvalQuestion(BaseModel):
    """A question and the pages that answer it, as paths: `v3/concepts/work-pools`."""

    model_config = ConfigDict(frozen=True)

    id: str
    question: str
    kind: str = ""
    gold: tuple[str, ...] = ()
    acceptable: tuple[str, ...] = ()
    """Pages that answer it as well, though nobody would name them first."""
    must_say: tuple[str, ...] = ()
    must_not_say: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        return self.kind != UNANSWERABLE

    def answered_by(self, page: str) -> bool:
        return page in self.gold or page in self.acceptable


class Latency(BaseModel):
    """Milliseconds that a search took."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p95: float


class Scores(BaseModel):
    """Shares of the answerable questions with a right page among the first 1, 3 and 5, from 0 to 1."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    questions: int
    hit_at_1: float = Field(alias="hit@1")
    hit_at_3: float = Field(alias="hit@3")
    hit_at_5: float = Field(alias="hit@5")
    mrr: float
    """Mean of 1 / rank of the first right page, 0 where none was found."""
    latency_ms: Latency


@dataclass(frozen=True)
class Ranked:
    """What the search gave for one question."""

    question: EvalQuestion
    pages: tuple[str, ...]
    """Different pages, best first, without the field guide's own."""
    ms: float

    @property
    def rank(self) -> int:
        """The place of the first right page, from 1; 0 when there is none."""
        right = (place for place, page in enumerate(self.pages, 1) if self.question.answered_by(page))
        return next(right, 0)


def load_questions(path: Path) -> list[EvalQuestion]:
    """Read one JSON object a line; BadInput names the line that is wrong."""
    try:
        # Not `splitlines`: JSON may hold the other line ends of Unicode as they are.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The questions in {str(path)!r} cannot be read.", "Name a .jsonl file.") from error
    questions = list(_parsed(lines[:MAX_QUESTIONS], path.name))
    if not questions:
        raise BadInput(f"{path.name} has no question in it.", _example())
    return questions


def _parsed(lines: Sequence[str], name: str) -> Iterator[EvalQuestion]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                question = EvalQuestion.model_validate(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{name}, line {number}: this is no question.", _example()) from error
            if not any(words(question.question)):
                raise BadInput(f"{name}, line {number}: the question has no words in it.", _example())
            yield question


def _example() -> str:
    example = {"id": "q1", "question": "what is a work pool", "gold": ["v3/concepts/work-pools"]}
    return f"Write one object a line, such as {json.dumps(example)}"


def rank(search: Search, questions: Sequence[EvalQuestion]) -> list[Ranked]:
    """Search for each question, in their order."""
    return [_ranked(search, question) for question in questions]


def _ranked(search: Search, question: EvalQuestion) -> Ranked:
    began = time.perf_counter()
    passages = search(question.question, TAKEN)
    ms = (time.perf_counter() - began) * 1000
    pages = dict.fromkeys(passage.page for passage in passages if passage.source != FIELD_GUIDE.name)
    return Ranked(question, tuple(pages), ms)


def scores(ranked: Sequence[Ranked]) -> Scores:
    """Sum up; unanswerable questions count only for the latency."""
    ranks = [found.rank for found in ranked if found.question.answerable]
    times = [found.ms for found in ranked] or [0.0]
    return Scores(
        questions=len(ranks),
        hit_at_1=_share(ranks, 1),
        hit_at_3=_share(ranks, 3),
        hit_at_5=_share(ranks, 5),
        mrr=round(sum(1 / place for place in ranks if place) / max(len(ranks), 1), 4),
        latency_ms=Latency(p50=round(statistics.median(times), 2), p95=round(_p95(times), 2)),
    )


def evaluate(search: Search, questions: Sequence[EvalQuestion]) -> Scores:
    return scores(rank(search, questions))


def _share(ranks: Sequence[int], k: int) -> float:
    return round(sum(1 for place in ranks if 0 < place <= k) / max(len(ranks), 1), 4)


def _p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
