"""Reads the facts about one run: side by side, each within its own time, and never more than is needed.

Three rounds: what the run itself leads to, what those things lead to, whether holders of slots still live.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tools.diagnosis import slots, waiting
from tools.diagnosis.facts import Facts, Read, Unread
from tools.diagnosis.liveness import HEARTBEAT, PROCESS_ENDED
from tools.diagnosis.place import AUTOMATION_ACTED, PAUSED
from tools.diagnosis.reads import (
    ACTIVE,
    EVENTS_KEPT,
    MAX_HOLDERS,
    artifacts,
    attempt,
    children,
    ended_processes,
    events_of,
    events_of_runs,
    flow_name,
    last_log,
    limits,
    pool_workers_of,
    queues,
    runs,
    states,
    tag_holders,
    together,
    upcoming,
    waiting_runs,
    waiting_tasks,
)
from tools.diagnosis.stopped import automation_id_in
from tools.failure.analysis import analyse
from tools.lateness import overdue_filter
from tools.models import Deployment, FlowRun, GlobalLimit, WorkPool, WorkQueue
from tools.prefect_client import Filters, PrefectClient

# Reading what an analysis needs of a log takes longer than a single read.
ANALYSIS_SECONDS = 20.0
# A run in one of these is, or is to be, somewhere; so is the next run of a deployment that has none.
IN_A_PLACE = frozenset({"", "SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"})
# Each takes two requests.
MAX_TAGS = 1


async def read_facts(prefect: PrefectClient, known: Facts) -> Facts:
    """Fills what is missing in `known`, which holds at least `now`, `links` and a run or a deployment."""
    facts = _named(replace(known, **await together(_first_round(prefect, known))))
    facts = replace(facts, **await together(_second_round(prefect, facts)))
    return replace(facts, **await together(_third_round(prefect, facts)))


def _named(facts: Facts) -> Facts:
    if facts.deployment_name or not isinstance(facts.deployment, Deployment):
        return facts
    name = facts.deployment.name
    full = f"{facts.flow}/{name}" if isinstance(facts.flow, str) else name
    return replace(facts, deployment_name=full)


# -- what the run leads to --


def _first_round(prefect: PrefectClient, facts: Facts) -> dict[str, Awaitable[Any]]:
    run = facts.run
    reads: dict[str, Awaitable[Any]] = {}
    if run and run.deployment_id and facts.deployment is None:
        reads["deployment"] = attempt("the deployment", prefect.deployment(run.deployment_id))
    if run and not facts.deployment_name:
        reads["flow"] = attempt("the flow's name", flow_name(prefect, run.flow_id))
    if facts.about_deployment and isinstance(facts.deployment, Deployment):
        reads["upcoming"] = attempt("the scheduled runs to come", upcoming(prefect, facts))
    reads |= _place(prefect, facts)
    if run:
        reads |= _by_state(prefect, facts, run)
    return reads


def _place(prefect: PrefectClient, facts: Facts) -> dict[str, Awaitable[Any]]:
    pool = _pool_name(facts)
    if not pool or facts.state not in IN_A_PLACE:
        return {}
    reads: dict[str, Awaitable[Any]] = {
        "pool": attempt(f"work pool '{pool}'", prefect.work_pool(pool)),
        "workers": attempt(f"the workers of work pool '{pool}'", pool_workers_of(prefect, pool)),
    }
    if facts.needs_a_start:
        reads["queues"] = attempt(f"the queues of work pool '{pool}'", queues(prefect, pool))
    if facts.run and facts.needs_a_start and not facts.is_ahead:
        in_pool: Filters = {"work_pools": {"name": {"any_": [pool]}}, "flow_runs": ACTIVE}
        reads["active"] = attempt(f"the active runs in work pool '{pool}'", runs(prefect, in_pool))
    return reads


def _pool_name(facts: Facts) -> str:
    if facts.run:
        return facts.run.work_pool_name
    return facts.deployment.work_pool_name if isinstance(facts.deployment, Deployment) else ""


def _by_state(prefect: PrefectClient, facts: Facts, run: FlowRun) -> dict[str, Awaitable[Any]]:
    match run.state.type:
        case "RUNNING":
            return _of_running(prefect, facts, run)
        case "PAUSED":
            since = run.created or facts.now - EVENTS_KEPT
            return {
                "events": attempt(
                    "the run's events", events_of_runs(prefect, facts, [run.id], [AUTOMATION_ACTED], since)
                )
            }
        case "COMPLETED":
            return {"artifacts": attempt("the run's artifacts", artifacts(prefect, run))}
        case "FAILED" | "CRASHED":
            return _of_failed(prefect, run)
        case "CANCELLED":
            return _of_cancelled(prefect, facts, run)
    return {}


def _of_running(prefect: PrefectClient, facts: Facts, run: FlowRun) -> dict[str, Awaitable[Any]]:
    since = run.state.timestamp or facts.now - EVENTS_KEPT
    told = [PROCESS_ENDED, HEARTBEAT]
    return {
        "events": attempt("the run's events", events_of_runs(prefect, facts, [run.id], told, since)),
        "last_log": attempt("the run's log", last_log(prefect, run)),
        "waiting_tasks": attempt("the run's tasks", waiting_tasks(prefect, run)),
        "limits": attempt("the concurrency limits", limits(prefect)),
    }


def _of_cancelled(prefect: PrefectClient, facts: Facts, run: FlowRun) -> dict[str, Awaitable[Any]]:
    since = run.created or facts.now - EVENTS_KEPT
    return {
        "states": attempt("the run's earlier states", states(prefect, run)),
        "events": attempt(
            "the run's events", events_of_runs(prefect, facts, [run.id], [AUTOMATION_ACTED], since)
        ),
    }


def _of_failed(prefect: PrefectClient, run: FlowRun) -> dict[str, Awaitable[Any]]:
    """The pool's job variables tell how much memory a run was given, and its type whether it had an image."""
    work = analyse(prefect, run)
    reads: dict[str, Awaitable[Any]] = {
        "failure": attempt("what failed in the run", work, seconds=ANALYSIS_SECONDS)
    }
    if run.state.type == "CRASHED" and (pool := run.work_pool_name):
        reads["pool"] = attempt(f"work pool '{pool}'", prefect.work_pool(pool))
    return reads


# -- what those things lead to --


def _second_round(prefect: PrefectClient, facts: Facts) -> dict[str, Awaitable[Any]]:
    reads: dict[str, Awaitable[Any]] = {}
    if isinstance(facts.pool, WorkPool) and facts.needs_a_start:
        reads |= _about_pool(prefect, facts, facts.pool)
    if isinstance(facts.deployment, Deployment):
        reads |= _about_deployment(prefect, facts, facts.deployment)
    if isinstance(facts.limits, tuple):
        reads |= _about_limits(prefect, facts, facts.limits)
    if facts.run and facts.state == "RUNNING" and "tag_holders" not in reads:
        reads["children"] = attempt("the run's subflows", children(prefect, facts.run))
    if facts.run and (id_ := automation_id_in(facts)):
        reads["automation"] = attempt(f"automation {id_}", prefect.automation(id_))
    return reads


def _about_pool(prefect: PrefectClient, facts: Facts, pool: WorkPool) -> dict[str, Awaitable[Any]]:
    reads: dict[str, Awaitable[Any]] = {}
    queue = facts.queue if isinstance(facts.queue, WorkQueue) else None
    paused = [f"prefect.work-pool.{pool.id}"] if pool.is_paused else []
    paused += [f"prefect.work-queue.{queue.id}"] if queue and queue.is_paused else []
    if paused:
        since = facts.now - EVENTS_KEPT
        told = [*PAUSED, AUTOMATION_ACTED]
        reads["pool_events"] = attempt("the pool's events", events_of(prefect, facts, paused, told, since))
    if facts.run and slots.is_full(pool):
        due: Filters = {"work_pools": {"name": {"any_": [pool.name]}}, "flow_runs": overdue_filter(facts.now)}
        reads["waiting"] = attempt(f"the waiting runs of work pool '{pool.name}'", waiting_runs(prefect, due))
    return reads


def _about_deployment(
    prefect: PrefectClient, facts: Facts, deployment: Deployment
) -> dict[str, Awaitable[Any]]:
    reads: dict[str, Awaitable[Any]] = {}
    limit = deployment.global_concurrency_limit
    cancelled = facts.state == "CANCELLED"
    if limit and limit.active_slots >= limit.limit > 0 and (cancelled or facts.needs_a_start):
        mine: Filters = {"flow_runs": {**ACTIVE, "deployment_id": {"any_": [deployment.id]}}}
        reads["deployment_active"] = attempt("the deployment's active runs", runs(prefect, mine))
    if deployment.paused and facts.about_deployment and facts.state != "RUNNING":
        told = ["prefect.deployment.updated", AUTOMATION_ACTED]
        events = events_of(
            prefect, facts, [f"prefect.deployment.{deployment.id}"], told, facts.now - EVENTS_KEPT
        )
        reads["deployment_events"] = attempt("the deployment's events", events)
    return reads


def _about_limits(
    prefect: PrefectClient, facts: Facts, limits: Sequence[GlobalLimit]
) -> dict[str, Awaitable[Any]]:
    reads: dict[str, Awaitable[Any]] = {}
    if isinstance(facts.waiting_tasks, tuple):
        full = waiting.full_tags(limits, facts.waiting_tasks)[:MAX_TAGS]
        if full:
            tags = [limit.name.removeprefix(waiting.TAG) for limit in full]
            reads["tag_holders"] = attempt("who holds the tag's slots", tag_holders(prefect, tags))
            return reads
    if full := waiting.full_globals(limits):
        ids = [f"prefect.concurrency-limit.{limit.id}" for limit in full]
        told = ["prefect.concurrency-limit.acquired", "prefect.concurrency-limit.released"]
        events = events_of(prefect, facts, ids, told, facts.now - EVENTS_KEPT)
        reads["limit_events"] = attempt("who holds the global concurrency limits", events)
    return reads


# -- whether holders of slots still live --


def _third_round(prefect: PrefectClient, facts: Facts) -> dict[str, Awaitable[Any]]:
    """Holders of slots whose process has ended are zombies; the reads above name the holders."""
    holders = [run for run in _holders(facts) if run.state.type == "RUNNING"][:MAX_HOLDERS]
    if not holders:
        return {}
    since = min((run.state.timestamp for run in holders if run.state.timestamp), default=facts.now)
    ended = ended_processes(prefect, facts, [run.id for run in holders], since)
    return {"ended_processes": attempt("whether the holders' processes still run", ended)}


def _holders(facts: Facts) -> Iterable[FlowRun]:
    full = isinstance(facts.pool, WorkPool) and slots.is_full(facts.pool)
    full = full or (isinstance(facts.queue, WorkQueue) and slots.is_full(facts.queue))
    if full and isinstance(facts.active, tuple):
        yield from facts.active
    if isinstance(facts.deployment_active, tuple):
        yield from facts.deployment_active
    if isinstance(facts.tag_holders, Mapping):
        for holders in facts.tag_holders.values():
            yield from holders


def unread_of(facts: Facts) -> Iterable[Unread]:
    """Every part that could not be looked at, whichever check would have needed it."""
    for name in Facts.__slots__:
        part: Read[Any] = getattr(facts, name)
        if isinstance(part, Unread):
            yield part
