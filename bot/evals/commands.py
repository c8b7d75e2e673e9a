"""`eval`: how well questions find their pages, and how well it is told which have no answer."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bot.app import make_library
from bot.cli import print_json
from bot.indexing.progress import FIRST_TIME, show_build
from bot.indexing.reindex import Reindexer, open_or_build
from bot.settings import Settings
from knowledge.abstention import FALSE_ALARMS, Curve, measure, save_threshold
from knowledge.errors import BadInput
from knowledge.evaluation import EvalQuestion, Ranked, Scores, load_questions, rank, scores
from knowledge.library import Library

# Of the pages that were found, so many are told of a question that missed.
FOUND_TOLD = 5


async def retrieval(options: argparse.Namespace, settings: Settings, _environ: dict[str, str]) -> int:
    """The command: `options` has questions and json."""
    questions = load_questions(Path(options.questions))
    library = await _opened(settings)
    try:
        ranked = await asyncio.to_thread(rank, library.search, questions)
    finally:
        library.close()
    if options.json:
        print_json(_document(ranked))
    else:
        _print_scores(ranked)
    return 0


async def abstention(options: argparse.Namespace, settings: Settings, _environ: dict[str, str]) -> int:
    """The command: `options` has questions, false_alarms, set and json."""
    false_alarms = FALSE_ALARMS if options.false_alarms is None else options.false_alarms
    if not 0 <= false_alarms < 1:
        raise BadInput("--false-alarms is a share from 0 to 1.", f"Such as {FALSE_ALARMS}.")
    questions = load_questions(Path(options.questions))
    library = await _opened(settings)
    try:
        curve = await asyncio.to_thread(_curve, library, questions, false_alarms)
    finally:
        library.close()
    if options.set:
        save_threshold(settings.home, curve.chosen.weak_below)
    if options.json:
        print_json(curve.model_dump(mode="json") | {"set": bool(options.set)})
    else:
        _print_curve(curve, is_set=options.set)
    return 0


async def _opened(settings: Settings) -> Library:
    library = make_library(settings)
    await show_build(open_or_build(library, Reindexer(settings)), Console(stderr=True), note=FIRST_TIME)
    return library


def _curve(library: Library, questions: Sequence[EvalQuestion], false_alarms: float) -> Curve:
    found = [(question, library.find(question.question)) for question in questions]
    return measure(
        [(one.signs, one.confidence) for question, one in found if question.answerable],
        [one.confidence for question, one in found if not question.answerable],
        false_alarms,
    )


def _by_kind(ranked: Sequence[Ranked]) -> dict[str, Scores]:
    answerable = [found for found in ranked if found.question.answerable]
    kinds = sorted({found.question.kind for found in answerable})
    return {
        kind or "other": scores([found for found in answerable if found.question.kind == kind])
        for kind in kinds
    }


def _document(ranked: Sequence[Ranked]) -> dict[str, Any]:
    overall = scores(ranked).model_dump(mode="json", by_alias=True)
    kinds = {kind: found.model_dump(mode="json", by_alias=True) for kind, found in _by_kind(ranked).items()}
    return overall | {"kinds": kinds, "missed": [_missed(found) for found in _below_first(ranked)]}


def _below_first(ranked: Sequence[Ranked]) -> list[Ranked]:
    return [found for found in ranked if found.question.answerable and found.rank != 1]


def _missed(found: Ranked) -> dict[str, Any]:
    return {
        "id": found.question.id,
        "question": found.question.question,
        "rank": found.rank or None,
        "gold": list(found.question.gold),
        "found": list(found.pages[:FOUND_TOLD]),
    }


def _print_scores(ranked: Sequence[Ranked]) -> None:
    table = Table("kind", "questions", "hit@1", "hit@3", "hit@5", "MRR", box=None)
    for kind, found in {**_by_kind(ranked), "all": scores(ranked)}.items():
        shares = (found.hit_at_1, found.hit_at_3, found.hit_at_5, found.mrr)
        table.add_row(kind, str(found.questions), *(f"{share:.3f}" for share in shares))
    console = Console(highlight=False)
    console.print(table)
    latency = scores(ranked).latency_ms
    console.print(f"Search: median {latency.p50:.1f} ms, 95th percentile {latency.p95:.1f} ms.")
    for missed in _below_first(ranked):
        place = f"rank {missed.rank}" if missed.rank else "not found"
        console.print(
            f"{missed.question.id}  {place}: {missed.question.question[:90]!r}", markup=False, soft_wrap=True
        )


def _print_curve(curve: Curve, *, is_set: bool) -> None:
    console = Console(highlight=False)
    table = Table("weak below", "unanswerable caught", "false alarms", box=None)
    for point in curve.points:
        table.add_row(f"{point.weak_below:.3f}", f"{point.caught:.0%}", f"{point.false_alarms:.1%}")
    console.print(table)
    console.print(
        f"{curve.unanswerable} unanswerable questions against {curve.answerable} others: AUC {curve.auc:.3f}."
    )
    for name, typical in curve.typical.items():
        console.print(f"{name}: typically {typical:.3f}, spread {curve.spread[name]:.3f}", markup=False)
    chosen = curve.chosen
    told = "Set" if is_set else "With --set it would be set"
    console.print(
        f"{told} to {chosen.weak_below:.3f}: {chosen.caught:.0%} of the unanswerable caught, "
        f"{chosen.false_alarms:.1%} false alarms. A running server reads it at its next start.",
        soft_wrap=True,
    )
