"""What keeps a deployment from making runs at all: paused, its schedules off, ended, or none."""

import re
from collections.abc import Iterable
from datetime import datetime

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.models import Cause, Evidence, Fine, Hint, evidence, moment
from tools.diagnosis.next_due import LAID_OUT_AHEAD, next_due
from tools.diagnosis.place import queue_without_pool, starter_without_pool
from tools.diagnosis.words import shell
from tools.models import Deployment, Event, Schedule
from tools.schedules import in_words as schedule_in_words

AUTOMATION_ACTED = "prefect.automation.action.executed"
CREATE = ("prefect", "deployment", "schedule", "create")
PAUSING = frozenset({"pause-deployment"})
# A new or changed schedule gets its first runs within this time.
SCHEDULER_SECONDS = 60
_UNTIL = re.compile(r"UNTIL=(\d{8}(?:T\d{6}Z?)?)")
_COUNT = re.compile(r"COUNT=(\d+)")


def deployment_is_not_paused(facts: Facts) -> Cause | Fine | Unread | None:
    """Pausing deletes the scheduled runs; the schedules themselves still say active."""
    deployment = facts.deployment
    if not facts.about_deployment or not isinstance(deployment, Deployment):
        return deployment if isinstance(deployment, Unread) else None
    if not deployment.paused:
        return Fine(f"deployment {facts.deployment_name} is not paused")
    source, url = f"deployment {facts.deployment_name}", facts.links.deployment(deployment.id)
    who, proof = _who_paused(facts, deployment)
    return Cause(
        kind="deployment_paused",
        summary=f"The deployment is paused: {facts.deployment_name} was paused {who}{_idle(deployment)}.",
        about=source,
        evidence=[
            evidence("paused", deployment.paused, source, url=url),
            *schedule_evidence(facts, deployment),
            *proof,
        ],
        fix=f"Resume the deployment {facts.deployment_name}" + _and_the_cause(who) + ".",
        # Of a served deployment it would change nothing: its process has to run, and that resumes it as well.
        action=None if "serve" in who else suggestions.resume_deployment(facts.deployment_name),
    )


def _idle(deployment: Deployment) -> str:
    active = [schedule_in_words(schedule) for schedule in deployment.schedules if schedule.active]
    if active:
        return f", so its schedule ({'; '.join(active)}) makes no runs, although it is active"
    return "; it has no active schedule either, so it only runs when it is started"


def _and_the_cause(who: str) -> str:
    if "automation" in who:
        return ", and see what made the automation act, or it will do so again"
    return ", by starting its `flow.serve()` process again" if "serve" in who else ""


def _who_paused(facts: Facts, deployment: Deployment) -> tuple[str, list[Evidence]]:
    """An automation tells so in an event; `flow.serve()` pauses what it serves when it is stopped."""
    for event in _events(facts):
        if event.event == AUTOMATION_ACTED and event.payload.get("action_type") in PAUSING:
            name = event.resource.get("prefect.resource.name", "?")
            proof = evidence(
                "occurred", event.occurred, f"event {event.event} of automation {name}", now=facts.now
            )
            return f"by the automation '{name}' at {moment(event.occurred, facts.now)}", [proof]
    updated = next((event for event in _events(facts) if _is_pausing(event)), None)
    at = f" at {moment(updated.occurred, facts.now)}" if updated else ""
    if not deployment.work_pool_name and deployment.last_polled and not queue_without_pool(facts, deployment):
        proof = evidence(
            "last_polled", deployment.last_polled, f"deployment {facts.deployment_name}", now=facts.now
        )
        return f"most likely by its `flow.serve()` process when that was stopped{at}", [proof]
    source = f"event {updated.event}" if updated else ""
    proofs = [evidence("updates.paused", True, source)] if updated else []
    return f"by somebody (Prefect does not tell who){at}", proofs


def _events(facts: Facts) -> Iterable[Event]:
    return facts.deployment_events if isinstance(facts.deployment_events, tuple) else ()


def _is_pausing(event: Event) -> bool:
    updates = event.payload.get("updates")
    paused = updates.get("paused") if isinstance(updates, dict) else None
    return event.event == "prefect.deployment.updated" and bool(
        paused.get("to") if isinstance(paused, dict) else paused
    )


def schedule_evidence(facts: Facts, deployment: Deployment) -> list[Evidence]:
    return [
        evidence(
            "schedules[].active",
            f"{str(s.active).lower()} ({schedule_in_words(s)})",
            f"deployment {facts.deployment_name}",
        )
        for s in deployment.schedules
    ]


def a_schedule_is_active(facts: Facts) -> Cause | Hint | None:
    deployment = facts.deployment
    if not facts.about_deployment or not isinstance(deployment, Deployment):
        return None
    if not deployment.schedules:
        # Of no interest while a run of it waits.
        return (
            None
            if facts.state == "SCHEDULED"
            else Hint(f"{facts.deployment_name} has no schedule: it only runs when it is started.")
        )
    off = [schedule for schedule in deployment.schedules if not schedule.active]
    # That each is switched off is what the sentence says.
    said = "; ".join(schedule_in_words(row.model_copy(update={"active": True})) for row in off)
    if len(off) < len(deployment.schedules):
        return Hint(f"One of its schedules is switched off: {said}.") if off else None
    what = "its schedule is inactive" if len(off) == 1 else f"each of its {len(off)} schedules is inactive"
    return Cause(
        kind="schedule_inactive",
        summary=f"{facts.deployment_name} makes no runs, as {what}: {said}.",
        about=f"deployment {facts.deployment_name}",
        evidence=schedule_evidence(facts, deployment),
        fix="Switch the schedule on: "
        f"{shell('prefect', 'deployment', 'schedule', 'resume', facts.deployment_name, off[0].id)}.",
        action=suggestions.activate_schedule(facts.deployment_name),
    )


def its_schedule_goes_on(facts: Facts) -> Cause | Fine | Unread | None:
    """Only an rrule ends by itself (COUNT, UNTIL); cron and interval go on for ever."""
    deployment = facts.deployment
    if not facts.about_deployment or not isinstance(deployment, Deployment) or deployment.paused:
        return None
    active = [schedule for schedule in deployment.schedules if schedule.active]
    if not active:
        return None
    if not isinstance(facts.upcoming, tuple):
        return facts.upcoming
    if facts.upcoming:
        due = facts.upcoming[0].expected_start_time
        return Fine(f"its next run is due at {moment(due, facts.now) if due else 'a time not told'}")
    ahead = [at for schedule in active if (at := next_due(schedule, facts.now))]
    if ahead and min(ahead) > facts.now + LAID_OUT_AHEAD:
        return _far_ahead(facts, deployment, min(ahead))
    ends = [ending for schedule in active if (ending := rrule_end(schedule))]
    if len(ends) == len(active) and not ahead:
        return _ended(facts, deployment, ends)
    return _no_runs_made(facts, deployment)


def _far_ahead(facts: Facts, deployment: Deployment, due: datetime) -> Cause:
    said = "; ".join(schedule_in_words(schedule) for schedule in deployment.schedules if schedule.active)
    return Cause(
        kind="next_run_far_ahead",
        summary=f"{facts.deployment_name} has no run to come yet, as its schedule ({said}) comes due next at "
        f"{moment(due, facts.now)}; Prefect makes runs at most {LAID_OUT_AHEAD.days} days ahead.",
        about=f"deployment {facts.deployment_name}",
        evidence=[
            *schedule_evidence(facts, deployment),
            evidence("scheduled runs to come", 0, f"flow runs of {facts.deployment_name}"),
        ],
        fix="Nothing, if that is meant; else change the schedule, or start a run by hand.",
        action=suggestions.start_again(facts.deployment_name),
    )


def rrule_end(schedule: Schedule) -> str:
    """How an rrule ends, in words; empty when it does not."""
    rule = str(schedule.schedule.get("rrule") or "")
    if until := _UNTIL.search(rule):
        return f"ended at {_rrule_time(until[1])} (UNTIL={until[1]})"
    count = _COUNT.search(rule)
    return f"has had its {count[1]} runs (COUNT={count[1]})" if count else ""


def _rrule_time(text: str) -> str:
    form = "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d"
    try:
        return datetime.strptime(text.rstrip("Z"), form).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return text


def _ended(facts: Facts, deployment: Deployment, ends: list[str]) -> Cause:
    return Cause(
        kind="schedule_ended",
        summary=f"{facts.deployment_name} makes no more runs: its schedule {' and another '.join(ends)}. It "
        "is active and not paused, and no run is to come.",
        about=f"deployment {facts.deployment_name}",
        evidence=[
            *schedule_evidence(facts, deployment),
            evidence("scheduled runs to come", 0, f"flow runs of {facts.deployment_name}"),
        ],
        fix=f"Give it a new schedule: {shell(*CREATE, facts.deployment_name, '--cron', '0 6 * * *')}.",
    )


def _no_runs_made(facts: Facts, deployment: Deployment) -> Cause:
    return Cause(
        kind="no_runs_scheduled",
        certainty="likely",
        summary=f"{facts.deployment_name} has an active schedule and is not paused, yet no run is to "
        f"come: either the schedule was made or changed within the last {SCHEDULER_SECONDS} s, or it never "
        "comes due, or the server's scheduler does not run.",
        about=f"deployment {facts.deployment_name}",
        evidence=[
            *schedule_evidence(facts, deployment),
            evidence("scheduled runs to come", 0, f"flow runs of {facts.deployment_name}"),
        ],
        fix="Look again in a minute; if nothing is scheduled then, check on the server that its scheduler "
        "service runs (`prefect server services ls`).",
    )


def something_starts_its_runs(facts: Facts) -> Cause | None:
    """Of a deployment whose latest run has ended: without a pool, only a `flow.serve()` starts the next."""
    deployment = facts.deployment
    if not facts.about_deployment or not isinstance(deployment, Deployment) or facts.needs_a_start:
        return None
    if deployment.work_pool_name or deployment.paused:
        return None
    found = starter_without_pool(facts, deployment)
    return found if isinstance(found, Cause) else None


CHECKS: tuple[Check, ...] = (
    deployment_is_not_paused,
    a_schedule_is_active,
    its_schedule_goes_on,
    something_starts_its_runs,
)
