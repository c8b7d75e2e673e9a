"""A real Prefect server for the tests, apart from anything that the machine has of Prefect."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bot.demo.server import SERVER, free_port
from tools.connection import PrefectConnection, resolve_connection

# 10 s on two idle cores, a third of it database migrations; a busy machine needs several times that.
START_SECONDS = 100.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.2

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_CLI_COLORS": "false",
    # Service clocks, so that no test has to wait for what takes a server a minute.
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.2",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "2",
}
FOREIGN = ("PREFECT_", "SLACK_", "OPENAI_", "ASK_MARVIN_", "CHROMA_")
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"})


def is_foreign(name: str) -> bool:
    """Whether a variable of the caller could lead a test to somebody's real server."""
    return name.startswith(FOREIGN) or name == "DATABASE_URL" or name.lower() in PROXIES


def clean_environment(folder: Path) -> dict[str, str]:
    """The machine's environment without what leads elsewhere; home and PREFECT_HOME are in `folder`."""
    machine = {name: value for name, value in os.environ.items() if not is_foreign(name)}
    return {**machine, **SETTINGS, "HOME": str(folder), "PREFECT_HOME": str(folder / "prefect")}


@contextmanager
def prefect_server(folder: Path, **settings: str) -> Iterator[str]:
    """A server on a free loopback port with its database in `folder`; gives its API URL, ends it after."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-c", SERVER, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--no-ui"],
            env={**clean_environment(folder), **settings},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_healthy(url, process, log)
            yield url
        finally:
            _end(process)


def connection_to(url: str, **variables: str) -> PrefectConnection:
    """What a user's environment with these variables gives."""
    connection = resolve_connection({"PREFECT_API_URL": url, **variables}, Path("/nowhere"))
    assert connection is not None
    return connection


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False, timeout=5) as http:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                if http.get(f"{url}/health").is_success:
                    return
            except httpx.TransportError:
                time.sleep(POLL_SECONDS)
    raise AssertionError(f"the Prefect server did not start:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
