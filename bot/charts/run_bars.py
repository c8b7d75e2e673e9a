"""A deployment's latest runs as bars: how long each took, in the order in which they began."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from bot.charts import canvas
from bot.charts.scale import MIN_USUAL, MINUTE, cut_at, step_for, ticks
from bot.durations import in_words, on_axis
from tools.timeline import BAD, DeploymentTimeline, RunBar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAD, AXIS, LEGEND, FOOT = 0.68, 0.42, 0.24, 0.2
HEIGHT, WAITS_HEIGHT, BETWEEN = 2.3, 0.75, 0.3
LEFT, RIGHT = 0.74, 0.68
# Fewer bars than this are not made any wider.
MIN_SLOTS = 12
MAX_TIME_LABELS = 7
# A shorter wait is how Prefect works, and no news.
TELLING_WAIT = MINUTE
MARK_GAP = 0.02


def run_bars(timeline: DeploymentTimeline, title: str, facts: str, footer: str, zone: tzinfo) -> Figure:
    """The chart of at least one run."""
    runs = timeline.runs
    has_waits = any(run.waited_seconds >= TELLING_WAIT for run in runs)
    foot = LEGEND + (FOOT if footer else 0.0)
    below = foot + AXIS + (WAITS_HEIGHT + BETWEEN if has_waits else 0.0)
    figure = canvas.new_figure(HEAD + HEIGHT + below)
    canvas.header(figure, title, facts)
    if footer:
        canvas.footer(figure, footer)
    canvas.legend(figure, _states(runs), _not_begun(runs), FOOT if footer else 0.0)
    axes = canvas.plain_axes(figure, LEFT, below, RIGHT, HEAD)
    _draw_durations(axes, timeline)
    lowest = axes
    if has_waits:
        lowest = canvas.plain_axes(figure, LEFT, foot + AXIS, RIGHT, HEAD + HEIGHT + BETWEEN)
        _draw_waits(lowest, runs)
        axes.set_xticks([])
    _draw_times(lowest, runs, zone)
    return figure


def _states(runs: Sequence[RunBar]) -> dict[str, str]:
    return {run.state: run.state_type for run in runs}


def _not_begun(runs: Sequence[RunBar]) -> frozenset[str]:
    return frozenset(run.state for run in runs if run.began is None and not run.over)


def _set_slots(axes: Axes, count: int) -> None:
    middle, half = (count - 1) / 2, max(count, MIN_SLOTS) / 2
    axes.set_xlim(middle - half, middle + half)


def _draw_durations(axes: Axes, timeline: DeploymentTimeline) -> None:
    runs = timeline.runs
    seconds = [run.seconds for run in runs]
    completed = [run.seconds for run in runs if run.state_type == "COMPLETED"]
    cut = cut_at(seconds, completed if len(completed) >= MIN_USUAL else seconds)
    top = cut or max(seconds) or 1.0
    for number, run in enumerate(runs):
        hollow = not run.over and run.began is None
        axes.bar(
            number, min(run.seconds, top), width=0.72, zorder=2, **canvas.fill(run.state_type, hollow=hollow)
        )
        _draw_mark(axes, number, run, top)
    if cut:
        _draw_cuts(axes, [number for number, run in enumerate(runs) if run.seconds > cut], cut)
    _draw_labels(axes, runs, top)
    if timeline.median_seconds and len(runs) > 2:
        _draw_median(axes, min(timeline.median_seconds, top), timeline.median_seconds)
    axes.set_ylim(0, top * 1.18)
    _set_slots(axes, len(runs))
    _draw_seconds(axes, top, "running time", is_measured=any(seconds))


def _draw_mark(axes: Axes, number: int, run: RunBar, top: float) -> None:
    """What tells a state without its colour, above the bar."""
    style = canvas.look(run.state_type)
    if style.mark:
        y = min(run.seconds, top) + MARK_GAP * top
        canvas.put(axes, number, y, style.mark, ha="center", color=_mark_colour(run), weight="bold", zorder=4)


def _mark_colour(run: RunBar) -> str:
    return canvas.look("FAILED").colour if run.state_type in BAD else canvas.PALE_INK


def _draw_cuts(axes: Axes, numbers: Sequence[int], cut: float) -> None:
    """Two slanting white lines through each bar that goes on above the axis."""
    for number in numbers:
        for height in (0.86, 0.89):
            line = ([number - 0.46, number + 0.46], [cut * (height - 0.012), cut * (height + 0.012)])
            axes.plot(*line, color="white", linewidth=2.0, zorder=3)


def _draw_labels(axes: Axes, runs: Sequence[RunBar], top: float) -> None:
    """Durations above the bars: of all where there is room, else of the longest and the cut ones."""
    labels = []
    for run_number, run in enumerate(runs):
        lift = 0.075 if canvas.look(run.state_type).mark else 0.0
        y = min(run.seconds, top) + (MARK_GAP + lift) * top
        text = in_words(run.seconds) if run.seconds else ""
        labels.append(canvas.put(axes, run_number, y, text, ha="center", fontsize=canvas.SMALL, zorder=4))
    slot = canvas.WIDTH_INCHES * axes.get_position().width / max(len(runs), MIN_SLOTS)
    longest = max(range(len(runs)), key=lambda number: runs[number].seconds)
    if max(canvas.width_of(label) for label in labels) > slot:
        for number, label in enumerate(labels):
            label.set_visible(number == longest or runs[number].seconds > top)


def _draw_median(axes: Axes, place: float, seconds: float) -> None:
    axes.axhline(place, color=canvas.INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=3)
    for line, side in (("median", "bottom"), (in_words(seconds), "top")):
        style = {"fontsize": canvas.SMALL, "va": side, "transform": axes.get_yaxis_transform()}
        canvas.put(axes, 1.01, place, line, **style)


def _draw_waits(axes: Axes, runs: Sequence[RunBar]) -> None:
    """How long each run waited after it was due; those that still wait are hollow."""
    waits = [float(run.waited_seconds) for run in runs]
    cut = cut_at(waits, [wait for wait in waits if wait >= TELLING_WAIT])
    top = cut or max(waits)
    for number, run in enumerate(runs):
        hollow = run.began is None and not run.over
        style = canvas.fill("SCHEDULED", hollow=hollow)
        axes.bar(number, min(run.waited_seconds, top), width=0.72, zorder=2, **style)
    if cut:
        _draw_cuts(axes, [number for number, wait in enumerate(waits) if wait > cut], cut)
    longest = max(range(len(runs)), key=lambda number: waits[number])
    label = in_words(waits[longest])
    canvas.put(axes, longest, top * 1.06, label, ha="center", fontsize=canvas.SMALL, zorder=4)
    axes.set_ylim(0, top * 1.3)
    _set_slots(axes, len(runs))
    _draw_seconds(axes, top, "waited after it was due", at_most=3)


def _draw_seconds(axes: Axes, top: float, what: str, *, at_most: int = 6, is_measured: bool = True) -> None:
    places = ticks(0.0, top, step_for(top, at_most=at_most)) if is_measured else [0.0]
    axes.set_yticks(places, [on_axis(place) for place in places])
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.8, zorder=0)
    left = (canvas.MARGIN - LEFT) / (canvas.WIDTH_INCHES * axes.get_position().width)
    style = {"fontsize": canvas.SMALL, "color": canvas.PALE_INK, "va": "bottom"}
    canvas.put(axes, left, 1.0, what, transform=axes.transAxes, **style)


def _draw_times(axes: Axes, runs: Sequence[RunBar], zone: tzinfo) -> None:
    """When they began, or were due, below every so manieth bar."""
    every = -(-len(runs) // MAX_TIME_LABELS)
    places = list(range((len(runs) - 1) % every, len(runs), every))
    shown, labels = None, []
    for place in places:
        moment = _moment(runs[place])
        local = moment.astimezone(zone) if moment else None
        is_new_day = local is not None and local.date() != shown
        labels.append(_time_label(local, with_date=is_new_day))
        shown = local.date() if local else shown
    axes.set_xticks(places, labels)


def _moment(run: RunBar) -> datetime | None:
    return run.began or run.due


def _time_label(local: datetime | None, *, with_date: bool) -> str:
    if local is None:
        return ""
    return f"{local:%H:%M}" + (f"\n{local:%a} {local.day} {local:%b}" if with_date else "")
