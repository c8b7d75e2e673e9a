"""Reads a survey in three rounds: the runs; the places and deployments they lead to; signs of life.

How many calls that takes depends on how many work pools are involved, not on how many runs there are.
"""

from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tools.diagnosis.facts import Read, Unread
from tools.diagnosis.liveness import HEARTBEAT, PROCESS_ENDED
from tools.diagnosis.place import AUTOMATION_ACTED, PAUSED
from tools.diagnosis.reads import EVENTS_KEPT, attempt, pool_workers_of, together
from tools.diagnosis.running import ALIVE_WITHIN
from tools.diagnosis.survey import Scope, Survey, may_have_ended
from tools.lateness import overdue_filter
from tools.models import Deployment, Event, FlowRun, LogLine, Worker, WorkPool, WorkQueue
from tools.prefect_client import Filters, PrefectClient
from tools.runs import worker_of
from tools.workers import is_alive

# The longest overdue, and the newest too: what began only now is to be seen behind an old backlog.
MAX_OLDEST = 400
MAX_NEWEST = 200
MAX_ACTIVE = 400
MAX_POOLS = 40
MAX_QUEUES = 600
MAX_DEPLOYMENTS = 400
MAX_COMING = 200
# Ids in one request for events or logs.
MAX_IDS = 100
MAX_LINES = 200
UNENDED: Mapping[str, Any] = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}


async def read_survey(prefect: PrefectClient, scope: Scope, now: datetime) -> Survey:
    survey = Survey(now=now, links=prefect.links)
    survey = replace(survey, **await together(_runs_and_deployments(prefect, scope, now)))
    survey = replace(survey, **await together(_places(prefect, survey)))
    return replace(survey, **await together(_signs(prefect, survey)))


# -- the runs --


def _runs_and_deployments(prefect: PrefectClient, scope: Scope, now: datetime) -> dict[str, Awaitable[Any]]:
    late: Filters = {**scope.filters, "flow_runs": overdue_filter(now)}
    active: Filters = {**scope.filters, "flow_runs": UNENDED}
    return {
        "overdue": attempt("the overdue runs", _overdue(prefect, late)),
        "overdue_count": attempt("how many runs are overdue", prefect.count_flow_runs(late)),
        "active": attempt("the runs in progress", _active(prefect, active)),
        "active_count": attempt("how many runs are in progress", prefect.count_flow_runs(active)),
        "deployments": attempt("the deployments", _of_scope(prefect, scope)),
        "deployments_count": attempt(
            "how many deployments there are", prefect.count_deployments(scope.filters)
        ),
    }


async def _overdue(prefect: PrefectClient, late: Filters) -> tuple[FlowRun, ...]:
    oldest = await prefect.flow_runs(late, limit=MAX_OLDEST, sort="EXPECTED_START_TIME_ASC")
    if len(oldest) < MAX_OLDEST:
        return tuple(oldest)
    newest = await prefect.flow_runs(late, limit=MAX_NEWEST, sort="EXPECTED_START_TIME_DESC")
    return tuple({run.id: run for run in (*oldest, *reversed(newest))}.values())


async def _active(prefect: PrefectClient, active: Filters) -> tuple[FlowRun, ...]:
    return tuple(await prefect.flow_runs(active, limit=MAX_ACTIVE, sort="START_TIME_ASC"))


async def _of_scope(prefect: PrefectClient, scope: Scope) -> tuple[Deployment, ...]:
    """The last changed; of very many, those that are paused besides."""
    rows = await prefect.deployments(scope.filters, limit=MAX_DEPLOYMENTS, sort="UPDATED_DESC")
    if len(rows) == MAX_DEPLOYMENTS:
        paused: Filters = {**scope.filters, "deployments": {"paused": {"eq_": True}}}
        rows += await prefect.deployments(paused, limit=MAX_DEPLOYMENTS, sort="UPDATED_DESC")
    return tuple({row.id: row for row in rows}.values())


def _those(part: Read[tuple[Any, ...]]) -> tuple[Any, ...]:
    return part if isinstance(part, tuple) else ()


def _of_interest(survey: Survey) -> list[FlowRun]:
    return [*_those(survey.overdue), *_those(survey.active)]


# -- the places and deployments --


def _places(prefect: PrefectClient, survey: Survey) -> dict[str, Awaitable[Any]]:
    names = sorted({run.work_pool_name for run in _of_interest(survey) if run.work_pool_name})[:MAX_POOLS]
    reads: dict[str, Awaitable[Any]] = {
        "their_deployments": attempt("the runs' deployments", _deployments_of(prefect, survey)),
        "flows": attempt("the names of flows", _flow_names(prefect, survey)),
        "workers": _workers(prefect, names),
    }
    if names:
        reads["pools"] = attempt("the work pools", _pools(prefect, names))
        reads["queues"] = attempt("the work queues", _queues(prefect))
    if running := _ids_of(survey, "RUNNING"):
        ended = _events(prefect, survey, running, [PROCESS_ENDED], EVENTS_KEPT)
        reads["ended"] = attempt("whether the processes of running runs have ended", ended)
    if ending := [row.id for row in _those(survey.deployments) if may_have_ended(row)]:
        reads["coming"] = attempt("the scheduled runs to come", _coming(prefect, survey, ending))
    return reads


async def _deployments_of(prefect: PrefectClient, survey: Survey) -> dict[str, Deployment]:
    """Those of the runs; most are among the ones that were read already."""
    known = {row.id: row for row in _those(survey.deployments)}
    missing = {run.deployment_id for run in _of_interest(survey)} - known.keys() - {""}
    if missing:
        filters: Filters = {"deployments": {"id": {"any_": sorted(missing)}}}
        known |= {row.id: row for row in await prefect.deployments(filters, limit=len(missing))}
    return known


async def _flow_names(prefect: PrefectClient, survey: Survey) -> dict[str, str]:
    rows = (*_of_interest(survey), *_those(survey.deployments))
    return await prefect.flow_names([row.flow_id for row in rows])


async def _pools(prefect: PrefectClient, names: Sequence[str]) -> dict[str, WorkPool]:
    rows = await prefect.work_pools({"work_pools": {"name": {"any_": list(names)}}}, limit=MAX_POOLS)
    return {row.name: row for row in rows}


async def _queues(prefect: PrefectClient) -> dict[str, tuple[WorkQueue, ...]]:
    by_pool = defaultdict(list)
    for row in await prefect.all_work_queues(limit=MAX_QUEUES):
        by_pool[row.work_pool_name].append(row)
    return {name: tuple(rows) for name, rows in by_pool.items()}


async def _workers(prefect: PrefectClient, names: Sequence[str]) -> dict[str, Read[tuple[Worker, ...]]]:
    return await together(
        {
            name: attempt(f"the workers of work pool '{name}'", pool_workers_of(prefect, name))
            for name in names
        }
    )


def _ids_of(survey: Survey, state: str) -> list[str]:
    return [run.id for run in _those(survey.active) if run.state.type == state]


async def _coming(prefect: PrefectClient, survey: Survey, ids: Sequence[str]) -> tuple[FlowRun, ...]:
    wanted = {
        "deployment_id": {"any_": list(ids)},
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "expected_start_time": {"after_": survey.now.isoformat()},
    }
    rows = await prefect.flow_runs({"flow_runs": wanted}, limit=MAX_COMING, sort="EXPECTED_START_TIME_ASC")
    return tuple(rows)


async def _events(
    prefect: PrefectClient, survey: Survey, run_ids: Sequence[str], told: Sequence[str], back: timedelta
) -> tuple[Event, ...]:
    resources = [f"prefect.flow-run.{id_}" for id_ in run_ids[:MAX_IDS]]
    return await _events_of(prefect, survey, resources, told, back)


async def _events_of(
    prefect: PrefectClient, survey: Survey, resources: Sequence[str], told: Sequence[str], back: timedelta
) -> tuple[Event, ...]:
    # The server's clock may be ahead of ours.
    until = survey.now + timedelta(minutes=5)
    page = await prefect.events(resources=resources, prefixes=told, since=survey.now - back, until=until)
    return page.events


# -- signs --


def _signs(prefect: PrefectClient, survey: Survey) -> dict[str, Awaitable[Any]]:
    reads: dict[str, Awaitable[Any]] = {}
    if suspects := list(_suspects(survey))[:MAX_IDS]:
        # What is heard of a run within this time speaks for it.
        lately = timedelta(seconds=ALIVE_WITHIN)
        beats = _events(prefect, survey, suspects, [HEARTBEAT], lately)
        reads["heartbeats"] = attempt("the heartbeats of runs without a worker", beats)
        reads["logged"] = attempt(
            "the logs of runs without a worker", _logs(prefect, survey, suspects, lately)
        )
    if paused := list(_paused(survey)):
        events = _events_of(prefect, survey, paused[:MAX_IDS], [*PAUSED, AUTOMATION_ACTED], EVENTS_KEPT)
        reads["pool_events"] = attempt("when work pools were paused", events)
    if stopped := [f"prefect.deployment.{row.id}" for row in _those(survey.deployments) if row.paused]:
        told = ["prefect.deployment.updated", AUTOMATION_ACTED]
        who = _events_of(prefect, survey, stopped[:MAX_IDS], told, EVENTS_KEPT)
        reads["deployment_events"] = attempt("who paused deployments", who)
    return reads


def _suspects(survey: Survey) -> Iterable[str]:
    """RUNNING runs whose worker, or serve process, may be gone."""
    for run in _those(survey.active):
        workers = survey.workers.get(run.work_pool_name)
        mine = [row for row in _those(workers) if row.name == worker_of(run)]
        if run.state.type == "RUNNING" and not any(is_alive(row, survey.now) for row in mine):
            yield run.id


async def _logs(
    prefect: PrefectClient, survey: Survey, run_ids: Sequence[str], back: timedelta
) -> tuple[LogLine, ...]:
    since = (survey.now - back).isoformat()
    wanted = {"flow_run_id": {"any_": list(run_ids)}, "timestamp": {"after_": since}}
    return tuple(await prefect.logs(wanted, limit=MAX_LINES))


def _paused(survey: Survey) -> Iterable[str]:
    for pool in survey.pools.values() if isinstance(survey.pools, Mapping) else ():
        if pool.is_paused:
            yield f"prefect.work-pool.{pool.id}"
    for queues in survey.queues.values() if isinstance(survey.queues, Mapping) else ():
        for queue in queues:
            if queue.is_paused:
                yield f"prefect.work-queue.{queue.id}"


def unread_in(survey: Survey) -> Iterable[Unread]:
    for name in Survey.__slots__:
        part = getattr(survey, name)
        if isinstance(part, Unread):
            yield part
    yield from (part for part in survey.workers.values() if isinstance(part, Unread))
