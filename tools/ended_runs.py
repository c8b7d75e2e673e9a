"""The runs that ended badly within some time: what `retry everything that failed tonight` is about."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from knowledge.errors import BadInput
from tools.models import FlowRun, iso
from tools.prefect_client import Filters, PrefectClient
from tools.resolve import find_deployment, find_work_pool
from tools.run_facts import MAX_RUNS

EndedBadly = Literal["FAILED", "CRASHED", "CANCELLED"]
BADLY: tuple[EndedBadly, ...] = ("FAILED", "CRASHED")


@dataclass(frozen=True, slots=True)
class EndedRuns:
    """Those that were asked for, and the question in words."""

    runs: Sequence[FlowRun]
    words: str
    """`FAILED or CRASHED since 2026-11-22T18:00:00Z, of etl/nightly`"""
    children: int = 0
    """Runs left out because another run began them, which begins them again."""


async def runs_that_ended(
    prefect: PrefectClient,
    *,
    within_hours: float,
    deployment: str,
    work_pool: str,
    states: Sequence[EndedBadly],
    now: datetime,
) -> EndedRuns:
    """By the time of their end, the newest first. Raises BadInput for none, and for more than MAX_RUNS."""
    since = now - timedelta(hours=within_hours)
    scope, where = await _scope(prefect, deployment, work_pool)
    ended = {"state": {"type": {"any_": list(states)}}, "end_time": {"after_": since.isoformat()}}
    filters: Filters = {**scope, "flow_runs": {**ended, "parent_task_run_id": {"is_null_": True}}}
    runs, every = await asyncio.gather(
        prefect.flow_runs(filters, limit=MAX_RUNS + 1, sort="END_TIME_DESC"),
        prefect.count_flow_runs({**scope, "flow_runs": ended}),
    )
    words = f"{' or '.join(states)} since {iso(since.replace(microsecond=0))}{where}"
    if not runs:
        raise BadInput(f"No run ended {words}.", "Give a longer time, or another state.")
    if len(runs) > MAX_RUNS:
        count = await prefect.count_flow_runs(filters)
        raise BadInput(
            f"{count} runs ended {words}, and no more than {MAX_RUNS} are retried at once.",
            "Give a shorter time, a deployment or a work pool, or name the runs.",
        )
    # Some may have ended between the two requests.
    return EndedRuns(runs, words, max(every - len(runs), 0))


async def _scope(prefect: PrefectClient, deployment: str, work_pool: str) -> tuple[Filters, str]:
    scope: Filters = {}
    where = ""
    if deployment:
        named = await find_deployment(prefect, deployment)
        scope["deployments"] = {"id": {"any_": [named.deployment.id]}}
        where = f", of {named.full_name}"
    if work_pool:
        pool = await find_work_pool(prefect, work_pool)
        scope["work_pools"] = {"name": {"any_": [pool.name]}}
        where += f", in the work pool {pool.name}"
    return scope, where
