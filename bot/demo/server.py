"""A real Prefect server for the demo, with sample deployments and a worker, apart from the user's own."""

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.demo.child import Surroundings, clean_environment, supervised
from bot.demo.folder import DemoFolder, claimed
from knowledge.errors import BadInput, Unreachable

# A start takes 12 s on two cores, a third of it database migrations; a busy laptop needs several times that.
START_SECONDS = 180.0
LOG_LINES = 8
HERE = Path(__file__).parent

# Names as `prefect config view --show-defaults` of 3.8.8 lists them.
SETTINGS = {
    # Nothing about the demo is told to anybody.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_CLI_PROMPT": "false",
    # Prefect waits 10 s between polls and calls a run late after 15 s; nobody watching a demo does.
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "5",
}


class DemoPrefect:
    """`async with DemoPrefect(data_folder, print) as demo`: up and deployed inside, gone without trace after.

    `log` is given a sentence now and then. Entering raises BadInput when Prefect is not installed or the
    folder is in use, Unreachable when the server does not come up.
    """

    def __init__(self, folder: Path, log: Callable[[str], None]) -> None:
        self._root = folder.absolute() / "demo" / "prefect"
        self._log = log
        self._stack = AsyncExitStack()
        self.api_url = ""
        self.ui_url = ""
        self.deployments: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        prefect = find_prefect()
        async with AsyncExitStack() as stack:
            folder = await stack.enter_async_context(claimed(self._root))
            await self._start(stack, folder, prefect)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack, folder: DemoFolder, prefect: Path) -> None:
        """Start the server and, beside it, the script that deploys once it answers; then the worker."""
        began = time.monotonic()
        port = free_port()
        self.ui_url = f"http://127.0.0.1:{port}"
        self.api_url = f"{self.ui_url}/api"
        self._log(f"Starting a Prefect server of its own on {self.ui_url} …")
        around = Surroundings(environment(folder, self.api_url), folder.work, folder.lock)
        server = await stack.enter_async_context(
            supervised(server_command(port, prefect), folder.log("server"), around)
        )
        self.deployments = await deploy(folder, around, server)
        await stack.enter_async_context(supervised(WORKER_COMMAND, folder.log("worker"), around))
        seconds = time.monotonic() - began
        self._log(
            f"{len(self.deployments)} deployments are ready after {seconds:.0f} s; a worker is starting."
        )


def find_prefect() -> Path:
    """The folder of the installed prefect package, found without importing it."""
    spec = importlib.util.find_spec("prefect")
    if spec is None or spec.origin is None:
        raise BadInput(
            "The demo needs Prefect, which is not installed.", "Run: pip install 'ask-marvin[demo]'"
        )
    return Path(spec.origin).parent


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def environment(folder: DemoFolder, api_url: str) -> dict[str, str]:
    """All that the children know: where this server is, and nothing of any other."""
    ours = {
        "PREFECT_HOME": str(folder.home),
        "PREFECT_API_URL": api_url,
        "PREFECT_UI_STATIC_DIRECTORY": str(folder.ui),
    }
    return clean_environment(folder.home, os.environ) | SETTINGS | ours


WORKER_COMMAND = (
    *(sys.executable, "-m", "prefect", "worker", "start"),
    *("--name", "demo-worker", "--pool", "local-process", "--type", "process", "--limit", "4"),
)


# Collecting a left-over SQLite cursor makes the server's only thread wait for the lock of its connection, and
# with it whoever holds that lock: on a busy machine each standstill lasts 60 s. Left alone, the server grows
# by less than 100 MB an hour, which a demo or a test does not live to see.
SERVER = "import gc; gc.disable(); from prefect.cli import app; app()"


def server_command(port: int, prefect: Path) -> tuple[str, ...]:
    """`prefect server start`, with its UI where the package brings one."""
    has_ui = (prefect / "server" / "ui" / "index.html").exists()
    start = (sys.executable, "-c", SERVER, "server", "start", "--host", "127.0.0.1", "--port", str(port))
    return (*start, "--ui" if has_ui else "--no-ui")


async def deploy(folder: DemoFolder, around: Surroundings, server: Process) -> tuple[str, ...]:
    """Run `deploy.py` to its end; returns the names of the deployments."""
    code = folder.code / "flows.py"
    result = folder.root / "deployments.json"
    shutil.copyfile(HERE / "flows.py", code)
    # -P: the script's own folder must not shadow anybody's module.
    command = (sys.executable, "-P", str(HERE / "deploy.py"), str(code), str(result))
    async with supervised(command, folder.log("deploy"), around) as script:
        await first_to_end(script, server)
        if server.returncode is not None:
            raise failure("The demo's Prefect server ended before it was ready.", folder.log("server"))
        if script.returncode is None:
            raise failure(
                f"The demo's Prefect server was not ready within {START_SECONDS:.0f} s.", folder.log("server")
            )
        if script.returncode != 0:
            raise failure("The sample flows could not be deployed.", folder.log("deploy"))
    return tuple(json.loads(result.read_text()))


async def first_to_end(*processes: Process) -> None:
    """Wait until one of the processes has ended, at most START_SECONDS."""
    waits = [asyncio.create_task(process.wait()) for process in processes]
    try:
        await asyncio.wait(waits, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def failure(message: str, log: Path) -> Unreachable:
    """The error that shows where to look and what stands there last."""
    lines = log.read_text(errors="replace").strip().splitlines()[-LOG_LINES:]
    return Unreachable(message, f"Its log is {log}; it ends with:\n" + "\n".join(lines))
