"""The fields of Prefect's answers that the tools use; all else is dropped on arrival."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def iso(moment: datetime) -> str:
    """`2026-11-22T15:43:48Z`: whole seconds say all that a reader needs."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Moment = Annotated[
    datetime,
    AfterValidator(_in_utc),
    PlainSerializer(iso, return_type=str, when_used="json"),
]
"""A point in time, always UTC; serialised by `iso`."""


class Wire(BaseModel):
    """An answer of the server. A null counts as absent, so that defaults hold for both."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {key: value for key, value in data.items() if value is not None}
        return data


class StateDetails(Wire):
    child_flow_run_id: str = ""
    """Of a task run that stands for a flow called by the flow."""
    pause_timeout: Moment | None = None
    """When a pause that nobody ends becomes a failure."""
    run_input_keyset: dict[str, str] = Field(default_factory=dict)
    """Set where the run waits for a person's input."""


class State(Wire):
    type: str
    """SCHEDULED, PENDING, RUNNING, PAUSED, CANCELLING, COMPLETED, FAILED, CANCELLED or CRASHED."""
    name: str = ""
    """What people see: Late, AwaitingRetry, Running, …"""
    message: str = ""
    timestamp: Moment | None = None
    state_details: StateDetails = StateDetails()
    data: Any = None
    """Where the result is, if it was kept: `{"type": …}`, with `unpersisted` for one that was not."""

    @property
    def keeps_result(self) -> bool:
        return isinstance(self.data, Mapping) and self.data.get("type") != "unpersisted"


class RetryPolicy(Wire):
    retries: int = 0
    retry_type: str = ""
    """`in_process`: a live process waits; `reschedule`: a worker has to take the run again."""


class CreatedBy(Wire):
    id: str = ""
    """Of the schedule or automation."""


class FlowRun(Wire):
    id: str
    name: str
    flow_id: str
    deployment_id: str = ""
    state: State = State(type="PENDING", name="No state yet")
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    labels: dict[str, Any] = Field(default_factory=dict)
    work_pool_name: str = ""
    work_queue_name: str = ""
    expected_start_time: Moment | None = None
    next_scheduled_start_time: Moment | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    total_run_time: float = 0.0
    """Seconds in Running."""
    run_count: int = 0
    infrastructure_pid: str = ""
    job_variables: dict[str, Any] = Field(default_factory=dict)
    parent_task_run_id: str = ""
    auto_scheduled: bool = False
    created_by: CreatedBy = CreatedBy()
    empirical_policy: RetryPolicy = RetryPolicy()
    created: Moment | None = None


class Flow(Wire):
    id: str
    name: str


class Schedule(Wire):
    id: str = ""
    slug: str = ""
    active: bool = True
    schedule: dict[str, Any] = Field(default_factory=dict)
    """`{cron, timezone}`, `{interval, anchor_date}` (seconds) or `{rrule}`."""
    parameters: dict[str, Any] = Field(default_factory=dict)


class GlobalLimit(Wire):
    """A row of v2/concurrency_limits; the name is `tag:<tag>`, `deployment:<id>`, or free."""

    id: str = ""
    name: str = ""
    limit: int = 0
    active: bool = True
    active_slots: int = 0
    slot_decay_per_second: float = 0.0


class TagLimit(Wire):
    """The older view of a `tag:` limit, which alone tells who holds the slots."""

    tag: str = ""
    active_slots: tuple[str, ...] = ()
    """Ids of task runs."""


class LimitOptions(Wire):
    collision_strategy: str = ""


class Deployment(Wire):
    id: str
    name: str
    flow_id: str
    description: str = ""
    version: str = ""
    paused: bool = False
    status: str = ""
    schedules: tuple[Schedule, ...] = ()
    global_concurrency_limit: GlobalLimit | None = None
    concurrency_options: LimitOptions = LimitOptions()
    job_variables: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameter_openapi_schema: dict[str, Any] = Field(default_factory=dict)
    enforce_parameter_schema: bool = True
    tags: tuple[str, ...] = ()
    work_pool_name: str = ""
    work_queue_name: str = ""
    last_polled: Moment | None = None
    path: str = ""
    entrypoint: str = ""
    pull_steps: tuple[dict[str, Any], ...] = ()
    storage_document_id: str = ""


class WorkPool(Wire):
    id: str
    name: str
    type: str
    description: str = ""
    status: str = ""
    """READY, NOT_READY or PAUSED; empty for `prefect-agent`."""
    is_paused: bool = False
    concurrency_limit: int | None = None
    active_slots: int = 0
    """Counted by the server only where a limit is set."""
    base_job_template: dict[str, Any] = Field(default_factory=dict)


class WorkQueue(Wire):
    id: str
    name: str
    work_pool_name: str = ""
    is_paused: bool = False
    concurrency_limit: int | None = None
    active_slots: int = 0
    priority: int = 1
    last_polled: Moment | None = None
    status: str = ""


class Worker(Wire):
    name: str
    status: str = ""
    last_heartbeat_time: Moment | None = None
    heartbeat_interval_seconds: float = 30.0


class TaskRun(Wire):
    id: str
    name: str
    flow_run_id: str = ""
    state: State = State(type="PENDING", name="No state yet")
    run_count: int = 0
    tags: tuple[str, ...] = ()
    start_time: Moment | None = None
    """Of its first attempt."""
    end_time: Moment | None = None
    empirical_policy: RetryPolicy = RetryPolicy()
    flow_run_run_count: int = 0
    """Which attempt of the flow run it belongs to, from 1."""


class Artifact(Wire):
    id: str
    key: str = ""
    """Empty for what only the run itself refers to."""
    type: str = ""


class LogLine(Wire):
    timestamp: Moment
    level: int
    name: str = ""
    message: str = ""
    flow_run_id: str = ""
    task_run_id: str = ""


class Automation(Wire):
    id: str
    name: str
    description: str = ""
    enabled: bool = True
    trigger: dict[str, Any] = Field(default_factory=dict)
    actions: tuple[dict[str, Any], ...] = ()
    actions_on_trigger: tuple[dict[str, Any], ...] = ()
    actions_on_resolve: tuple[dict[str, Any], ...] = ()


class Event(Wire):
    id: str
    occurred: Moment
    event: str
    resource: dict[str, str] = Field(default_factory=dict)
    related: tuple[dict[str, str], ...] = ()
    payload: dict[str, Any] = Field(default_factory=dict)

    @property
    def involved(self) -> frozenset[str]:
        """Ids of what it happened to and of what it is related to, such as `prefect.flow-run.<id>`."""
        return frozenset(item.get("prefect.resource.id", "") for item in (self.resource, *self.related))


class EventPage(Wire):
    events: tuple[Event, ...] = ()
    total: int = 0


class TransitionDetails(Wire):
    type: str = ""
    reason: str = ""


class Transition(Wire):
    """The answer to set_state; `status` alone misleads, the returned state decides."""

    state: State | None = None
    status: str = ""
    details: TransitionDetails = TransitionDetails()
