"""Why a run was CANCELLED: by a person, its parent or an automation; and whether its process has ended."""

import re

from tools.diagnosis.deployment_slots import LIMIT_REACHED
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.models import Cause, Evidence, evidence, moment
from tools.diagnosis.place import AUTOMATION_ACTED
from tools.failure.words import one_line
from tools.models import FlowRun, State
from tools.runs import worker_of

_TIMED_OUT = "cancellation timed out"
_BY_PARENT = "parent flow run was cancelled"
# Prefect's own words say that it happened, not why.
_ROUTINE = re.compile(r"^(?:Flow run was cancelled successfully\.?|Flow run cancellation timed out.*)?$")


def it_was_cancelled(facts: Facts) -> Cause | Unread | None:
    run = facts.run
    if run is None or run.state.type != "CANCELLED" or LIMIT_REACHED in run.state.message:
        return None
    if isinstance(facts.states, Unread):
        return facts.states
    asked = _asked(facts, run)
    return Cause(
        kind="cancelled",
        summary=f"It was cancelled {_when(facts, run, asked)}: {_by_whom(facts, run, asked)}.{_process(run)}",
        about=f"flow run {run.name}",
        evidence=_evidence(facts, run, asked),
        fix="See whether its process or container still runs, and stop that by hand."
        if _TIMED_OUT in run.state.message.lower()
        else "Start a new run, if it is still needed.",
    )


def _asked(facts: Facts, run: FlowRun) -> State:
    """The state with which cancelling began; the present one where it was cancelled at once."""
    states = facts.states if isinstance(facts.states, tuple) else ()
    return next((state for state in reversed(states) if state.type == "CANCELLING"), run.state)


def _when(facts: Facts, run: FlowRun, asked: State) -> str:
    at = f"at {moment(asked.timestamp, facts.now)}" if asked.timestamp else "at an unknown time"
    return f"{at}, {'while it ran' if run.run_count else 'before it had started'}"


def _by_whom(facts: Facts, run: FlowRun, asked: State) -> str:
    if name := _automation(facts):
        return f"the automation '{name}' did it"
    told = [
        one_line(state.message) for state in (asked, run.state) if not _ROUTINE.match(state.message.strip())
    ]
    if any(_BY_PARENT in words for words in told):
        return "its parent flow run was cancelled, and so it was too"
    if told:
        return f"“{told[0].rstrip('.')}”"
    return "by a person or a program that gave no reason, as no automation did it"


def _automation(facts: Facts) -> str:
    for event in facts.events if isinstance(facts.events, tuple) else ():
        if event.event == AUTOMATION_ACTED and event.payload.get("action_type") == "cancel-flow-run":
            return event.resource.get("prefect.resource.name", "?")
    return ""


def _process(run: FlowRun) -> str:
    if _TIMED_OUT in run.state.message.lower():
        worker = f" (on worker '{worker_of(run)}')" if worker_of(run) else ""
        gave_up = "the server gave up waiting, so it may still run"
        return f" Nobody confirmed that its process{worker} ended: {gave_up}."
    return ""


def _evidence(facts: Facts, run: FlowRun, asked: State) -> list[Evidence]:
    source, url = f"flow run {run.name}", facts.links.flow_run(run.id)
    rows = [evidence("state", f"{run.state.type} ({run.state.name})", source, url=url)]
    states = [asked, run.state] if asked.timestamp != run.state.timestamp else [run.state]
    rows += [
        evidence(f"message of {state.name}", one_line(state.message) or "none", f"states of {source}")
        for state in states
    ]
    if name := _automation(facts):
        rows.append(evidence("automation", name, f"event {AUTOMATION_ACTED}"))
    return rows


CHECKS: tuple[Check, ...] = (it_was_cancelled,)
