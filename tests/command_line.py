"""The command line, as a process of its own or, where that makes no difference, within this one."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from bot.cli import run
from tests.prefect_server import is_foreign

TIMEOUT_S = 90


class Cli:
    """Runs commands with a data folder and an environment of their own."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._folder = folder
        machine = {name: value for name, value in os.environ.items() if not is_foreign(name)}
        self.environ = {**machine, "ASK_MARVIN_HOME": str(home), "HOME": str(folder), "COLUMNS": "200"}
        self.environ["PREFECT_HOME"] = str(folder / "prefect")

    def here(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """In this process, for tests that are not async: `python -m bot` takes two seconds to be there."""
        output, errors = io.StringIO(), io.StringIO()
        with logging_as_before(), redirect_stdout(output), redirect_stderr(errors):
            status = run(arguments, {**self.environ, **variables})
        return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bot", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=self._folder,
            env={**self.environ, **variables},
        )

    def json(self, *arguments: str, status: int = 0, **variables: str) -> Any:
        done = self.here(*arguments, "--json", **variables)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)


@contextmanager
def logging_as_before() -> Iterator[None]:
    """A command says where its log goes; afterwards it goes where it went before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
