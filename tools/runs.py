"""Flow runs: what ran, runs, waits or should have run."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from tools.job_variables import JobVariable, effective_variables
from tools.lateness import late_seconds, overdue_filter, utc_now
from tools.models import FlowRun, Moment, State, TaskRun
from tools.parameter_secrets import hide_secrets
from tools.prefect_client import Filters, PrefectClient
from tools.redact import redact
from tools.resolve import find_deployment, find_flow_run, find_work_pool, name_filter
from tools.run_rows import MASKED_BEYOND, MAX_MESSAGE, Result, RunRow, run_rows, shorten

MAX_LIST = 100
# Overdue runs are picked from this many candidates, as the filter also matches some that only wait.
MAX_CANDIDATES = 500
MAX_STATES = 12
MAX_FAILED_TASKS = 5
MAX_ERRORS = 3
MAX_ERROR_LINES = 20
ERROR_LEVEL = 40
MAX_STATE_MESSAGE = 1000
DEFAULT_HOURS = 24

StateType = Literal[
    "SCHEDULED",
    "PENDING",
    "RUNNING",
    "PAUSED",
    "CANCELLING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "CRASHED",
]
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})


class RunList(Result):
    flow_runs: list[RunRow]
    truncated: bool
    order: str = Field(description="how the rows are sorted")
    within: str = Field(description="the time that was looked at")


class StateRow(Result):
    state: str
    type: str
    at: Moment | None = None
    message: str | None = None


class FailedTask(Result):
    name: str
    state: str
    message: str | None = None


class RunDetails(Result):
    run: RunRow
    deployment_url: str | None = None
    work_pool_url: str | None = None
    full_message: str | None = Field(None, description="of the present state, where it is cut in `run`")
    parameters: dict[str, Any]
    tags: list[str]
    created: Moment | None = None
    attempts: int = Field(description="how often it began to run; above 1 after retries")
    started_by: str | None = Field(None, description="schedule, or the person for whom this bot started it")
    worker: str | None = Field(None, description="the worker that took it")
    infrastructure: str | None = Field(None, description="process id, container id or job name")
    job_variables: list[JobVariable] = Field(description="only those set for this run alone")
    parent_task_run: str | None = None
    states: list[StateRow] = Field(description="its history, oldest first")
    earlier_states_left_out: int = 0
    task_runs: int
    failed_task_runs: int
    failed_tasks: list[FailedTask]
    last_errors: list[str] = Field(description="its last log lines of level ERROR, oldest first")


class Runs:
    """Reads flow runs."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def list_flow_runs(
        self,
        deployment: Annotated[
            str, Field(description="only of this deployment: flow/deployment or a part")
        ] = "",
        work_pool: Annotated[str, Field(description="only in this work pool")] = "",
        name: Annotated[str, Field(description="only runs whose own name holds this text")] = "",
        states: Annotated[
            tuple[StateType, ...], Field(description="only these state types; empty for any", max_length=9)
        ] = (),
        state_names: Annotated[
            tuple[str, ...],
            Field(description="only these state names, exactly, such as AwaitingRetry", max_length=9),
        ] = (),
        late_only: Annotated[
            bool, Field(description="only runs that are overdue now, whatever their state is called")
        ] = False,
        since_hours: Annotated[
            float, Field(gt=0, le=24 * 90, description="looks back this far by start, or due time")
        ] = DEFAULT_HOURS,
        until_hours: Annotated[
            float, Field(ge=0, le=24 * 90, description="and ahead this far, for scheduled runs")
        ] = 0,
        limit: Annotated[int, Field(ge=1, le=MAX_LIST, description="how many at most")] = 20,
    ) -> RunList:
        """Lists flow runs, newest first: state and message, deployment, pool and queue, times, lateness.

        Ask with late_only for runs that should have started and have not (the longest overdue first, however
        old), with states for example ["FAILED", "CRASHED"], with until_hours for what is scheduled ahead.
        Use describe_flow_run for one run.
        """
        now = utc_now()
        filters = await self._scope(deployment, work_pool)
        wanted: dict[str, Any] = {"name": name_filter(name)} if name else {}
        if late_only:
            return await self._late(filters, {**wanted, **overdue_filter(now)}, now, limit)
        if state := _state_filter(states, state_names):
            wanted["state"] = state
        begin, end = now - timedelta(hours=since_hours), now + timedelta(hours=until_hours)
        wanted["start_time"] = {"after_": begin.isoformat(), "before_": end.isoformat()}
        runs = await self._prefect.flow_runs({**filters, "flow_runs": wanted}, limit=limit + 1)
        ahead = f" and the next {until_hours:g} h" if until_hours else ""
        return RunList(
            flow_runs=await run_rows(self._prefect, runs[:limit], now),
            truncated=len(runs) > limit,
            order="newest start or due time first",
            within=f"the last {since_hours:g} h{ahead}",
        )

    async def _scope(self, deployment: str, work_pool: str) -> Filters:
        filters: Filters = {}
        if deployment:
            found = await find_deployment(self._prefect, deployment)
            filters["deployments"] = {"id": {"any_": [found.deployment.id]}}
        if work_pool:
            pool = await find_work_pool(self._prefect, work_pool)
            filters["work_pools"] = {"name": {"any_": [pool.name]}}
        return filters

    async def _late(self, filters: Filters, wanted: dict[str, Any], now: datetime, limit: int) -> RunList:
        candidates = await self._prefect.flow_runs(
            {**filters, "flow_runs": wanted}, limit=MAX_CANDIDATES, sort="EXPECTED_START_TIME_ASC"
        )
        late = [run for run in candidates if late_seconds(run, now)]
        return RunList(
            flow_runs=await run_rows(self._prefect, late[:limit], now),
            truncated=len(late) > limit or len(candidates) == MAX_CANDIDATES,
            order="longest overdue first",
            within="any time",
        )

    async def describe_flow_run(
        self, flow_run: Annotated[str, Field(description="its name, id, or a link to it")]
    ) -> RunDetails:
        """One flow run: state history, parameters, times, worker, failed tasks, last errors.

        For its log use read_logs, for where its code runs explain_infrastructure.
        """
        run = await find_flow_run(self._prefect, flow_run)
        mine: Filters = {"flow_runs": {"id": {"any_": [run.id]}}}
        failed: Filters = {**mine, "task_runs": {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}}}
        rows, states, tasks, failures, samples, errors = await asyncio.gather(
            run_rows(self._prefect, [run], utc_now()),
            self._prefect.flow_run_states(run.id),
            self._prefect.count_task_runs(mine),
            self._prefect.count_task_runs(failed),
            self._prefect.task_runs(failed, limit=MAX_FAILED_TASKS),
            self._last_errors(run.id),
        )
        safe = run.model_copy(update={"parameters": await self._parameters(run)})
        return self._details(safe, rows[0], states, (tasks, failures), samples, errors)

    async def _parameters(self, run: FlowRun) -> dict[str, Any]:
        """Without secrets; that one is a `SecretStr` the deployment's schema alone tells."""
        mine: Filters = {"deployments": {"id": {"any_": [run.deployment_id]}}}
        asked = run.deployment_id and run.parameters
        found = await self._prefect.deployments(mine, limit=1) if asked else []
        return hide_secrets(found[0].parameter_openapi_schema if found else {}, run.parameters)

    def _details(
        self,
        run: FlowRun,
        row: RunRow,
        states: Sequence[State],
        tasks: tuple[int, int],
        failed: Sequence[TaskRun],
        errors: list[str],
    ) -> RunDetails:
        links = self._prefect.links
        return RunDetails(
            run=row,
            deployment_url=links.deployment(run.deployment_id) if run.deployment_id else None,
            work_pool_url=links.work_pool(run.work_pool_name) if run.work_pool_name else None,
            full_message=shorten(run.state.message, MAX_STATE_MESSAGE)
            if len(run.state.message) > MAX_MESSAGE
            else None,
            parameters=run.parameters,
            tags=list(run.tags),
            created=run.created,
            attempts=run.run_count,
            started_by=_started_by(run),
            worker=worker_of(run) or None,
            infrastructure=run.infrastructure_pid or None,
            job_variables=effective_variables(None, None, run.job_variables),
            parent_task_run=run.parent_task_run_id or None,
            states=[_state_row(state) for state in states[-MAX_STATES:]],
            earlier_states_left_out=max(0, len(states) - MAX_STATES),
            task_runs=tasks[0],
            failed_task_runs=tasks[1],
            failed_tasks=[_failed_task(task) for task in failed],
            last_errors=errors,
        )

    async def _last_errors(self, run_id: str) -> list[str]:
        logs = {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": ERROR_LEVEL}}
        lines = await self._prefect.logs(logs, limit=MAX_ERROR_LINES)
        # One failure is logged by task, flow and engine, each with a longer traceback around the same end.
        by_end = {line.message.strip().rpartition("\n")[2]: line.message for line in lines}
        return [_end_of(message) for message in list(by_end.values())[:MAX_ERRORS]][::-1]


def worker_of(run: FlowRun) -> str:
    """The worker that took the run; none for a serve process or a push pool."""
    return str(run.labels.get("prefect.worker.name", ""))


def _state_filter(states: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if states:
        found["type"] = {"any_": list(states)}
    if names:
        found["name"] = {"any_": list(names)}
    return found


def _started_by(run: FlowRun) -> str | None:
    if run.auto_scheduled:
        return "schedule"
    user = run.labels.get("slack.user")
    return f"this bot, for {user}" if user else None


def _state_row(state: State) -> StateRow:
    return StateRow(
        state=state.name, type=state.type, at=state.timestamp, message=shorten(state.message) or None
    )


def _failed_task(task: TaskRun) -> FailedTask:
    return FailedTask(name=task.name, state=task.state.name, message=shorten(task.state.message) or None)


def _end_of(message: str) -> str:
    """A traceback says what happened in its last lines."""
    message = redact(message.strip()[-MAX_STATE_MESSAGE - MASKED_BEYOND :])
    return message if len(message) <= MAX_STATE_MESSAGE else f"…{message[-MAX_STATE_MESSAGE:]}"
