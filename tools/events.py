"""Events: what happened, when, to what."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from knowledge.errors import BadInput
from tools.lateness import utc_now
from tools.models import Event, Moment
from tools.prefect_client import EVENTS_PAGE_SIZE, PrefectClient
from tools.resolve import find_deployment, find_flow_run, find_work_pool
from tools.run_rows import Result, shorten

MAX_HOURS = 24 * 14
DEFAULT_HOURS = 24.0
RELATED_TOLD = frozenset({"flow", "deployment", "work-pool", "work-queue", "flow-run", "automation"})


class EventRow(Result):
    at: Moment
    event: str
    resource: str = Field(description="what it happened to: its name, else its id")
    related: list[str] = Field(description="role and name of what was involved")
    state_message: str | None = None
    payload: str | None = Field(None, description="the keys of its payload with short values")


class EventList(Result):
    events: list[EventRow]
    total: int = Field(description="how many match in that time")
    truncated: bool
    within: str


class Events:
    """Reads events."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def list_events(
        self,
        flow_run: Annotated[str, Field(description="only events of this run: name, id or link")] = "",
        deployment: Annotated[str, Field(description="only events of or related to this deployment")] = "",
        work_pool: Annotated[str, Field(description="only events of or related to this work pool")] = "",
        prefix: Annotated[
            str, Field(description='only event names that begin so, such as "prefect.flow-run."')
        ] = "",
        since_hours: Annotated[float, Field(gt=0, le=MAX_HOURS, description="looks back this far")] = (
            DEFAULT_HOURS
        ),
        limit: Annotated[int, Field(ge=1, le=EVENTS_PAGE_SIZE, description="how many at most")] = 20,
    ) -> EventList:
        """Lists events, newest first: state changes, paused pools, triggered automations, lost workers.

        Events arrive a few seconds after the fact. Give at most one of flow_run, deployment and work_pool.
        """
        if sum(map(bool, (flow_run, deployment, work_pool))) > 1:
            raise BadInput(
                "list_events takes at most one of flow_run, deployment and work_pool.", "Choose one."
            )
        now = utc_now()
        page = await self._prefect.events(
            resources=await self._resources(flow_run, deployment, work_pool),
            prefixes=[prefix.rstrip("*")] if prefix else [],
            since=now - timedelta(hours=since_hours),
            # The server's clock may be ahead of ours.
            until=now + timedelta(minutes=5),
            limit=limit,
        )
        return EventList(
            events=[_row(event) for event in page.events],
            total=page.total,
            truncated=page.total > len(page.events),
            within=f"the last {since_hours:g} h",
        )

    async def _resources(self, flow_run: str, deployment: str, work_pool: str) -> list[str]:
        if flow_run:
            return [f"prefect.flow-run.{(await find_flow_run(self._prefect, flow_run)).id}"]
        if deployment:
            found = await find_deployment(self._prefect, deployment)
            return [f"prefect.deployment.{found.deployment.id}"]
        if work_pool:
            return [f"prefect.work-pool.{(await find_work_pool(self._prefect, work_pool)).id}"]
        return []


def _row(event: Event) -> EventRow:
    return EventRow(
        at=event.occurred,
        event=event.event,
        resource=_named(event.resource),
        related=[
            f"{related['prefect.resource.role']} {_named(related)}"
            for related in event.related
            if related.get("prefect.resource.role") in RELATED_TOLD
        ],
        state_message=shorten(event.resource.get("prefect.state-message", "")) or None,
        payload=_payload(event.payload),
    )


def _named(resource: dict[str, str]) -> str:
    return resource.get("prefect.resource.name") or resource.get("prefect.resource.id", "?")


def _payload(payload: dict[str, Any]) -> str | None:
    """Short values as they are; of objects only that they are there."""
    parts = [f"{key}={value}" for key, value in payload.items() if isinstance(value, str | int | float)]
    return shorten(", ".join(parts)) or None
