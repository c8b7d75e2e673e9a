"""Prefect's REST API: one short method an endpoint; with `prefect_http` the only code that speaks it.

Left out on purpose: `get_scheduled_flow_runs` of pools and deployments and `work_queues/{id}/get_runs`.
They count as a poll, so that a server without any worker would turn queues and deployments READY.
"""

import copy
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypedDict
from urllib.parse import quote

from tools import models
from tools.connection import PrefectConnection
from tools.errors import NotFound
from tools.links import Links
from tools.prefect_http import PAGE_SIZE, Json, PrefectHttp

EVENTS_PAGE_SIZE = 50
CREATED = 201


class Filters(TypedDict, total=False):
    """The filters that combine; the server silently ignores any other top-level key and returns all."""

    flows: Mapping[str, Any]
    flow_runs: Mapping[str, Any]
    task_runs: Mapping[str, Any]
    deployments: Mapping[str, Any]
    work_pools: Mapping[str, Any]
    work_pool_queues: Mapping[str, Any]


class PrefectClient:
    """A connection to one server or workspace; built without I/O, closed by `async with`.

    With no connection every call raises BadInput that says how to set one. Calls raise the
    ExpectedError tree: Unreachable, Refused (401, 403), NotFound (404), BadInput (400, 409, 422).
    """

    def __init__(self, connection: PrefectConnection | None) -> None:
        self.connection = connection
        self.links = Links(connection.ui_url if connection else "")
        self._http = PrefectHttp(connection)

    def bounded(self, requests: int) -> Self:
        """The same client for one job; after so many requests its calls raise Refused."""
        other = copy.copy(self)
        other._http = self._http.bounded(requests)
        return other

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    # -- the server --

    async def version(self) -> str:
        """The server's version; proves address and credentials. On Cloud `Cloud`, as it tells no version."""
        if self._http.connected().is_cloud:
            await self.flows(limit=1)
            return "Cloud"
        return str(await self._http.json("GET", "admin/version"))

    # -- flows and deployments --

    async def flows(self, filters: Filters | None = None, *, limit: int = PAGE_SIZE) -> list[models.Flow]:
        return await self._http.rows(
            "flows/filter", models.Flow, _body(filters, sort="NAME_ASC"), limit=limit
        )

    async def flow_names(self, flow_ids: Sequence[str]) -> dict[str, str]:
        """Names by id, as deployments and runs carry only the flow's id."""
        ids = sorted(set(flow_ids))
        if not ids:
            return {}
        rows = await self.flows({"flows": {"id": {"any_": ids}}}, limit=len(ids))
        return {row.id: row.name for row in rows}

    async def deployment(self, deployment_id: str) -> models.Deployment:
        return await self._http.one(f"deployments/{_id(deployment_id)}", models.Deployment)

    async def deployment_by_name(self, flow: str, deployment: str) -> models.Deployment:
        """Exact names, case included."""
        return await self._http.one(f"deployments/name/{_q(flow)}/{_q(deployment)}", models.Deployment)

    async def deployments(
        self, filters: Filters | None = None, *, limit: int = PAGE_SIZE, sort: str = "NAME_ASC"
    ) -> list[models.Deployment]:
        return await self._http.rows(
            "deployments/filter", models.Deployment, _body(filters, sort=sort), limit=limit
        )

    async def count_deployments(self, filters: Filters | None = None) -> int:
        return int(await self._http.json("POST", "deployments/count", _body(filters)))

    async def put_flow(self, name: str) -> models.Flow:
        """The flow of that name, made when there is none."""
        return self._http.parse(await self._http.checked("POST", "flows/", {"name": name}), models.Flow)

    async def put_deployment(self, body: Json) -> models.Deployment:
        """Creates it, or replaces the one with the same flow and name, schedules included."""
        return self._http.parse(await self._http.checked("POST", "deployments/", body), models.Deployment)

    async def has_block(self, type_slug: str, name: str) -> bool:
        """Whether there is a block document of that type and name; what it holds is not asked for."""
        path = f"block_types/slug/{_q(type_slug)}/block_documents/name/{_q(name)}"
        try:
            await self._http.checked("GET", path)
        except NotFound:
            return False
        return True

    async def create_flow_run(
        self, deployment_id: str, body: Json, *, key: str
    ) -> tuple[models.FlowRun, bool]:
        """Starts a run; the second value says whether one was created now.

        The key makes repeating safe: with a used one the server answers 200 and the first run. Keys are
        unique per flow and never expire, so compare the run's `deployment_id`.
        """
        path = f"deployments/{_id(deployment_id)}/create_flow_run"
        response = await self._http.checked("POST", path, {**body, "idempotency_key": key})
        return self._http.parse(response, models.FlowRun), response.status_code == CREATED

    async def pause_deployment(self, deployment_id: str) -> None:
        """Deletes what its schedules have made and has not begun, also what is overdue; no event tells of it.

        Not PATCH, which validates the stored parameters first and then may refuse to pause.
        """
        await self._http.checked("POST", f"deployments/{_id(deployment_id)}/pause_deployment")

    async def resume_deployment(self, deployment_id: str) -> None:
        await self._http.checked("POST", f"deployments/{_id(deployment_id)}/resume_deployment")

    async def set_schedule_active(self, deployment_id: str, schedule_id: str, active: bool) -> None:
        """Either way deletes the future runs of all its schedules; those still active make theirs again."""
        path = f"deployments/{_id(deployment_id)}/schedules/{_id(schedule_id)}"
        await self._http.checked("PATCH", path, {"active": active})

    # -- runs --

    async def flow_run(self, run_id: str) -> models.FlowRun:
        return await self._http.one(f"flow_runs/{_id(run_id)}", models.FlowRun)

    async def flow_runs(
        self, filters: Filters | None = None, *, limit: int, sort: str = "START_TIME_DESC"
    ) -> list[models.FlowRun]:
        return await self._http.rows(
            "flow_runs/filter", models.FlowRun, _body(filters, sort=sort), limit=limit
        )

    async def last_ended_runs(
        self, filters: Filters, *, limit: int, max_bytes: int
    ) -> tuple[list[models.FlowRun], bool]:
        """Those that ended last first, as `last_logs`."""
        body = _body(filters, sort="END_TIME_DESC")
        return await self._http.first_rows(
            "flow_runs/filter", models.FlowRun, body, limit=limit, max_bytes=max_bytes
        )

    async def count_flow_runs(self, filters: Filters | None = None) -> int:
        return int(await self._http.json("POST", "flow_runs/count", _body(filters)))

    async def flow_run_states(self, run_id: str) -> list[models.State]:
        """All states that the run went through, oldest first."""
        data = await self._http.checked("GET", f"flow_run_states/?flow_run_id={_id(run_id)}")
        states = self._http.parse_list(data, models.State)
        return sorted(states, key=lambda state: state.timestamp.timestamp() if state.timestamp else 0.0)

    async def task_runs(
        self, filters: Filters, *, limit: int, sort: str = "END_TIME_DESC"
    ) -> list[models.TaskRun]:
        return await self._http.rows(
            "task_runs/filter", models.TaskRun, _body(filters, sort=sort), limit=limit
        )

    async def first_task_runs(
        self, filters: Filters, *, sort: str, limit: int, max_bytes: int
    ) -> tuple[list[models.TaskRun], bool]:
        """One page within `max_bytes`; the second value says whether that left task runs out."""
        body = _body(filters, sort=sort)
        return await self._http.first_rows(
            "task_runs/filter", models.TaskRun, body, limit=limit, max_bytes=max_bytes
        )

    async def count_task_runs(self, filters: Filters) -> int:
        return int(await self._http.json("POST", "task_runs/count", _body(filters)))

    async def task_runs_by_state(self, filters: Filters) -> dict[str, int]:
        """How many there are of each state type; NotFound where the server has no UI routes."""
        counts = await self._http.json("POST", "ui/task_runs/count", _body(filters))
        return {state: int(count) for state, count in counts.items()}

    async def logs(self, logs: Mapping[str, Any], *, limit: int, offset: int = 0) -> list[models.LogLine]:
        """Newest first."""
        body = {"logs": logs, "sort": "TIMESTAMP_DESC"}
        return await self._http.rows("logs/filter", models.LogLine, body, limit=limit, offset=offset)

    async def last_logs(
        self, logs: Mapping[str, Any], *, limit: int, max_bytes: int
    ) -> tuple[list[models.LogLine], bool]:
        """Newest first, one page within `max_bytes`; the second value says whether that left lines out."""
        body = {"logs": logs, "sort": "TIMESTAMP_DESC"}
        return await self._http.first_rows(
            "logs/filter", models.LogLine, body, limit=limit, max_bytes=max_bytes
        )

    async def artifacts(self, run_id: str, *, limit: int) -> list[models.Artifact]:
        """Newest first."""
        body: Json = {"flow_runs": {"id": {"any_": [_id(run_id)]}}, "sort": "CREATED_DESC"}
        return await self._http.rows("artifacts/filter", models.Artifact, body, limit=limit)

    async def set_state(
        self, run_id: str, *, type_: str, message: str, name: str = ""
    ) -> tuple[models.Transition, bool]:
        """Proposes a state; the second value says whether one was written (201), also if it is another.

        Never repeated here, as a second try has to look at the run again first.
        """
        state = {"type": type_, "name": name or type_.capitalize(), "message": message}
        body = {"state": state, "force": False}
        response = await self._http.checked(
            "POST", f"flow_runs/{_id(run_id)}/set_state", body, repeatable=False
        )
        return self._http.parse(response, models.Transition), response.status_code == CREATED

    # -- where runs go --

    async def work_pool(self, name: str) -> models.WorkPool:
        return await self._http.one(f"work_pools/{_q(name)}", models.WorkPool)

    async def work_pools(
        self, filters: Filters | None = None, *, limit: int = PAGE_SIZE
    ) -> list[models.WorkPool]:
        return await self._http.rows("work_pools/filter", models.WorkPool, _body(filters), limit=limit)

    async def work_queues(self, pool: str, *, limit: int = PAGE_SIZE) -> list[models.WorkQueue]:
        return await self._http.rows(
            f"work_pools/{_q(pool)}/queues/filter", models.WorkQueue, {}, limit=limit
        )

    async def set_pool_paused(self, name: str, paused: bool) -> None:
        await self._http.checked("PATCH", f"work_pools/{_q(name)}", {"is_paused": paused})

    async def set_queue_paused(self, pool: str, queue: str, paused: bool) -> None:
        path = f"work_pools/{_q(pool)}/queues/{_q(queue)}"
        await self._http.checked("PATCH", path, {"is_paused": paused})

    async def all_work_queues(self, *, limit: int) -> list[models.WorkQueue]:
        """Of every pool; the rows name it."""
        return await self._http.rows("work_queues/filter", models.WorkQueue, {}, limit=limit)

    async def workers(self, pool: str, *, limit: int = PAGE_SIZE) -> list[models.Worker]:
        return await self._http.rows(f"work_pools/{_q(pool)}/workers/filter", models.Worker, {}, limit=limit)

    # -- limits, automations, events --

    async def concurrency_limits(self, *, limit: int = PAGE_SIZE) -> list[models.GlobalLimit]:
        return await self._http.rows("v2/concurrency_limits/filter", models.GlobalLimit, {}, limit=limit)

    async def tag_limit(self, tag: str) -> models.TagLimit:
        """The limit of a task tag, with the task runs that hold its slots."""
        return await self._http.one(f"concurrency_limits/tag/{_q(tag)}", models.TagLimit)

    async def automation(self, automation_id: str) -> models.Automation:
        return await self._http.one(f"automations/{_id(automation_id)}", models.Automation)

    async def automations(self, *, limit: int = PAGE_SIZE) -> list[models.Automation]:
        return await self._http.rows("automations/filter", models.Automation, {}, limit=limit)

    async def events(
        self,
        *,
        resources: Sequence[str] = (),
        prefixes: Sequence[str] = (),
        since: datetime,
        until: datetime,
        limit: int = EVENTS_PAGE_SIZE,
    ) -> models.EventPage:
        """One page, newest first; `total` counts all that match. Never by text: old SQLite answers 500."""
        occurred = {"since": since.isoformat(), "until": until.isoformat()}
        query: Json = {"occurred": occurred, "order": "DESC"}
        if resources:
            query["any_resource"] = {"id": list(resources)}
        if prefixes:
            query["event"] = {"prefix": list(prefixes)}
        body = {"filter": query, "limit": min(limit, EVENTS_PAGE_SIZE)}
        return self._http.parse(await self._http.checked("POST", "events/filter", body), models.EventPage)


def _body(filters: Filters | None, *, sort: str = "") -> Json:
    return {**(filters or {}), **({"sort": sort} if sort else {})}


def _q(name: str) -> str:
    return quote(name, safe="")


def _id(value: str) -> str:
    return str(uuid.UUID(value))
