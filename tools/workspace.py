"""The workspace at a glance."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from tools.lateness import overdue_filter, utc_now, waiting_filter
from tools.models import Moment
from tools.prefect_client import PrefectClient
from tools.run_rows import Result, RunRow, run_rows
from tools.work_pools import PoolRow, WorkPools

DAY = timedelta(hours=24)
MAX_FAILURES = 5
MAX_POOLS = 30


class Overview(Result):
    server: str = Field(description="host and port")
    url: str
    prefect_version: str
    now: Moment
    deployments: int
    paused_deployments: int
    running_runs: int
    pending_runs: int
    overdue_runs: int = Field(description="should have started by now and have not")
    runs_waiting_for_a_concurrency_slot: int
    completed_last_24_hours: int
    failed_last_24_hours: int = Field(description="FAILED and CRASHED")
    latest_failures: list[RunRow]
    work_pools: int
    pools_with_problems: list[PoolRow]
    truncated: bool = Field(description=f"whether there are more than {MAX_POOLS} work pools")


class Workspace:
    """Reads the workspace as a whole."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect
        self._pools = WorkPools(prefect)

    async def workspace_overview(self) -> Overview:
        """The state of the whole Prefect workspace; a good start for "is everything all right?".

        Tells the server, deployments, runs by state, overdue runs, latest failures, pools with problems.
        """
        now = utc_now()
        version = await self._prefect.version()
        counts, pools, failures, deployments, paused = await asyncio.gather(
            self._counts(now),
            self._pools.list_work_pools(limit=MAX_POOLS),
            self._failures(now),
            self._prefect.count_deployments(),
            self._prefect.count_deployments({"deployments": {"paused": {"eq_": True}}}),
        )
        assert self._prefect.connection is not None
        return Overview(
            server=self._prefect.connection.address,
            url=self._prefect.links.runs(),
            prefect_version=version,
            now=now,
            deployments=deployments,
            paused_deployments=paused,
            **counts,
            latest_failures=failures,
            work_pools=len(pools.work_pools),
            pools_with_problems=[pool for pool in pools.work_pools if pool.problem],
            truncated=pools.truncated,
        )

    async def _counts(self, now: datetime) -> dict[str, int]:
        slot = {"name": {"any_": ["AwaitingConcurrencySlot"]}}
        wanted: Mapping[str, Mapping[str, Any]] = {
            "running_runs": {"state": {"type": {"any_": ["RUNNING"]}}},
            "pending_runs": {"state": {"type": {"any_": ["PENDING"]}}},
            "overdue_runs": overdue_filter(now),
            "waiting": waiting_filter(now),
            "runs_waiting_for_a_concurrency_slot": {"state": slot},
            "completed_last_24_hours": _ended(["COMPLETED"], now),
            "failed_last_24_hours": _ended(["FAILED", "CRASHED"], now),
        }
        numbers = await asyncio.gather(
            *(self._prefect.count_flow_runs({"flow_runs": wish}) for wish in wanted.values())
        )
        counts = dict(zip(wanted, numbers, strict=True))
        # A run between the two counts must not make the difference negative.
        counts["overdue_runs"] = max(0, counts["overdue_runs"] - counts.pop("waiting"))
        return counts

    async def _failures(self, now: datetime) -> list[RunRow]:
        failed = _ended(["FAILED", "CRASHED"], now)
        runs = await self._prefect.flow_runs({"flow_runs": failed}, limit=MAX_FAILURES, sort="END_TIME_DESC")
        return await run_rows(self._prefect, runs, now)


def _ended(types: list[str], now: datetime) -> dict[str, Any]:
    return {"state": {"type": {"any_": types}}, "end_time": {"after_": (now - DAY).isoformat()}}
