"""A flow run as a Gantt chart: the run itself on top, below it what ran in it, by start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from bot.charts import canvas
from bot.charts.scale import HOUR, MINUTE, Timescale, at, idle_gaps, since_midnight, step_for, ticks
from bot.durations import in_words, on_axis
from tools.runs import ENDED
from tools.timeline import BAD, Phase, RunTimeline, TaskBar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAD, AXIS, LEGEND, FOOT = 0.62, 0.42, 0.24, 0.2
ROW, SMALL_ROW, MANY_ROWS = 0.25, 0.19, 24
BAR_HEIGHT, SUBFLOW_HEIGHT = 0.66, 0.44
NAME_LIMIT = 30
NAMELESS = "(no name)"
# Waiting of any kind: nothing runs.
HOLLOW = frozenset({"SCHEDULED", "PENDING", "PAUSED"})
HOLLOW_NAMES = frozenset(type_.capitalize() for type_ in HOLLOW)
# Below this the time of day says less than the time since the start.
CLOCK_FROM = HOUR / 2
# A bar of no length is still to be seen.
MIN_BAR_SHARE = 0.003
MIN_WAIT_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    pieces: tuple[Phase, ...]
    note: str
    height: float = BAR_HEIGHT
    weight: str = "normal"

    @property
    def end(self) -> float:
        return max((piece.begins + piece.seconds for piece in self.pieces), default=0.0)


def gantt(timeline: RunTimeline, title: str, facts: str, footer: str, zone: tzinfo) -> Figure:
    """The chart of a run that has begun."""
    scale = _timescale(timeline)
    rows = [_run_row(timeline, scale), *(_task_row(bar) for bar in timeline.bars)]
    row_height = ROW if len(rows) <= MANY_ROWS else SMALL_ROW
    bottom = AXIS + LEGEND + (FOOT if footer else 0.0)
    figure = canvas.new_figure(HEAD + len(rows) * row_height + bottom)
    canvas.header(figure, title, facts)
    if footer:
        canvas.footer(figure, footer)
    canvas.legend(figure, _states(rows), HOLLOW_NAMES, FOOT if footer else 0.0)
    axes = canvas.plain_axes(figure, 1.5, bottom, 0.1, HEAD)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    left = _draw_labels(axes, rows)
    _fit(axes, left)
    _draw_rows(axes, rows, scale, room=canvas.WIDTH_INCHES - left - 0.1)
    _draw_gaps(axes, scale)
    _draw_axis(axes, scale, timeline, zone)
    return figure


def _run_row(timeline: RunTimeline, scale: Timescale) -> Row:
    """Running takes the colour of what came of it; waits that are too short to be seen are left out."""
    phases = timeline.phases
    shown = [
        phase.model_copy(update={"state_type": _outcome(timeline, phases[number + 1 :])})
        if phase.state_type == "RUNNING"
        else phase
        for number, phase in enumerate(phases)
        if phase.state_type == "RUNNING"
        or (phase.state_type not in ENDED and _width(phase, scale) > MIN_WAIT_SHARE)
    ]
    note = in_words(timeline.seconds or 0.0) + ("" if timeline.over else " so far")
    if not shown:
        note = f"{canvas.look(timeline.run.state_type).mark} {timeline.run.state} at once"
    return Row("flow run", tuple(shown), note, weight="bold")


def _width(phase: Phase, scale: Timescale) -> float:
    """As a share of the axis."""
    return (scale.place(phase.begins + phase.seconds) - scale.place(phase.begins)) / scale.length


def _outcome(timeline: RunTimeline, later: Sequence[Phase]) -> str:
    if not later:
        return timeline.run.state_type
    return "FAILED" if later[0].state == "AwaitingRetry" else later[0].state_type


def _task_row(bar: TaskBar) -> Row:
    notes = [in_words(bar.seconds)]
    if bar.state_type != "COMPLETED" or bar.state != "Completed":
        notes.append(bar.state)
    if bar.attempts > 1:
        notes.append(f"{bar.attempts} attempts")
    mark = canvas.look(bar.state_type).mark
    note = f"{mark} {', '.join(notes)}".strip()
    label = canvas.shortened(bar.name, NAME_LIMIT) or NAMELESS
    if bar.kind == "subflow":
        return Row(f"↳ {label}", (bar,), note, height=SUBFLOW_HEIGHT)
    return Row(label, (bar,), note)


def _states(rows: Sequence[Row]) -> dict[str, str]:
    """Those that the bars show, by the name that people know the type by."""
    types = dict.fromkeys(piece.state_type for row in rows for piece in row.pieces)
    return {type_.capitalize(): type_ for type_ in types}


def _timescale(timeline: RunTimeline) -> Timescale:
    ran = [phase for phase in timeline.phases if phase.state_type == "RUNNING"]
    busy = [(piece.begins, piece.begins + piece.seconds) for piece in [*ran, *timeline.bars]]
    span = max([timeline.seconds or 0.0, *(end for _, end in busy)])
    return Timescale(span, idle_gaps(busy, span) if busy else [])


def _draw_labels(axes: Axes, rows: Sequence[Row]) -> float:
    """The names at the left; gives the room in inches that they need."""
    place = axes.get_yaxis_transform()
    style = {"ha": "right", "va": "center_baseline", "transform": place}
    labels = [
        canvas.put(axes, -0.008, number, row.label, weight=row.weight, **style)
        for number, row in enumerate(rows)
    ]
    return 0.2 + max(canvas.width_of(label) for label in labels)


def _fit(axes: Axes, left: float) -> None:
    box = axes.get_position()
    width = (canvas.WIDTH_INCHES - left - 0.1) / canvas.WIDTH_INCHES
    axes.set_position((left / canvas.WIDTH_INCHES, box.y0, width, box.height))


def _draw_rows(axes: Axes, rows: Sequence[Row], scale: Timescale, *, room: float) -> None:
    notes = []
    for number, row in enumerate(rows):
        if number % 2 == 0:
            axes.axhspan(number - 0.5, number + 0.5, color="#f6f7f9", linewidth=0, zorder=0)
        for piece in row.pieces:
            begin, end = scale.place(piece.begins), scale.place(piece.begins + piece.seconds)
            length = max(end - begin, MIN_BAR_SHARE * scale.length)
            style = canvas.fill(piece.state_type, hollow=piece.state_type in HOLLOW)
            axes.barh(number, length, left=begin, height=row.height, zorder=2, **style)
        colour = canvas.look("FAILED").colour if row.pieces and _is_bad(row) else canvas.PALE_INK
        note = canvas.put(
            axes, 0, number, row.note, fontsize=canvas.SMALL, color=colour, va="center_baseline", zorder=3
        )
        notes.append((note, scale.place(row.end), (canvas.width_of(note) + 0.12) / room))
    # The axis goes on behind the last bar as far as the notes need.
    length = max([scale.length, *(end / (1 - min(share, 0.7)) for _, end, share in notes)])
    axes.set_xlim(0, length)
    for note, end, _ in notes:
        note.set_x(end + max(0.007 * length, MIN_BAR_SHARE * scale.length))


def _is_bad(row: Row) -> bool:
    return row.pieces[-1].state_type in BAD


def _draw_gaps(axes: Axes, scale: Timescale) -> None:
    for gap in scale.gaps:
        begin, end = scale.place(gap.begins), scale.place(gap.begins + gap.seconds)
        axes.axvspan(
            begin, end, facecolor="#e4e7ec", edgecolor="white", hatch="////", linewidth=0, zorder=1.5
        )
        text = f"{in_words(gap.seconds)} cut out"
        style = {"fontsize": canvas.SMALL, "color": canvas.PALE_INK, "ha": "center", "va": "bottom"}
        canvas.put(axes, (begin + end) / 2, -0.55, text, **style)


def _draw_axis(axes: Axes, scale: Timescale, timeline: RunTimeline, zone: tzinfo) -> None:
    start = timeline.run.started
    by_clock = start is not None and scale.span >= CLOCK_FROM
    offset = since_midnight(start, zone) if start and by_clock else 0.0
    step = step_for(scale.length, at_least=1.0 if by_clock else 0.0)
    moments = [m for begin, end in scale.stretches() for m in ticks(begin, end, step, offset=offset)]
    hours = "%H:%M" if step >= MINUTE else "%H:%M:%S"
    labels = (
        _clock_labels([at(start, moment).astimezone(zone) for moment in moments], hours)
        if start and by_clock
        else [on_axis(moment) for moment in moments]
    )
    axes.set_yticks([])
    axes.set_xticks([scale.place(moment) for moment in moments], labels)
    axes.grid(axis="x", color=canvas.GRID, linewidth=0.8, zorder=1)
    what = f"time of day, {zone}" if by_clock else "since the run began"
    axes.set_xlabel(what, fontsize=canvas.SMALL, color=canvas.PALE_INK, family=canvas.FONT, labelpad=2)


def _clock_labels(moments: Sequence[datetime], hours: str) -> list[str]:
    """The hours as that format says, with the date below the first and where a day begins."""
    labels, shown = [], None
    for local in moments:
        date = f"\n{local.day} {local:%b}" if local.date() != shown else ""
        labels.append(f"{local.strftime(hours)}{date}")
        shown = local.date()
    return labels
