"""The place where a run would start: its pool, queue and workers, and what follows from them in words."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tools.job_variables import JobVariable
from tools.lateness import utc_now
from tools.models import Deployment, FlowRun, Worker, WorkPool, WorkQueue
from tools.pool_types import PoolType, pool_type
from tools.prefect_client import PrefectClient
from tools.pull_steps import code_source
from tools.runs import worker_of
from tools.workers import (
    POLLED_WITHIN,
    is_alive,
    pool_problem,
    pool_workers,
    queue_problem,
    seconds_ago,
)

IMAGE_BY_WORKER = (
    "not set: the worker's default, a prefecthq/prefect image of its own Prefect and Python version"
)
# Types whose runs are containers that the worker gives a default image.
DEFAULT_IMAGE_TYPES = frozenset({"docker", "kubernetes", "ecs"})
PAUSED = "The deployment is paused: its schedules make no runs (one started by hand does run)."

Starter = Literal["worker", "serve process", "nobody", "impossible"]


@dataclass(frozen=True, slots=True)
class Site:
    """A pool with all that decides whether a run in it starts."""

    pool: WorkPool | None
    queue: WorkQueue | None
    workers: Sequence[Worker]
    now: datetime

    @property
    def kind(self) -> PoolType | None:
        return pool_type(self.pool.type) if self.pool else None

    @property
    def online(self) -> list[str]:
        return [worker.name for worker in self.workers if is_alive(worker, self.now)]

    @property
    def problem(self) -> str:
        if self.pool is None:
            return ""
        problems = [pool_problem(self.pool, self.workers, self.now)]
        if self.queue:
            # Asked as if a run waited: the question is whether one would start.
            problems.append(queue_problem(self.queue, 1, self.now, pool_has_worker=bool(self.online)))
        return " ".join(problem for problem in problems if problem)


async def load_site(prefect: PrefectClient, pool_name: str, queue_name: str) -> Site:
    """Reads the pool of that name with its workers and the queue; an empty name is a place without a pool."""
    now = utc_now()
    if not pool_name:
        return Site(None, None, (), now)
    pool = await prefect.work_pool(pool_name)
    workers, queues = await asyncio.gather(pool_workers(prefect, pool), prefect.work_queues(pool_name))
    queue = next((queue for queue in queues if queue.name == queue_name), None)
    return Site(pool, queue, workers, now)


def in_short_words(site: Site) -> str:
    """`work pool k8s (kubernetes), queue default; workers online: box-7`."""
    if site.pool is None or site.kind is None:
        return "no work pool"
    queue = f", queue {site.queue.name}" if site.queue else ""
    online = f"; workers online: {', '.join(site.online) or 'none'}" if site.kind.needs == "worker" else ""
    return f"work pool {site.pool.name} ({site.pool.type}){queue}{online}"


def starter(site: Site, deployment: Deployment | None, run: FlowRun | None) -> Starter:
    if site.kind:
        return site.kind.needs
    if run and not run.deployment_id:
        return "nobody"
    served = deployment and deployment.status == "READY" and _polled_lately(deployment, site.now)
    return "serve process" if served else "impossible"


def _polled_lately(deployment: Deployment, now: datetime) -> bool:
    silent = seconds_ago(deployment.last_polled, now)
    return silent is not None and silent <= POLLED_WITHIN


def all_problems(site: Site, deployment: Deployment | None, starter: Starter) -> str:
    problems = [start_problems(site, deployment, starter)]
    if deployment and deployment.paused:
        problems.append(PAUSED)
    return " ".join(problem for problem in problems if problem)


def start_warning(site: Site, deployment: Deployment, starter: Starter) -> str:
    """For a card: whether a run that is started by hand would get going, and that the schedules make none."""
    problems = start_problems(site, deployment, starter)
    said = f"As it is now the run would not start properly. {problems}" if problems else ""
    return " ".join(part for part in (said, PAUSED if deployment.paused else "") if part)


def start_problems(site: Site, deployment: Deployment | None, starter: Starter) -> str:
    """What keeps a run from starting, by whomever it was made; empty when nothing does."""
    problems = [site.problem]
    if starter == "impossible" and site.pool is None:
        problems.append(
            "It has no work pool, and no serve process has asked for its runs within the last minute, so its "
            "runs wait for ever. Start `flow.serve()` again, or deploy it to a work pool with a worker."
        )
    if deployment and not deployment.entrypoint:
        problems.append("It has no entrypoint, so a run crashes when the flow is to be loaded.")
    return " ".join(problem for problem in problems if problem)


def runs_as(site: Site, starter: Starter, run: FlowRun | None) -> str:
    if site.kind:
        return site.kind.runs_as
    if run and not run.deployment_id:
        return "the Python process that called the flow function"
    return (
        "a subprocess of the `flow.serve()` process"
        if starter == "serve process"
        else "not possible as it is now"
    )


def runs_on(site: Site, starter: Starter, run: FlowRun | None) -> str:
    if site.kind:
        return site.kind.where
    if run and not run.deployment_id:
        return "the machine where somebody ran it; Prefect does not record which"
    served = starter == "serve process"
    return "the machine where the serve process was started" if served else "no machine as it is now"


def python_environment(site: Site, starter: Starter) -> str | None:
    if site.pool and site.pool.type == "process":
        return "The worker's own: what the flow imports has to be installed there."
    if starter == "serve process":
        return "The serve process's own: what the flow imports has to be installed there."
    return (
        "The image's: what the flow imports has to be in the image, or be installed at the start."
        if site.kind and "image" in site.kind.telling
        else None
    )


def image(site: Site, variables: Sequence[JobVariable]) -> str | None:
    for variable in variables:
        if variable.name == "image":
            return f"{variable.value} ({variable.set_by})"
    by_worker = site.pool and site.pool.type.partition(":")[0] in DEFAULT_IMAGE_TYPES
    return IMAGE_BY_WORKER if by_worker else None


def code_comes_from(deployment: Deployment | None, run: FlowRun | None) -> list[str]:
    if deployment:
        return code_source(deployment)
    if run and not run.deployment_id:
        return ["Nothing is fetched: the flow was called from code that was already running."]
    if run:
        return ["Its deployment has been deleted, and with it what it said about the code."]
    return ["Each deployment of the pool says for itself where its code is fetched from."]


def must_be_running(site: Site, starter: Starter, run: FlowRun | None) -> str:
    if starter == "worker" and site.pool:
        queue = f" (queue {site.queue.name})" if site.queue else ""
        online = f"online now: {', '.join(site.online)}" if site.online else "none is online now"
        return f"A worker of type {site.pool.type} that polls the pool {site.pool.name}{queue}; {online}."
    if starter == "serve process":
        return "The serve process; it asked for runs within the last minute, so it is there."
    if starter == "impossible":
        return "Nothing can be started that would run it as it is now."
    if run and not run.deployment_id:
        return "Nobody: it was not started through a deployment."
    return "Nobody on your side: Prefect Cloud starts the runs itself, so there are no workers in this pool."


def this_run(run: FlowRun, site: Site) -> str:
    parts = [f"It is {run.state.name}."]
    if worker := worker_of(run):
        parts.append(f"The worker {worker} took it{'' if worker in site.online else ' (not online now)'}.")
    if run.infrastructure_pid:
        parts.append(f"Its infrastructure is {run.infrastructure_pid}.")
    if run.deployment_id and not worker and not run.start_time:
        parts.append("Nothing has taken it yet.")
    return " ".join(parts)
