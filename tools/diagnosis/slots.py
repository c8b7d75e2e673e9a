"""Slots of the pool and of the queue, and which queue gets the next one."""

from collections.abc import Sequence

from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.holders import free_slots, held_by, holder_evidence, limit_fix
from tools.diagnosis.models import Cause, Fine, evidence
from tools.diagnosis.words import shell
from tools.models import FlowRun, WorkPool, WorkQueue


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
            *holder_evidence(facts, holders),
        ],
        fix=limit_fix(facts, holders, command),
        action=free_slots(facts, holders),
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
            *holder_evidence(facts, holders),
        ],
        fix=limit_fix(facts, holders, command),
        action=free_slots(facts, holders),
    )


def is_full(limited: WorkPool | WorkQueue) -> bool:
    return limited.concurrency_limit is not None and limited.active_slots >= limited.concurrency_limit


def _use(limited: WorkPool | WorkQueue) -> str:
    return f"{limited.active_slots} of {limited.concurrency_limit} slots in use"


def _taken(facts: Facts, limited: WorkPool | WorkQueue, holders: Sequence[FlowRun]) -> str:
    limit = f"concurrency limit {limited.concurrency_limit}"
    if limited.concurrency_limit == 0:
        return f"{limit}, which lets nothing start"
    return f"{limit}, with {_use(limited)}{held_by(facts, holders)}"


def _active(facts: Facts) -> Sequence[FlowRun]:
    return facts.active if isinstance(facts.active, tuple) else ()


def others_go_first(facts: Facts) -> Cause | None:
    """Priority only decides while slots are scarce; 1 is served first."""
    pool, queue = facts.pool, facts.queue
    if not isinstance(pool, WorkPool) or not isinstance(queue, WorkQueue) or not is_full(pool):
        return None
    # What runs has its slot already, and with limit 0 there is none that could go to anybody.
    if not facts.needs_a_start or not pool.concurrency_limit:
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


CHECKS: tuple[Check, ...] = (pool_has_a_free_slot, queue_has_a_free_slot, others_go_first)
