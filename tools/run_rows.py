"""Flow runs as rows for reading: every fact that a person would otherwise have to look up beside it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from tools.lateness import due_time, late_seconds
from tools.links import Links
from tools.models import FlowRun, Moment
from tools.named_deployments import deployment_names
from tools.prefect_client import PrefectClient
from tools.redact import redact

MAX_MESSAGE = 300
# A secret that the cut goes through is seen whole, up to this length.
MASKED_BEYOND = 500


class Result(BaseModel):
    """A tool's result; what is not known is left out."""

    model_config = ConfigDict(frozen=True)


class RunRow(Result):
    """One flow run."""

    name: str
    id: str
    url: str
    flow: str
    deployment: str | None = Field(None, description="flow/deployment; absent for a run without one")
    state: str = Field(description="the state's name, such as Late, Running, AwaitingRetry")
    state_type: str
    message: str | None = None
    due: Moment | None = Field(None, description="when it should start or should have started")
    late_seconds: int | None = Field(None, description="only for a run that is overdue now")
    started: Moment | None = None
    ended: Moment | None = None
    run_seconds: float | None = None
    work_pool: str | None = None
    work_queue: str | None = None


async def run_rows(prefect: PrefectClient, runs: Sequence[FlowRun], now: datetime) -> list[RunRow]:
    """Rows in the given order, joined with the names of flows and deployments in two calls."""
    flows, deployments = await asyncio.gather(
        prefect.flow_names([run.flow_id for run in runs]),
        deployment_names(prefect, [run.deployment_id for run in runs]),
    )
    return [run_row(prefect.links, run, flows, deployments, now) for run in runs]


def run_row(
    links: Links, run: FlowRun, flows: Mapping[str, str], deployments: Mapping[str, str], now: datetime
) -> RunRow:
    """`flows` and `deployments` are names by id."""
    return RunRow(
        name=run.name,
        id=run.id,
        url=links.flow_run(run.id),
        flow=flows.get(run.flow_id, "deleted flow"),
        deployment=deployments.get(run.deployment_id, "deleted deployment") if run.deployment_id else None,
        state=run.state.name,
        state_type=run.state.type,
        message=shorten(run.state.message) or None,
        due=due_time(run) if run.state.type in ("SCHEDULED", "PENDING") else None,
        late_seconds=late_seconds(run, now) or None,
        started=run.start_time,
        ended=run.end_time,
        run_seconds=round(run_seconds(run, now), 1) or None,
        work_pool=run.work_pool_name or None,
        work_queue=run.work_queue_name or None,
    )


def run_seconds(run: FlowRun, now: datetime) -> float:
    """The server adds the time in Running only when the state changes, so a running run shows 0."""
    if run.state.type == "RUNNING" and run.state.timestamp:
        return run.total_run_time + (now - run.state.timestamp).total_seconds()
    return run.total_run_time


def shorten(text: str, limit: int = MAX_MESSAGE) -> str:
    """At most `limit` characters; masked before it is cut, as half a secret may not be recognised."""
    text = redact(text.strip()[: limit + MASKED_BEYOND])
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
