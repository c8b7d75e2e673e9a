"""Slots: limits of the pool, the queue and the deployment, and who holds what there is."""

from collections.abc import Sequence
from datetime import datetime

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.models import Cause, Evidence, Fine, SuggestedAction, evidence, moment
from tools.diagnosis.words import MAX_NAMED, listed, shell
from tools.models import Deployment, FlowRun, GlobalLimit, WorkPool, WorkQueue
from tools.runs import worker_of
from tools.workers import in_words, is_alive, seconds_ago

AWAITING = "AwaitingConcurrencySlot"
LIMIT_REACHED = "Deployment concurrency limit reached"
# The server tries a run again so often (PREFECT_DEPLOYMENT_CONCURRENCY_SLOT_WAIT_SECONDS).
TRIED_EVERY = 30


def pool_has_a_free_slot(facts: Facts) -> Cause | Fine | Unread | None:
    pool = facts.pool
    if not facts.needs_a_start or not isinstance(pool, WorkPool) or pool.concurrency_limit is None:
        return None
    if not is_full(pool):
        return Fine(f"work pool '{pool.name}' has {_use(pool)}")
    source, url = f"work pool {pool.name}", facts.links.work_pool(pool.name)
    holders = _active(facts)
    command = shell("prefect", "work-pool", "set-concurrency-limit", pool.name, "N")
    return Cause(
        kind="pool_concurrency_full",
        summary=f"Work pool '{pool.name}' has {_taken(facts, pool, holders)}.",
        about=source,
        evidence=[
            evidence("concurrency_limit", pool.concurrency_limit, source, url=url),
            evidence("active_slots", pool.active_slots, source, url=url),
            *_holder_evidence(facts, holders),
        ],
        fix=_limit_fix(facts, holders, command),
        action=_free_slots(facts, holders),
    )


def queue_has_a_free_slot(facts: Facts) -> Cause | Fine | Unread | None:
    queue, pool = facts.queue, facts.pool
    if not facts.needs_a_start or not isinstance(pool, WorkPool):
        return None
    if not isinstance(queue, WorkQueue) or queue.concurrency_limit is None:
        return None
    if not is_full(queue):
        return Fine(f"queue '{queue.name}' has {_use(queue)}")
    source = f"queue {queue.name} of work pool {pool.name}"
    holders = [run for run in _active(facts) if run.work_queue_name == queue.name]
    command = shell("prefect", "work-queue", "set-concurrency-limit", queue.name, "N", "--pool", pool.name)
    return Cause(
        kind="queue_concurrency_full",
        summary=f"Queue '{queue.name}' of work pool '{pool.name}' has {_taken(facts, queue, holders)}.",
        about=source,
        evidence=[
            evidence(
                "concurrency_limit",
                queue.concurrency_limit,
                source,
                url=facts.links.work_queue(pool.name, queue.name),
            ),
            evidence("active_slots", queue.active_slots, source),
            *_holder_evidence(facts, holders),
        ],
        fix=_limit_fix(facts, holders, command),
        action=_free_slots(facts, holders),
    )


def is_full(limited: WorkPool | WorkQueue) -> bool:
    return limited.concurrency_limit is not None and limited.active_slots >= limited.concurrency_limit


def _use(limited: WorkPool | WorkQueue) -> str:
    return f"{limited.active_slots} of {limited.concurrency_limit} slots in use"


def _taken(facts: Facts, limited: WorkPool | WorkQueue, holders: Sequence[FlowRun]) -> str:
    limit = f"concurrency limit {limited.concurrency_limit}"
    if limited.concurrency_limit == 0:
        return f"{limit}, which lets nothing start"
    return f"{limit}, with {_use(limited)}{_held(facts, holders)}"


def _active(facts: Facts) -> Sequence[FlowRun]:
    return facts.active if isinstance(facts.active, tuple) else ()


def others_go_first(facts: Facts) -> Cause | None:
    """Priority only decides while slots are scarce; 1 is served first."""
    pool, queue = facts.pool, facts.queue
    if not isinstance(pool, WorkPool) or not isinstance(queue, WorkQueue) or not is_full(pool):
        return None
    if not isinstance(facts.queues, tuple) or not isinstance(facts.waiting, tuple):
        return None
    waiting = {
        other.name: sum(run.work_queue_name == other.name for run in facts.waiting)
        for other in facts.queues
        if other.priority < queue.priority and not other.is_paused
    }
    ahead = {name: count for name, count in waiting.items() if count}
    return _low_priority(pool, queue, facts.queues, ahead) if ahead else None


def _low_priority(
    pool: WorkPool, queue: WorkQueue, queues: Sequence[WorkQueue], ahead: dict[str, int]
) -> Cause:
    priority = {other.name: other.priority for other in queues}
    said = ", ".join(
        f"queue '{name}' (priority {priority[name]}, {count} waiting)" for name, count in ahead.items()
    )
    source = f"queue {queue.name} of work pool {pool.name}"
    return Cause(
        kind="low_priority",
        summary=f"Queue '{queue.name}' of work pool '{pool.name}' has priority {queue.priority}; the scarce "
        f"slots go first to {said}.",
        about=source,
        evidence=[
            evidence("priority", queue.priority, source),
            *[
                evidence("priority", priority[name], f"queue {name} of work pool {pool.name}")
                for name in ahead
            ],
        ],
        fix=f"Wait, raise the pool's limit, or give '{queue.name}' a smaller number (1 is first).",
    )


def deployment_has_a_free_slot(facts: Facts) -> Cause | Fine | Unread | None:
    """A run that finds no slot is put back as AwaitingConcurrencySlot, which never turns Late."""
    deployment = facts.deployment
    if not facts.needs_a_start:
        return None
    if not isinstance(deployment, Deployment):
        return deployment
    limit = deployment.global_concurrency_limit
    if limit is None:
        return None
    if limit.limit == 0:
        return _limit_of_zero(facts, deployment, limit)
    if limit.active_slots < limit.limit and not _awaits(facts):
        return Fine(
            f"deployment {facts.deployment_name} has {limit.active_slots} of {limit.limit} slots in use"
        )
    return _deployment_full(facts, deployment, limit)


def _awaits(facts: Facts) -> bool:
    return facts.run is not None and facts.run.state.name == AWAITING


def _limit_of_zero(facts: Facts, deployment: Deployment, limit: GlobalLimit) -> Cause:
    return Cause(
        kind="deployment_limit_zero",
        summary=f"Deployment {facts.deployment_name} has concurrency limit 0, which lets none of its runs "
        "start; each time a worker takes the run, it gives it back.",
        about=f"deployment {facts.deployment_name}",
        evidence=[_limit_evidence(facts, deployment, limit)],
        fix=f"Give it another limit, or none: `prefect gcl update deployment:{deployment.id} --limit 1`.",
    )


def _deployment_full(facts: Facts, deployment: Deployment, limit: GlobalLimit) -> Cause:
    holders = facts.deployment_active if isinstance(facts.deployment_active, tuple) else ()
    strategy = deployment.concurrency_options.collision_strategy or "ENQUEUE"
    return Cause(
        kind="deployment_concurrency",
        summary=f"Deployment {facts.deployment_name} has concurrency limit {limit.limit} ({strategy}), with "
        f"{limit.active_slots} of {limit.limit} slots in "
        f"use{_held(facts, holders)}{_next_try(facts, limit)}.",
        about=f"deployment {facts.deployment_name}",
        evidence=[
            _limit_evidence(facts, deployment, limit),
            evidence(
                "concurrency_options.collision_strategy", strategy, f"deployment {facts.deployment_name}"
            ),
            *(
                [evidence("state", AWAITING, f"flow run {facts.run.name}")]
                if facts.run and _awaits(facts)
                else []
            ),
            *_holder_evidence(facts, holders),
        ],
        fix=_limit_fix(facts, holders, f"`prefect gcl update deployment:{deployment.id} --limit N`"),
        action=_free_slots(facts, holders),
    )


def _next_try(facts: Facts, limit: GlobalLimit) -> str:
    if not _awaits(facts) or facts.run is None:
        return ""
    at = facts.run.next_scheduled_start_time
    when = f"; the run is {AWAITING} and is tried again every {TRIED_EVERY} s" + (
        f", next at {moment(at, facts.now)}" if at else ""
    )
    return when + (", and a slot is free now" if limit.active_slots < limit.limit else "")


def _limit_evidence(facts: Facts, deployment: Deployment, limit: GlobalLimit) -> Evidence:
    return evidence(
        "global_concurrency_limit",
        f"limit {limit.limit}, active_slots {limit.active_slots}",
        f"deployment {facts.deployment_name}",
        url=facts.links.deployment(deployment.id),
    )


def was_one_too_many(facts: Facts) -> Cause | None:
    """CANCEL_NEW: the run was cancelled at its start, as the deployment is set up to do."""
    run = facts.run
    if run is None or run.state.type != "CANCELLED" or LIMIT_REACHED not in run.state.message:
        return None
    deployment = facts.deployment if isinstance(facts.deployment, Deployment) else None
    limit = deployment.global_concurrency_limit if deployment else None
    figure = f"concurrency limit {limit.limit}" if limit else "a concurrency limit (since removed)"
    strategy = deployment.concurrency_options.collision_strategy if deployment else ""
    name = facts.deployment_name
    holders = [other for other in _deployment_active(facts) if _ran_then(other, run)]
    held = f", then held by {_named(facts, holders)}" if holders else ""
    return Cause(
        kind="deployment_concurrency_cancel_new",
        summary=f"Deployment {name} has {figure} with CANCEL_NEW: a run that finds no free slot is "
        f"cancelled at once, and that happened to this one{held}.",
        about=f"deployment {name}",
        evidence=[
            evidence("state.message", run.state.message, f"flow run {run.name}"),
            *([_limit_evidence(facts, deployment, limit)] if deployment and limit else []),
            evidence("concurrency_options.collision_strategy", strategy or None, f"deployment {name}"),
            *_holder_evidence(facts, holders),
        ],
        fix="This is as configured: start it again when the slot is free, raise the limit, or deploy with "
        "collision strategy ENQUEUE, which makes runs wait.",
        action=suggestions.start_again(name) if deployment else None,
    )


def _deployment_active(facts: Facts) -> Sequence[FlowRun]:
    return facts.deployment_active if isinstance(facts.deployment_active, tuple) else ()


def _ran_then(other: FlowRun, cancelled: FlowRun) -> bool:
    """It was already going when the other was cancelled."""
    began, end = other.start_time or other.expected_start_time, cancelled.state.timestamp
    return bool(began and end and began <= end)


# -- who holds the slots --


def process_ended(facts: Facts, run: FlowRun) -> datetime | None:
    """When a worker saw the process of this RUNNING run end; then it holds its slot for nothing."""
    ended = facts.ended_processes
    at = None if ended is None or isinstance(ended, Unread) else ended.get(run.id)
    began = run.state.timestamp
    return at if at and run.state.type == "RUNNING" and began and at > began else None


def is_lost(facts: Facts, run: FlowRun) -> bool:
    """Its worker is known and dead."""
    name, workers = worker_of(run), facts.workers
    if not name or not isinstance(workers, tuple):
        return False
    mine = [worker for worker in workers if worker.name == name]
    return bool(mine) and not any(is_alive(worker, facts.now) for worker in mine)


def _held(facts: Facts, holders: Sequence[FlowRun]) -> str:
    return f", held by {_named(facts, holders)}" if holders else ""


def _named(facts: Facts, holders: Sequence[FlowRun]) -> str:
    more = f" and {len(holders) - MAX_NAMED} more" if len(holders) > MAX_NAMED else ""
    return ", ".join(_holder(facts, run) for run in holders[:MAX_NAMED]) + more


def _holder(facts: Facts, run: FlowRun) -> str:
    since = seconds_ago(run.state.timestamp, facts.now)
    for_ = f" for {in_words(since)}" if since is not None else ""
    if ended := process_ended(facts, run):
        return (
            f"'{run.name}' (still {run.state.type}, but its process ended at {moment(ended, facts.now)}: a "
            "zombie)"
        )
    if is_lost(facts, run):
        return f"'{run.name}' ({run.state.type}{for_}, but its worker '{worker_of(run)}' is OFFLINE)"
    return f"'{run.name}' ({run.state.type}{for_})"


def _holder_evidence(facts: Facts, holders: Sequence[FlowRun]) -> list[Evidence]:
    rows = []
    for run in holders[:MAX_NAMED]:
        url = facts.links.flow_run(run.id)
        rows.append(evidence("state", run.state.type, f"flow run {run.name} ({run.id})", url=url))
        if ended := process_ended(facts, run):
            source = "event prefect.worker.executed-flow-run"
            rows.append(evidence(f"{run.name} ended", ended, source, now=facts.now))
    return rows


def _stuck(facts: Facts, holders: Sequence[FlowRun]) -> list[FlowRun]:
    return [run for run in holders if process_ended(facts, run) or is_lost(facts, run)]


def _limit_fix(facts: Facts, holders: Sequence[FlowRun], raise_it: str) -> str:
    ended = [run.name for run in holders if process_ended(facts, run)]
    if ended:
        return f"Cancel {listed(ended)}: nothing runs there any more, so its slot is held for nothing."
    if lost := [run.name for run in holders if is_lost(facts, run)]:
        return f"See whether {listed(lost)} still runs, and cancel it if not; or raise the limit: {raise_it}."
    wait = "Wait until a holder ends, cancel one, or raise" if holders else "Raise"
    return f"{wait} the limit: {raise_it}."


def _free_slots(facts: Facts, holders: Sequence[FlowRun]) -> SuggestedAction | None:
    """Offered only for holders that do nothing: what runs is somebody's work."""
    stuck = _stuck(facts, holders)
    return suggestions.cancel(stuck[:MAX_NAMED]) if stuck else None


CHECKS: tuple[Check, ...] = (
    pool_has_a_free_slot,
    queue_has_a_free_slot,
    others_go_first,
    deployment_has_a_free_slot,
    was_one_too_many,
)
