"""Runs that were told to stop: PAUSED, Suspended, CANCELLING."""

import re
from datetime import timedelta

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.liveness import LostWorker, lost_worker
from tools.diagnosis.models import Cause, Evidence, Fine, evidence, moment
from tools.models import FlowRun
from tools.run_rows import shorten
from tools.runs import worker_of
from tools.workers import in_words

AUTOMATION_ACTED = "prefect.automation.action.executed"
_BY_AUTOMATION = re.compile(r"by Automation ([0-9a-f-]{36})")
_PAUSING = frozenset({"suspend-flow-run", "pause-flow-run"})
# After this long the server writes Cancelled by itself (PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP…).
GIVES_UP_AFTER = timedelta(seconds=300)
# A worker looks for runs to cancel every 10 s.
CANCELLED_WITHIN = 60


def somebody_resumes_it(facts: Facts) -> Cause | Unread | None:
    run = facts.run
    if run is None or run.state.type != "PAUSED":
        return None
    wants_input = bool(run.state.state_details.run_input_keyset)
    actor = automation_of(facts)
    if wants_input:
        return _waits_for_input(facts, run)
    return _paused_by(facts, run, actor) if actor else _paused(facts, run)


def its_process_waits(facts: Facts) -> Cause | None:
    """A suspended run is started anew; one that is only paused goes on in the process that it has."""
    run = facts.run
    if run is None or run.state.name != "Paused":
        return None
    lost = lost_worker(facts)
    if not isinstance(lost, LostWorker):
        return None
    return Cause(
        kind="paused_process_gone",
        certainty="likely",
        summary=f"{lost.summary}, so the process that is to go on when it is resumed is most likely gone.",
        about=lost.about,
        evidence=[*lost.evidence],
        fix="See on the worker's host whether its process still waits; if not, cancel the run and start it "
        "again, as resuming would change nothing.",
        action=suggestions.cancel([run]),
    )


def automation_of(facts: Facts) -> str:
    """Name of the automation that paused it; its id where the name could not be had; else empty."""
    if facts.automation and not isinstance(facts.automation, Unread):
        return facts.automation.name
    return _acting_automation(facts) or automation_id_in(facts)


def automation_id_in(facts: Facts) -> str:
    """The id in the state's message, where no event tells the name."""
    if facts.state != "PAUSED" or facts.run is None or _acting_automation(facts):
        return ""
    found = _BY_AUTOMATION.search(facts.run.state.message)
    return found[1] if found else ""


def _acting_automation(facts: Facts) -> str:
    """From the event that tells that an automation paused it."""
    for event in facts.events if isinstance(facts.events, tuple) else ():
        if event.event == AUTOMATION_ACTED and event.payload.get("action_type") in _PAUSING:
            return event.resource.get("prefect.resource.name", "?")
    return ""


def _state_evidence(facts: Facts, run: FlowRun) -> list[Evidence]:
    source = f"flow run {run.name}"
    timeout = run.state.state_details.pause_timeout
    return [
        evidence("state", f"{run.state.type} ({run.state.name})", source, url=facts.links.flow_run(run.id)),
        evidence("state.timestamp", run.state.timestamp, source, now=facts.now),
        *([evidence("state.message", run.state.message, source)] if run.state.message else []),
        *([evidence("state_details.pause_timeout", timeout, source, now=facts.now)] if timeout else []),
    ]


def _until(facts: Facts, run: FlowRun) -> str:
    timeout = run.state.state_details.pause_timeout
    if timeout is None:
        return ""
    if timeout <= facts.now:
        return f" Its pause ran out at {moment(timeout, facts.now)}: it will fail when it is taken up again."
    return f" If nobody does so by {moment(timeout, facts.now)}, it fails."


def _how_to_resume(facts: Facts, run: FlowRun) -> str:
    how = f'Resume it in the UI ({facts.links.flow_run(run.id)}) or with `resume_flow_run("{run.id}")`'
    return f"{how}; a worker then starts it anew." if run.state.name == "Suspended" else f"{how}."


def _paused_by(facts: Facts, run: FlowRun, automation: str) -> Cause:
    verb = "suspended" if run.state.name == "Suspended" else "paused"
    return Cause(
        kind=f"{verb}_by_automation",
        summary=f"It is {run.state.name} since {_since(facts, run)}: the automation '{automation}' {verb} "
        f"it, and it waits until somebody resumes it.{_until(facts, run)}",
        about=f"automation {automation}",
        evidence=[
            *_state_evidence(facts, run),
            evidence("automation", automation, f"event {AUTOMATION_ACTED}"),
        ],
        fix=f"{_how_to_resume(facts, run)} To keep it from happening again, change the automation "
        f"'{automation}'.",
    )


def _since(facts: Facts, run: FlowRun) -> str:
    return moment(run.state.timestamp, facts.now) if run.state.timestamp else "an unknown time"


def _waits_for_input(facts: Facts, run: FlowRun) -> Cause:
    return Cause(
        kind="waits_for_input",
        summary=f"It is {run.state.name} since {_since(facts, run)} and waits for a person's input."
        f"{_until(facts, run)}",
        about=f"flow run {run.name}",
        evidence=_state_evidence(facts, run),
        fix=f"Give the input in the UI: {facts.links.flow_run(run.id)}, Resume.",
    )


def _paused(facts: Facts, run: FlowRun) -> Cause:
    said = f" ({shorten(run.state.message)})" if run.state.message else ""
    return Cause(
        kind="suspended" if run.state.name == "Suspended" else "paused",
        summary=f"It is {run.state.name} since {_since(facts, run)}{said} and waits until somebody resumes "
        f"it; no automation did it as far as the events tell, so its code or a person.{_until(facts, run)}",
        about=f"flow run {run.name}",
        evidence=_state_evidence(facts, run),
        fix=_how_to_resume(facts, run),
    )


def its_cancellation_ends(facts: Facts) -> Cause | Fine | Unread | None:
    """Only the worker (or runner) that started it can end its process."""
    run = facts.run
    if run is None or run.state.type != "CANCELLING":
        return None
    lost = lost_worker(facts)
    if isinstance(lost, Unread):
        return lost
    if lost is None and facts.state_seconds <= CANCELLED_WITHIN and (worker_of(run) or run.deployment_id):
        return Fine(f"it has been Cancelling for only {in_words(facts.state_seconds)}")
    who = _who_is_missing(run, lost)
    return Cause(
        kind="stuck_cancelling",
        certainty="certain" if lost or not run.deployment_id else "likely",
        summary=f"{who}{_given_up(facts, run)}",
        about=lost.about if lost else "runs in Cancelling",
        evidence=[*_state_evidence(facts, run), *(lost.evidence if lost else ())],
        fix="Wait for the server to end it; then see whether its process or container still runs, and stop "
        "that by hand.",
    )


def _who_is_missing(run: FlowRun, lost: LostWorker | None) -> str:
    if lost:
        return f"{lost.summary}, so nobody ends its process and it stays Cancelling."
    if not run.deployment_id:
        return (
            "It was started outside of a deployment, so no worker can end its process: it stays Cancelling."
        )
    return f"Its worker '{worker_of(run)}' is ONLINE but has not ended its process; its log says why."


def _given_up(facts: Facts, run: FlowRun) -> str:
    if run.state.timestamp is None:
        return ""
    at = run.state.timestamp + GIVES_UP_AFTER
    if at > facts.now:
        return f" The server itself writes Cancelled at about {moment(at, facts.now)}, after 300 s."
    return " The server should have written Cancelled by itself after 300 s; its cleanup service may be off."


CHECKS: tuple[Check, ...] = (somebody_resumes_it, its_process_waits, its_cancellation_ends)
