"""A diagnosis in one or two sentences: where the run stands, and the first thing that holds it up."""

from collections.abc import Sequence

from tools.diagnosis.engine import Findings
from tools.diagnosis.facts import Facts
from tools.diagnosis.models import Cause, moment
from tools.diagnosis.words import counted
from tools.models import FlowRun, WorkPool, iso
from tools.pool_types import pool_type
from tools.run_rows import run_seconds, shorten
from tools.workers import in_words

MAX_FURTHER = 3
MAX_VERDICT = 900


def verdict(facts: Facts, found: Findings) -> str:
    parts = [standing(facts), *_causes(found.causes)]
    if not found.causes:
        parts.append(_nothing_found(facts))
    if found.could_not_look:
        parts.append(f"Not everything could be looked at ({counted(len(found.could_not_look), 'part')}).")
    return shorten(" ".join(part for part in parts if part), MAX_VERDICT)


def _causes(causes: Sequence[Cause]) -> list[str]:
    if not causes:
        return []
    first = causes[0]
    likely = "Most likely: " if first.certainty == "likely" and "likely" not in first.summary else ""
    parts = [f"{likely}{first.summary}"]
    if rest := causes[1:]:
        parts.append("Once that is mended: " + " ".join(cause.summary for cause in rest[:MAX_FURTHER]))
    return parts


def standing(facts: Facts) -> str:
    """Which run it is and what state it is in, with figures."""
    run = facts.run
    if run is None:
        return f"{facts.deployment_name} has no runs."
    name = f"'{run.name}'" + (f" ({facts.deployment_name})" if facts.deployment_name else "")
    match run.state.type:
        case "SCHEDULED":
            return _scheduled(facts, run, name)
        case "PENDING":
            return f"{name} is PENDING ({run.state.name}) for {in_words(facts.state_seconds)}."
        case "RUNNING":
            return f"{name} is RUNNING for {in_words(facts.state_seconds)}."
        case "PAUSED" | "CANCELLING":
            return f"{name} is {run.state.type} ({run.state.name}) for {in_words(facts.state_seconds)}."
    return _ended(facts, run, name)


def _scheduled(facts: Facts, run: FlowRun, name: str) -> str:
    due = facts.due
    if facts.late_seconds and due:
        return (
            f"{name} is {in_words(facts.late_seconds)} late: it is {run.state.name} and was due {iso(due)}."
        )
    when = moment(due, facts.now) if due else "at no time that is told"
    if facts.is_ahead and due and due > facts.now:
        return f"{name} is not late: it is {run.state.name} and due {when}."
    return f"{name} is not late yet: it was due {when}."


def _ended(facts: Facts, run: FlowRun, name: str) -> str:
    took = f" after {_duration(run_seconds(run, facts.now))}" if run.total_run_time else ""
    at = f" at {moment(run.end_time, facts.now)}" if run.end_time else ""
    made = facts.artifacts if isinstance(facts.artifacts, tuple) else ()
    keys = f" It made {counted(len(made), 'artifact')}: {', '.join(made)}." if made else ""
    return f"{name} {run.state.type}{took}{at}.{keys}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else in_words(int(seconds))


def _is_started_by_cloud(facts: Facts) -> bool:
    return isinstance(facts.pool, WorkPool) and pool_type(facts.pool.type).needs == "nobody"


def _nothing_found(facts: Facts) -> str:
    """Says so; of a run that has ended, its standing says all."""
    match facts.state:
        case "RUNNING":
            return "Nothing wrong is to be seen with it."
        case "PENDING" if facts.due and facts.due > facts.now:
            return f"A worker took it ahead of its time; it is due {moment(facts.due, facts.now)}."
        case "PENDING":
            return "It is being started; nothing wrong is to be seen yet."
        case "CANCELLING":
            return "Its worker is there and ends it within moments."
        case "SCHEDULED" if facts.late_seconds and _is_started_by_cloud(facts):
            return (
                "Nothing that the API shows holds it up; Prefect Cloud should start it within moments. "
                "If it stays, look at the credentials block of its work pool."
            )
        case "SCHEDULED" if facts.late_seconds:
            return (
                "Nothing that the API shows holds it up; a worker should take it at its next poll. "
                "If it stays, look at the log of the worker."
            )
        case "":
            return "Nothing is wrong with the deployment itself."
    return ""
