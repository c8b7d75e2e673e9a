"""Where the ticks of an axis stand, and time with long waits cut out. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from math import floor

MAX_TICKS = 8
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
_STEPS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY),
)
# A shorter wait leaves enough room for the rest.
MIN_GAP_SHARE = 0.4
# What is left of a wait that is cut out, as a share of the rest.
GAP_WIDTH = 0.08
# Values more than this many times the upper quartile are cut, or nothing else could be read.
OUTLIER = 4.0
MIN_USUAL = 3
# When more than every fifth is an outlier, they are none.
MAX_CUT_SHARE = 5
ABOVE_THE_REST = 1.15


def step_for(span: float, *, at_most: int = MAX_TICKS, at_least: float = 0.0) -> float:
    """The smallest round step in seconds that gives few enough ticks."""
    return next((step for step in _STEPS if step >= at_least and span / step <= at_most), _STEPS[-1])


def ticks(begin: float, end: float, step: float, *, offset: float = 0.0) -> list[float]:
    """The values from `begin` to `end` that are multiples of the step once `offset` is added."""
    first = begin + -(begin + offset) % step
    return [round(first + step * number, 2) for number in range(floor((end - first) / step + 1e-9) + 1)]


def since_midnight(moment: datetime, zone: tzinfo) -> float:
    """Seconds on the clock of that zone."""
    local = moment.astimezone(zone)
    return timedelta(hours=local.hour, minutes=local.minute, seconds=local.second).total_seconds()


def cut_at(values: Sequence[float], usual: Sequence[float]) -> float | None:
    """Where to cut the few values that dwarf the usual ones; None when none or too many do."""
    ordered = sorted(value for value in usual if value > 0)
    if len(ordered) < MIN_USUAL:
        return None
    limit = OUTLIER * ordered[(len(ordered) - 1) * 3 // 4]
    beyond = sum(value > limit for value in values)
    if not 0 < beyond <= max(1, len(values) // MAX_CUT_SHARE):
        return None
    return max(value for value in values if value <= limit) * ABOVE_THE_REST


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which nothing ran."""

    begins: float
    seconds: float


class Timescale:
    """Seconds after the start, as places on an axis; long gaps are squeezed."""

    def __init__(self, span: float, gaps: Sequence[Gap]) -> None:
        self.span = span
        self.gaps = tuple(_long_ones(span, gaps))
        rest = span - sum(gap.seconds for gap in self.gaps)
        # Without a gap that is the span itself; 0 would make an axis of no length.
        self._gap_width = max(rest, 0.01) * GAP_WIDTH
        self.length = max(rest + self._gap_width * len(self.gaps), 0.01)

    def place(self, seconds: float) -> float:
        """Where on the axis a moment stands."""
        place = seconds
        for gap in self.gaps:
            inside = min(max(seconds - gap.begins, 0.0), gap.seconds)
            place -= inside - self._gap_width * inside / gap.seconds
        return place

    def stretches(self) -> list[tuple[float, float]]:
        """What is shown between the gaps, as seconds after the start."""
        edges = [
            0.0,
            *(edge for gap in self.gaps for edge in (gap.begins, gap.begins + gap.seconds)),
            self.span,
        ]
        return list(zip(edges[::2], edges[1::2], strict=True))


def _long_ones(span: float, gaps: Sequence[Gap]) -> Iterator[Gap]:
    return (gap for gap in gaps if gap.seconds > MIN_GAP_SHARE * span)


def idle_gaps(busy: Sequence[tuple[float, float]], span: float) -> list[Gap]:
    """The stretches between 0 and `span` that no (begin, end) covers."""
    covered = [(0.0, 0.0)]
    for begin, end in sorted(busy):
        if begin <= covered[-1][1]:
            covered[-1] = (covered[-1][0], max(covered[-1][1], end))
        else:
            covered.append((begin, end))
    covered.append((span, span))
    return [Gap(end, begin - end) for (_, end), (begin, _) in pairwise(covered) if begin > end]


def at(start: datetime, seconds: float) -> datetime:
    return start + timedelta(seconds=seconds)
