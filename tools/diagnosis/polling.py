"""Who asks for the run: the pool's workers, and whether they ask its queue."""

import shlex
from collections.abc import Sequence
from datetime import datetime

from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.models import Cause, Evidence, Fine, evidence, moment
from tools.diagnosis.words import MAX_NAMED, counted, listed, runs_named
from tools.models import Deployment, FlowRun, Worker, WorkPool, WorkQueue
from tools.pool_types import pool_type
from tools.runs import worker_of
from tools.workers import POLLED_WITHIN, in_words, is_alive, seconds_ago, start_command


def a_worker_is_online(facts: Facts) -> Cause | Fine | Unread | None:
    """Prefect's own status lags: a killed worker stays ONLINE for up to 105 s, so heartbeats decide."""
    pool, workers = facts.pool, facts.workers
    if not facts.needs_a_start or not isinstance(pool, WorkPool):
        return None
    needs = pool_type(pool.type).needs
    if needs == "nobody":
        return _needs_no_worker(facts, pool)
    if needs != "worker":
        return None
    if not isinstance(workers, tuple):
        return workers
    alive = [worker for worker in workers if is_alive(worker, facts.now)]
    if alive:
        return Fine(
            f"worker {listed([worker.name for worker in alive])} of work pool '{pool.name}' is ONLINE"
        )
    return _offline(facts, pool, workers) if workers else _no_worker(facts, pool)


def _needs_no_worker(facts: Facts, pool: WorkPool) -> Cause | Fine:
    if facts.links.is_cloud:
        return Fine(f"work pool '{pool.name}' ({pool.type}) needs no worker")
    source = f"work pool {pool.name}"
    return Cause(
        kind="cloud_only_pool",
        summary=f"Work pool '{pool.name}' is of type {pool.type}: the runs of such a pool are started by "
        "Prefect Cloud itself, and this server is not Prefect Cloud, so nothing starts them.",
        about=source,
        evidence=[
            evidence("type", pool.type, source, url=facts.links.work_pool(pool.name)),
            evidence("status", pool.status or None, source),
        ],
        fix="Move the deployment to a work pool of a type that a worker serves (process, docker, kubernetes, "
        "…) with `prefect deploy --pool POOL`, then start its late runs anew: they stay in the old pool.",
    )


def _no_worker(facts: Facts, pool: WorkPool) -> Cause:
    polled = max((q.last_polled for q in _queues(facts) if q.last_polled), default=None)
    source = f"work pool {pool.name}"
    if polled:
        since = f"the last one asked it for runs at {moment(polled, facts.now)}"
    else:
        since = "none was ever started for it, and its queues were never polled"
    return Cause(
        kind="no_worker" if polled else "no_worker_ever",
        summary=f"Work pool '{pool.name}' has no worker{_not_ready(pool)}: {since}.",
        about=source,
        evidence=[
            evidence("workers", "none", source, url=facts.links.work_pool(pool.name)),
            evidence("status", pool.status or None, source),
            *_last_polled(facts, pool),
        ],
        fix=f"Start one on the machine that shall run (or start) the code: `{start_command(pool)}`.",
    )


def _offline(facts: Facts, pool: WorkPool, workers: Sequence[Worker]) -> Cause:
    newest = workers[0]
    silent = seconds_ago(newest.last_heartbeat_time, facts.now)
    ago = f", silent for {in_words(silent)}" if silent is not None else ""
    others = f" (and {counted(len(workers) - 1, 'other')}, longer ago)" if len(workers) > 1 else ""
    shown = "" if newest.status == "OFFLINE" else ", though Prefect still shows ONLINE"
    return Cause(
        kind="worker_offline",
        summary=f"The worker '{newest.name}' of work pool '{pool.name}' is OFFLINE{ago}{shown}{others}"
        f"{_not_ready(pool)}.",
        about=f"work pool {pool.name}",
        evidence=[
            *[line for worker in workers[:MAX_NAMED] for line in worker_evidence(worker, facts.now)],
            evidence(
                "status", pool.status or None, f"work pool {pool.name}", url=facts.links.work_pool(pool.name)
            ),
        ],
        fix=f"Start the worker again on its host: `{start_command(pool)} --name {shlex.quote(newest.name)}`.",
    )


def worker_evidence(worker: Worker, now: datetime) -> list[Evidence]:
    source = f"worker {worker.name}"
    return [
        evidence("status", worker.status or None, source),
        evidence("last_heartbeat_time", worker.last_heartbeat_time, source, now=now),
    ]


def _not_ready(pool: WorkPool) -> str:
    """PAUSED covers it, and a killed worker's pool is READY for a while."""
    return " (the pool is NOT_READY)" if pool.status == "NOT_READY" else ""


def _queues(facts: Facts) -> Sequence[WorkQueue]:
    return facts.queues if isinstance(facts.queues, tuple) else ()


def _last_polled(facts: Facts, pool: WorkPool) -> list[Evidence]:
    queue = facts.queue
    if not isinstance(queue, WorkQueue):
        return []
    source = f"queue {queue.name} of work pool {pool.name}"
    return [evidence("last_polled", queue.last_polled or "never polled", source, now=facts.now)]


def its_queue_is_polled(facts: Facts) -> Cause | Fine | Unread | None:
    """A worker that was started with `--work-queue` asks no other queue."""
    pool, queue, workers = facts.pool, facts.queue, facts.workers
    if not facts.needs_a_start or not isinstance(pool, WorkPool) or pool.is_paused:
        return None
    if not isinstance(queue, WorkQueue):
        return queue
    alive = [w for w in workers if is_alive(w, facts.now)] if isinstance(workers, tuple) else []
    if queue.is_paused or not alive:
        return None
    silent = seconds_ago(queue.last_polled, facts.now)
    if silent is not None and silent <= POLLED_WITHIN:
        return Fine(f"queue '{queue.name}' was polled {in_words(silent)} ago")
    return _not_polled(facts, pool, queue, alive)


def _not_polled(facts: Facts, pool: WorkPool, queue: WorkQueue, alive: Sequence[Worker]) -> Cause:
    polled = [other for other in _queues(facts) if _is_polled(other, facts.now)]
    names = listed([other.name for other in polled])
    when = (
        f"was last polled at {moment(queue.last_polled, facts.now)}"
        if queue.last_polled
        else "is never polled"
    )
    asked = f"only queue {names}" if polled else "none of the pool's queues"
    why = f"worker {listed([worker.name for worker in alive])} is ONLINE but asks {asked} for runs."
    source = f"queue {queue.name} of work pool {pool.name}"
    return Cause(
        kind="wrong_queue" if polled else "queue_not_polled",
        summary=f"In work pool '{pool.name}', queue '{queue.name}' {when}: {why}",
        about=source,
        evidence=[
            evidence(
                "last_polled",
                queue.last_polled or "never polled",
                source,
                url=facts.links.work_queue(pool.name, queue.name),
                now=facts.now,
            ),
            evidence("status", queue.status or None, source),
            *[_polled_evidence(other, pool, facts.now) for other in polled[:MAX_NAMED]],
            *[line for worker in alive[:MAX_NAMED] for line in worker_evidence(worker, facts.now)],
        ],
        fix=f"Start a worker for that queue too: `{start_command(pool)} --work-queue "
        f"{shlex.quote(queue.name)}`"
        + (f", or send the runs to queue {names}." if polled else "; look at the worker's own log first."),
    )


def _is_polled(queue: WorkQueue, now: datetime) -> bool:
    silent = seconds_ago(queue.last_polled, now)
    return silent is not None and silent <= POLLED_WITHIN


def _polled_evidence(queue: WorkQueue, pool: WorkPool, now: datetime) -> Evidence:
    return evidence("last_polled", queue.last_polled, f"queue {queue.name} of work pool {pool.name}", now=now)


def worker_may_be_full(facts: Facts) -> Cause | None:
    """A worker's own `--limit` is not in the API; that it is polling and busy is all there is to see."""
    pool, workers, active = facts.pool, facts.workers, facts.active
    if not facts.late_seconds or not isinstance(pool, WorkPool) or not isinstance(workers, tuple):
        return None
    alive = [worker for worker in workers if is_alive(worker, facts.now)]
    if not alive or not isinstance(active, tuple):
        return None
    busy = {worker.name: [run for run in active if worker_of(run) == worker.name] for worker in alive}
    if not any(busy.values()):
        return None
    return _full(facts, pool, alive, busy)


def _full(facts: Facts, pool: WorkPool, alive: Sequence[Worker], busy: dict[str, list[FlowRun]]) -> Cause:
    said = "; ".join(f"worker '{name}' already has {runs_named(runs)}" for name, runs in busy.items() if runs)
    return Cause(
        kind="worker_limit",
        certainty="likely",
        summary=f"Work pool '{pool.name}' is well and its queue is polled, so most likely the worker's own "
        f"`--limit` is reached: {said}. (That limit is not in the API.)",
        about=f"work pool {pool.name}",
        evidence=[
            *[
                evidence("labels.prefect.worker.name", name, f"flow run {run.name} ({run.state.name})")
                for name, runs in busy.items()
                for run in runs[:MAX_NAMED]
            ],
            *[line for worker in alive[:MAX_NAMED] for line in worker_evidence(worker, facts.now)],
        ],
        fix=f"Wait until one of them ends, start another worker (`{start_command(pool)}`), or restart it "
        "with a higher `--limit`.",
    )


def serve_may_be_full(facts: Facts) -> Cause | None:
    """Overdue with nothing wrong to be seen; a serve process may be full, a worker may fail to submit."""
    if not facts.late_seconds or not facts.needs_a_start:
        return None
    if facts.pool is None and isinstance(facts.deployment, Deployment):
        return Cause(
            kind="serve_limit",
            certainty="likely",
            summary=f"A `flow.serve()` process asks for the runs of {facts.deployment_name} and does not "
            "start this one: most likely its `limit` is reached.",
            about=f"deployment {facts.deployment_name}",
            evidence=[
                evidence(
                    "last_polled",
                    facts.deployment.last_polled,
                    f"deployment {facts.deployment_name}",
                    now=facts.now,
                )
            ],
            fix="Wait until one of its runs ends, or start it again with a higher `limit`: "
            "`flow.serve(limit=…)`.",
        )
    return None


CHECKS: tuple[Check, ...] = (a_worker_is_online, its_queue_is_polled)
LAST_RESORTS: tuple[Check, ...] = (worker_may_be_full, serve_may_be_full)
"""Asked only when nothing else is the cause."""
