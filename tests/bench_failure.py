"""How long it takes, and how much is read, to diagnose failed runs with very long logs, on a real server.

    python -m tests.bench_failure [--lines 200000]

Starts a server of its own. To hold: under 2 s, under 1 MB, at most 15 requests.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests import tracebacks
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to, prefect_server
from tools.diagnosis.diagnosis import Diagnosis
from tools.prefect_client import PrefectClient

LINES = 200_000
BATCH = 1_000
MAX_BATCH_CHARS = 2_000_000
ROUNDS = 5
INFO, ERROR = 20, 40
SAID = (
    "Flow run encountered an exception: ValueError: column 'customer_id' is missing in orders for 2026-03-01"
)
REPORT = tracebacks.TASK_FAILED.replace(
    "Task run failed with exception", "Encountered exception during execution"
)


def plain(number: int, lines: int) -> tuple[int, str]:
    return (ERROR, REPORT) if number == lines - 2 else (INFO, f"row {number} loaded")


def noisy(number: int, lines: int) -> tuple[int, str]:
    """Every second line is an ERROR with a traceback, the right one among the last."""
    if number == lines - 5:
        return ERROR, REPORT
    return (ERROR, tracebacks.IMPORT_FAILED) if number % 2 else (INFO, f"row {number} loaded")


def huge(number: int, lines: int) -> tuple[int, str]:
    """Two hundred tracebacks of 100 kB at the end."""
    large = REPORT.replace("Traceback", f"{'x' * 100_000}\nTraceback", 1)
    return (ERROR, large) if number >= lines - 200 else (INFO, f"row {number} loaded")


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=LINES)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ask-marvin-bench-") as folder,
        prefect_server(Path(folder)) as url,
    ):
        async with httpx.AsyncClient(base_url=f"{url}/", timeout=120, trust_env=False) as http:
            seed = Seed(http)
            deployment = await seed.deployment(pool=await seed.pool())
            for _ in range(150):
                await fail(seed, await seed.run(deployment))
            for name, line, share in (("plain", plain, 1), ("noisy", noisy, 5), ("huge", huge, 100)):
                run = await seed.run(deployment)
                lines = options.lines // share
                await write(http, run, lines, line)
                await fail(seed, run)
                await measure(url, run, f"{name}: {lines:,} lines")


async def fail(seed: Seed, run: dict[str, Any]) -> None:
    await seed.state(run, "RUNNING")
    await seed.state(run, "FAILED", message=SAID)


async def write(
    http: httpx.AsyncClient, run: dict[str, Any], lines: int, line: Callable[[int, int], tuple[int, str]]
) -> None:
    first = datetime.now(UTC) - timedelta(milliseconds=lines)
    rows: list[dict[str, Any]] = []
    size = 0
    for number in range(lines):
        level, message = line(number, lines)
        at = (first + timedelta(milliseconds=number)).isoformat()
        row = {"flow_run_id": run["id"], "level": level, "message": message, "timestamp": at}
        rows.append({**row, "name": "prefect.flow_runs"})
        size += len(message)
        if size > MAX_BATCH_CHARS or len(rows) == BATCH or number == lines - 1:
            (await http.post("logs/", json=rows)).raise_for_status()
            rows, size = [], 0


async def measure(url: str, run: dict[str, Any], name: str) -> None:
    times = []
    async with counting(url) as (counted_url, passed), PrefectClient(connection_to(counted_url)) as prefect:
        for _ in range(ROUNDS):
            passed.clear()
            begun = time.perf_counter()
            diagnosis = await Diagnosis(prefect).diagnose_flow_run(run["id"])
            times.append(time.perf_counter() - begun)
    assert "customer_id" in diagnosis.verdict, diagnosis.verdict
    print(
        f"{name:28} median {sorted(times)[ROUNDS // 2] * 1000:4.0f} ms, slowest {max(times) * 1000:4.0f} ms, "
        f"{passed['requests']} requests, {passed['bytes'] / 1000:.0f} kB",
        flush=True,
    )


@asynccontextmanager
async def counting(url: str) -> AsyncIterator[tuple[str, Counter[str]]]:
    """The address of a forwarder that counts what the server sends, as it is on the wire."""
    passed: Counter[str] = Counter()
    address = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(address.hostname, address.port)
        try:
            await asyncio.gather(pump(reader, to_there, "asked"), pump(there, writer, "bytes"))
        finally:
            writer.close()
            to_there.close()

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, what: str) -> None:
        with suppress(ConnectionError):
            while part := await source.read(16_384):
                passed[what] += len(part)
                passed["requests"] += what == "asked" and part.startswith((b"GET", b"POST"))
                target.write(part)
                await target.drain()
        with suppress(ConnectionError):
            target.close()

    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(
        lambda reader, writer: tasks.add(asyncio.create_task(serve(reader, writer))), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}{address.path}", passed
    finally:
        server.close()
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())
