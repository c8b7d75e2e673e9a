"""Why one run failed or crashed: which exception, in which task, at which line of whose code, how often."""

import asyncio
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from knowledge.errors import ExpectedError
from tools.failure.bad_tasks import BadTasks, bad_tasks
from tools.failure.errors import raised_error, root_cause
from tools.failure.exit_codes import exit_of
from tools.failure.fingerprint import fingerprint
from tools.failure.history import history, key_of, read_past
from tools.failure.models import FailedPullStep, FailedTaskRun, FailureAnalysis, RaisedError, TaskCounts
from tools.failure.pulling import failed_pull_step
from tools.failure.run_log import (
    LAST_LINES,
    errors_of_task,
    last_errors,
    last_lines,
    shown_lines,
    traceback_of,
)
from tools.failure.told import Told, told
from tools.failure.traceback import ParsedTraceback
from tools.failure.words import summary
from tools.lateness import utc_now
from tools.logs import LAG
from tools.models import FlowRun, LogLine, TaskRun
from tools.prefect_client import PrefectClient
from tools.run_rows import shorten
from tools.runs import ERROR_LEVEL

T = TypeVar("T")

# A task's last line is stamped about when its state is.
AFTER_TASK = timedelta(seconds=1)
MAX_RUNNING = 3
# `load_orders-048`: Prefect's name of a task run, unless the user gave another.
_SUFFIX = re.compile(r"-(?:[0-9a-f]{3}|\d+)$")


@dataclass(frozen=True, slots=True)
class _Judged:
    """What made the run fail, as far as its state, task runs and log lines tell."""

    said: Told
    task: TaskRun | None = None
    parsed: ParsedTraceback | None = None
    outcome: ParsedTraceback | None = None
    """The flow's own, where it is another than the task's."""


async def analyse(prefect: PrefectClient, run: FlowRun) -> FailureAnalysis:
    """Of a run in FAILED or CRASHED; five to ten requests in three rounds.

    Never raises for what cannot be read: `notes` say so.
    """
    notes: list[str] = []
    (last, is_cut), tasks, step, past = await asyncio.gather(
        _or_noted(last_lines(prefect, run), ([], False), "The end of its log", notes),
        _or_noted(_bad_tasks(prefect, run), BadTasks(), "Its task runs", notes),
        _or_noted(_pull_step(prefect, run), None, "Its events", notes),
        _or_noted(read_past(prefect, run), None, "Earlier failures", notes),
    )
    if suspect := tasks.behind(told(run.state.message)):
        of_task = last_lines(prefect, run, _moment(suspect))
        last, is_cut = await _or_noted(of_task, (last, is_cut), "The log of the task", notes)
    judged = _judge(run, tasks, last)
    if judged.parsed is None and (further := _further(prefect, run, judged, last)):
        errors = await _or_noted(further, [], "More of its log", notes)
        judged = _judge(run, tasks, [*errors, *last])
    notes += _notes(run, judged, last, is_cut=is_cut)
    analysis = _analysis(prefect, run, tasks, judged, last, notes).model_copy(update={"pull_step": step})
    if past is None:
        return analysis
    frame = analysis.error.user_frame if analysis.error else None
    seen = await _or_noted(history(prefect, run, past, _key(judged), frame), None, "Earlier failures", notes)
    return analysis.model_copy(update={"history": seen, "notes": notes})


async def _or_noted(reading: Awaitable[T], otherwise: T, what: str, notes: list[str]) -> T:
    try:
        return await reading
    except ExpectedError as error:
        notes.append(f"{what} could not be read: {error.message}")
        return otherwise


def _further(
    prefect: PrefectClient, run: FlowRun, judged: _Judged, last: Sequence[LogLine]
) -> Awaitable[list[LogLine]] | None:
    """Where else a traceback may stand; None where there is none to be found."""
    if judged.task:
        return errors_of_task(prefect, judged.task) if judged.said.type else None
    ended = exit_of(run.state.message)
    expects = ended.code == 1 if ended else judged.said.type not in ("", "FlowRunTimeoutError")
    return last_errors(prefect, run) if expects and len(last) == LAST_LINES else None


async def _bad_tasks(prefect: PrefectClient, run: FlowRun) -> BadTasks:
    return await bad_tasks(prefect, run) if run.run_count else BadTasks()


async def _pull_step(prefect: PrefectClient, run: FlowRun) -> FailedPullStep | None:
    """With code 1 ends what could not load the flow, and what Python ends after an exception."""
    ended = exit_of(run.state.message)
    return await failed_pull_step(prefect, run) if ended and ended.code == 1 else None


def _moment(task: TaskRun | None) -> datetime | None:
    return task.end_time + AFTER_TASK if task and task.end_time else None


def _judge(run: FlowRun, tasks: BadTasks, lines: Sequence[LogLine]) -> _Judged:
    outcome = told(run.state.message)
    if task := tasks.behind(outcome):
        return _of_task(task, lines)
    ended = exit_of(run.state.message)
    if ended and ended.code != 1:
        # Only code 1 is what Python itself ends with after an exception.
        return _Judged(outcome)
    parsed = traceback_of(lines, Told("", "") if ended else outcome)
    if parsed is None:
        return _Judged(Told("", "") if ended else outcome)
    raised = {(error.type, error.message) for error in parsed.chain[:-1]}
    if task := tasks.raised_by(raised):
        judged = _of_task(task, lines)
        return _Judged(judged.said, task, judged.parsed or parsed, parsed)
    return _Judged(outcome if outcome.type else Told(parsed.last.type, parsed.last.message), None, parsed)


def _of_task(task: TaskRun, lines: Sequence[LogLine]) -> _Judged:
    said = told(task.state.message)
    # A subflow's task run logs nothing itself; what it raised passes through the flow that called it.
    is_subflow = bool(task.state.state_details.child_flow_run_id)
    own = [line for line in lines if is_subflow or line.task_run_id == task.id]
    return _Judged(said, task, traceback_of(own, said))


def _key(judged: _Judged) -> Told:
    """What earlier runs are compared by; nothing where no exception is known."""
    return judged.said if judged.said.type else Told("", "")


def _notes(run: FlowRun, judged: _Judged, last: Sequence[LogLine], *, is_cut: bool) -> list[str]:
    if judged.parsed or any(line.level >= ERROR_LEVEL for line in last):
        return []
    if is_cut:
        return ["The last lines of its log are so large that they were left unread."]
    if run.end_time and utc_now() - run.end_time < LAG:
        return ["The run has just ended: its last log lines may still be on their way, so look again."]
    return [f"The last {len(last)} lines of its log hold no ERROR." if last else "It has no log."]


def _analysis(
    prefect: PrefectClient,
    run: FlowRun,
    tasks: BadTasks,
    judged: _Judged,
    last: Sequence[LogLine],
    notes: list[str],
) -> FailureAnalysis:
    error = raised_error(judged.said, judged.parsed)
    ended = exit_of(run.state.message)
    outcome = judged.outcome.last if judged.outcome else None
    found = FailureAnalysis(
        summary="",
        error=error,
        root_cause=root_cause(judged.parsed),
        outcome=raised_error(Told(outcome.type, outcome.message), judged.outcome) if outcome else None,
        parts=_parts(judged.parsed),
        task=_task(prefect, judged.task) if judged.task else None,
        tasks=_counts(tasks),
        exit_code=ended.code if ended else None,
        last_lines=shown_lines(last),
        fingerprint=fingerprint(judged.said.type, judged.said.message) if judged.said.type else key_of(run),
        notes=notes,
    )
    return found.model_copy(update={"summary": summary(run, found)})


def _counts(tasks: BadTasks) -> TaskCounts:
    return TaskCounts(
        failed=len(tasks.failed),
        subflow=next(
            (id_ for task in tasks.failed if (id_ := task.state.state_details.child_flow_run_id)), None
        ),
        held_back=tasks.held_back,
        running=[shorten(task.name) for task in tasks.cut_off[:MAX_RUNNING]],
        truncated=tasks.truncated,
    )


def _parts(parsed: ParsedTraceback | None) -> list[RaisedError]:
    parts = parsed.parts if parsed else ()
    errors = [raised_error(Told(part.type, part.message), ParsedTraceback((part,))) for part in parts]
    return [error for error in errors if error]


def _task(prefect: PrefectClient, task: TaskRun) -> FailedTaskRun:
    subflow = task.state.state_details.child_flow_run_id
    return FailedTaskRun(
        name=shorten(task.name),
        task=shorten(_SUFFIX.sub("", task.name)),
        id=task.id,
        url=prefect.links.task_run(task.id),
        state=task.state.name,
        message=shorten(task.state.message) or None,
        subflow_url=prefect.links.flow_run(subflow) if subflow else None,
        attempts=task.run_count,
        attempts_allowed=task.empirical_policy.retries + 1,
        ended=task.end_time,
    )
