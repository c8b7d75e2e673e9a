"""How good answers are: what they say, what they cite, when they abstain, and whether they agree."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from bot.evals.judge import Judgement
from bot.events import Citation
from knowledge.evaluation import EvalQuestion


class Attempt(BaseModel):
    """One answer to one question, judged."""

    model_config = ConfigDict(frozen=True)

    answer: str
    mode: str
    abstained: bool
    pages: tuple[str, ...]
    """The pages it cites, each once, in order of their paths."""
    must_say: tuple[Judgement, ...]
    must_not_say: tuple[Judgement, ...]

    @property
    def facts(self) -> object:
        """What has to be the same in two answers to one question: pages and verdicts, not words."""
        verdicts = [judgement.verdict for judgement in self.must_say]
        return frozenset(self.pages), tuple(verdicts)


class Asked(BaseModel):
    """All answers to one question."""

    model_config = ConfigDict(frozen=True)

    question: EvalQuestion
    attempts: tuple[Attempt, ...] = ()
    failed: str = ""
    """Why there is no answer to score, as a sentence."""

    @property
    def agrees(self) -> bool:
        return len({attempt.facts for attempt in self.attempts}) == 1


class AnswerScores(BaseModel):
    """Shares from 0 to 1; None where there is nothing to take a share of."""

    model_config = ConfigDict(frozen=True)

    questions: int
    failed: int
    must_say: float | None
    """Of the statements that an answer must make, over all answers: how many were made."""
    must_not_say: float | None
    """Of those that it must not make: how many were. None without a model, as words cannot tell."""
    citations: float | None
    """Of the pages cited in answers to answerable questions: how many are gold or acceptable."""
    abstained_unanswerable: float | None
    abstained_others: float | None
    agreement: float | None
    """Of the questions asked more than once: how many were answered with the same pages and verdicts."""


def scores(asked: Sequence[Asked], *, lexical: bool) -> AnswerScores:
    """Sum up any group of questions; what failed counts as that and nowhere else."""
    answered = [one for one in asked if not one.failed]
    attempts = [(one.question, attempt) for one in answered for attempt in one.attempts]
    repeated = [one for one in answered if len(one.attempts) > 1]
    forbidden = [j.share for _, attempt in attempts for j in attempt.must_not_say]
    return AnswerScores(
        questions=len(asked),
        failed=len(asked) - len(answered),
        must_say=_mean(judgement.share for _, attempt in attempts for judgement in attempt.must_say),
        must_not_say=None if lexical else _mean(forbidden),
        citations=_mean(
            question_allows(question, page)
            for question, attempt in attempts
            if question.answerable
            for page in attempt.pages
        ),
        abstained_unanswerable=_mean(a.abstained for question, a in attempts if not question.answerable),
        abstained_others=_mean(a.abstained for question, a in attempts if question.answerable),
        agreement=_mean(one.agrees for one in repeated),
    )


def pages_of(citations: Iterable[Citation]) -> tuple[str, ...]:
    """The cited pages as paths; the field guide's passages bear their official page's address."""
    return tuple(sorted({_path(urlsplit(citation.url).path) for citation in citations}))


def question_allows(question: EvalQuestion, page: str) -> bool:
    return page in {_path(allowed) for allowed in (*question.gold, *question.acceptable)}


def _path(path: str) -> str:
    """A folder's index page is the folder, as sites address it either way."""
    bare = path.strip("/")
    return bare.removesuffix("/index") if bare != "index" else ""


def _mean(values: Iterable[float]) -> float | None:
    found = [float(value) for value in values]
    return round(sum(found) / len(found), 4) if found else None
