"""The end of a failed run's log: its errors and what came before them, within a byte budget.

Nothing is read from the beginning, so that a log of 200,000 lines costs what one of twenty does.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tools.failure.models import LastLine
from tools.failure.told import PREFECT_TIMEOUTS, Told
from tools.failure.traceback import HEADER, ParsedTraceback, parse_traceback
from tools.lateness import utc_now
from tools.logs import level_name
from tools.models import FlowRun, LogLine, TaskRun
from tools.prefect_client import PrefectClient
from tools.run_rows import shorten
from tools.runs import ERROR_LEVEL

# Flow and engine log a failure at the very end, so the exception is nearly always among these. Levels are
# not asked for: the server would have to look through the whole log (1 s for 200,000 lines), as only time
# is indexed beside the run.
LAST_LINES = 8
# Where noise follows the failure, this many errors of the last minutes are looked through.
MAX_ERRORS = 20
ERRORS_WITHIN = timedelta(minutes=5)
# One traceback line is 1 to 5 kB, but may be 1 MB: Prefect cuts a line there.
MAX_BYTES = 120_000
MAX_LINE = 240

# With these Prefect reports what ended a run; any other traceback in a log may have been dealt with.
_REPORTS = (
    "Encountered exception during execution",
    "Task run failed with exception",
    "Engine execution exited with unexpected exception",
    "Engine execution interrupted by base exception",
    "Unexpected exception encountered when trying to load flow",
    "Failed to submit flow run",
    "Crash detected!",
)
# Said at every start and end, whatever happened.
_ROUTINE = (
    *_REPORTS,
    "Runner failed to retrieve flow to execute",
    "Finished in state",
    "Engine execution exited",
    "Flow run exceeded timeout",
    "Task run exceeded timeout",
    "Flow run failed due to timeout",
    "Task run failed due to timeout",
)
_WORKER = "prefect.flow_runs.worker"


async def last_lines(
    prefect: PrefectClient, run: FlowRun, moment: datetime | None = None
) -> tuple[list[LogLine], bool]:
    """The newest lines up to a moment, newest first; the second value: did their size leave some unread?"""
    wanted: dict[str, Any] = {"flow_run_id": {"any_": [run.id]}}
    if moment:
        wanted["timestamp"] = {"before_": moment.isoformat()}
    return await prefect.last_logs(wanted, limit=LAST_LINES, max_bytes=MAX_BYTES)


async def last_errors(prefect: PrefectClient, run: FlowRun) -> list[LogLine]:
    """Those behind noise: what code logs while it cleans up after a failure."""
    end = run.end_time or utc_now()
    return await _errors(prefect, run.id, after=end - ERRORS_WITHIN)


async def errors_of_task(prefect: PrefectClient, task: TaskRun) -> list[LogLine]:
    """Of a subflow those of its own run."""
    end = task.end_time or utc_now()
    if subflow := task.state.state_details.child_flow_run_id:
        return await _errors(prefect, subflow, after=end - ERRORS_WITHIN)
    mine = {"task_run_id": {"any_": [task.id]}}
    return await _errors(prefect, task.flow_run_id, after=end - ERRORS_WITHIN, **mine)


async def _errors(prefect: PrefectClient, run_id: str, *, after: datetime, **more: Any) -> list[LogLine]:
    wanted = {
        "flow_run_id": {"any_": [run_id]},
        "level": {"ge_": ERROR_LEVEL},
        "timestamp": {"after_": after.isoformat()},
        **more,
    }
    lines, _cut = await prefect.last_logs(wanted, limit=MAX_ERRORS, max_bytes=MAX_BYTES)
    return lines


def traceback_of(lines: Iterable[LogLine], said: Told) -> ParsedTraceback | None:
    """The newest traceback that fits what the state tells; Prefect's own report, where that names none."""
    for line in lines:
        if line.level < ERROR_LEVEL or HEADER not in line.message:
            continue
        if not said.type and not line.message.startswith(_REPORTS):
            continue
        parsed = parse_traceback(line.message)
        if parsed and (not said.type or _fits(parsed, said)):
            return parsed
    return None


def _fits(parsed: ParsedTraceback, said: Told) -> bool:
    """Cut off before the exception's name it still fits, if nothing else is known of it."""
    if parsed.last.type not in ("", said.type):
        return False
    if not parsed.last.message or said.type in PREFECT_TIMEOUTS:
        return True
    return _beginning(parsed.last.message) == _beginning(said.message)


def _beginning(message: str) -> str:
    return "".join(message.split())[:80]


def shown_lines(lines: Sequence[LogLine]) -> list[LastLine]:
    """What the run itself logged, oldest first, without what Prefect says at every start and end."""
    own = [line for line in lines if line.name != _WORKER and not line.message.startswith(_ROUTINE)]
    return [
        LastLine(
            at=line.timestamp,
            level=level_name(line.level),
            message=shorten(line.message.strip().partition("\n")[0], MAX_LINE),
        )
        for line in reversed(own)
    ]
