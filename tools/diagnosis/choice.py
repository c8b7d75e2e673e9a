"""From what people write to the run that they mean; of a deployment, its latest run that is in trouble."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from knowledge.errors import BadInput
from tools.diagnosis.words import counted
from tools.errors import Ambiguous, NotFound
from tools.lateness import late_seconds
from tools.links import parse_link
from tools.models import FlowRun
from tools.named_deployments import NamedDeployment
from tools.prefect_client import PrefectClient
from tools.resolve import find_deployment, find_flow_run

# Of a deployment; older trouble has been overtaken by these.
RECENT_RUNS = 20
BAD_ENDS = frozenset({"FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run, or a deployment that has none to look at."""

    run: FlowRun | None
    deployment: NamedDeployment | None = None
    """Set where a deployment was asked about."""
    note: str = ""


async def choose(prefect: PrefectClient, text: str, now: datetime) -> Chosen:
    """Raises NotFound, or Ambiguous with the choices."""
    text = text.strip().strip("`\"'“”").strip()
    link = parse_link(text)
    if link and link.kind == "flow run":
        return Chosen(await find_flow_run(prefect, text))
    if link or "/" in text:
        return await _of_deployment(prefect, text, now)
    if _is_id(text):
        return await _by_id(prefect, text, now)
    return await _by_name(prefect, text, now)


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


async def _by_id(prefect: PrefectClient, text: str, now: datetime) -> Chosen:
    try:
        return Chosen(await prefect.flow_run(text))
    except NotFound:
        return await _of_deployment(prefect, text, now)


async def _by_name(prefect: PrefectClient, text: str, now: datetime) -> Chosen:
    """A run of that very name, else a deployment, else a run whose name is like it."""
    if not text:
        raise BadInput("No name given for a flow run.", "Say its name, id or link, or flow/deployment.")
    exact = await prefect.flow_runs({"flow_runs": {"name": {"any_": [text]}}}, limit=RECENT_RUNS)
    if len(exact) == 1:
        return Chosen(exact[0])
    if exact:
        return Chosen(await find_flow_run(prefect, text))
    try:
        return await _of_deployment(prefect, text, now)
    except Ambiguous:
        raise
    except NotFound:
        return Chosen(await find_flow_run(prefect, text))


async def _of_deployment(prefect: PrefectClient, text: str, now: datetime) -> Chosen:
    named = await _named_exactly(prefect, text) or await find_deployment(prefect, text)
    mine = {"deployment_id": {"any_": [named.deployment.id]}}
    begun = {**mine, "start_time": {"before_": now.isoformat()}}
    recent = await prefect.flow_runs({"flow_runs": begun}, limit=RECENT_RUNS)
    run = in_trouble(recent, now) or next(iter(recent), None) or await _next(prefect, mine, now)
    return Chosen(run, named, _note(run, recent, named, now))


async def _next(prefect: PrefectClient, mine: dict[str, Any], now: datetime) -> FlowRun | None:
    ahead = {**mine, "expected_start_time": {"after_": now.isoformat()}}
    rows = await prefect.flow_runs({"flow_runs": ahead}, limit=1, sort="EXPECTED_START_TIME_ASC")
    return rows[0] if rows else None


async def _named_exactly(prefect: PrefectClient, text: str) -> NamedDeployment | None:
    """The usual way of writing it, answered in one call."""
    flow, slash, name = text.partition("/")
    if not slash or parse_link(text) or "/" in name:
        return None
    try:
        return NamedDeployment(await prefect.deployment_by_name(flow.strip(), name.strip()), flow.strip())
    except NotFound:
        return None


def in_trouble(newest_first: Sequence[FlowRun], now: datetime) -> FlowRun | None:
    """The newest that waits or stands still, or that ended badly with none getting on or passing after it."""
    overtaken = False
    for run in newest_first:
        kind = run.state.type
        if late_seconds(run, now) or kind in ("PENDING", "PAUSED", "CANCELLING"):
            return run
        if kind == "SCHEDULED" or (kind in BAD_ENDS and not overtaken):
            return run
        overtaken = overtaken or kind in ("COMPLETED", "RUNNING")
    return None


def _note(run: FlowRun | None, recent: Sequence[FlowRun], named: NamedDeployment, now: datetime) -> str:
    if run is None:
        return ""
    late = sum(bool(late_seconds(other, now)) for other in recent)
    also = f" {counted(late, 'run')} of it {'is' if late == 1 else 'are'} late in all." if late > 1 else ""
    trouble = " that is in trouble" if run == in_trouble(recent, now) else ""
    what = "latest run" if run in recent else "next scheduled run"
    return f"'{run.name}' is the {what} of {named.full_name}{trouble}.{also}"
