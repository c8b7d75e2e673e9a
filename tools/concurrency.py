"""Concurrency limits of every kind, out of Prefect's one table."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from tools.models import GlobalLimit
from tools.named_deployments import deployment_names
from tools.prefect_client import PrefectClient
from tools.run_rows import Result

MAX_LIST = 200

Kind = Literal["deployment", "task tag", "global"]


class LimitRow(Result):
    name: str = Field(description="the deployment, the tag, or the limit's own name")
    kind: Kind
    url: str | None = None
    limit: int
    in_use: int
    full: bool = Field(description="nothing more gets a slot; a limit of 0 lets nothing through ever")
    enabled: bool
    refills_per_second: float | None = Field(None, description="for a rate limit: how fast slots come back")


class LimitList(Result):
    limits: list[LimitRow]
    truncated: bool


class ConcurrencyLimits:
    """Reads concurrency limits."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def list_concurrency_limits(
        self,
        name: Annotated[str, Field(description="only those whose name holds this text")] = "",
        full_only: Annotated[bool, Field(description="only those with no free slot")] = False,
        limit: Annotated[int, Field(ge=1, le=MAX_LIST, description="how many at most")] = 50,
    ) -> LimitList:
        """Lists the concurrency limits of deployments and task tags and the global ones: how much is in use.

        Limits of work pools and queues are told by list_work_pools and describe_work_pool.
        """
        rows = await self._prefect.concurrency_limits(limit=MAX_LIST + 1)
        names = await deployment_names(self._prefect, [_deployment_id(row) for row in rows])
        limits = [self._row(row, names) for row in rows]
        found = [
            row for row in limits if name.casefold() in row.name.casefold() and (row.full or not full_only)
        ]
        return LimitList(limits=found[:limit], truncated=len(found) > limit or len(rows) > MAX_LIST)

    def _row(self, row: GlobalLimit, names: Mapping[str, str]) -> LimitRow:
        kind, _, rest = row.name.partition(":")
        told: Kind = "global"
        name, url = row.name, self._prefect.links.concurrency_limit(row.id)
        if kind == "deployment" and rest:
            told, name = "deployment", names.get(rest, f"deleted deployment {rest}")
            url = self._prefect.links.deployment(rest)
        elif kind == "tag" and rest:
            told, name = "task tag", rest
        return LimitRow(
            name=name,
            kind=told,
            url=url,
            limit=row.limit,
            in_use=row.active_slots,
            full=row.active and row.active_slots >= row.limit,
            enabled=row.active,
            refills_per_second=row.slot_decay_per_second or None,
        )


def _deployment_id(row: GlobalLimit) -> str:
    kind, _, rest = row.name.partition(":")
    return rest if kind == "deployment" else ""
