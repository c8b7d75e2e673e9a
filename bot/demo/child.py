"""A child process that cannot outlive this one, together with all that it starts in turn."""

import asyncio
import os
import signal
import site
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SUPERVISOR = Path(__file__).with_name("supervisor.py")
# The supervisor ends what it started within 8 s, SIGKILL included.
STOP_SECONDS = 12.0
# What a program needs to find itself, its libraries and its language. All else stays with the caller:
# settings, tokens and proxies of every kind, those not known today as well.
KEPT_VARIABLES = (
    *("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ"),
)


def clean_environment(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for a child that must not know who started it; `home` becomes its HOME and TMPDIR."""
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    # What `pip install --user` put below the real HOME is looked for there only when told so.
    return kept | {"HOME": str(home), "TMPDIR": str(home), "PYTHONUSERBASE": site.getuserbase()}


@dataclass(frozen=True)
class Surroundings:
    """What the children share: variables, working folder, and the lock that each of them holds on to."""

    environment: Mapping[str, str]
    folder: Path
    lock: int


@asynccontextmanager
async def supervised(
    command: Sequence[str], output: Path, around: Surroundings
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `command`, its output in the file `output`; on leaving, it and its descendants are ended.

    They are ended as well when this process dies, in whatever way (see `supervisor.py`).
    """
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(SUPERVISOR), str(os.getpid()), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            cwd=around.folder,
            env=dict(around.environment),
            # Ctrl-C in the terminal is for this process alone, which then ends its children in order.
            start_new_session=True,
            pass_fds=(around.lock,),
        )
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """Let the supervisor see that nobody needs it any more, and wait until its tree is gone."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
