"""Where the run would start: no work pool, one that nothing can serve, or one that is paused."""

from collections.abc import Iterable
from datetime import datetime

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.models import Cause, Evidence, Fine, Hint, evidence, moment
from tools.diagnosis.words import shell
from tools.models import Deployment, Event, WorkPool, WorkQueue
from tools.pool_types import pool_type
from tools.workers import POLLED_WITHIN, seconds_ago

PAUSED = ("prefect.work-pool.paused", "prefect.work-queue.paused")
AUTOMATION_ACTED = "prefect.automation.action.executed"
# An automation's action and what it did are told by two events, moments apart.
SAME_MOMENT = 10.0


def has_a_work_pool(facts: Facts) -> Cause | Fine | Unread | None:
    """A deleted pool leaves the same picture: its deployments and runs simply have none."""
    if not facts.needs_a_start or facts.pool is not None:
        return None
    if not isinstance(facts.deployment, Deployment):
        return _without_deployment(facts) if facts.deployment is None else facts.deployment
    if (pool := facts.deployment.work_pool_name) and facts.run:
        return _moved_to_a_pool(facts, pool)
    return starter_without_pool(facts, facts.deployment)


def starter_without_pool(facts: Facts, deployment: Deployment) -> Cause | Fine:
    """What would start the runs of a deployment that has no work pool."""
    silent = seconds_ago(deployment.last_polled, facts.now)
    if silent is not None and silent <= POLLED_WITHIN:
        return Fine(f"a flow.serve() process asks for the runs of {facts.deployment_name}")
    if queue := queue_without_pool(facts, deployment):
        return _pool_is_gone(facts, deployment, queue)
    return _nobody_serves(facts, deployment)


def _without_deployment(facts: Facts) -> Cause | None:
    run = facts.run
    if run is None:
        return None
    gone = "whose deployment has been deleted" if run.deployment_id else "that has no deployment"
    return Cause(
        kind="no_deployment",
        summary=f"No worker can take a run {gone}: only the code that made it could start it.",
        about="runs without a deployment",
        evidence=[evidence("deployment_id", run.deployment_id or None, f"flow run {run.name}")],
        fix="Cancel it, and start a run from a deployment.",
        action=suggestions.cancel([run]),
    )


def queue_without_pool(facts: Facts, deployment: Deployment) -> str:
    """Only a pool gives deployments and runs a queue; its name stays when pool or queue are deleted."""
    if deployment.work_pool_name:
        return ""
    return deployment.work_queue_name or (facts.run.work_queue_name if facts.run else "")


def _pool_is_gone(facts: Facts, deployment: Deployment, queue: str) -> Cause:
    name = facts.deployment_name
    source, url = f"deployment {name}", facts.links.deployment(deployment.id)
    return Cause(
        kind="no_work_pool",
        summary=f"{name} has no work pool any more, so no worker finds its runs: the pool was deleted, or "
        f"its queue '{queue}' was. (Prefect still knows the queue's name, but of no pool.)",
        about=source,
        evidence=[
            evidence("work_pool_name", None, source, url=url),
            evidence("work_queue_name", queue, source, url=url),
            evidence("last_polled", deployment.last_polled or "never polled", source, now=facts.now),
        ],
        fix="Deploy it to a work pool that has a worker, the same one if only its queue is gone: "
        f"{shell('prefect', 'deploy', '--name', deployment.name, '--pool', 'POOL')}. Runs that wait already "
        "stay without a pool: cancel them and start new ones.",
    )


def _moved_to_a_pool(facts: Facts, pool: str) -> Cause:
    assert facts.run is not None
    queue = facts.run.work_queue_name
    why = f"its own pool, or queue '{queue}' in it, was deleted" if queue else "it had no work pool then"
    return Cause(
        kind="no_work_pool",
        summary=f"The run has no work pool, so no worker finds it. {facts.deployment_name} now uses "
        f"work pool '{pool}', but a run stays where it was made ({why}).",
        about=f"deployment {facts.deployment_name}",
        evidence=[
            evidence("work_pool_name", None, f"flow run {facts.run.name}"),
            evidence("work_pool_name", pool, f"deployment {facts.deployment_name}"),
        ],
        fix=f"Cancel this run and start a new one of {facts.deployment_name}, which goes to '{pool}'.",
        action=suggestions.start_again(facts.deployment_name),
    )


def _nobody_serves(facts: Facts, deployment: Deployment) -> Cause:
    """Polled at some time, so there was a serve process (or a pool with a worker, since deleted)."""
    name, polled = facts.deployment_name, deployment.last_polled
    source, url = f"deployment {name}", facts.links.deployment(deployment.id)
    if polled:
        kind = "serve_stopped"
        last = f"the last one that asked for its runs did so at {moment(polled, facts.now)}"
        what = (
            f"{name} has no work pool, and its `flow.serve()` process is gone: {last}. (Or it had a work "
            "pool, and that was deleted.)"
        )
    else:
        kind = "no_work_pool"
        what = (
            f"{name} has no work pool (none was set, or it was deleted), and no `flow.serve()` process has "
            "ever asked for its runs, so nothing starts them."
        )
    return Cause(
        kind=kind,
        summary=what,
        about=f"deployment {name}",
        evidence=[
            evidence("work_pool_name", None, source, url=url),
            evidence("status", deployment.status or None, source, url=url),
            evidence("last_polled", polled or "never polled", source, url=url, now=facts.now),
        ],
        fix=f"{'Start its `flow.serve()` process again' if polled else 'Serve it with `flow.serve()`'}, or "
        "deploy it to a work pool that has a worker: "
        f"{shell('prefect', 'deploy', '--name', deployment.name, '--pool', 'POOL')}.",
    )


def pool_can_run(facts: Facts) -> Cause | Fine | Unread | None:
    pool = facts.pool
    if not isinstance(pool, WorkPool) or not facts.needs_a_start:
        return pool if isinstance(pool, Unread) else None
    if pool_type(pool.type).needs != "impossible":
        return None
    return Cause(
        kind="legacy_agent_pool",
        summary=f"Work pool '{pool.name}' is of type prefect-agent, for agents, which Prefect 3 does not "
        "have: no worker can serve it.",
        about=f"work pool {pool.name}",
        evidence=[
            evidence("type", pool.type, f"work pool {pool.name}", url=facts.links.work_pool(pool.name)),
            evidence("status", pool.status or None, f"work pool {pool.name}"),
        ],
        fix="Move the deployment to a work pool of another type (process, docker, kubernetes, …) with "
        "`prefect deploy --pool POOL`, then start its late runs anew: they stay in the old pool.",
    )


def pool_is_paused(facts: Facts) -> Cause | Fine | Unread | None:
    pool = facts.pool
    if not isinstance(pool, WorkPool) or not facts.needs_a_start:
        return None
    if not pool.is_paused:
        return Fine(f"work pool '{pool.name}' is not paused")
    source, url = f"work pool {pool.name}", facts.links.work_pool(pool.name)
    since = _paused_since(facts, f"prefect.work-pool.{pool.id}")
    return Cause(
        kind="pool_paused",
        summary=f"Work pool '{pool.name}' is PAUSED{_since(since, facts.now)}{_by(facts, since)}, so none "
        "of its runs start.",
        about=source,
        evidence=[
            evidence("is_paused", pool.is_paused, source, url=url),
            evidence("status", pool.status, source, url=url),
            *_paused_evidence(since, facts.now),
        ],
        fix=f"Resume the work pool: {shell('prefect', 'work-pool', 'resume', pool.name)}.",
        action=suggestions.resume_pool(pool.name),
    )


def queue_is_paused(facts: Facts) -> Cause | Fine | Unread | None:
    """`status` is no guide: a queue that was paused from the start and is polled says READY."""
    queue, pool = facts.queue, facts.pool
    if not facts.needs_a_start or not isinstance(pool, WorkPool):
        return None
    if not isinstance(queue, WorkQueue):
        return queue
    if not queue.is_paused:
        return Fine(f"queue '{queue.name}' is not paused")
    source = f"queue {queue.name} of work pool {pool.name}"
    since = _paused_since(facts, f"prefect.work-queue.{queue.id}")
    return Cause(
        kind="queue_paused",
        summary=f"Queue '{queue.name}' of work pool '{pool.name}' is paused{_since(since, facts.now)}"
        f"{_by(facts, since)}, so its runs do not start; the pool's other queues go on.",
        about=source,
        evidence=[
            evidence("is_paused", queue.is_paused, source, url=facts.links.work_queue(pool.name, queue.name)),
            evidence("status", queue.status or None, source),
            *_paused_evidence(since, facts.now),
        ],
        fix="Resume the work queue: "
        f"{shell('prefect', 'work-queue', 'resume', queue.name, '--pool', pool.name)}.",
        action=suggestions.resume_queue(pool.name, queue.name),
    )


def _paused_since(facts: Facts, resource: str) -> Event | None:
    return next(
        (
            event
            for event in _events(facts)
            if event.event in PAUSED and event.resource.get("prefect.resource.id") == resource
        ),
        None,
    )


def _events(facts: Facts) -> Iterable[Event]:
    return facts.pool_events if isinstance(facts.pool_events, tuple) else ()


def _since(event: Event | None, now: datetime) -> str:
    return f" since {moment(event.occurred, now)}" if event else ""


def _by(facts: Facts, paused: Event | None) -> str:
    """The automation that did it; self-hosted servers do not tell which person did."""
    for event in _events(facts) if paused else ():
        assert paused is not None
        apart = abs((event.occurred - paused.occurred).total_seconds())
        same = paused.resource.get("prefect.resource.id") in event.involved and apart < SAME_MOMENT
        if event.event == AUTOMATION_ACTED and same:
            return f" by automation '{event.resource.get('prefect.resource.name', '?')}'"
    return ""


def _paused_evidence(event: Event | None, now: datetime) -> list[Evidence]:
    return [evidence("occurred", event.occurred, f"event {event.event}", now=now)] if event else []


def stays_where_it_was_made(facts: Facts) -> Hint | None:
    run, deployment = facts.run, facts.deployment
    if run is None or not facts.needs_a_start or not isinstance(deployment, Deployment):
        return None
    now_in = (deployment.work_pool_name, deployment.work_queue_name)
    was_in = (run.work_pool_name, run.work_queue_name)
    if not run.work_pool_name or not deployment.work_pool_name or now_in == was_in:
        return None
    return Hint(
        f"{facts.deployment_name} now sends its runs to queue '{now_in[1]}' of work pool '{now_in[0]}'; "
        f"this run stays in queue '{was_in[1]}' of '{was_in[0]}', where it was made."
    )


CHECKS: tuple[Check, ...] = (
    has_a_work_pool,
    pool_can_run,
    pool_is_paused,
    queue_is_paused,
    stays_where_it_was_made,
)
