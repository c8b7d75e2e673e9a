"""Why a run FAILED or CRASHED: the first check that knows answers, the particular before the general."""

import re

from tools.diagnosis import ended_cancelled, ended_loading, ended_parameters, ended_process, ended_starting
from tools.diagnosis.ended_run import EndedCheck, EndedRun
from tools.diagnosis.facts import Check, Facts
from tools.diagnosis.models import Cause, Hint
from tools.diagnosis.words import shell
from tools.failure.models import FailureAnalysis
from tools.failure.told import PREFECT_TIMEOUTS
from tools.failure.words import one_line

_AUTOMATION = re.compile(r"by Automation (?P<id>[0-9a-f-]{36})", re.IGNORECASE)
_NO_SLOTS = re.compile(r"concurrency slots on \[(?P<names>[^\]]*)\].*greater than the limit", re.DOTALL)
_NEVER_RESUMED = "paused and never resumed"
_SECONDS = re.compile(r"(?:timeout of|timed out after) (?P<seconds>[\d.]+) second")


def it_ran_into_its_timeout(ended: EndedRun) -> Cause | None:
    error, task = ended.error, ended.failure.task
    if error is None or error.type not in PREFECT_TIMEOUTS:
        return None
    found = _SECONDS.search(error.message)
    seconds = f" of {found['seconds'].removesuffix('.0')} s" if found else ""
    what = f"Task {task.task}" if task else "The flow"
    place = f" When its time was up, it was at {error.user_frame}." if error.user_frame else ""
    return Cause(
        kind="task_timed_out" if task else "flow_timed_out",
        summary=f"{what} exceeded its timeout_seconds{seconds} (TimedOut).{place}",
        about=ended.name,
        evidence=ended.evidence(),
        fix="Find out what makes it slow, or raise its timeout_seconds in the code; then retry the run.",
        action=ended.retry,
    )


def it_was_never_resumed(ended: EndedRun) -> Cause | None:
    if _NEVER_RESUMED not in ended.message:
        return None
    return Cause(
        kind="never_resumed",
        summary="It was paused, and nobody resumed it in time (The flow was paused and never resumed).",
        about=ended.name,
        evidence=ended.evidence(),
        fix="Retry it and resume it in time, or give the pause a longer timeout in the code.",
        action=ended.retry,
    )


def a_limit_is_too_small(ended: EndedRun) -> Cause | None:
    """More slots than the limit has, as of a tag with limit 0, are refused at once instead of waited for."""
    error = ended.error
    found = (
        _NO_SLOTS.search(error.message) if error and error.type == "ConcurrencySlotAcquisitionError" else None
    )
    if found is None:
        return None
    names = re.findall(r"'([^']+)'", found["names"]) or ["?"]
    said = ", ".join(f"tag '{name[4:]}'" if name.startswith("tag:") else f"limit '{name}'" for name in names)
    return Cause(
        kind="limit_too_small",
        summary=f"It asked for more slots than the concurrency limit of {said} has, as with limit 0, so "
        f"Prefect refused them. {ended.failure.summary}",
        about=ended.name,
        evidence=ended.evidence(),
        fix=f"Raise the limit, {shell('prefect', 'gcl', 'update', names[0], '--limit', 'N')}, or ask for "
        "fewer slots; then retry the run.",
        action=ended.retry,
    )


def it_returned_a_failed_state(ended: EndedRun) -> Cause | None:
    """Asking for the result of such a flow raises FailedRun in Prefect's code, with the state's message."""
    error = ended.error
    if error is None or ended.failure.task or error.type != "FailedRun" or error.user_frame:
        return None
    return Cause(
        kind="state_returned",
        summary=f"Its flow itself returned a Failed state: {one_line(ended.message).removesuffix('.')}. No "
        "exception was raised.",
        about=ended.name,
        evidence=ended.evidence(),
        fix="See what the flow found before it returned that state, and retry the run once it is in order.",
        action=ended.retry,
    )


def its_code_raised(ended: EndedRun) -> Cause | None:
    """The usual case: an exception in a task or in the flow."""
    error, task = ended.error, ended.failure.task
    if error is None and task is None:
        return None
    place = f" at {error.user_frame}" if error and error.user_frame else ""
    return Cause(
        kind="task_failed" if task else "flow_failed",
        summary=ended.failure.summary,
        about=ended.name,
        evidence=ended.evidence(),
        fix=f"Correct the code{place} or the data that it was given, then retry the run.",
        action=ended.retry,
    )


def its_state_was_set(ended: EndedRun) -> Cause:
    """No exception: the flow returned such a state, or somebody or an automation set it."""
    by = "no exception is known, so the flow returned this state, or it was set from outside"
    if found := _AUTOMATION.search(ended.message):
        by = f"automation {found['id']} set it"
    return Cause(
        kind="state_set",
        summary=f"Its state says: {one_line(ended.message) or 'nothing'} ({by}).",
        certainty="likely",
        about=ended.name,
        evidence=ended.evidence(),
        fix="Look at the end of its log, and at what the flow returns.",
    )


_IN_ORDER: tuple[EndedCheck, ...] = (
    *ended_parameters.CHECKS,
    *ended_loading.CHECKS,
    *ended_starting.CHECKS,
    *ended_process.CHECKS,
    it_ran_into_its_timeout,
    it_was_never_resumed,
    a_limit_is_too_small,
    it_returned_a_failed_state,
    its_code_raised,
    ended_process.its_process_said_nothing,
    its_state_was_set,
)


def why_it_ended(facts: Facts) -> Cause | None:
    """Only one thing ended it, so the first answer counts; how often that was seen belongs to it."""
    if facts.run is None or not isinstance(facts.failure, FailureAnalysis):
        return None
    ended = EndedRun(facts, facts.run, facts.failure)
    cause = next(found for check in _IN_ORDER if (found := check(ended)))
    history = facts.failure.history
    return cause.model_copy(update={"summary": f"{cause.summary} {history.words}"}) if history else cause


def what_limits_that(facts: Facts) -> Hint | None:
    """Parts of the log that could not be read, are too large, or may yet come."""
    notes = facts.failure.notes if isinstance(facts.failure, FailureAnalysis) else []
    return Hint(" ".join(notes)) if notes else None


CHECKS: tuple[Check, ...] = (why_it_ended, what_limits_that, *ended_cancelled.CHECKS)
