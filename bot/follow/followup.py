"""What is told of a followed run that ended badly or does not get on: its diagnosis, and what to do next."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.diagnosis_text import offers_of
from bot.events import Offer
from bot.follow.watch_table import Notice, WatchedRun
from bot.workspaces import Workspace
from tools.stopping import AFTERWARDS, stoppers

# Prefect writes the last log lines and task states up to two seconds after the run's end.
LOGS_ARE_LATE_S = 3.0
# So many different things that the stopping runs of one card wait for.
STOPPING_TOLD = 5


@dataclass(frozen=True, slots=True)
class Explained:
    """Plain text, masked; not yet made safe for any surface."""

    lines: tuple[str, ...]
    fix: str = ""
    offers: tuple[Offer, ...] = ()
    """Commands as one types them in the run's own workspace."""


async def explained(workspace: Workspace, kind: Notice, runs: Sequence[WatchedRun]) -> Explained:
    """Why the first of the runs is as it is; where that cannot be worked out, what Prefect says of it.

    Raises the ExpectedError tree where Prefect does not answer.
    """
    run = runs[0]
    if kind == "stopping":
        return Explained(await _stopping(workspace, runs), offers=(_explain(run),))
    outcome = await workspace.toolbox.call("diagnose_flow_run", {"flow_run": run.id})
    if not outcome.ok:
        return Explained((_as_prefect_says(run),), offers=_offers(kind, run, {}))
    return _diagnosed(outcome.data, _offers(kind, run, outcome.data))


def _diagnosed(data: dict[str, Any], offers: tuple[Offer, ...]) -> Explained:
    """The first cause: that the run is late or has failed, as the verdict begins, is said already."""
    causes = data["causes"]
    if not causes:
        return Explained((data["verdict"],), offers=offers)
    first, *others = causes
    is_said = first["certainty"] != "likely" or "likely" in first["summary"]
    then = [f"Once that is mended: {others[0]['summary']}"] if others else []
    summary = f"{'' if is_said else 'Most likely: '}{first['summary']}"
    return Explained((summary, *then), fix=first["fix"], offers=offers)


async def _stopping(workspace: Workspace, runs: Sequence[WatchedRun]) -> tuple[str, ...]:
    """Who has to stop them, and whether they are there: one line for all that have the same to wait for."""
    ids = {"id": {"any_": [run.id for run in runs]}}
    rows = await workspace.prefect.flow_runs({"flow_runs": ids}, limit=len(runs))
    who = await stoppers(workspace.prefect, rows)
    groups = Counter(who[row.id].words for row in rows if row.state.type == "CANCELLING")
    lines = [
        f"For {count} of them: {words}." if len(groups) > 1 else _sentence(words)
        for words, count in groups.items()
    ]
    return (*lines[:STOPPING_TOLD], AFTERWARDS)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _as_prefect_says(run: WatchedRun) -> str:
    return f"Prefect says: {run.message}" if run.message else f"Prefect gives no reason for {run.state_name}."


def _offers(kind: Notice, run: WatchedRun, diagnosis: dict[str, Any]) -> tuple[Offer, ...]:
    if kind == "end":
        return (Offer("Retry", f"retry {run.id}"), Offer("Logs", f"logs {run.id}"), _explain(run))
    return (*offers_of(diagnosis)[:2], _explain(run), Offer("Cancel the run", f"cancel {run.id}"))


def _explain(run: WatchedRun) -> Offer:
    return Offer("Explain", f"why {run.id}")
