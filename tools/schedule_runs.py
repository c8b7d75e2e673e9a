"""What the schedules of a deployment have made so far, and are about to make."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from knowledge.errors import BadInput
from tools.lateness import late_seconds
from tools.models import Deployment, FlowRun, Schedule
from tools.prefect_client import PrefectClient
from tools.proposal import Fact
from tools.schedules import in_words
from tools.when import in_zone, zone_named

# A schedule is laid out for at most 100 runs ahead; a deployment has a few schedules.
MAX_RUNS = 1000
MAX_SCHEDULES = 10
# It waits for a slot, and Prefect leaves it alone.
AWAITING_SLOT = "AwaitingConcurrencySlot"


async def waiting_runs(prefect: PrefectClient, row: Deployment) -> list[FlowRun]:
    """The runs of the deployment that have not begun, the next first."""
    wanted = {"deployment_id": {"any_": [row.id]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    return await prefect.flow_runs({"flow_runs": wanted}, limit=MAX_RUNS, sort="EXPECTED_START_TIME_ASC")


def made_by_schedule(run: FlowRun) -> bool:
    """Whether Prefect would delete it with its schedule: nobody asked for it, and it has never begun."""
    return run.auto_scheduled and run.run_count == 0 and run.state.name != AWAITING_SLOT


def schedule_facts(row: Deployment, waiting: Sequence[FlowRun], now: datetime) -> Iterator[Fact]:
    """One line a schedule, with its next run where there is one."""
    if not row.schedules:
        yield Fact(label="Schedules", value="none")
    for schedule in row.schedules[:MAX_SCHEDULES]:
        yield Fact(label="Schedule", value=schedule_in_words(schedule, waiting, now))
    if len(row.schedules) > MAX_SCHEDULES:
        yield Fact(label="And", value=f"{len(row.schedules) - MAX_SCHEDULES} more schedules")


def schedule_in_words(schedule: Schedule, waiting: Sequence[FlowRun], now: datetime) -> str:
    own = (run for run in waiting if run.created_by.id == schedule.id and not late_seconds(run, now))
    due = next((run.expected_start_time for run in own if run.expected_start_time), None)
    return in_words(schedule) + (f"; next run {in_zone(due, _zone(schedule))}" if due else "")


def _zone(schedule: Schedule) -> ZoneInfo | None:
    try:
        return zone_named(str(schedule.schedule.get("timezone") or "UTC"))
    except BadInput:
        return None


def counted(count: int, what: str = "run") -> str:
    """`1 run`, `2 runs`; the most that is read is told as `1000 or more`."""
    shown = f"{count} or more" if count >= MAX_RUNS else str(count)
    return f"{shown} {what}{'s' * (count != 1)}"
