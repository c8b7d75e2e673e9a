"""Who holds the slots of a limit, and whether they still do anything with them."""

from collections.abc import Sequence
from datetime import datetime

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Facts, Unread
from tools.diagnosis.models import Evidence, SuggestedAction, evidence, moment
from tools.diagnosis.words import MAX_NAMED, listed
from tools.models import FlowRun
from tools.runs import worker_of
from tools.workers import in_words, is_alive, seconds_ago


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


def held_by(facts: Facts, holders: Sequence[FlowRun]) -> str:
    return f", held by {named(facts, holders)}" if holders else ""


def named(facts: Facts, holders: Sequence[FlowRun]) -> str:
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


def holder_evidence(facts: Facts, holders: Sequence[FlowRun]) -> list[Evidence]:
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


def limit_fix(facts: Facts, holders: Sequence[FlowRun], raise_it: str) -> str:
    ended = [run.name for run in holders if process_ended(facts, run)]
    if ended:
        return f"Cancel {listed(ended)}: nothing runs there any more, so its slot is held for nothing."
    if lost := [run.name for run in holders if is_lost(facts, run)]:
        return f"See whether {listed(lost)} still runs, and cancel it if not; or raise the limit: {raise_it}."
    wait = "Wait until a holder ends, cancel one, or raise" if holders else "Raise"
    return f"{wait} the limit: {raise_it}."


def free_slots(facts: Facts, holders: Sequence[FlowRun]) -> SuggestedAction | None:
    """Offered only for holders that do nothing: what runs is somebody's work."""
    stuck = _stuck(facts, holders)
    return suggestions.cancel(stuck[:MAX_NAMED]) if stuck else None
