"""What is read about many runs at once: each pool, queue and deployment only once for all of its runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from tools.diagnosis.facts import Facts, Read, Unread
from tools.diagnosis.liveness import when_ended
from tools.diagnosis.schedules import rrule_end
from tools.links import Links
from tools.models import Deployment, Event, FlowRun, LogLine, Worker, WorkPool, WorkQueue
from tools.prefect_client import Filters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of the workspace is looked at; no filters for all of it."""

    words: str
    filters: Filters = field(default_factory=Filters)
    deployment: Deployment | None = None
    work_pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Parts are `Unread` where they could not be looked at, and None where nothing asked for them."""

    now: datetime
    links: Links
    overdue: Read[tuple[FlowRun, ...]] = None
    """The longest overdue first; not all of them where `overdue_count` is more."""
    overdue_count: Read[int] = None
    """An upper bound: some of them only wait for a time of their own."""
    active: Read[tuple[FlowRun, ...]] = None
    """RUNNING, PENDING and CANCELLING, the oldest first."""
    active_count: Read[int] = None
    deployments: Read[tuple[Deployment, ...]] = None
    deployments_count: Read[int] = None

    pools: Read[Mapping[str, WorkPool]] = None
    queues: Read[Mapping[str, tuple[WorkQueue, ...]]] = None
    workers: Mapping[str, Read[tuple[Worker, ...]]] = field(default_factory=dict)
    their_deployments: Read[Mapping[str, Deployment]] = None
    """Of the runs above, by id."""
    flows: Read[Mapping[str, str]] = None
    ended: Read[tuple[Event, ...]] = None
    """That the processes of RUNNING runs ended."""
    coming: Read[tuple[FlowRun, ...]] = None
    """Scheduled runs of the deployments whose schedules may have ended."""

    heartbeats: Read[tuple[Event, ...]] = None
    """Of RUNNING runs whose worker is OFFLINE."""
    logged: Read[tuple[LogLine, ...]] = None
    pool_events: Read[tuple[Event, ...]] = None
    deployment_events: Read[tuple[Event, ...]] = None

    def deployment_of(self, run: FlowRun) -> Read[Deployment]:
        return found(self.their_deployments, run.deployment_id)

    def name_of(self, deployment: Read[Deployment]) -> str:
        if not isinstance(deployment, Deployment):
            return ""
        flow = found(self.flows, deployment.flow_id)
        return f"{flow if isinstance(flow, str) else '?'}/{deployment.name}"

    def facts(self, run: FlowRun) -> Facts:
        """As if the run had been read alone; what only a single diagnosis looks at is None."""
        deployment = self.deployment_of(run)
        holding = _those(self.active, lambda other: other.state.type != "CANCELLING")
        return Facts(
            now=self.now,
            links=self.links,
            run=run,
            flow=found(self.flows, run.flow_id),
            deployment=deployment,
            deployment_name=self.name_of(deployment),
            pool=found(self.pools, run.work_pool_name),
            queues=found(self.queues, run.work_pool_name),
            workers=self.workers.get(run.work_pool_name),
            active=_those(holding, lambda other: other.work_pool_name == run.work_pool_name),
            waiting=_those(self.overdue, lambda other: other.work_pool_name == run.work_pool_name),
            deployment_active=_those(holding, lambda other: other.deployment_id == run.deployment_id),
            ended_processes=when_ended(self.ended) if isinstance(self.ended, tuple) else self.ended,
            events=_events_about(run, self.ended, self.heartbeats),
            last_log=self._last_log(run),
            pool_events=self.pool_events,
        )

    def _last_log(self, run: FlowRun) -> Read[LogLine]:
        if not isinstance(self.logged, tuple):
            return self.logged
        return next((line for line in self.logged if line.flow_run_id == run.id), None)

    def facts_about(self, deployment: Deployment) -> Facts:
        """For what keeps a deployment from making runs."""
        coming = _those(self.coming, lambda run: run.deployment_id == deployment.id)
        # Of others nobody asked, and an empty list would say that there are none.
        coming = coming if may_have_ended(deployment) else None
        return Facts(
            now=self.now,
            links=self.links,
            deployment=deployment,
            deployment_name=self.name_of(deployment),
            about_deployment=True,
            upcoming=coming,
            deployment_events=_related(self.deployment_events, f"prefect.deployment.{deployment.id}"),
        )


def found(part: Read[Mapping[str, T]], key: str) -> Read[T]:
    """One of the things by name or id; None where there is no such thing."""
    return part if part is None or isinstance(part, Unread) else part.get(key)


def _those(part: Read[tuple[T, ...]], wanted: Callable[[T], bool]) -> Read[tuple[T, ...]]:
    return tuple(item for item in part if wanted(item)) if isinstance(part, tuple) else part


def may_have_ended(deployment: Deployment) -> bool:
    """Each of its active schedules is one that ends by itself."""
    active = [schedule for schedule in deployment.schedules if schedule.active]
    return not deployment.paused and bool(active) and all(rrule_end(schedule) for schedule in active)


def _related(part: Read[tuple[Event, ...]], resource: str) -> Read[tuple[Event, ...]]:
    return _those(part, lambda event: resource in event.involved)


def _events_about(run: FlowRun, *parts: Read[tuple[Event, ...]]) -> Read[tuple[Event, ...]]:
    """Newest first."""
    mine: list[Event] = []
    for part in parts:
        if isinstance(part, Unread):
            return part
        mine += [event for event in part or () if f"prefect.flow-run.{run.id}" in event.involved]
    return tuple(sorted(mine, key=lambda event: event.occurred, reverse=True))
