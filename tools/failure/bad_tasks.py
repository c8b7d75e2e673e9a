"""Which task run went wrong first, and how many did not make it."""

from dataclasses import dataclass

from tools.failure.told import Told, told
from tools.models import FlowRun, TaskRun
from tools.prefect_client import Filters, PrefectClient

# The first of a cascade is among those created first.
MAX_TASKS = 60
# About 2 kB each, unless an exception's message holds a table.
MAX_BYTES = 100_000
HELD_BACK = "NotReady"
BAD_TYPES = ("FAILED", "CRASHED")


@dataclass(frozen=True, slots=True)
class BadTasks:
    """Of the run's last attempt."""

    failed: tuple[TaskRun, ...] = ()
    """FAILED or CRASHED, the first to end first."""
    cut_off: tuple[TaskRun, ...] = ()
    """Still RUNNING in a run that CRASHED: their process is gone."""
    held_back: int = 0
    truncated: bool = False

    def behind(self, outcome: Told) -> TaskRun | None:
        """The task run that made the flow fail so; None when the flow failed by itself."""
        same = (task for task in self.failed if told(task.state.message) == outcome)
        if found := next(same, None):
            return found
        first = next(iter(self.failed), None)
        return first if outcome.is_second_hand else None

    def raised_by(self, errors: set[tuple[str, str]]) -> TaskRun | None:
        """The first task run whose exception, as (type, message), is one of these."""
        for task in self.failed:
            said = told(task.state.message)
            if said.type and (said.type, said.message) in errors:
                return task
        return None


async def bad_tasks(prefect: PrefectClient, run: FlowRun) -> BadTasks:
    types = [*BAD_TYPES, *(["RUNNING"] if run.state.type == "CRASHED" else [])]
    wanted: Filters = {
        "flow_runs": {"id": {"any_": [run.id]}},
        "task_runs": {"state": {"operator": "or_", "type": {"any_": types}, "name": {"any_": [HELD_BACK]}}},
    }
    # After a retry of the flow the earlier attempts' task runs are still there.
    order = "EXPECTED_START_TIME_DESC" if run.run_count > 1 else "EXPECTED_START_TIME_ASC"
    rows, cut = await prefect.first_task_runs(wanted, sort=order, limit=MAX_TASKS, max_bytes=MAX_BYTES)
    all_failed = [row for row in rows if row.state.type in BAD_TYPES]
    attempt = max((row.flow_run_run_count for row in all_failed), default=0)
    failed = [row for row in all_failed if row.flow_run_run_count == attempt]
    return BadTasks(
        failed=tuple(sorted(failed, key=_ended)),
        cut_off=tuple(row for row in rows if row.state.type == "RUNNING"),
        # What never ran belongs to no attempt.
        held_back=sum(row.state.name == HELD_BACK for row in rows),
        truncated=cut or len(rows) == MAX_TASKS,
    )


def _ended(task: TaskRun) -> tuple[bool, float]:
    moment = task.end_time or task.state.timestamp
    return moment is None, moment.timestamp() if moment else 0.0
