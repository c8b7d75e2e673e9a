"""Real workers and served flows, as processes that never outlive the test."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.prefect_server import clean_environment

# Prefect's own are 30, 10 and 10 s; a look at a worker that is gone should not take two minutes.
CLOCKS = {
    "PREFECT_WORKER_HEARTBEAT_SECONDS": "5",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_RUNNER_POLL_FREQUENCY": "2",
    # The least that Prefect takes.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}
END_SECONDS = 20.0


class Processes:
    """What was started in `folder` against the server at `url`; `end()` ends all of it."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._environment = {**clean_environment(folder), **CLOCKS, "PREFECT_API_URL": url}
        self._running: list[subprocess.Popen[bytes]] = []
        self._left_behind: dict[int, str] = {}
        """Commands by pid, of what ended processes had started."""

    def worker(self, pool: str, name: str, *flags: str) -> subprocess.Popen[bytes]:
        return self.python(
            "-m", "prefect", "worker", "start", "--pool", pool, "--name", name, *flags, log=name
        )

    def python(self, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{log}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """As an operator does; a `flow.serve()` has the time to pause its deployments."""
        self._left_behind |= _descendants(process.pid)
        process.terminate()
        process.wait(END_SECONDS)

    def lose(self, process: subprocess.Popen[bytes]) -> None:
        """As when its machine goes down: it and the runs that it carries out, without a word to anybody."""
        # It must not start another run between the look at its children and its end.
        process.send_signal(signal.SIGSTOP)
        children = _descendants(process.pid)
        process.kill()
        process.wait(END_SECONDS)
        _kill(children)

    def end(self) -> None:
        for process in self._running:
            if process.poll() is None:
                self.lose(process)
        _kill(self._left_behind)


def _kill(commands: Mapping[int, str]) -> None:
    for pid, _parent, command in _table():
        # The same pid may be somebody else's by now.
        if commands.get(pid) == command:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _table() -> list[tuple[int, int, str]]:
    """Every process as (pid, parent, command)."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    )
    rows = (line.split(maxsplit=2) for line in listing.stdout.splitlines())
    return [(int(row[0]), int(row[1]), row[2] if len(row) > 2 else "") for row in rows]


def _descendants(pid: int) -> dict[int, str]:
    """Commands by pid. A flow run has a session of its own, so the process group does not tell."""
    children = defaultdict(list)
    for child, parent, command in _table():
        children[parent].append((child, command))
    found: dict[int, str] = {}
    look = [pid]
    while look:
        new = dict(children[look.pop()])
        found |= new
        look.extend(new)
    return found
