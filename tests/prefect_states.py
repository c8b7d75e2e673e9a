"""A workspace in which much goes wrong at once, and what a right diagnosis of each trouble says.

A state is one function that brings it about on a real server, next to all others, and labels it. The files
`prefect_states_*` hold them by kind; each ends with the tuple of its states.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.prefect_seed import Seed, unique
from tests.prefect_server import prefect_server
from tests.state_processes import Processes
from tests.waiting import until

FLOWS = Path(__file__).with_name("state_flows.py")
T = TypeVar("T")
Row = dict[str, Any]
Condition = Callable[[], Awaitable[bool]]

# For workers that heart-beat each 5 s and poll each 2 s.
SERVER_CLOCKS = {
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "3",
    "PREFECT_SERVER_SERVICES_FOREMAN_WORK_QUEUE_LAST_POLLED_TIMEOUT_SECONDS": "25",
    "PREFECT_SERVER_SERVICES_FOREMAN_DEPLOYMENT_LAST_POLLED_TIMEOUT_SECONDS": "25",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "20",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "2",
}
# The slowest way is through all turns before it, each with a Python process that imports Prefect.
PATIENCE_SECONDS = 150.0
LOOK_EACH_SECONDS = 1.0
# Dozens of writers at once starve each other on SQLite, which has no queue for its lock.
GENTLE: dict[str, Any] = {
    "limits": httpx.Limits(max_connections=2),
    "timeout": httpx.Timeout(70, pool=None),
}
# Processes that start at the same time: more of them only starve the heartbeats of the workers.
TURNS = 3
# Before that, one that is stuck looks like one that is about to go on.
SETTLED_SECONDS = 65.0
# A run goes on by itself when only its worker was killed, and heart-beats each 30 s.
SILENT_SECONDS = 125.0
# Longer than the grace that Prefect's own clock gives a run.
LATE_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A state that the server is in, as a person asks for it and as a right diagnosis names it."""

    question: str
    kind: str
    """The slug of the first cause; empty where nothing is wrong."""
    expected: tuple[str, ...]
    """Words that verdict, causes, evidence or fixes must hold: names, figures, Prefect's own words."""
    seen: Condition
    """Whether the server really is in this state; a diagnosis is only judged when it is."""
    flow_run: str = ""
    """Its id."""
    deployment: str = ""
    """`flow/deployment`: what is asked for where there is no run."""
    arguments: Row = field(default_factory=dict)
    """Of `trigger_run`, where what is asked for is to start one."""
    trouble: tuple[str, ...] = ()
    """Names that are to blame here and must not be blamed in any other state."""
    not_expected: tuple[str, ...] = ()
    """More that must not be said here."""


class World:
    """What the states share: the server's API, the processes, and one worker that does its work well."""

    def __init__(self, seed: Seed, processes: Processes, folder: Path) -> None:
        self.seed, self.processes = seed, processes
        self.pool = unique("yard")
        """Its worker polls all its queues and has no limit."""
        self._folder = folder
        self.turn = asyncio.Semaphore(TURNS)
        self._made: dict[Callable[..., Any], asyncio.Task[Any]] = {}

    async def once(self, make: "Callable[[World], Awaitable[T]]") -> T:
        """What several states build upon, made when the first of them asks for it."""
        if make not in self._made:
            self._made[make] = asyncio.ensure_future(make(self))
        made: T = await asyncio.shield(self._made[make])
        return made

    async def deploy(self, function: str, pool: str, *, stem: str, **more: Any) -> Row:
        """A deployment of one of the flows, as a worker on this machine finds it."""
        flow = await self.seed.post("flows/", {"name": function.replace("_", "-")})
        step = {"prefect.deployments.steps.set_working_directory": {"directory": str(self._folder)}}
        here = {"entrypoint": f"state_flows.py:{function}", "path": str(self._folder), "pull_steps": [step]}
        loose = {"enforce_parameter_schema": False}
        return await self.seed.deployment(
            flow=flow, pool=pool, name=unique(stem), **{**here, **loose, **more}
        )

    async def perform(self, deployment: Row, until_state: str, **more: Any) -> Row:
        """Has a run started by a worker, and waits for its state; few at a time."""
        async with self.turn:
            run = await self.seed.run(deployment, **more)
            await eventually(self.run_is(run, until_state))
        return run

    async def late(self, deployment: Row, **more: Any) -> Row:
        """A run that the server turns Late at its next look."""
        return await self.seed.run(deployment, late_by=LATE_SECONDS, **more)

    async def start_worker(self, pool: str, *flags: str) -> tuple[str, Any]:
        """Its name and process, once it has begun to poll."""
        name = unique("worker")
        async with self.turn:
            process = self.processes.worker(pool, name, *flags)
            await eventually(self.pool_is(pool, "READY", "ONLINE"))
        return name, process

    def run_is(self, run: Row, state: str, *, message: str = "") -> Condition:
        """In a state of this name or type, with these words in its message."""

        async def look() -> bool:
            row = await self.seed.get(f"flow_runs/{run['id']}")
            named = state in (row["state_name"], row["state_type"])
            return named and message in (row["state"]["message"] or "")

        return look

    def settled(self, run: Row) -> Condition:
        """Whether it has been in its state for so long that nothing is about to happen to it."""

        async def look() -> bool:
            row = await self.seed.get(f"flow_runs/{run['id']}")
            since = datetime.fromisoformat(row["state"]["timestamp"])
            return datetime.now(UTC) - since > timedelta(seconds=SETTLED_SECONDS)

        return look

    def silent(self, pool: str) -> Condition:
        """Whether the pool's only worker, and so all that it carried out, has been silent for long."""

        async def look() -> bool:
            (worker,) = await self.seed.post(f"work_pools/{pool}/workers/filter")
            last = datetime.fromisoformat(worker["last_heartbeat_time"])
            return datetime.now(UTC) - last > timedelta(seconds=SILENT_SECONDS)

        return look

    def pool_is(self, pool: str, status: str | None, *workers: str) -> Condition:
        async def look() -> bool:
            row = await self.seed.get(f"work_pools/{pool}")
            rows = await self.seed.post(f"work_pools/{pool}/workers/filter")
            return row["status"] == status and [worker["status"] for worker in rows] == list(workers)

        return look

    def queue_is(self, pool: str, queue: str, **values: Any) -> Condition:
        async def look() -> bool:
            row = await self.seed.get(f"work_pools/{pool}/queues/{queue}")
            return all(row[name] == value for name, value in values.items())

        return look

    def holds_slot(self, run: Row, path: str) -> Condition:
        """Whether all slots of a pool or queue are taken, one of them by this run."""

        async def look() -> bool:
            row = await self.seed.post(f"{path}/concurrency_status")
            queues = row.get("queues", [row])
            held = {holder["id"] for queue in queues for holder in queue["flow_runs"]}
            return row["active_slots"] >= row["concurrency_limit"] and run["id"] in held

        return look

    def logged(self, run: Row, words: str) -> Condition:
        async def look() -> bool:
            wanted = {"flow_run_id": {"any_": [run["id"]]}}
            return any(
                words in row["message"] for row in await self.seed.post("logs/filter", {"logs": wanted})
            )

        return look

    def happened(self, resource: str, event: str) -> Condition:
        """Whether there is such an event of, or related to, `prefect.flow-run.<id>` and the like."""

        async def look() -> bool:
            wanted = {"any_resource": {"id": [resource]}, "event": {"name": [event]}}
            page = await self.seed.post("events/filter", {"filter": wanted})
            return bool(page["events"])

        return look


def every(*conditions: Condition) -> Condition:
    async def look() -> bool:
        return all([await condition() for condition in conditions])

    return look


def no(condition: Condition) -> Condition:
    async def look() -> bool:
        return not await condition()

    return look


async def eventually(condition: Condition) -> None:
    await until(condition, within=PATIENCE_SECONDS, every=LOOK_EACH_SECONDS)


@asynccontextmanager
async def troubled_workspace(folder: Path) -> AsyncIterator[tuple[World, str]]:
    """A server of its own with one worker, and its API URL; every process ends with it."""
    shutil.copy(FLOWS, folder)
    with prefect_server(folder, **SERVER_CLOCKS) as url:
        processes = Processes(folder, url)
        try:
            async with httpx.AsyncClient(base_url=f"{url}/", **GENTLE) as http:
                world = World(Seed(http), processes, folder)
                await world.seed.post("work_pools/", {"name": world.pool, "type": "process"})
                await world.start_worker(world.pool)
                yield world, url
        finally:
            processes.end()
