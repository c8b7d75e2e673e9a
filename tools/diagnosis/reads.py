"""Single reads for a diagnosis; one that fails leaves an `Unread` in its place and raises nothing."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from knowledge.errors import ExpectedError
from tools.diagnosis.facts import Facts, Unread
from tools.diagnosis.liveness import PROCESS_ENDED, when_ended
from tools.errors import NotFound
from tools.models import Deployment, Event, FlowRun, GlobalLimit, LogLine, State, TaskRun, Worker, WorkQueue
from tools.prefect_client import Filters, PrefectClient
from tools.workers import newest_workers

T = TypeVar("T")

# A server that is well answers each of these within tens of milliseconds.
READ_SECONDS = 5.0
MAX_ACTIVE = 200
MAX_TASKS = 50
MAX_HOLDERS = 20
MAX_ARTIFACTS = 20
MAX_UPCOMING = 3
# Servers keep events for seven days unless told otherwise.
EVENTS_KEPT = timedelta(days=14)
ACTIVE: Mapping[str, Any] = {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}


async def attempt(what: str, work: Awaitable[T], *, seconds: float = READ_SECONDS) -> T | Unread | None:
    """The thing; None where the server knows no such thing; Unread where it could not be looked at."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        return Unread(what, f"no answer within {seconds:g} s")
    except NotFound:
        return None
    except ExpectedError as error:
        return Unread(what, error.message)


async def together(reads: Mapping[str, Awaitable[Any]]) -> dict[str, Any]:
    """All at the same time; results by name."""
    return dict(zip(reads, await asyncio.gather(*reads.values()), strict=True))


async def flow_name(prefect: PrefectClient, flow_id: str) -> str | None:
    return (await prefect.flow_names([flow_id])).get(flow_id)


async def pool_workers_of(prefect: PrefectClient, pool: str) -> tuple[Worker, ...]:
    return tuple(await newest_workers(prefect, pool))


async def queues(prefect: PrefectClient, pool: str) -> tuple[WorkQueue, ...]:
    return tuple(await prefect.work_queues(pool))


async def runs(prefect: PrefectClient, filters: Filters) -> tuple[FlowRun, ...]:
    """The longest going first."""
    return tuple(await prefect.flow_runs(filters, limit=MAX_ACTIVE, sort="START_TIME_ASC"))


async def waiting_runs(prefect: PrefectClient, filters: Filters) -> tuple[FlowRun, ...]:
    return tuple(await prefect.flow_runs(filters, limit=MAX_ACTIVE, sort="EXPECTED_START_TIME_ASC"))


async def upcoming(prefect: PrefectClient, facts: Facts) -> tuple[FlowRun, ...]:
    assert isinstance(facts.deployment, Deployment)
    wanted = {
        "deployment_id": {"any_": [facts.deployment.id]},
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "expected_start_time": {"after_": facts.now.isoformat()},
    }
    rows = await prefect.flow_runs({"flow_runs": wanted}, limit=MAX_UPCOMING, sort="EXPECTED_START_TIME_ASC")
    return tuple(rows)


async def states(prefect: PrefectClient, run: FlowRun) -> tuple[State, ...]:
    return tuple(await prefect.flow_run_states(run.id))


async def last_log(prefect: PrefectClient, run: FlowRun) -> LogLine | None:
    lines = await prefect.logs({"flow_run_id": {"any_": [run.id]}}, limit=1)
    return lines[0] if lines else None


async def waiting_tasks(prefect: PrefectClient, run: FlowRun) -> tuple[TaskRun, ...]:
    mine: Filters = {
        "flow_runs": {"id": {"any_": [run.id]}},
        "task_runs": {"state": {"type": {"any_": ["PENDING"]}}},
    }
    return tuple(await prefect.task_runs(mine, limit=MAX_TASKS))


async def limits(prefect: PrefectClient) -> tuple[GlobalLimit, ...]:
    return tuple(await prefect.concurrency_limits())


async def children(prefect: PrefectClient, run: FlowRun) -> tuple[FlowRun, ...]:
    mine = {
        "parent_flow_run_id": {"any_": [run.id]},
        "state": {"type": {"any_": ["SCHEDULED", "PENDING", "PAUSED"]}},
    }
    return await runs(prefect, {"flow_runs": mine})


async def artifacts(prefect: PrefectClient, run: FlowRun) -> tuple[str, ...]:
    rows = await prefect.artifacts(run.id, limit=MAX_ARTIFACTS)
    return tuple(dict.fromkeys(row.key for row in rows if row.key))


async def tag_holders(prefect: PrefectClient, tags: Sequence[str]) -> dict[str, tuple[FlowRun, ...]]:
    holders = {}
    for tag in tags:
        tasks = (await prefect.tag_limit(tag)).active_slots
        filters: Filters = {"task_runs": {"id": {"any_": list(tasks[:MAX_HOLDERS])}}}
        holders[tag] = await runs(prefect, filters) if tasks else ()
    return holders


async def events_of_runs(
    prefect: PrefectClient, facts: Facts, run_ids: Iterable[str], told: Sequence[str], since: datetime
) -> tuple[Event, ...]:
    return await events_of(prefect, facts, [f"prefect.flow-run.{id_}" for id_ in run_ids], told, since)


async def events_of(
    prefect: PrefectClient, facts: Facts, resources: Sequence[str], told: Sequence[str], since: datetime
) -> tuple[Event, ...]:
    # The server's clock may be ahead of ours.
    until = facts.now + timedelta(minutes=5)
    page = await prefect.events(resources=resources, prefixes=told, since=since, until=until)
    return page.events


async def ended_processes(
    prefect: PrefectClient, facts: Facts, run_ids: Sequence[str], since: datetime
) -> dict[str, datetime]:
    """When each one's process ended last, by run id."""
    return when_ended(await events_of_runs(prefect, facts, run_ids, [PROCESS_ENDED], since))
