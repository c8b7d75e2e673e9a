"""Slots of a deployment: runs that wait for one (ENQUEUE), or were cancelled for want of one (CANCEL_NEW)."""

from collections.abc import Sequence

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.holders import free_slots, held_by, holder_evidence, limit_fix, named
from tools.diagnosis.models import Cause, Evidence, Fine, evidence, moment
from tools.models import Deployment, FlowRun, GlobalLimit

AWAITING = "AwaitingConcurrencySlot"
CANCEL_NEW = "CANCEL_NEW"
LIMIT_REACHED = "Deployment concurrency limit reached"
# The server tries a run again so often (PREFECT_DEPLOYMENT_CONCURRENCY_SLOT_WAIT_SECONDS).
TRIED_EVERY = 30


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
    if not limit.active:
        return _limit_switched_off(facts, deployment, limit)
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


def _limit_switched_off(facts: Facts, deployment: Deployment, limit: GlobalLimit) -> Cause:
    """Not the same as no limit: the server finds no active limit to take a slot of, and so gives none."""
    strategy = _strategy(deployment)
    refused = "cancelled at once" if strategy == CANCEL_NEW else f"put back as {AWAITING}, again and again"
    return Cause(
        kind="deployment_limit_inactive",
        summary=f"The concurrency limit {limit.limit} of deployment {facts.deployment_name} is switched off "
        f"(inactive), and of such a limit Prefect gives no slot at all ({limit.active_slots} of "
        f"{limit.limit} slots in use): each of its runs is {refused}.",
        about=f"deployment {facts.deployment_name}",
        evidence=[
            _limit_evidence(facts, deployment, limit),
            evidence("active", limit.active, f"concurrency limit {limit.name}"),
        ],
        fix=f"Switch it on, `prefect gcl enable deployment:{deployment.id}`, or remove it by deploying "
        "without a concurrency limit.",
    )


def _strategy(deployment: Deployment) -> str:
    return deployment.concurrency_options.collision_strategy or "ENQUEUE"


def _deployment_full(facts: Facts, deployment: Deployment, limit: GlobalLimit) -> Cause:
    holders = facts.deployment_active if isinstance(facts.deployment_active, tuple) else ()
    strategy = _strategy(deployment)
    return Cause(
        kind="deployment_concurrency",
        summary=f"Deployment {facts.deployment_name} has concurrency limit {limit.limit} ({strategy}), with "
        f"{limit.active_slots} of {limit.limit} slots in "
        f"use{held_by(facts, holders)}{_next_try(facts, limit)}.",
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
            *holder_evidence(facts, holders),
        ],
        fix=limit_fix(facts, holders, f"`prefect gcl update deployment:{deployment.id} --limit N`"),
        action=free_slots(facts, holders),
    )


def _next_try(facts: Facts, limit: GlobalLimit) -> str:
    if not _awaits(facts) or facts.run is None:
        return ""
    at = facts.run.next_scheduled_start_time
    turn = "next" if at and at >= facts.now else "its next turn came"
    when = f"; the run is {AWAITING} and is tried again every {TRIED_EVERY} s" + (
        f", {turn} at {moment(at, facts.now)}" if at else ""
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
    off = (
        ", switched off (of such a limit Prefect gives no slot at all)" if limit and not limit.active else ""
    )
    strategy = deployment.concurrency_options.collision_strategy if deployment else ""
    name = facts.deployment_name
    holders = [other for other in _deployment_active(facts) if _ran_then(other, run)]
    held = f", then held by {named(facts, holders)}" if holders else ""
    return Cause(
        kind="deployment_concurrency_cancel_new",
        summary=f"Deployment {name} has {figure} with {CANCEL_NEW}{off}: a run that finds no free slot is "
        f"cancelled at once ({LIMIT_REACHED}), and that happened to this one{held}.",
        about=f"deployment {name}",
        evidence=[
            evidence("state.message", run.state.message, f"flow run {run.name}"),
            *([_limit_evidence(facts, deployment, limit)] if deployment and limit else []),
            evidence("concurrency_options.collision_strategy", strategy or None, f"deployment {name}"),
            *holder_evidence(facts, holders),
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


CHECKS: tuple[Check, ...] = (deployment_has_a_free_slot, was_one_too_many)
