"""When a run is overdue: it should have started and has not."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.models import FlowRun

# Prefect's own clock gives a run this long before it is called late.
GRACE = timedelta(seconds=15)
# These wait for a time of their own; `expected_start_time` still tells when the run was first due.
RESCHEDULED = ("AwaitingRetry", "Resuming")


def utc_now() -> datetime:
    return datetime.now(UTC)


def due_time(run: FlowRun) -> datetime | None:
    """When the run should start next."""
    if run.state.name in RESCHEDULED:
        return run.next_scheduled_start_time or run.expected_start_time
    return run.expected_start_time


def late_seconds(run: FlowRun, now: datetime) -> int:
    """How long an unstarted run is overdue; 0 when it is not.

    The state's name is no guide: only `Scheduled` ever turns `Late`, AwaitingConcurrencySlot never does.
    """
    due = due_time(run)
    if run.state.type != "SCHEDULED" or due is None or due > now - GRACE:
        return 0
    return int((now - due).total_seconds())


def overdue_filter(now: datetime) -> Mapping[str, Any]:
    """Flow-run filter for all that may be overdue; some AwaitingRetry are not, so check `late_seconds`."""
    before = (now - GRACE).isoformat()
    return {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": before}}


def waiting_filter(now: datetime) -> Mapping[str, Any]:
    """The part of `overdue_filter` that waits for a later time of its own and so is not overdue."""
    return {
        "state": {"type": {"any_": ["SCHEDULED"]}, "name": {"any_": list(RESCHEDULED)}},
        "expected_start_time": {"before_": (now - GRACE).isoformat()},
        "next_scheduled_start_time": {"after_": (now - GRACE).isoformat()},
    }
