"""All that was read about one run before it is judged: the checks do no I/O.

Each part is the thing itself, None where there is no such thing (or it does not matter in the run's state),
or `Unread` where it could not be looked at. So a check that needs a pool begins

    pool = facts.pool
    if not isinstance(pool, WorkPool):
        return pool

which passes both on: None says "does not apply", Unread "could not look".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar

from tools.diagnosis.models import Cause, Fine, Hint
from tools.failure.models import FailureAnalysis
from tools.lateness import GRACE, due_time, late_seconds
from tools.links import Links
from tools.models import (
    Automation,
    Deployment,
    Event,
    FlowRun,
    GlobalLimit,
    LogLine,
    State,
    TaskRun,
    Worker,
    WorkPool,
    WorkQueue,
)

T = TypeVar("T")

AWAITING_RETRY = "AwaitingRetry"
# How the server marks a retry for which a worker has to take the run again.
RESCHEDULED = "reschedule"


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be looked at: `what` (the workers of work pool etl) and why not."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


Read: TypeAlias = T | Unread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """About one run; without one (`run` None) about a deployment, as if it were to run now."""

    now: datetime
    links: Links
    run: FlowRun | None = None
    flow: Read[str] = None
    """Its name."""
    deployment: Read[Deployment] = None
    """None: it was started without one, or the deployment has been deleted."""
    deployment_name: str = ""
    """`flow/deployment`, as far as known."""
    about_deployment: bool = False
    """A deployment was asked about, so what keeps it from making runs matters too."""

    pool: Read[WorkPool] = None
    queues: Read[tuple[WorkQueue, ...]] = None
    """All of the pool's."""
    workers: Read[tuple[Worker, ...]] = None
    """Of the pool; None where its type needs none."""

    active: Read[tuple[FlowRun, ...]] = None
    """RUNNING and PENDING runs in the pool, longest first; for an overdue run."""
    waiting: Read[tuple[FlowRun, ...]] = None
    """Overdue runs in the pool, the longest overdue first; where one of its limits is reached."""
    deployment_active: Read[tuple[FlowRun, ...]] = None
    """RUNNING and PENDING runs of the deployment; where its limit is reached."""
    ended_processes: Read[Mapping[str, datetime]] = None
    """When the worker saw the process end, by the id of a run that holds a slot and is still RUNNING."""

    limits: Read[tuple[GlobalLimit, ...]] = None
    """All concurrency limits; for a RUNNING run."""
    waiting_tasks: Read[tuple[TaskRun, ...]] = None
    """Its PENDING task runs, of a RUNNING run."""
    tag_holders: Read[Mapping[str, tuple[FlowRun, ...]]] = None
    """Which runs hold the slots of a full task tag, by tag."""
    limit_events: Read[tuple[Event, ...]] = None
    """`prefect.concurrency-limit.acquired`, of full global limits."""
    children: Read[tuple[FlowRun, ...]] = None
    """Its subflow runs that have not ended."""
    parent: Read[FlowRun] = None

    events: Read[tuple[Event, ...]] = None
    """Of the run, newest first: the end of its process, automations; heartbeats while it is RUNNING."""
    last_log: Read[LogLine] = None
    pool_events: Read[tuple[Event, ...]] = None
    """When the pool and its queues were paused; where one is."""
    deployment_events: Read[tuple[Event, ...]] = None
    """Who paused the deployment; where it is."""
    automation: Read[Automation] = None
    """That suspended or paused the run."""

    upcoming: Read[tuple[FlowRun, ...]] = None
    """The deployment's next scheduled runs; when it was asked about."""
    artifacts: Read[tuple[str, ...]] = None
    """Keys of the artifacts of a COMPLETED run."""
    states: Read[tuple[State, ...]] = None
    """All that it went through, oldest first, of a CANCELLED run."""
    failure: Read[FailureAnalysis] = None
    """Of a run that FAILED or CRASHED."""

    @property
    def state(self) -> str:
        """The type of the run's state; empty without a run."""
        return self.run.state.type if self.run else ""

    @property
    def late_seconds(self) -> int:
        return late_seconds(self.run, self.now) if self.run else 0

    @property
    def due(self) -> datetime | None:
        return due_time(self.run) if self.run else None

    @property
    def needs_a_start(self) -> bool:
        """It has yet to be taken by a worker: scheduled for now or later, or only thought of."""
        if self.run is None:
            return True
        return self.state == "SCHEDULED" and not self.retries_by_itself

    @property
    def retries_by_itself(self) -> bool:
        """Its process is alive and waits for the next attempt, unlike after a retry by hand."""
        if self.run is None or self.run.state.name != AWAITING_RETRY:
            return False
        return self.run.empirical_policy.retry_type != RESCHEDULED

    @property
    def is_ahead(self) -> bool:
        """Scheduled for later."""
        due = self.due
        return self.state == "SCHEDULED" and due is not None and due > self.now - GRACE

    @property
    def queue_name(self) -> str:
        if self.run:
            return self.run.work_queue_name
        return self.deployment.work_queue_name if isinstance(self.deployment, Deployment) else ""

    @property
    def queue(self) -> Read[WorkQueue]:
        if not isinstance(self.queues, tuple):
            return self.queues
        return next((queue for queue in self.queues if queue.name == self.queue_name), None)

    @property
    def state_seconds(self) -> int:
        """How long the run has been in its present state."""
        since = self.run.state.timestamp if self.run else None
        return max(0, int((self.now - since).total_seconds())) if since else 0


Check: TypeAlias = Callable[[Facts], Cause | Fine | Hint | Unread | None]
