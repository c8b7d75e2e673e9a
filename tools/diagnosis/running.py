"""Whether anything still runs behind a run that is RUNNING."""

from datetime import datetime

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.liveness import LostWorker, beats, heartbeats_stopped, lost_worker, process_ended_at
from tools.diagnosis.models import Cause, Fine, Hint, evidence, moment
from tools.models import Event, FlowRun

# Signs of life later than this long ago speak against a lost process.
ALIVE_WITHIN = 120


def its_process_is_there(facts: Facts) -> Cause | Fine | Unread | None:
    """A worker that is stopped kills its runs and leaves them RUNNING for ever, holding their slots."""
    run = facts.run
    if run is None or run.state.type != "RUNNING":
        return None
    if ended := process_ended_at(facts):
        return _process_ended(facts, run, ended)
    life = last_life(facts)
    if life and (facts.now - life).total_seconds() <= ALIVE_WITHIN:
        return Fine(f"it gave a sign of life at {moment(life, facts.now)}")
    lost = lost_worker(facts)
    if isinstance(lost, LostWorker):
        return _worker_lost(facts, run, lost, life)
    if stopped := heartbeats_stopped(facts):
        return _silent(facts, run, *stopped)
    return lost or (facts.events if isinstance(facts.events, Unread) else None)


def nobody_watches_it(facts: Facts) -> Hint | None:
    """A run that was started outside of a deployment has no worker that would tell of its end."""
    run, life = facts.run, last_life(facts)
    if run is None or run.state.type != "RUNNING" or run.deployment_id or run.parent_task_run_id or not life:
        return None
    if (facts.now - life).total_seconds() <= ALIVE_WITHIN:
        return None
    return Hint(
        f"The last heard of it was at {moment(life, facts.now)}. It was started outside of a deployment, so "
        "no worker would tell if its process had ended: look where it was started, and cancel the run if "
        "nothing runs there."
    )


def last_life(facts: Facts) -> datetime | None:
    """The last thing heard of it: its start, a log line, a heartbeat."""
    run = facts.run
    if run is None:
        return None
    logged = facts.last_log.timestamp if facts.last_log and not isinstance(facts.last_log, Unread) else None
    return max((at for at in (run.state.timestamp, logged, beats(facts, run)) if at), default=None)


def _process_ended(facts: Facts, run: FlowRun, ended: Event) -> Cause:
    worker = ended.resource.get("prefect.resource.name", "its worker")
    code = next(
        (
            r["prefect.infrastructure.status-code"]
            for r in ended.related
            if "prefect.infrastructure.status-code" in r
        ),
        "",
    )
    with_code = f" with status code {code}" if code else ""
    return Cause(
        kind="zombie",
        summary=f"It is a zombie: worker '{worker}' saw its process end{with_code} at "
        f"{moment(ended.occurred, facts.now)}, yet it is still {run.state.type} and holds its slots.",
        about=f"worker {worker}",
        evidence=[
            evidence("occurred", ended.occurred, f"event {ended.event} of worker {worker}", now=facts.now),
            evidence("state", run.state.type, f"flow run {run.name}"),
            evidence("state.timestamp", run.state.timestamp, f"flow run {run.name}", now=facts.now),
        ],
        fix="Cancel it, which frees its slots, and start it again if its work is still needed.",
        action=suggestions.cancel([run]),
    )


def _worker_lost(facts: Facts, run: FlowRun, lost: LostWorker, life: datetime | None) -> Cause:
    last = f" Last heard of it: {moment(life, facts.now)}." if life else ""
    return Cause(
        kind="zombie",
        certainty="likely",
        summary=f"It is most likely a zombie: {lost.summary[:1].lower()}{lost.summary[1:]}, and nothing has "
        f"been heard of the run since, though it is still {run.state.type}.{last}",
        about=lost.about,
        evidence=[
            *lost.evidence,
            evidence("state", run.state.type, f"flow run {run.name}"),
            *(
                [evidence("last sign of life", life, "its log, events and state", now=facts.now)]
                if life
                else []
            ),
        ],
        fix="See on the worker's host whether its process (or container) still runs; if not, cancel the run "
        "and start it again.",
        action=suggestions.cancel([run]),
    )


def _silent(facts: Facts, run: FlowRun, last: datetime, interval: int) -> Cause:
    return Cause(
        kind="zombie",
        certainty="likely",
        summary=f"It is most likely a zombie: its heartbeat came every {interval} s and stopped at "
        f"{moment(last, facts.now)}, though it is still {run.state.type}.",
        about="runs whose heartbeat has stopped",
        evidence=[
            evidence("occurred", last, "event prefect.flow-run.heartbeat", now=facts.now),
            evidence("state", run.state.type, f"flow run {run.name}"),
        ],
        fix="See whether its process (or container) still runs; if not, cancel the run and start it again.",
        action=suggestions.cancel([run]),
    )


CHECKS: tuple[Check, ...] = (its_process_is_there, nobody_watches_it)
