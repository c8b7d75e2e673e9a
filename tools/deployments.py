"""Deployments: what can be run, where it would run, with which parameters and schedules."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from tools.job_variables import JobVariable, effective_variables
from tools.lateness import utc_now
from tools.models import Deployment, FlowRun, iso
from tools.named_deployments import NamedDeployment
from tools.parameter_secrets import HIDDEN, hide_secrets
from tools.parameter_types import resolved, type_in_words
from tools.prefect_client import Filters, PrefectClient
from tools.redact import is_secret_name
from tools.resolve import find_deployment, find_work_pool, name_filter
from tools.run_rows import Result, RunRow, run_rows, shorten
from tools.schedules import in_words
from tools.workers import seconds_ago

MAX_LIST = 100
RECENT_RUNS = 5
MAX_DESCRIPTION = 1000


class DeploymentRow(Result):
    name: str = Field(description="flow/deployment")
    url: str
    work_pool: str | None = Field(
        None, description="absent when it has none; then only a serve process runs it"
    )
    work_queue: str | None = None
    status: str | None = Field(None, description="READY: something asked for its runs within the last minute")
    paused: bool
    schedules: list[str]
    tags: list[str]


class DeploymentList(Result):
    deployments: list[DeploymentRow]
    total: int = Field(description="how many match in all")
    truncated: bool


class Parameter(Result):
    name: str
    type: str
    required: bool
    default: Any = Field(None, description="what a run gets when nothing is given")
    choices: list[Any] | None = None
    description: str | None = None


class DeploymentDetails(Result):
    name: str = Field(description="flow/deployment")
    id: str
    url: str
    flow_url: str
    description: str | None = None
    version: str | None = None
    tags: list[str]
    entrypoint: str | None = Field(None, description="file:function or module path that is run")
    work_pool: str | None = None
    work_pool_url: str | None = None
    work_queue: str | None = None
    status: str | None = None
    last_polled_seconds_ago: int | None = None
    paused: bool
    schedules: list[str]
    next_run: str | None = Field(None, description="due time and name of the next scheduled run")
    concurrency_limit: str | None = None
    parameters: list[Parameter]
    parameters_enforced: bool = Field(description="whether the server refuses values that break the schema")
    job_variables: list[JobVariable] = Field(description="only those that the deployment sets itself")
    recent_runs: list[RunRow] = Field(description=f"the last {RECENT_RUNS} that started")


class Deployments:
    """Reads deployments."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def list_deployments(
        self,
        name: Annotated[str, Field(description="only those whose flow's or own name holds this text")] = "",
        work_pool: Annotated[str, Field(description="only those of this work pool")] = "",
        tag: Annotated[str, Field(description="only those with this tag, exactly as written")] = "",
        paused_only: Annotated[bool, Field(description="only paused ones")] = False,
        limit: Annotated[int, Field(ge=1, le=MAX_LIST, description="how many at most")] = 30,
    ) -> DeploymentList:
        """Lists deployments: work pool, status, paused or not, schedules, tags.

        A deployment is what can be run. Use describe_deployment for the parameters of one.
        """
        filters = await self._filters(name, work_pool, tag, paused_only=paused_only)
        rows, total = await asyncio.gather(
            self._prefect.deployments(filters, limit=limit), self._prefect.count_deployments(filters)
        )
        flows = await self._prefect.flow_names([row.flow_id for row in rows])
        shown = [self._row(row, flows.get(row.flow_id, "?")) for row in rows]
        return DeploymentList(deployments=shown, total=total, truncated=total > len(shown))

    async def _filters(self, name: str, work_pool: str, tag: str, *, paused_only: bool) -> Filters:
        wanted: dict[str, Any] = {}
        filters: Filters = {}
        flow, slash, own = name.partition("/")
        if slash:
            filters["flows"] = {"name": name_filter(flow)}
            wanted["name"] = name_filter(own)
        elif name:
            wanted["flow_or_deployment_name"] = name_filter(name)
        if tag:
            wanted["tags"] = {"all_": [tag]}
        if paused_only:
            wanted["paused"] = {"eq_": True}
        if wanted:
            filters["deployments"] = wanted
        if work_pool:
            pool = await find_work_pool(self._prefect, work_pool)
            filters["work_pools"] = {"name": {"any_": [pool.name]}}
        return filters

    def _row(self, row: Deployment, flow: str) -> DeploymentRow:
        return DeploymentRow(
            name=f"{flow}/{row.name}",
            url=self._prefect.links.deployment(row.id),
            work_pool=row.work_pool_name or None,
            work_queue=row.work_queue_name or None,
            status=row.status or None,
            paused=row.paused,
            schedules=[in_words(schedule) for schedule in row.schedules],
            tags=list(row.tags),
        )

    async def describe_deployment(
        self,
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, an id, or a link")],
    ) -> DeploymentDetails:
        """One deployment: parameters with types and defaults, schedules, work pool, status, recent runs.

        Read it before proposing trigger_run. Where its code runs is told by explain_infrastructure.
        """
        found = await find_deployment(self._prefect, deployment)
        recent, upcoming = await asyncio.gather(
            self._runs(found, {"start_time": {"is_null_": False}}, limit=RECENT_RUNS, sort="START_TIME_DESC"),
            self._runs(
                found,
                {
                    "state": {"type": {"any_": ["SCHEDULED"]}},
                    "expected_start_time": {"after_": utc_now().isoformat()},
                },
                limit=1,
                sort="EXPECTED_START_TIME_ASC",
            ),
        )
        return self._details(found, await run_rows(self._prefect, recent, utc_now()), upcoming)

    async def _runs(
        self, found: NamedDeployment, wanted: Mapping[str, Any], *, limit: int, sort: str
    ) -> list[FlowRun]:
        runs = {**wanted, "deployment_id": {"any_": [found.deployment.id]}}
        return await self._prefect.flow_runs({"flow_runs": runs}, limit=limit, sort=sort)

    def _details(
        self, found: NamedDeployment, recent: list[RunRow], upcoming: list[FlowRun]
    ) -> DeploymentDetails:
        row, links = found.deployment, self._prefect.links
        return DeploymentDetails(
            name=found.full_name,
            id=row.id,
            url=links.deployment(row.id),
            flow_url=links.flow(row.flow_id),
            description=shorten(row.description, MAX_DESCRIPTION) or None,
            version=row.version or None,
            tags=list(row.tags),
            entrypoint=row.entrypoint or None,
            work_pool=row.work_pool_name or None,
            work_pool_url=links.work_pool(row.work_pool_name) if row.work_pool_name else None,
            work_queue=row.work_queue_name or None,
            status=row.status or None,
            last_polled_seconds_ago=seconds_ago(row.last_polled, utc_now()),
            paused=row.paused,
            schedules=[in_words(schedule) for schedule in row.schedules],
            next_run=_next_run(upcoming),
            concurrency_limit=_concurrency(row),
            parameters=list_parameters(row),
            parameters_enforced=row.enforce_parameter_schema,
            job_variables=effective_variables(None, row.job_variables),
            recent_runs=recent,
        )


def _next_run(upcoming: list[FlowRun]) -> str | None:
    if not upcoming or upcoming[0].expected_start_time is None:
        return None
    return f"{iso(upcoming[0].expected_start_time)} ({upcoming[0].name})"


def _concurrency(row: Deployment) -> str | None:
    """The limit is in an object of its own; the deployment's `concurrency_limit` field is always null."""
    limit = row.global_concurrency_limit
    if limit is None:
        return None
    then = row.concurrency_options.collision_strategy
    at_most = f"at most {limit.limit} at a time, {limit.active_slots} in use"
    return f"{at_most}; further runs: {then}" if then else at_most


def list_parameters(row: Deployment) -> list[Parameter]:
    """In the order of the flow function's signature; the deployment's values stand before its defaults."""
    unrecorded: dict[str, Any] = {name: {} for name in row.parameters}
    properties = unrecorded | row.parameter_openapi_schema.get("properties", {})
    ordered = sorted(properties.items(), key=lambda item: item[1].get("position", 0))
    required = row.parameter_openapi_schema.get("required", [])
    return [
        Parameter(
            name=name,
            type=type_in_words(row.parameter_openapi_schema, spec),
            required=name in required and name not in row.parameters,
            default=_default(row, name, row.parameters.get(name, spec.get("default"))),
            choices=resolved(row.parameter_openapi_schema, spec).get("enum"),
            description=shorten(str(spec.get("description", ""))) or None,
        )
        for name, spec in ordered
    ]


def _default(row: Deployment, name: str, value: Any) -> Any:
    """The name stands beside the value in a row, where redaction by key cannot see it."""
    shown = hide_secrets(row.parameter_openapi_schema, {name: value})[name]
    return "set, not shown" if value and (is_secret_name(name) or shown == HIDDEN) else shown
