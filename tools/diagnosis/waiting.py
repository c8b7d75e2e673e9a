"""What a RUNNING run waits for: a slot of a task's tag, of a global limit, or a subflow."""

from collections.abc import Sequence
from datetime import datetime

from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.models import Cause, Evidence, Fine, Hint, evidence, moment
from tools.diagnosis.running import its_process_is_there
from tools.diagnosis.words import MAX_NAMED, counted, listed, shell
from tools.lateness import late_seconds
from tools.models import Event, FlowRun, GlobalLimit, LogLine, TaskRun
from tools.workers import in_words, seconds_ago

ACQUIRED = "prefect.concurrency-limit.acquired"
TAG = "tag:"
DEPLOYMENT = "deployment:"
# A waiting `concurrency()` asks again without a word; working code mostly says something.
SILENT_AFTER = 30
# A task begins within moments unless it has to wait.
TASK_STARTS_WITHIN = 5


def its_tasks_get_slots(facts: Facts) -> Cause | Fine | Unread | None:
    """A task that finds no slot of one of its tags waits as PENDING, without a line in the log."""
    if facts.state != "RUNNING":
        return None
    if not isinstance(facts.waiting_tasks, tuple):
        return facts.waiting_tasks
    waiting = [task for task in facts.waiting_tasks if _waits(task, facts.now)]
    if not waiting:
        return Fine("no task run of it waits as PENDING")
    if not isinstance(facts.limits, tuple):
        return facts.limits
    full = full_tags(facts.limits, waiting)
    if not full:
        return None
    cause = _tag_full(facts, waiting, full)
    # That its process is gone, where that is likely, comes first.
    is_gone = isinstance(its_process_is_there(facts), Cause)
    return cause.model_copy(update={"certainty": "likely"}) if is_gone else cause


def _waits(task: TaskRun, now: datetime) -> bool:
    since = seconds_ago(task.state.timestamp, now)
    return task.state.type == "PENDING" and since is not None and since >= TASK_STARTS_WITHIN


def full_tags(limits: Sequence[GlobalLimit], tasks: Sequence[TaskRun]) -> list[GlobalLimit]:
    """The limits of these tasks' tags that have no free slot."""
    wanted = {f"{TAG}{tag}" for task in tasks for tag in task.tags}
    return [limit for limit in limits if limit.name in wanted and is_full(limit)]


def is_full(limit: GlobalLimit) -> bool:
    return limit.active and limit.active_slots >= limit.limit


def _tag_full(facts: Facts, waiting: Sequence[TaskRun], full: Sequence[GlobalLimit]) -> Cause:
    assert facts.run is not None
    task, limit = waiting[0], full[0]
    tags = [limit.name.removeprefix(TAG) for limit in full]
    since = seconds_ago(task.state.timestamp, facts.now) or 0
    said = " and ".join(
        f"tag '{tag}' has concurrency limit {limit.limit}, with {limit.active_slots} of {limit.limit} slots "
        "in use"
        f"{_tag_held(facts, tag)}"
        for tag, limit in zip(tags, full, strict=True)
    )
    others = f" (and {counted(len(waiting) - 1, 'more task run')})" if len(waiting) > 1 else ""
    return Cause(
        kind="tag_concurrency",
        summary=f"Its task run is PENDING: '{task.name}'{others} has waited {in_words(since)} for a slot: "
        f"{said}.",
        about=f"tag {tags[0]}",
        evidence=[
            evidence("state", task.state.type, f"task run {task.name}"),
            evidence("tags", ", ".join(task.tags), f"task run {task.name}"),
            *[_limit_evidence(facts, limit) for limit in full],
            *_holder_evidence(facts, tags),
        ],
        fix=f"Wait until a holder ends, cancel one, or raise the limit: "
        f"{shell('prefect', 'gcl', 'update', limit.name, '--limit', 'N')}.",
    )


def _limit_evidence(facts: Facts, limit: GlobalLimit) -> Evidence:
    return evidence(
        "active_slots",
        f"{limit.active_slots} of limit {limit.limit}",
        f"concurrency limit {limit.name}",
        url=facts.links.concurrency_limit(limit.id),
    )


def _tag_holders(facts: Facts, tag: str) -> Sequence[FlowRun]:
    holders = facts.tag_holders
    return () if holders is None or isinstance(holders, Unread) else holders.get(tag, ())


def _tag_held(facts: Facts, tag: str) -> str:
    own = facts.run.id if facts.run else ""
    names = [
        f"{run.name} (this run itself)" if run.id == own else run.name for run in _tag_holders(facts, tag)
    ]
    return f", held by {listed(names)}" if names else ""


def _holder_evidence(facts: Facts, tags: Sequence[str]) -> list[Evidence]:
    return [
        evidence("state", run.state.type, f"flow run {run.name} ({run.id})", url=facts.links.flow_run(run.id))
        for tag in tags
        for run in _tag_holders(facts, tag)[:MAX_NAMED]
    ]


# -- a global limit --


def waits_for_a_global_limit(facts: Facts) -> Cause | Hint | Unread | None:
    """`concurrency("name")` in the code leaves no trace while it waits, so this is at most likely.

    A full limit counts as the cause only where the same flow is known to use it.
    """
    run = facts.run
    if run is None or run.state.type != "RUNNING" or not isinstance(facts.limits, tuple):
        return None
    full = full_globals(facts.limits)
    if not full or not _is_silent(facts) or _has_another_cause(facts):
        return None
    if not isinstance(facts.limit_events, tuple):
        return facts.limit_events
    holders = {limit.id: _holders(facts.limit_events, limit) for limit in full}
    # A run that has a slot of the limit is not the one that waits for it.
    full = [limit for limit in full if run.id not in {holder[0] for holder in holders[limit.id]}]
    mine = [limit for limit in full if _flow_uses(facts.limit_events, limit, run.flow_id)]
    if mine:
        return _global_full(facts, mine[0], [name for _, name in holders[mine[0].id]])
    said = [f"'{limit.name}' ({limit.active_slots} of {limit.limit} in use)" for limit in full[:MAX_NAMED]]
    text = f"Full global concurrency limits: {', '.join(said)}; if its code asks for one, it waits there."
    return Hint(text) if full else None


def full_globals(limits: Sequence[GlobalLimit]) -> list[GlobalLimit]:
    return [limit for limit in limits if not limit.name.startswith((TAG, DEPLOYMENT)) and is_full(limit)]


def _is_silent(facts: Facts) -> bool:
    """Code that waits for a slot logs nothing."""
    log = facts.last_log
    return not isinstance(log, LogLine) or (facts.now - log.timestamp).total_seconds() > SILENT_AFTER


def _has_another_cause(facts: Facts) -> bool:
    return any(isinstance(check(facts), Cause) for check in (its_process_is_there, its_tasks_get_slots))


def _holders(events: Sequence[Event], limit: GlobalLimit) -> list[tuple[str, str]]:
    """Id and name of the runs that took a slot and have not given it back, the newest first."""
    balance: dict[tuple[str, str], int] = {}
    for event in events:
        if event.resource.get("prefect.resource.id") != f"prefect.concurrency-limit.{limit.id}":
            continue
        for run in (r for r in event.related if r.get("prefect.resource.role") == "flow-run"):
            key = (
                run["prefect.resource.id"].removeprefix("prefect.flow-run."),
                run.get("prefect.resource.name", "?"),
            )
            balance[key] = balance.get(key, 0) + (1 if event.event == ACQUIRED else -1)
    return [key for key, slots in balance.items() if slots > 0]


def _flow_uses(events: Sequence[Event], limit: GlobalLimit, flow_id: str) -> bool:
    return any(
        event.resource.get("prefect.resource.id") == f"prefect.concurrency-limit.{limit.id}"
        and any(related.get("prefect.resource.id") == f"prefect.flow.{flow_id}" for related in event.related)
        for event in events
    )


def _global_full(facts: Facts, limit: GlobalLimit, holders: Sequence[str]) -> Cause:
    held = f", held by {listed(holders)}" if holders else ""
    log = facts.last_log
    said = (
        f" Its last log line is from {moment(log.timestamp, facts.now)}."
        if log and not isinstance(log, Unread)
        else ""
    )
    return Cause(
        kind="global_concurrency",
        certainty="likely",
        summary="It is RUNNING and most likely waits in its code for the global concurrency limit "
        f"'{limit.name}': "
        f"limit {limit.limit}, {limit.active_slots} of {limit.limit} slots in use{held}; its flow is known "
        f"to use that limit, and this run has not taken a slot.{said}",
        about=f"concurrency limit {limit.name}",
        evidence=[
            _limit_evidence(facts, limit),
            *[evidence("acquired by", name, f"event {ACQUIRED}") for name in holders[:MAX_NAMED]],
            evidence("acquired by this run", "never", f"event {ACQUIRED}"),
        ],
        fix="Wait until the holder ends, cancel it, or raise the limit: "
        f"{shell('prefect', 'gcl', 'update', limit.name, '--limit', 'N')}.",
    )


# -- a subflow --


def waits_for_a_subflow(facts: Facts) -> Cause | None:
    """A flow that runs another deployment waits for that run, which may itself be late."""
    if facts.state != "RUNNING" or not isinstance(facts.children, tuple):
        return None
    waiting = [run for run in facts.children if late_seconds(run, facts.now) or run.state.type == "PAUSED"]
    if not waiting:
        return None
    child = waiting[0]
    late = late_seconds(child, facts.now)
    how = f"{in_words(late)} late" if late else "PAUSED"
    return Cause(
        kind="waits_for_subflow",
        summary=f"It waits for its subflow run '{child.name}', which is {child.state.name} ({how}) itself.",
        about=f"flow run {child.name}",
        evidence=[
            evidence("state", child.state.name, f"flow run {child.name}", url=facts.links.flow_run(child.id)),
            evidence("work_pool_name", child.work_pool_name or None, f"flow run {child.name}"),
        ],
        fix=f"Ask why that one does not start: `why {child.id}`.",
    )


CHECKS: tuple[Check, ...] = (its_tasks_get_slots, waits_for_a_global_limit, waits_for_a_subflow)
