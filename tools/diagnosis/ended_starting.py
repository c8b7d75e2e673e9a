"""Runs that a worker took and could not start: a bad job variable, an image, a quota, a permission."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tools.diagnosis.ended_run import EndedCheck, EndedRun, variable_evidence
from tools.diagnosis.models import Cause
from tools.failure.words import one_line
from tools.job_variables import JobVariable
from tools.runs import worker_of

_NOT_STARTED = re.compile(r"^(?:Flow run could not start|Failed to submit flow run to infrastructure): ")


# What wraps the error in Prefect's own libraries.
_SAYS_NOTHING = re.compile(r"unhandled errors in a TaskGroup|RuntimeError: Child exited without calling")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind of reason, known by the words of Docker, Kubernetes or a cloud."""

    kind: str
    words: re.Pattern[str]
    what: str
    fix: str


_REFUSALS = (
    Refusal(
        "image_pull_failed",
        re.compile(
            r"ImagePull|ErrImage|pull access denied|manifest (?:unknown|for)|image.{0,80}not found", re.I
        ),
        "Its image could not be pulled",
        "Check the image's name and tag, and that the place where it runs may pull it.",
    ),
    Refusal(
        "no_capacity",
        re.compile(r"quota|insufficient|limit ?exceeded|out of capacity|ResourceExhausted", re.I),
        "The infrastructure has no room for it",
        "Raise the quota or the capacity, or ask for less CPU and memory in the job variables.",
    ),
    Refusal(
        "infrastructure_refused",
        re.compile(r"forbidden|access ?denied|unauthori[sz]ed|not authorized", re.I),
        "The infrastructure refused to start it",
        "Give the worker's credentials the permission that the message names.",
    ),
)
_ANY = Refusal(
    "could_not_start",
    re.compile(""),
    "Its worker could not start its process or container",
    "Check its job variables, such as working_dir, command and image.",
)


def it_could_not_be_started(ended: EndedRun) -> Cause | None:
    if not _NOT_STARTED.match(ended.message):
        return None
    said = _reason(ended)
    refusal = next((known for known in _REFUSALS if known.words.search(said)), _ANY)
    worker = f" (worker '{worker_of(ended.run)}')" if worker_of(ended.run) else ""
    variables = ended.job_variables(with_pool=False)
    own = ", ".join(f"{row.name} = {row.value} ({row.set_by})" for row in variables)
    set_here = f" with the job variables {own}" if own else ""
    return Cause(
        kind=refusal.kind,
        summary=f"{refusal.what}{worker}{set_here}, so none of its code ran. {said}",
        about=ended.name,
        evidence=[*ended.evidence(), *variable_evidence(variables)],
        fix=f"{_what_to_check(refusal, variables)} The whole error is in {ended.output}.",
    )


def _what_to_check(refusal: Refusal, variables: Sequence[JobVariable]) -> str:
    if refusal is not _ANY or not variables:
        return refusal.fix
    names = ", ".join(row.name for row in variables)
    return (
        f"Check {names} in its job variables: the directory, command or image has to be there where the "
        "worker starts the run."
    )


def _reason(ended: EndedRun) -> str:
    """With the innermost exception: the message may be no more than `unhandled errors in a TaskGroup`."""
    inner = [ended.failure.root_cause, *ended.failure.parts[:1]]
    told = [f"{error.type}: {one_line(error.message)}" for error in inner if error]
    first = _NOT_STARTED.sub("", one_line(ended.message))
    said = "; ".join(part for part in dict.fromkeys([first, *told]) if not _SAYS_NOTHING.match(part))
    if not said:
        return "The reason is not in Prefect's API."
    return f"Prefect says: {said.removesuffix('.')}."


CHECKS: tuple[EndedCheck, ...] = (it_could_not_be_started,)
