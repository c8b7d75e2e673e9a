"""Whether what runs a flow run is still there: its process, its worker, its serve process."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tools.diagnosis.facts import Facts, Unread
from tools.diagnosis.models import Certainty, Evidence, evidence, moment
from tools.models import Deployment, Event, FlowRun, Worker, WorkPool
from tools.pool_types import pool_type
from tools.runs import worker_of
from tools.workers import MISSED_HEARTBEATS, POLLED_WITHIN, in_words, is_alive, seconds_ago

PROCESS_ENDED = "prefect.worker.executed-flow-run"
POOL_LABEL = "prefect.work-pool.name"
HEARTBEAT = "prefect.flow-run.heartbeat"
# Whoever takes it gets this long to show up; a worker that is named on the run is known to be there or not.
FRESH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class LostWorker:
    """What should run, or start, the run is not there any more."""

    summary: str
    """Without a full stop."""
    about: str
    evidence: tuple[Evidence, ...]
    certainty: Certainty = "certain"


def lost_worker(facts: Facts) -> LostWorker | Unread | None:
    """None: it is there, or cannot be told."""
    run, pool, workers = facts.run, facts.pool, facts.workers
    if run is None:
        return None
    is_fresh = facts.state_seconds < FRESH_SECONDS
    if pool is None:
        if is_fresh:
            return None
        return _of_deleted_pool(run) if worker_of(run) else _lost_server(facts)
    if not isinstance(pool, WorkPool) or pool_type(pool.type).needs != "worker":
        return pool if isinstance(pool, Unread) else None
    if not isinstance(workers, tuple):
        return workers
    if name := worker_of(run):
        return _lost(facts, pool, name, [worker for worker in workers if worker.name == name])
    if is_fresh or any(is_alive(worker, facts.now) for worker in workers):
        return None
    return _none_at_all(pool, workers, facts.now)


def _lost(facts: Facts, pool: WorkPool, name: str, mine: Sequence[Worker]) -> LostWorker | None:
    if any(is_alive(worker, facts.now) for worker in mine):
        return None
    heard = mine[0].last_heartbeat_time if mine else None
    silent = seconds_ago(heard, facts.now)
    return LostWorker(
        f"Its worker '{name}' in work pool '{pool.name}' is OFFLINE"
        + (f", silent for {in_words(silent)}" if silent is not None else ", and not known there any more"),
        about=f"worker {name}",
        evidence=(
            evidence("status", mine[0].status if mine else None, f"worker {name}"),
            evidence("last_heartbeat_time", heard, f"worker {name}", now=facts.now),
        ),
    )


def _of_deleted_pool(run: FlowRun) -> LostWorker:
    """Its worker may live on, but finds nothing of it any more."""
    name, pool = worker_of(run), str(run.labels.get(POOL_LABEL) or "")
    named = f"work pool '{pool}'" if pool else "work pool"
    source = f"flow run {run.name}"
    return LostWorker(
        f"The {named} of its worker '{name}' has been deleted, or the queue in it that the run was in",
        about=f"work pool {pool}" if pool else f"worker {name}",
        evidence=(
            evidence("work_pool_name", None, source),
            evidence(f"labels.{POOL_LABEL}", pool or None, source),
            evidence("labels.prefect.worker.name", name, source),
        ),
        certainty="likely",
    )


def _none_at_all(pool: WorkPool, workers: Sequence[Worker], now: datetime) -> LostWorker:
    last = workers[0].last_heartbeat_time if workers else None
    where = f"work pool '{pool.name}'"
    said = f"none of the {len(workers)} workers of {where} is ONLINE" if workers else f"{where} has no worker"
    return LostWorker(
        f"Nobody is there to start it: {said}",
        about=f"work pool {pool.name}",
        evidence=(
            evidence("status", pool.status or None, f"work pool {pool.name}"),
            evidence("workers", "all OFFLINE" if workers else "none", f"work pool {pool.name}"),
            *([evidence("last_heartbeat_time", last, f"worker {workers[0].name}", now=now)] if last else []),
        ),
    )


def _lost_server(facts: Facts) -> LostWorker | Unread | None:
    """For a run of `flow.serve()`; one that was started without a deployment leaves no such trace."""
    deployment = facts.deployment
    if not isinstance(deployment, Deployment) or deployment.work_pool_name:
        return deployment if isinstance(deployment, Unread) else None
    silent = seconds_ago(deployment.last_polled, facts.now)
    if silent is not None and silent <= POLLED_WITHIN:
        return None
    polled = deployment.last_polled
    asked = f", it last asked for runs at {moment(polled, facts.now)}" if polled else ""
    source = f"deployment {facts.deployment_name}"
    return LostWorker(
        f"The `flow.serve()` process of {facts.deployment_name} is gone{asked}",
        about=source,
        evidence=(
            evidence("status", deployment.status or None, source),
            evidence("last_polled", polled, source, now=facts.now),
        ),
    )


def process_ended_at(facts: Facts) -> Event | None:
    """The worker's own word that the process ended, after the run went into its present state."""
    since = facts.run.state.timestamp if facts.run else None
    if since is None or not isinstance(facts.events, tuple):
        return None
    return next((e for e in facts.events if e.event == PROCESS_ENDED and e.occurred > since), None)


def heartbeats_stopped(facts: Facts) -> tuple[datetime, int] | None:
    """When the last came and the seconds between two, where three of them are missing by now."""
    if not isinstance(facts.events, tuple):
        return None
    beats = [event.occurred for event in facts.events if event.event == HEARTBEAT][:2]
    if len(beats) < 2:
        return None
    interval = max(1, round((beats[0] - beats[1]).total_seconds()))
    silent = (facts.now - beats[0]).total_seconds()
    return (beats[0], interval) if silent > MISSED_HEARTBEATS * interval + FRESH_SECONDS else None


def beats(facts: Facts, run: FlowRun) -> datetime | None:
    """Its newest heartbeat since it went into its present state; None where the server gets none."""
    since = run.state.timestamp
    if since is None or not isinstance(facts.events, tuple):
        return None
    return next((e.occurred for e in facts.events if e.event == HEARTBEAT and e.occurred >= since), None)


def when_ended(events: Sequence[Event]) -> dict[str, datetime]:
    """When each process ended last, by the run's id; `events` are of that kind, newest first."""
    times: dict[str, datetime] = {}
    for event in events:
        for resource in event.involved:
            if resource.startswith("prefect.flow-run."):
                times.setdefault(resource.removeprefix("prefect.flow-run."), event.occurred)
    return times
