"""Work pools, their queues and their workers."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Annotated

from pydantic import Field

from tools.job_variables import JobVariable, effective_variables
from tools.lateness import late_seconds, overdue_filter, utc_now
from tools.models import WorkPool, WorkQueue
from tools.pool_types import pool_type
from tools.prefect_client import Filters, PrefectClient
from tools.resolve import find_work_pool
from tools.run_rows import Result
from tools.workers import (
    WorkerRow,
    is_alive,
    pool_problem,
    pool_workers,
    queue_problem,
    seconds_ago,
    slots,
    start_command,
    worker_row,
)

MAX_POOLS = 100
MAX_QUEUES = 50
MAX_SAMPLE = 10
# Overdue runs are counted from this many; a workspace with more has a bigger trouble than the exact figure.
MAX_OVERDUE = 1000
LOOK_INSIDE = "Runs are overdue although the pool looks well: one of its queues may be held up."

Overdue = Counter[tuple[str, str]]
"""Overdue runs by pool and queue name."""


class PoolRow(Result):
    name: str
    url: str
    type: str
    type_in_words: str
    status: str | None = Field(None, description="as Prefect says: READY, NOT_READY or PAUSED")
    paused: bool
    online_workers: int | None = Field(None, description="absent where no worker is needed or possible")
    concurrency: str | None = Field(None, description="absent without a limit")
    overdue_runs: int
    problem: str | None = Field(None, description="what keeps runs from starting here, if anything")


class PoolList(Result):
    work_pools: list[PoolRow]
    truncated: bool


class QueueRow(Result):
    name: str
    url: str
    paused: bool
    priority: int = Field(description="1 is served first; matters only when slots are scarce")
    concurrency: str | None = None
    last_polled_seconds_ago: int | None = Field(
        None, description="absent when no worker ever asked it for runs"
    )
    overdue_runs: int
    problem: str | None = None


class PoolDetails(Result):
    name: str
    url: str
    type: str
    type_in_words: str
    description: str | None = None
    each_run_is: str
    runs_on: str
    status: str | None = None
    paused: bool
    problem: str | None = None
    concurrency: str | None = None
    running_runs: int
    pending_runs: int
    overdue_runs: int
    queues: list[QueueRow]
    workers: list[WorkerRow] | None = Field(None, description="absent where no worker is needed or possible")
    start_a_worker: str | None = Field(None, description="for the machine that shall run or start the code")
    job_variables: list[JobVariable]
    deployments: int
    some_deployments: list[str]
    truncated: bool = Field(description="whether queues are left out")


class WorkPools:
    """Reads work pools."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def list_work_pools(
        self,
        name: Annotated[str, Field(description="only pools whose name holds this text")] = "",
        limit: Annotated[int, Field(ge=1, le=MAX_POOLS, description="how many at most")] = 30,
    ) -> PoolList:
        """Lists the work pools: what each type means, status, workers online, limit, overdue runs, problems.

        A work pool says on which kind of infrastructure runs start; workers poll it for them. Use
        describe_work_pool for the queues and workers of one pool.
        """
        now = utc_now()
        pools, overdue = await asyncio.gather(
            self._prefect.work_pools(limit=MAX_POOLS + 1), overdue_by_queue(self._prefect, now)
        )
        found = sorted((p for p in pools if name.casefold() in p.name.casefold()), key=lambda p: p.name)
        rows = await asyncio.gather(*(self._row(pool, overdue, now) for pool in found[:limit]))
        return PoolList(work_pools=list(rows), truncated=len(found) > limit)

    async def _row(self, pool: WorkPool, overdue: Overdue, now: datetime) -> PoolRow:
        workers = await pool_workers(self._prefect, pool)
        kind = pool_type(pool.type)
        alive = sum(is_alive(worker, now) for worker in workers)
        late = sum(count for (name, _), count in overdue.items() if name == pool.name)
        return PoolRow(
            name=pool.name,
            url=self._prefect.links.work_pool(pool.name),
            type=pool.type,
            type_in_words=kind.title,
            status=pool.status or None,
            paused=pool.is_paused,
            online_workers=alive if kind.needs == "worker" else None,
            concurrency=slots(pool.active_slots, pool.concurrency_limit),
            overdue_runs=late,
            problem=pool_problem(pool, workers, now) or (LOOK_INSIDE if late else None),
        )

    async def describe_work_pool(
        self, work_pool: Annotated[str, Field(description="its name, a part of it, or a link to it")]
    ) -> PoolDetails:
        """One work pool: what its type means, queues, workers, runs, job variables, deployments, problems."""
        now = utc_now()
        pool = await find_work_pool(self._prefect, work_pool)
        queues, workers, overdue, runs, deployments = await asyncio.gather(
            self._prefect.work_queues(pool.name, limit=MAX_QUEUES + 1),
            pool_workers(self._prefect, pool),
            overdue_by_queue(self._prefect, now, pool=pool.name),
            self._run_counts(pool.name),
            self._deployments(pool.name),
        )
        kind = pool_type(pool.type)
        has_workers = kind.needs == "worker"
        alive = any(is_alive(worker, now) for worker in workers)
        return PoolDetails(
            name=pool.name,
            url=self._prefect.links.work_pool(pool.name),
            type=pool.type,
            type_in_words=kind.title,
            description=pool.description or None,
            each_run_is=kind.runs_as,
            runs_on=kind.where,
            status=pool.status or None,
            paused=pool.is_paused,
            problem=pool_problem(pool, workers, now) or None,
            concurrency=slots(pool.active_slots, pool.concurrency_limit),
            running_runs=runs[0],
            pending_runs=runs[1],
            overdue_runs=overdue.total(),
            queues=[
                self._queue_row(pool.name, queue, overdue, now, has_worker=alive)
                for queue in queues[:MAX_QUEUES]
            ],
            workers=[worker_row(worker, now) for worker in workers] if has_workers else None,
            start_a_worker=start_command(pool) if has_workers else None,
            job_variables=effective_variables(pool),
            deployments=deployments[0],
            some_deployments=deployments[1],
            truncated=len(queues) > MAX_QUEUES,
        )

    async def _run_counts(self, pool: str) -> list[int]:
        """How many are running and pending."""
        return await asyncio.gather(
            *(
                self._prefect.count_flow_runs(
                    {
                        "work_pools": {"name": {"any_": [pool]}},
                        "flow_runs": {"state": {"type": {"any_": [state]}}},
                    }
                )
                for state in ("RUNNING", "PENDING")
            )
        )

    async def _deployments(self, pool: str) -> tuple[int, list[str]]:
        """How many use the pool, and some full names."""
        filters: Filters = {"work_pools": {"name": {"any_": [pool]}}}
        count, rows = await asyncio.gather(
            self._prefect.count_deployments(filters), self._prefect.deployments(filters, limit=MAX_SAMPLE)
        )
        flows = await self._prefect.flow_names([row.flow_id for row in rows])
        return count, [f"{flows.get(row.flow_id, '?')}/{row.name}" for row in rows]

    def _queue_row(
        self, pool: str, queue: WorkQueue, overdue: Overdue, now: datetime, *, has_worker: bool
    ) -> QueueRow:
        waiting = overdue[pool, queue.name]
        return QueueRow(
            name=queue.name,
            url=self._prefect.links.work_queue(pool, queue.name),
            paused=queue.is_paused,
            priority=queue.priority,
            concurrency=slots(queue.active_slots, queue.concurrency_limit),
            last_polled_seconds_ago=seconds_ago(queue.last_polled, now),
            overdue_runs=waiting,
            problem=queue_problem(queue, waiting, now, pool_has_worker=has_worker) or None,
        )


async def overdue_by_queue(prefect: PrefectClient, now: datetime, *, pool: str = "") -> Overdue:
    """Counts overdue runs, of the workspace or of one pool."""
    filters: Filters = {"flow_runs": overdue_filter(now)}
    if pool:
        filters["work_pools"] = {"name": {"any_": [pool]}}
    runs = await prefect.flow_runs(filters, limit=MAX_OVERDUE)
    return Counter((run.work_pool_name, run.work_queue_name) for run in runs if late_seconds(run, now))
