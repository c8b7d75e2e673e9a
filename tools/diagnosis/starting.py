"""Runs that a worker has taken and that do not get going: PENDING for long, or waiting for a retry."""

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.liveness import LostWorker, lost_worker
from tools.diagnosis.models import Cause, Fine, evidence, moment
from tools.models import WorkPool
from tools.pool_types import pool_type
from tools.run_rows import shorten
from tools.runs import worker_of
from tools.workers import in_words, start_command

# A subprocess is up in seconds; a container is pulled within this time unless something is wrong.
STARTS_WITHIN = {"process": 60}
OTHERS_START_WITHIN = 180


def its_deployment_is_there(facts: Facts) -> Cause | None:
    """Without it a worker knows neither the code nor the parameters of what it took."""
    run = facts.run
    if run is None or facts.state != "PENDING" or not _is_orphaned(facts):
        return None
    return Cause(
        kind="deployment_deleted",
        certainty="likely",
        summary=f"Its deployment has been deleted, so most likely nothing can start it any more: it stays "
        f"{run.state.name} and holds its slot.",
        about="runs whose deployment has been deleted",
        evidence=[
            evidence("deployment_id", f"{run.deployment_id} (not found)", f"flow run {run.name}"),
            evidence("state.timestamp", run.state.timestamp, f"flow run {run.name}", now=facts.now),
        ],
        fix="Cancel it, and start a run from a deployment that exists.",
        action=suggestions.cancel([run]),
    )


def _is_orphaned(facts: Facts) -> bool:
    return facts.run is not None and bool(facts.run.deployment_id) and facts.deployment is None


def its_worker_is_there(facts: Facts) -> Cause | Fine | Unread | None:
    """A run whose worker died before it began stays PENDING for ever, never turns Late, and holds a slot."""
    if facts.state != "PENDING" or facts.run is None:
        return None
    lost = lost_worker(facts)
    if not isinstance(lost, LostWorker):
        return lost
    return Cause(
        kind="pending_worker_lost",
        summary=f"{lost.summary}; what it had begun to start will not come. A run that is "
        f"{facts.run.state.name} never turns Late, and it holds its slot.",
        about=lost.about,
        evidence=[
            evidence("state", facts.run.state.name, f"flow run {facts.run.name}"),
            evidence(
                "state.timestamp", facts.run.state.timestamp, f"flow run {facts.run.name}", now=facts.now
            ),
            *lost.evidence,
        ],
        fix="Cancel it and start it again"
        + (
            f", once a worker runs: `{start_command(facts.pool)}`."
            if isinstance(facts.pool, WorkPool)
            else "."
        ),
        action=suggestions.cancel([facts.run]),
    )


def its_infrastructure_comes_up(facts: Facts) -> Cause | Fine | None:
    run, pool = facts.run, facts.pool
    if facts.state != "PENDING" or run is None or _is_orphaned(facts):
        return None
    if isinstance(lost_worker(facts), LostWorker):
        return None
    if run.expected_start_time and run.expected_start_time > facts.now:
        # With --prefetch-seconds.
        return Fine(
            f"its worker took it ahead of its time: it is due {moment(run.expected_start_time, facts.now)}"
        )
    kind = pool.type if isinstance(pool, WorkPool) else "process"
    if facts.state_seconds <= STARTS_WITHIN.get(kind, OTHERS_START_WITHIN):
        return Fine(f"it has been {run.state.name} for only {in_words(facts.state_seconds)}")
    worker = worker_of(run)
    where = f" of work pool '{pool.name}'" if isinstance(pool, WorkPool) else ""
    who = f"Worker '{worker}'{where} is ONLINE and took it" if worker else "It was taken"
    return Cause(
        kind="infrastructure_pending",
        certainty="likely",
        summary=f"{who} {in_words(facts.state_seconds)} ago, but it is still {run.state.name}: most likely "
        f"{_what_hangs(kind)}.",
        about=f"work pool {pool.name}" if isinstance(pool, WorkPool) else "",
        evidence=[
            evidence("state", f"{run.state.type} ({run.state.name})", f"flow run {run.name}"),
            evidence("state.timestamp", run.state.timestamp, f"flow run {run.name}", now=facts.now),
            evidence("infrastructure_pid", run.infrastructure_pid or None, f"flow run {run.name}"),
            evidence("labels.prefect.worker.name", worker or None, f"flow run {run.name}"),
        ],
        fix=_where_to_look(kind, run.infrastructure_pid),
        action=suggestions.cancel([run]),
    )


def _what_hangs(kind: str) -> str:
    if kind == "process":
        return (
            "its code is still being fetched (a pull step that hangs), or the worker's machine is overloaded"
        )
    return (
        "its image is still being pulled or cannot be, or there is no room or quota for it on the "
        f"infrastructure ({pool_type(kind).title})"
    )


def _where_to_look(kind: str, job: str) -> str:
    named = f" '{job}'" if job else ""
    if kind == "process":
        return "Look at the worker's own output, then cancel the run and start it again."
    if kind == "kubernetes":
        return (
            f"Look at the events of its job{named} (`kubectl describe job`, `kubectl describe pod`): image, "
            "quota."
        )
    return (
        f"Look at its job{named} on the infrastructure (image name, registry access, quota) and the "
        "worker's log."
    )


def waits_for_a_retry(facts: Facts) -> Cause | None:
    """`in_process`: the process that failed is alive and waits; a manual retry needs a worker instead."""
    run = facts.run
    if run is None or not facts.retries_by_itself:
        return None
    lost = lost_worker(facts)
    if isinstance(lost, LostWorker):
        return _retry_is_lost(facts, lost)
    due = facts.due
    allowed = run.empirical_policy.retries
    said = shorten(run.state.message.removeprefix("Flow run encountered an exception: "))
    return Cause(
        kind="retry_pending",
        summary=f"It is AwaitingRetry after attempt {run.run_count} failed"
        + (f" ({said})" if said else "")
        + f": {_retries_left(allowed, run.run_count)}the next attempt is due"
        + (f" at {moment(due, facts.now)}" if due else " soon")
        + ". Its process is alive and waits, so nothing is stuck.",
        about=f"flow run {run.name}",
        evidence=[
            evidence("state", run.state.name, f"flow run {run.name}"),
            evidence("state.message", run.state.message, f"flow run {run.name}"),
            evidence("run_count", run.run_count, f"flow run {run.name}"),
            evidence("empirical_policy.retries", f"{allowed} retries", f"flow run {run.name}"),
            evidence("next_scheduled_start_time", due, f"flow run {run.name}", now=facts.now),
        ],
        fix="Wait for it, or cancel it if the error will not go away by itself.",
        action=suggestions.cancel([run]),
    )


def _retries_left(allowed: int, attempts: int) -> str:
    """Nothing where the policy allows none, as of a retry that something else proposed."""
    left = max(0, allowed - attempts + 1)
    return f"{left} of {allowed} retries {'is' if left == 1 else 'are'} left, " if allowed else ""


def _retry_is_lost(facts: Facts, lost: LostWorker) -> Cause:
    run = facts.run
    assert run is not None
    return Cause(
        kind="retry_process_gone",
        certainty=lost.certainty,
        summary=f"It is AwaitingRetry, which its own process was to do, but {lost.summary[:1].lower()}"
        f"{lost.summary[1:]}: nothing will retry it.",
        about=lost.about,
        evidence=[
            evidence("state", run.state.name, f"flow run {run.name}"),
            evidence("empirical_policy.retry_type", run.empirical_policy.retry_type, f"flow run {run.name}"),
            *lost.evidence,
        ],
        fix="Cancel it and start it again.",
        action=suggestions.cancel([run]),
    )


CHECKS: tuple[Check, ...] = (
    its_deployment_is_there,
    its_worker_is_there,
    its_infrastructure_comes_up,
    waits_for_a_retry,
)
