"""What a picture of a run, or of a deployment's runs, shows: what ran when, for how long, how it ended."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Annotated, Literal

from pydantic import Field

from knowledge.errors import BadInput
from tools.lateness import late_seconds, utc_now
from tools.models import FlowRun, Moment, State, TaskRun
from tools.named_deployments import NamedDeployment
from tools.prefect_client import Filters, PrefectClient
from tools.resolve import find_deployment, find_flow_run
from tools.run_rows import Result, RunRow, run_rows, run_seconds
from tools.runs import ENDED

# As many rows as one can read in a picture.
MAX_BARS = 60
MAX_RUNS = 60
# Looked at to choose the rows from: three pages of the server.
MAX_TASK_RUNS = 600
MAX_NAMES = 10
MAX_PHASES = 60
BAD = frozenset({"FAILED", "CRASHED"})
# A state can be written a moment before the time that the server gives as the start.
CLOCK_SLACK = timedelta(seconds=1)


class Phase(Result):
    """A stretch of time in one state."""

    state: str
    state_type: str
    begins: float = Field(description="seconds after the run began")
    seconds: float = Field(description="until its end; until now, or the run's end, where it has none")


class TaskBar(Phase):
    """All that one task run did, its attempts and the waits between them."""

    name: str
    kind: Literal["task", "subflow"]
    attempts: int
    over: bool


class RunTimeline(Result):
    kind: Literal["run"] = "run"
    run: RunRow
    seconds: float | None = Field(
        None, description="from its first start to its end, or until now; absent before it began"
    )
    waited_seconds: int = Field(description="from when it was due to when it began, or until now")
    over: bool
    phases: list[Phase] = Field(description="the run's own states since it began")
    bars: list[TaskBar] = Field(description="its task runs and subflows, by start")
    not_started: list[str] = Field(description="task runs that never began, with their state")
    not_started_count: int
    task_runs: int = Field(description="how many there are in all")
    failures: int = Field(description="how many of them failed or crashed")
    longest: str | None = Field(None, description="the bar that took longest")
    truncated: bool = Field(description="whether task runs are left out of `bars`")
    chosen: str | None = Field(None, description="which ones are kept, where some are left out")


class RunBar(Result):
    """One of a deployment's runs."""

    name: str
    url: str
    state: str
    state_type: str
    due: Moment | None = None
    began: Moment | None = None
    seconds: float = Field(description="spent running so far")
    waited_seconds: int = Field(description="from when it was due to when it began, or until now")
    over: bool


class DeploymentTimeline(Result):
    kind: Literal["deployment"] = "deployment"
    name: str = Field(description="flow/deployment")
    url: str
    runs: list[RunBar] = Field(description="its latest runs, oldest first")
    older_runs_exist: bool
    counts: dict[str, int] = Field(description="how many of these runs are in which state")
    median_seconds: float | None = Field(None, description="of those that completed")
    slowest: str | None = Field(None, description="the run that took longest")
    failures: int = Field(description="how many failed or crashed")
    longest_wait: str | None = Field(None, description="the run that began, or has to begin, the most late")


class Timelines:
    """Puts together what a picture shows."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def draw_timeline(
        self,
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, an id, or a link")] = "",
        flow_run: Annotated[str, Field(description="a run's name, id, or link")] = "",
        runs: Annotated[int, Field(ge=1, le=MAX_RUNS, description="how many runs of a deployment")] = 30,
    ) -> RunTimeline | DeploymentTimeline:
        """Shows people a picture, and gives you its figures. Give exactly one of the two.

        Of a flow run: its task runs and subflows on a time axis (a Gantt chart). Of a deployment: how long
        its latest runs took, by state. For whoever asks to see or plot runs, or where the time went.
        """
        if bool(deployment.strip()) == bool(flow_run.strip()):
            raise BadInput(
                "A picture is of one flow run, or of one deployment.", "Give flow_run or deployment."
            )
        if flow_run.strip():
            return await self._of_run(await find_flow_run(self._prefect, flow_run))
        return await self._of_deployment(await find_deployment(self._prefect, deployment), runs)

    async def _of_run(self, run: FlowRun) -> RunTimeline:
        mine: Filters = {"flow_runs": {"id": {"any_": [run.id]}}}
        failed: Filters = {**mine, "task_runs": {"state": {"type": {"any_": sorted(BAD)}}}}
        now = utc_now()
        rows, states, first, bad, total, failures = await asyncio.gather(
            run_rows(self._prefect, [run], now),
            self._prefect.flow_run_states(run.id),
            self._prefect.task_runs(mine, limit=MAX_TASK_RUNS, sort="EXPECTED_START_TIME_ASC"),
            self._prefect.task_runs(failed, limit=MAX_BARS, sort="EXPECTED_START_TIME_ASC"),
            self._prefect.count_task_runs(mine),
            self._prefect.count_task_runs(failed),
        )
        tasks = list({task.id: task for task in [*first, *bad]}.values())
        bars = _bars(tasks, run, now)
        kept = _most_telling(bars)
        waiting = [f"{task.name} ({task.state.name})" for task in tasks if task.start_time is None]
        left_out = len(kept) < len(bars) or len(tasks) < total
        return RunTimeline(
            run=rows[0],
            seconds=_seconds_between(run.start_time, _end(run, now)),
            waited_seconds=_waited(run, now),
            over=run.state.type in ENDED,
            phases=_phases(states, run, now),
            bars=kept,
            not_started=waiting[:MAX_NAMES],
            not_started_count=len(waiting),
            task_runs=total,
            failures=failures,
            longest=_longest((bar.name, bar.seconds) for bar in bars),
            truncated=left_out,
            chosen="those that failed, those still under way, then the longest" if left_out else None,
        )

    async def _of_deployment(self, found: NamedDeployment, count: int) -> DeploymentTimeline:
        now = utc_now()
        # The server reads `start_time` as the due time of a run that has not begun.
        until_now = {"deployment_id": {"any_": [found.deployment.id]}}
        before = {"start_time": {"before_": now.isoformat()}}
        latest = await self._prefect.flow_runs({"flow_runs": {**until_now, **before}}, limit=count + 1)
        bars = [self._run_bar(run, now) for run in reversed(latest[:count])]
        completed = [bar.seconds for bar in bars if bar.state_type == "COMPLETED"]
        return DeploymentTimeline(
            name=found.full_name,
            url=self._prefect.links.deployment(found.deployment.id),
            runs=bars,
            older_runs_exist=len(latest) > count,
            counts=_counts(bar.state for bar in bars),
            median_seconds=round(median(completed), 2) if completed else None,
            slowest=_longest((bar.name, bar.seconds) for bar in bars),
            failures=sum(bar.state_type in BAD for bar in bars),
            longest_wait=_longest((bar.name, bar.waited_seconds) for bar in bars),
        )

    def _run_bar(self, run: FlowRun, now: datetime) -> RunBar:
        return RunBar(
            name=run.name,
            url=self._prefect.links.flow_run(run.id),
            state=run.state.name,
            state_type=run.state.type,
            due=run.expected_start_time,
            began=run.start_time,
            seconds=round(run_seconds(run, now), 2),
            waited_seconds=_waited(run, now),
            over=run.state.type in ENDED,
        )


def _bars(tasks: Sequence[TaskRun], run: FlowRun, now: datetime) -> list[TaskBar]:
    """Those that began, by start. A crash leaves task runs Running for ever: they end with their run."""
    begun = run.start_time
    if begun is None:
        return []
    bars = [_task_bar(task, task.start_time, begun, _end(run, now)) for task in tasks if task.start_time]
    return sorted(bars, key=lambda bar: (bar.begins, bar.name))


def _task_bar(task: TaskRun, start: datetime, begun: datetime, until: datetime) -> TaskBar:
    over = task.state.type in ENDED
    return TaskBar(
        name=task.name,
        kind="subflow" if task.state.state_details.child_flow_run_id else "task",
        state=task.state.name,
        state_type=task.state.type,
        begins=max(0.0, _seconds_between(begun, start) or 0.0),
        seconds=max(0.0, _seconds_between(start, task.end_time or (start if over else until)) or 0.0),
        attempts=task.run_count,
        over=over,
    )


def _most_telling(bars: Sequence[TaskBar]) -> list[TaskBar]:
    def rank(bar: TaskBar) -> tuple[bool, bool, float]:
        return (bar.state_type not in BAD, bar.over, -bar.seconds)

    kept = sorted(bars, key=rank)[:MAX_BARS]
    return sorted(kept, key=lambda bar: (bar.begins, bar.name))


def _phases(states: Sequence[State], run: FlowRun, now: datetime) -> list[Phase]:
    """From one state to the next. An end state is among them where the run was retried after it."""
    begun = run.start_time
    if begun is None:
        return []
    timed = [(s, s.timestamp) for s in states if s.timestamp and s.timestamp >= _earliest(s, begun)]
    ends = [moment for _, moment in timed[1:]] + [_end(run, now)]
    bars = [
        Phase(
            state=state.name,
            state_type=state.type,
            begins=max(0.0, _seconds_between(begun, moment) or 0.0),
            seconds=max(0.0, _seconds_between(max(moment, begun), end) or 0.0),
        )
        for (state, moment), end in zip(timed, ends, strict=True)
    ]
    return (bars[:-1] if run.state.type in ENDED else bars)[-MAX_PHASES:]


def _earliest(state: State, begun: datetime) -> datetime:
    return begun - CLOCK_SLACK if state.type == "RUNNING" else begun


def _end(run: FlowRun, now: datetime) -> datetime:
    return (run.end_time or now) if run.state.type in ENDED else now


def _waited(run: FlowRun, now: datetime) -> int:
    if run.start_time is None:
        return late_seconds(run, now)
    if run.expected_start_time is None:
        return 0
    return max(0, int((run.start_time - run.expected_start_time).total_seconds()))


def _seconds_between(start: datetime | None, end: datetime) -> float | None:
    return None if start is None else round((end - start).total_seconds(), 2)


def _counts(states: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in states:
        found[state] = found.get(state, 0) + 1
    return found


def _longest(named: Iterable[tuple[str, float]]) -> str | None:
    name, seconds = max(named, key=lambda pair: pair[1], default=("", 0.0))
    return f"{name}, {seconds:g} s" if seconds else None
