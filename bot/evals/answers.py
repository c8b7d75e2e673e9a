"""`eval answers`: every question is asked as a person would ask it, and its answers are scored."""

import argparse
import asyncio
import logging
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bot.app import App, build
from bot.cli import print_json
from bot.database import sqlite_url
from bot.evals.judge import LEXICAL, Judge, ModelJudge, lexical_judge
from bot.evals.scores import AnswerScores, Asked, Attempt, pages_of, scores
from bot.events import Answer, Done
from bot.indexing.progress import FIRST_TIME, show_build
from bot.people import Person
from bot.question import Question
from bot.settings import Settings
from knowledge.errors import BadInput, ExpectedError
from knowledge.evaluation import EvalQuestion, load_questions

log = logging.getLogger(__name__)

# What a model's server takes from one user without complaint; searching alone is bound by the processor.
AT_ONCE = 4
MAX_REPEAT = 20
# Somebody who may have answers from the docs only: no tool looks at a workspace, no card is made.
READER = Person(id="evaluation", team="evaluation", is_guest=True)
BROKEN = "The question could not be answered; the log has the reason."


class AnswerReport(BaseModel):
    model_config = ConfigDict(frozen=True)

    scored_by: str
    """`lexical`, which is an estimate from words, or the name of the model that judged."""
    repeat: int
    overall: AnswerScores
    kinds: dict[str, AnswerScores]
    questions: tuple[Asked, ...]


async def answers(options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    """The command: `options` has questions, repeat, limit and json."""
    if not 1 <= options.repeat <= MAX_REPEAT:
        raise BadInput(f"--repeat has to be from 1 to {MAX_REPEAT}.")
    if options.limit is not None and options.limit < 1:
        raise BadInput("--limit has to be at least 1.")
    questions = load_questions(Path(options.questions))[: options.limit]
    with tempfile.TemporaryDirectory(prefix="ask-marvin-eval-") as folder:
        # What is asked here is nobody's conversation, so it is kept apart and thrown away.
        apart = SecretStr(sqlite_url(Path(folder) / "answers.sqlite3"))
        async with build(settings.model_copy(update={"database_url": apart}), environ) as app:
            await show_build(app.open_index(), Console(stderr=True), note=FIRST_TIME)
            report = await evaluate(app, questions, repeat=options.repeat)
    if options.json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report)
    return 0


async def evaluate(app: App, questions: Sequence[EvalQuestion], *, repeat: int) -> AnswerReport:
    """Ask, judge and sum up; the report lists the questions in their order."""
    judge: Judge = ModelJudge(app.model) if app.model else lexical_judge
    gate = asyncio.Semaphore(AT_ONCE)
    with _progress() as progress:
        task = progress.add_task("asking", total=len(questions))

        async def one(question: EvalQuestion) -> Asked:
            async with gate:
                asked = await _asked(app, judge, question, repeat)
            progress.advance(task)
            return asked

        asked = await asyncio.gather(*(one(question) for question in questions))
    return _report(asked, repeat=repeat, scored_by=app.model.name if app.model else LEXICAL)


def _report(asked: Sequence[Asked], *, repeat: int, scored_by: str) -> AnswerReport:
    lexical = scored_by == LEXICAL
    kinds = sorted({one.question.kind for one in asked})
    return AnswerReport(
        scored_by=scored_by,
        repeat=repeat,
        overall=scores(asked, lexical=lexical),
        kinds={
            kind or "other": scores([one for one in asked if one.question.kind == kind], lexical=lexical)
            for kind in kinds
        },
        questions=tuple(asked),
    )


async def _asked(app: App, judge: Judge, question: EvalQuestion, repeat: int) -> Asked:
    """All answers to one question; one that fails makes the question fail, and no other."""
    try:
        attempts = [await _attempt(app, judge, question) for _ in range(repeat)]
    except ExpectedError as error:
        return Asked(question=question, failed=str(error))
    except Exception:
        log.exception("question %s", question.id)
        return Asked(question=question, failed=BROKEN)
    return Asked(question=question, attempts=tuple(attempts))


async def _attempt(app: App, judge: Judge, question: EvalQuestion) -> Attempt:
    answer = await _answer(app, question.question)
    statements = (*question.must_say, *question.must_not_say)
    judged = await judge(question.question, answer.text, statements)
    return Attempt(
        answer=answer.text,
        mode=answer.mode,
        abstained=answer.abstained,
        pages=pages_of(answer.citations),
        must_say=tuple(judged[: len(question.must_say)]),
        must_not_say=tuple(judged[len(question.must_say) :]),
    )


async def _answer(app: App, text: str) -> Answer:
    asked = Question(text, READER, f"evaluation:{secrets.token_hex(8)}")
    async for event in app.agent.answer(asked):
        if isinstance(event, Done):
            return _checked(event.answer, app)
    raise AssertionError("the agent ended without Done")


def _checked(answer: Answer, app: App) -> Answer:
    """The answer, if it is one; quotes in the place of a model's words are none of its answers."""
    if answer.failure:
        raise ExpectedError(answer.failure.message, answer.failure.fix)
    if app.model and answer.mode != "llm":
        raise ExpectedError("The model gave no answer.", "See the log.")
    return answer


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _print(report: AnswerReport) -> None:
    console = Console(highlight=False)
    table = Table("kind", "asked", "failed", "says", "wrong", "cites", "abstains", "agrees", box=None)
    for name, found in [*report.kinds.items(), ("all", report.overall)]:
        table.add_row(name, *_cells(found))
    console.print(table)
    console.print("\n" + _legend(report.scored_by), markup=False, soft_wrap=True)
    for asked in report.questions:
        if asked.failed:
            console.print(f"failed: {asked.question.id}: {asked.failed}", markup=False, soft_wrap=True)


def _legend(scored_by: str) -> str:
    estimated = "estimated from shared words (lexical, as no model is configured to judge)"
    how = estimated if scored_by == LEXICAL else f"as {scored_by} judged"
    return (
        f"says, wrong: statements that an answer must and must not make, {how}; "
        "cites: cited pages that are right; abstains: unanswerable / other questions; "
        "agrees: questions with the same pages and verdicts at every repeat."
    )


def _cells(found: AnswerScores) -> list[str]:
    abstained: Any = [found.abstained_unanswerable, found.abstained_others]
    both = " / ".join(_percent(share) for share in abstained if share is not None)
    shares = (found.must_say, found.must_not_say, found.citations)
    return [
        str(found.questions),
        str(found.failed),
        *(_percent(share) for share in shares),
        both,
        _percent(found.agreement),
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
