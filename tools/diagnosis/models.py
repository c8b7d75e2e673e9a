"""What a diagnosis says: shapes for a person, a model or a card to read.

A check looks at the facts of one run and answers with

- a `Cause`: this keeps the run from starting, from going on, or is why it ended as it did;
- a `Fine`: looked, and it is in order;
- a `Hint`: not known to matter to this run, but worth knowing;
- `facts.Unread`: could not look;
- None: does not apply to this run.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tools.failure.models import FailureAnalysis
from tools.models import iso
from tools.run_rows import Result, RunRow, shorten
from tools.workers import in_words

Certainty = Literal["certain", "likely"]


class Evidence(Result):
    """One fact as Prefect's API gave it; made by `evidence`."""

    field: str
    value: str
    source: str = Field(description="what it was read from, such as `work pool etl`")
    url: str | None = None


class SuggestedAction(Result):
    """A tool of ours that would do what `fix` says; it ends in a card like any other."""

    tool: str
    arguments: dict[str, Any]
    label: str = Field(description="for a button, such as `Resume the work pool`")
    command: str = Field(description="what a person would type instead, such as `resume pool etl`")


class Cause(Result):
    """One thing that is wrong."""

    kind: str = Field(description="a slug, such as pool_paused")
    summary: str = Field(description="one or two sentences that name the objects and figures")
    certainty: Certainty = "certain"
    about: str = Field(
        "", description="the object that is at fault, such as `work pool etl`; runs are grouped by it"
    )
    evidence: list[Evidence]
    fix: str = Field(description="one sentence with the command or the name of what to change")
    action: SuggestedAction | None = None


@dataclass(frozen=True, slots=True)
class Fine:
    """Looked at and found in order; `text` is a clause such as `work pool etl is not paused`."""

    text: str


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that may matter, where the API does not tell whether it does; `text` is a sentence."""

    text: str


class RunDiagnosis(Result):
    """Of one run, or of a deployment that has no run to look at (then `run` is absent)."""

    subject: str = Field(description="the run's name, or flow/deployment")
    subject_url: str | None = None
    run: RunRow | None = None
    verdict: str = Field(description="one or two plain sentences with names and figures")
    causes: list[Cause] = Field(description="what has to be mended first comes first")
    worth_knowing: list[str] = Field(
        default_factory=list, description="not what holds it up now, but may later; never a finding"
    )
    failure: FailureAnalysis | None = Field(None, description="of a run that failed or crashed")
    fine: list[str] = Field(description="what was checked and found in order")
    could_not_look: list[str] = Field(description="what could not be read, and why")
    note: str | None = Field(None, description="how this run was chosen, when a deployment was asked for")


class LateGroup(Result):
    """All runs, or deployments, that one cause holds up."""

    cause: Cause
    also: list[Cause] = Field(
        default_factory=list, description="what would still hold up these runs after that"
    )
    runs_count: int = 0
    sample: list[RunRow] = Field(default_factory=list, description="some of the runs, the latest first")
    oldest_late_seconds: int | None = None
    deployments_count: int = Field(0, description="for a cause that keeps runs from being made at all")
    deployments: list[str] = Field(default_factory=list, description="some of them, as flow/deployment")


class LateDiagnosis(Result):
    """Of everything that is overdue or stuck in the workspace, or in one part of it."""

    scope: str = Field(description="what was looked at, such as `the workspace` or `work pool etl`")
    verdict: str
    runs_held_up: int = Field(
        description="overdue, stuck in PENDING or Cancelling, or RUNNING with no process"
    )
    groups: list[LateGroup] = Field(description="the cause that holds up most runs comes first")
    fine: list[str]
    could_not_look: list[str]
    truncated: bool = Field(description="whether there is more than was looked at or is shown")
    looked_at: str = Field(description="how much was looked at")


def evidence(field: str, value: Any, source: str, *, url: str = "", now: datetime | None = None) -> Evidence:
    """Evidence with the value as Prefect writes it; a time also says how long ago it was, given `now`."""
    return Evidence(field=field, value=_said(value, now), source=source, url=url or None)


def _said(value: Any, now: datetime | None) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    if isinstance(value, datetime):
        return moment(value, now)
    return shorten(str(value))


def moment(at: datetime, now: datetime | None = None) -> str:
    """`2026-11-22T15:43:48Z (12 min ago)`, or `(in 2 h)`."""
    if now is None:
        return iso(at)
    seconds = int((now - at).total_seconds())
    return f"{iso(at)} ({in_words(seconds)} ago)" if seconds >= 0 else f"{iso(at)} (in {in_words(-seconds)})"
