"""What a picture shows, in words: title and facts, alt text, and a table for where there is no picture."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, TypeAdapter

from bot.charts.canvas import shortened
from bot.durations import in_words
from bot.tables import code, link, plain, table
from tools.timeline import BAD, DeploymentTimeline, RunBar, RunTimeline, TaskBar

# Screen readers read it in one breath; Slack keeps 1,000 characters.
MAX_ALT = 900
MAX_TITLE = 60
MAX_NAME = 80
MAX_TABLE = 20
MAX_NAMED = 5
# A shorter wait is how Prefect works, and no news.
TELLING_WAIT = 60

Timeline = RunTimeline | DeploymentTimeline
_TIMELINE: TypeAdapter[Timeline] = TypeAdapter(Annotated[Timeline, Field(discriminator="kind")])


def read_timeline(data: Mapping[str, Any]) -> Timeline:
    """What `draw_timeline` gave."""
    return _TIMELINE.validate_python(data)


def zone_of(name: str) -> tzinfo:
    """UTC where the name is none of a time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def title(timeline: Timeline) -> str:
    """The object's name, short enough for a picture's width."""
    if isinstance(timeline, DeploymentTimeline):
        return shortened(timeline.name, MAX_TITLE)
    belongs_to = timeline.run.deployment or timeline.run.flow
    name = shortened(timeline.run.name, MAX_TITLE // 2)
    return f"{name}  ·  {shortened(belongs_to, MAX_TITLE - len(name))}"


def facts(timeline: Timeline, zone: tzinfo) -> str:
    """One line: how it stands, since when, and the figures."""
    if isinstance(timeline, DeploymentTimeline):
        return _deployment_facts(timeline, zone)
    return _run_facts(timeline, zone)


def _run_facts(timeline: RunTimeline, zone: tzinfo) -> str:
    run = timeline.run
    if run.started is None:
        due = f", due {moment(run.due, zone)}" if run.due else ""
        return f"{run.state}: it has not begun{due}"
    took, began = in_words(timeline.seconds or 0.0), f"began {moment(run.started, zone)}"
    parts = [f"{run.state} after {took}", began] if timeline.over else [run.state, began, f"{took} ago"]
    if timeline.waited_seconds >= TELLING_WAIT:
        parts.append(f"{in_words(timeline.waited_seconds)} late")
    return ", ".join([*parts, _tasks(timeline)])


def _tasks(timeline: RunTimeline) -> str:
    if not timeline.task_runs:
        return "no task runs"
    runs = "1 task run" if timeline.task_runs == 1 else f"{timeline.task_runs} task runs"
    return f"{runs}, {timeline.failures} failed" if timeline.failures else runs


def _deployment_facts(timeline: DeploymentTimeline, zone: tzinfo) -> str:
    runs = timeline.runs
    if not runs:
        return "No run of it has been due yet"
    counts = ", ".join(f"{number} {state}" for state, number in timeline.counts.items())
    many = f"last {len(runs)} runs" if len(runs) > 1 else "its only run"
    if len(runs) == 1 and timeline.older_runs_exist:
        many = "its last run"
    return f"{many[0].upper()}{many[1:]}: {counts}  ·  times in {zone}"


def footer(timeline: Timeline) -> str:
    """What the picture does not show."""
    if isinstance(timeline, DeploymentTimeline):
        return ""
    notes = []
    if timeline.truncated:
        notes.append(f"{len(timeline.bars)} of {timeline.task_runs} task runs: {timeline.chosen}.")
    if timeline.not_started_count:
        names = ", ".join(shortened(name, 40) for name in timeline.not_started[:3])
        more = timeline.not_started_count - min(3, len(timeline.not_started))
        notes.append(f"Never began: {names}{f' and {more} more' if more else ''}.")
    return shortened(" ".join(notes), 130)


def headline(data: Mapping[str, Any], time_zone: str) -> str:
    """What stands above the picture, in Markdown: the name, linked, and the facts."""
    timeline = read_timeline(data)
    subject = timeline.run if isinstance(timeline, RunTimeline) else timeline
    told = plain(facts(timeline, zone_of(time_zone)))
    took = _took(timeline) if isinstance(timeline, DeploymentTimeline) else ""
    return f"**{link(subject.name, subject.url)}**: {told}. {plain(took)}".strip()


def alt_text(timeline: Timeline, zone: tzinfo) -> str:
    """The picture for who cannot see it: the same facts, then what stands out."""
    if isinstance(timeline, DeploymentTimeline):
        name = shortened(timeline.name, MAX_NAME)
        text = f"Durations of the runs of {name}. {facts(timeline, zone)}. {_outstanding(timeline)}"
    else:
        name = shortened(timeline.run.name, MAX_NAME)
        text = f"Timeline of flow run {name}. {facts(timeline, zone)}. {_told_bars(timeline)}"
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return line if len(line) <= MAX_ALT else f"{line[: MAX_ALT - 1]}…"


def _took(timeline: DeploymentTimeline) -> str:
    told = []
    if timeline.median_seconds is not None:
        told.append(f"A completed run took {in_words(timeline.median_seconds)} in the median.")
    if slowest := max(timeline.runs, key=lambda run: run.seconds, default=None):
        told.append(f"Longest: {shortened(slowest.name, MAX_NAME)}, {in_words(slowest.seconds)}.")
    return " ".join(told)


def _outstanding(timeline: DeploymentTimeline) -> str:
    runs = timeline.runs
    told = [_took(timeline)] if runs else []
    if bad := [run.name for run in runs if run.state_type in BAD]:
        told.append(f"Failed or crashed: {_named(bad)}.")
    if late := [run for run in runs if run.waited_seconds >= TELLING_WAIT]:
        worst = max(late, key=lambda run: run.waited_seconds)
        name = shortened(worst.name, MAX_NAME)
        told.append(f"{len(late)} waited; the longest, {name}, {in_words(worst.waited_seconds)}.")
    return " ".join(told)


def _told_bars(timeline: RunTimeline) -> str:
    told = []
    if longest := max(timeline.bars, key=lambda bar: bar.seconds, default=None):
        told.append(f"Longest: {shortened(longest.name, MAX_NAME)}, {in_words(longest.seconds)}.")
    if bad := [bar for bar in timeline.bars if bar.state_type in BAD]:
        told.append(f"Failed: {_named([_with_attempts(bar) for bar in bad])}.")
    if open_ := [bar.name for bar in timeline.bars if not bar.over]:
        told.append(f"Not ended: {_named(open_)}.")
    return " ".join([*told, footer(timeline)]).strip()


def _with_attempts(bar: TaskBar) -> str:
    return f"{bar.name} after {bar.attempts} attempts" if bar.attempts > 1 else bar.name


def _named(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(shortened(name, MAX_NAME) for name in names[:MAX_NAMED]) + (
        f" and {more} more" if more > 0 else ""
    )


def as_table(timeline: Timeline, zone: tzinfo) -> str:
    """The same as Markdown, for where no picture can be shown."""
    if isinstance(timeline, DeploymentTimeline):
        rows = [_run_row(run, zone) for run in timeline.runs[-MAX_TABLE:]]
        heads, cut = ("run", "state", "began", "took", "waited"), len(timeline.runs) > MAX_TABLE
    else:
        ranked = sorted(timeline.bars, key=lambda bar: (bar.state_type not in BAD, bar.over, -bar.seconds))
        kept = sorted(ranked[:MAX_TABLE], key=lambda bar: bar.begins)
        rows = [_bar_row(bar) for bar in kept]
        heads, cut = ("task run", "state", "began after", "took", "attempts"), len(kept) < timeline.task_runs
    head = f"**{code(title(timeline))}**: {plain(facts(timeline, zone))}."
    return f"{head}\n\n{table(heads, rows, truncated=cut)}" if rows else head


def _run_row(run: RunBar, zone: tzinfo) -> tuple[str, ...]:
    waited = in_words(run.waited_seconds) if run.waited_seconds >= TELLING_WAIT else "–"
    return (code(run.name), plain(run.state), moment(run.began, zone), in_words(run.seconds), waited)


def _bar_row(bar: TaskBar) -> tuple[str, ...]:
    return (code(bar.name), plain(bar.state), in_words(bar.begins), in_words(bar.seconds), str(bar.attempts))


def moment(when: datetime | None, zone: tzinfo) -> str:
    if when is None:
        return "–"
    local = when.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b} {local:%H:%M:%S} ({zone})"
