"""How long a diagnosis takes and how many requests it makes, in a workspace with 10,000 runs.

    make bench, or: python -m tests.bench_diagnosis

The runs are copied inside the server's own database: over the API alone they would take many minutes.
"""

import asyncio
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.bench import tell
from tests.diagnosing import LATE, a_pool_at_work, holding
from tests.fakes.prefect_between import between
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to, prefect_server
from tools.diagnosis.diagnosis import Diagnosis
from tools.prefect_client import PrefectClient

RUNS = 10_000
POOLS = 20
DEPLOYMENTS_A_POOL = 5
REPEATS = 7
# Of ten runs so many are overdue and so many are scheduled for later; the rest has ended.
OVERDUE, LATER = 4, 2


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bench-diagnosis-") as folder,
        prefect_server(Path(folder)) as url,
    ):
        asyncio.run(measure(url, Path(folder) / "prefect" / "prefect.db"))


async def measure(url: str, database: Path) -> None:
    async with httpx.AsyncClient(base_url=f"{url}/", timeout=70) as http:
        seed = Seed(http)
        pools = [await a_pool(seed, number) for number in range(POOLS)]
        deployments = [await seed.deployment(pool=pool) for pool in pools for _ in range(DEPLOYMENTS_A_POOL)]
        late = await seed.run(deployments[0], late_by=LATE)
        full = await a_pool_at_work(seed, concurrency_limit=1)
        busy = await seed.deployment(pool=full)
        running = await holding(seed, busy)
        waiting = await seed.run(busy, late_by=LATE)
    copy_runs(database, late["id"])
    async with PrefectClient(connection_to(url)) as client:
        tool = Diagnosis(client)
        for what, run in (
            ("a late run", late),
            ("a run without a slot", waiting),
            ("a run in progress", running),
        ):
            await report(what, url, tool, "diagnose_flow_run", {"flow_run": run["id"]}, "< 500 ms")
        await report(f"{RUNS:,} runs", url, tool, "diagnose_late_runs", {}, "< 2 s")


async def a_pool(seed: Seed, number: int) -> str:
    """A third is paused, a third has a worker that asks for nothing, a third has none."""
    pool = await seed.pool(is_paused=number % 3 == 0)
    if number % 3 == 1:
        await seed.worker(pool, interval=3600)
    return pool


async def report(
    what: str, url: str, tool: Diagnosis, method: str, arguments: dict[str, str], wanted: str
) -> None:
    taken = [await timed(lambda: getattr(tool, method)(**arguments)) for _ in range(REPEATS)]
    requests = await count(url, method, arguments)
    tell(what, f"{requests} requests", f"{statistics.median(taken) * 1000:.0f} ms", wanted)


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def count(url: str, method: str, arguments: dict[str, str]) -> int:
    async with between(url) as server, PrefectClient(connection_to(server.url)) as client:
        await getattr(Diagnosis(client), method)(**arguments)
        return len(server.requests)


def copy_runs(database: Path, like: str) -> None:
    """Copies one run with its state until there are RUNS, spread over all deployments of its kind."""
    with closing(sqlite3.connect(database, timeout=60)) as db:
        db.row_factory = sqlite3.Row
        run = dict(db.execute("SELECT * FROM flow_run WHERE id = ?", [like]).fetchone())
        state = dict(db.execute("SELECT * FROM flow_run_state WHERE id = ?", [run["state_id"]]).fetchone())
        deployments = db.execute("SELECT id, flow_id, work_queue_id FROM deployment").fetchall()
        for number in range(RUNS):
            deployment = dict(deployments[number % len(deployments)])
            insert(db, *one_run(number, run, state, deployment))
        db.commit()


def one_run(
    number: int, run: dict[str, Any], state: dict[str, Any], deployment: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    kind, now = number % 10, datetime.now(UTC)
    if kind < OVERDUE:
        type_, name, due = "SCHEDULED", "Late", now - timedelta(seconds=60 + 3 * number)
    elif kind < OVERDUE + LATER:
        type_, name, due = "SCHEDULED", "Scheduled", now + timedelta(hours=1, seconds=10 * number)
    else:
        type_, name, due = "COMPLETED", "Completed", now - timedelta(seconds=60 + 20 * number)
    id_, state_id, at = str(uuid.uuid4()), str(uuid.uuid4()), due.strftime("%Y-%m-%d %H:%M:%S.%f")
    of = {"deployment_id": deployment["id"], **{key: deployment[key] for key in ("flow_id", "work_queue_id")}}
    times = {"expected_start_time": at, "next_scheduled_start_time": at}
    row = {**run, **of, **times, "id": id_, "name": f"run-{number}", "idempotency_key": None}
    row |= {"state_id": state_id, "state_type": type_, "state_name": name}
    return row, {**state, "id": state_id, "flow_run_id": id_, "type": type_, "name": name}


def insert(db: sqlite3.Connection, run: dict[str, Any], state: dict[str, Any]) -> None:
    for table, row in (("flow_run", run), ("flow_run_state", state)):
        marks = ", ".join("?" * len(row))
        db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


if __name__ == "__main__":
    main()
