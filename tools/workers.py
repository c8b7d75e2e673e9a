"""Which workers live, and what keeps a pool from starting runs."""

import asyncio
import shlex
from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from tools.models import Moment, Worker, WorkPool, WorkQueue
from tools.pool_types import pool_type
from tools.prefect_client import PrefectClient
from tools.run_rows import Result

# Prefect's own rule; it applies it with a delay, so that a killed worker stays ONLINE for up to 105 s.
MISSED_HEARTBEATS = 3
# The server lists the newest heartbeats first, so the living are among them.
MAX_WORKERS = 50
# Workers can be asked for only pool by pool.
MAX_POOLS = 40
# Prefect calls a queue NOT_READY when no worker has asked it for this many seconds.
POLLED_WITHIN = 60


class WorkerRow(Result):
    name: str
    online: bool = Field(description="its heartbeats arrive in time, whatever status Prefect still shows")
    last_heartbeat: Moment | None = None
    last_heartbeat_seconds_ago: int | None = None


def is_alive(worker: Worker, now: datetime) -> bool:
    """Three missed heartbeats are death, also while Prefect still shows ONLINE."""
    if worker.last_heartbeat_time is None or worker.status == "OFFLINE":
        return False
    silent = (now - worker.last_heartbeat_time).total_seconds()
    return silent <= MISSED_HEARTBEATS * worker.heartbeat_interval_seconds


async def pool_workers(prefect: PrefectClient, pool: WorkPool) -> list[Worker]:
    """At most MAX_WORKERS, newest heartbeat first; none asked for where the type knows no workers."""
    if pool_type(pool.type).needs != "worker":
        return []
    return await newest_workers(prefect, pool.name)


async def newest_workers(prefect: PrefectClient, pool: str) -> list[Worker]:
    """The same by the pool's name alone, whatever its type."""
    return sorted(await prefect.workers(pool, limit=MAX_WORKERS), key=_last_seen, reverse=True)


async def pool_of_worker(prefect: PrefectClient, name: str) -> str:
    """The pool that it works for, of the first MAX_POOLS; of several the one that heard of it last."""
    pools = await prefect.work_pools(limit=MAX_POOLS)
    known = await asyncio.gather(*(newest_workers(prefect, pool.name) for pool in pools))
    found = [
        (_last_seen(worker), pool.name)
        for pool, workers in zip(pools, known, strict=True)
        for worker in workers
        if worker.name == name
    ]
    return max(found)[1] if found else ""


def _last_seen(worker: Worker) -> float:
    return worker.last_heartbeat_time.timestamp() if worker.last_heartbeat_time else 0.0


def worker_row(worker: Worker, now: datetime) -> WorkerRow:
    return WorkerRow(
        name=worker.name,
        online=is_alive(worker, now),
        last_heartbeat=worker.last_heartbeat_time,
        last_heartbeat_seconds_ago=seconds_ago(worker.last_heartbeat_time, now),
    )


def pool_problem(pool: WorkPool, workers: Sequence[Worker], now: datetime) -> str:
    """What keeps runs in this pool from starting, in one or two sentences; empty when nothing does."""
    needs = pool_type(pool.type).needs
    if needs == "impossible":
        return (
            "Nothing can run this pool: prefect-agent was for agents, which Prefect 3 does not have. "
            "Its deployments have to move to a pool with another type."
        )
    problems = []
    if pool.is_paused:
        problems.append("The pool is paused, so its runs wait until it is resumed.")
    if needs == "worker" and not any(is_alive(worker, now) for worker in workers):
        problems.append(_no_worker(pool, workers, now))
    if pool.concurrency_limit is not None and pool.active_slots >= pool.concurrency_limit:
        problems.append(
            f"Its concurrency limit is reached ({slots(pool.active_slots, pool.concurrency_limit)})."
        )
    return " ".join(problems)


def queue_problem(queue: WorkQueue, waiting: int, now: datetime, *, pool_has_worker: bool) -> str:
    """What keeps this queue's runs from starting, beyond what holds for its whole pool."""
    if queue.is_paused:
        return "The queue is paused, so its runs wait until it is resumed."
    if queue.concurrency_limit is not None and queue.active_slots >= queue.concurrency_limit:
        return f"Its concurrency limit is reached ({slots(queue.active_slots, queue.concurrency_limit)})."
    silent = seconds_ago(queue.last_polled, now)
    if waiting and pool_has_worker and (silent is None or silent > POLLED_WITHIN):
        return "No worker asks this queue for runs: those online were started for other queues."
    return ""


def _no_worker(pool: WorkPool, workers: Sequence[Worker], now: datetime) -> str:
    fix = f"Start one with `{start_command(pool)}`."
    if not workers:
        return f"No worker is known for this pool. {fix}"
    newest = workers[0]
    silent = seconds_ago(newest.last_heartbeat_time, now)
    ago = f", silent for {in_words(silent)}" if silent is not None else ""
    return f"No worker is online (the last was {newest.name}{ago}). {fix}"


def start_command(pool: WorkPool) -> str:
    """To be run on the machine that shall run (or start) the code."""
    return f"prefect worker start --pool {shlex.quote(pool.name)} --type {shlex.quote(pool.type)}"


def slots(active: int, limit: int | None) -> str | None:
    return None if limit is None else f"{active} of {limit} slots in use"


def seconds_ago(moment: datetime | None, now: datetime) -> int | None:
    return None if moment is None else max(0, int((now - moment).total_seconds()))


def in_words(seconds: int) -> str:
    """`40 s`, `12 min`, `3 h`, `5 days`: enough to judge by."""
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 2 * 86400 else f"{seconds // 86400} days"
