"""Where to draw the line below which a search counts as weak, and how well any line can tell.

The line is kept in a small file of the data folder once somebody has set it; the default suits the default
sources.
"""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from knowledge.confidence import WEAK_BELOW, Signs
from knowledge.errors import BadInput

THRESHOLD_FILE = "abstention.json"
# Of the answerable questions, at most so many may be taken for unanswerable.
FALSE_ALARMS = 0.08
# The shares of false alarms at which the curve is told.
STEPS = (0.01, 0.02, 0.04, 0.06, 0.08, 0.10, 0.15, 0.20, 0.30, 0.50)


class Point(BaseModel):
    """One line: what it catches and what it costs, as shares of the two kinds of questions."""

    model_config = ConfigDict(frozen=True)

    weak_below: float
    caught: float
    false_alarms: float


class Curve(BaseModel):
    """How well the confidence of searches tells unanswerable questions from the others."""

    model_config = ConfigDict(frozen=True)

    answerable: int
    unanswerable: int
    auc: float
    """Probability that an unanswerable question is less certain than an answerable one."""
    points: tuple[Point, ...]
    chosen: Point
    typical: dict[str, float]
    """Mean of each sign over the answerable questions."""
    spread: dict[str, float]


class _Threshold(BaseModel):
    weak_below: float = Field(ge=0.0, le=1.0)


def measure(
    answerable: Sequence[tuple[Signs, float]], unanswerable: Sequence[float], false_alarms: float
) -> Curve:
    """Draw the curve from (signs, confidence) of answerable questions and the confidence of the others.

    Raises:
        BadInput: one of the two kinds is missing.
    """
    if len(answerable) < 2 or not unanswerable:
        raise BadInput(
            f"There are {len(answerable)} answerable and {len(unanswerable)} unanswerable questions.",
            'Give a file with both; the latter have "kind": "unanswerable".',
        )
    sure = sorted(confidence for _, confidence in answerable)
    signs = {name: [getattr(sign, name) for sign, _ in answerable] for name in Signs.__dataclass_fields__}
    return Curve(
        answerable=len(sure),
        unanswerable=len(unanswerable),
        auc=_auc(sure, unanswerable),
        points=tuple(_point(sure, unanswerable, share) for share in STEPS),
        chosen=_point(sure, unanswerable, false_alarms),
        typical={name: round(statistics.fmean(values), 3) for name, values in signs.items()},
        spread={name: round(statistics.pstdev(values), 3) for name, values in signs.items()},
    )


def _point(sure: Sequence[float], unanswerable: Sequence[float], share: float) -> Point:
    """Draw the line just below the first answerable question that may not be lost; `sure` is in order."""
    line = sure[min(int(share * len(sure)), len(sure) - 1)]
    return Point(
        weak_below=round(line, 4),
        caught=_below(unanswerable, round(line, 4)),
        false_alarms=_below(sure, round(line, 4)),
    )


def _below(values: Sequence[float], line: float) -> float:
    return round(sum(value < line for value in values) / len(values), 4)


def _auc(sure: Sequence[float], unanswerable: Sequence[float]) -> float:
    wins = sum((low < high) + (low == high) / 2 for low in unanswerable for high in sure)
    return round(wins / (len(sure) * len(unanswerable)), 4)


def save_threshold(folder: Path, weak_below: float) -> None:
    (folder / THRESHOLD_FILE).write_text(json.dumps({"weak_below": weak_below}) + "\n")


def load_threshold(folder: Path) -> float:
    """Give the line that was set, or the default; BadInput when the file is not as it was written."""
    path = folder / THRESHOLD_FILE
    try:
        return _Threshold.model_validate_json(path.read_text()).weak_below
    except FileNotFoundError:
        return WEAK_BELOW
    except (OSError, ValueError) as error:
        raise BadInput(f"{str(path)!r} does not hold a threshold.", "Delete it for the default.") from error
