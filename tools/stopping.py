"""Who has to stop a run that is to be cancelled, and whether they are there.

A running run is stopped from where it runs: by what its worker has started for it, or by its serve process.
With nobody there it stays CANCELLING until Prefect gives up.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.errors import NotFound
from tools.lateness import utc_now
from tools.models import Deployment, FlowRun, Worker, iso
from tools.named_deployments import deployments_by_id
from tools.pool_types import pool_type
from tools.prefect_client import PrefectClient
from tools.runs import worker_of
from tools.workers import POLLED_WITHIN, in_words, is_alive, pool_workers, seconds_ago

# The server's PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS, unless it was changed.
GIVES_UP = timedelta(seconds=300)
AFTERWARDS = "Prefect gives up after 300 s and marks it CANCELLED; a process that still lives goes on."


@dataclass(frozen=True, slots=True)
class Stopper:
    """Who has to stop a run: `its worker box-7 is OFFLINE since …`."""

    there: bool
    words: str


@dataclass(frozen=True, slots=True)
class Pool:
    """What a pool's type and workers say about stopping."""

    needs_worker: bool
    workers: Sequence[Worker]


async def still_stopping(
    prefect: PrefectClient, run_ids: Sequence[str], *, only_lonely: bool = False
) -> list[str]:
    """A sentence for each of these runs that is CANCELLING: for how long, who has to stop it, and what then.

    `only_lonely` leaves out those whose stopper is there.
    """
    if not run_ids:
        return []
    wanted = {"id": {"any_": list(run_ids)}, "state": {"type": {"any_": ["CANCELLING"]}}}
    runs = await prefect.flow_runs({"flow_runs": wanted}, limit=len(run_ids))
    who = await stoppers(prefect, runs)
    told = [run for run in runs if not (only_lonely and who[run.id].there)]
    return [_sentence(run, who[run.id], utc_now()) for run in told]


def _sentence(run: FlowRun, stopper: Stopper, now: datetime) -> str:
    since = seconds_ago(run.state.timestamp, now) or 0
    ends = f", at {iso(run.state.timestamp + GIVES_UP)}," if run.state.timestamp else ""
    then = AFTERWARDS.replace(" after 300 s", f" after 300 s{ends}")
    return f"{run.name} has been CANCELLING for {in_words(since)}: {stopper.words}. {then}"


async def stoppers(prefect: PrefectClient, runs: Sequence[FlowRun]) -> dict[str, Stopper]:
    """By the run's id."""
    names = sorted({run.work_pool_name for run in runs if run.work_pool_name})
    pools, deployments = await asyncio.gather(
        asyncio.gather(*(_pool(prefect, name) for name in names)),
        deployments_by_id(prefect, [run.deployment_id for run in runs if not run.work_pool_name]),
    )
    known = dict(zip(names, pools, strict=True))
    rows = {found.deployment.id: found.deployment for found in deployments}
    return {run.id: _stopper(run, known, rows, utc_now()) for run in runs}


async def _pool(prefect: PrefectClient, name: str) -> Pool | None:
    try:
        pool = await prefect.work_pool(name)
    except NotFound:
        return None
    return Pool(pool_type(pool.type).needs != "nobody", await pool_workers(prefect, pool))


def _stopper(
    run: FlowRun, pools: Mapping[str, Pool | None], deployments: Mapping[str, Deployment], now: datetime
) -> Stopper:
    if run.parent_task_run_id and not run.deployment_id:
        return Stopper(True, "it runs within the run that called it, and stops with that one")
    if pool := pools.get(run.work_pool_name):
        return _in_pool(run, pool, now)
    if worker := worker_of(run):
        return Stopper(False, f"its worker {worker} and its work pool are unknown to Prefect by now")
    return _outside(deployments.get(run.deployment_id), now)


def _in_pool(run: FlowRun, pool: Pool, now: datetime) -> Stopper:
    if not pool.needs_worker:
        return Stopper(True, "Prefect Cloud runs it, and has to stop it")
    name = worker_of(run)
    if not name:
        online = [worker.name for worker in pool.workers if is_alive(worker, now)]
        if online:
            return Stopper(
                True, f"a worker of {run.work_pool_name} has to stop it; {', '.join(online)} online"
            )
        return Stopper(False, f"no worker of {run.work_pool_name} is online to stop it")
    worker = next((worker for worker in pool.workers if worker.name == name), None)
    if worker is None:
        return Stopper(False, f"its worker {name} is unknown to Prefect by now, so nobody stops it")
    if is_alive(worker, now):
        return Stopper(True, f"its worker {name} is online, and what that has started has to stop it")
    return Stopper(False, f"its worker {name} is OFFLINE{_since(worker.last_heartbeat_time, now)}")


def _outside(deployment: Deployment | None, now: datetime) -> Stopper:
    where = "it runs in a process outside of any worker"
    if deployment is None:
        return Stopper(False, f"{where}, where nothing listens for a cancellation")
    silent = seconds_ago(deployment.last_polled, now)
    if silent is not None and silent <= POLLED_WITHIN:
        return Stopper(True, f"{where}, the serve process of {deployment.name}, which has to stop it")
    seen = f" has not been seen{_since(deployment.last_polled, now)}" if silent else " was never seen"
    return Stopper(False, f"{where}, and the serve process of {deployment.name}{seen}")


def _since(moment: datetime | None, now: datetime) -> str:
    silent = seconds_ago(moment, now)
    return f" since {iso(moment)} ({in_words(silent)})" if moment and silent is not None else ""
