"""The demo's own folder below the data folder: claimed by one demo at a time, empty at each start."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from knowledge.errors import BadInput

# Says that the folder was made by the demo and may be emptied.
MARKER = ".made-by-ask-marvin-demo"
# The children of a demo that was killed hold its lock until they are gone, a few seconds later.
CLAIM_SECONDS = 10.0
CLAIM_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class DemoFolder:
    """Where the demo's server keeps everything. `lock` is the open file that claims it."""

    root: Path
    lock: int

    @property
    def home(self) -> Path:
        """PREFECT_HOME: the database and nothing of the caller's."""
        return self.root / "home"

    @property
    def code(self) -> Path:
        """Where the deployments fetch their flow code from."""
        return self.root / "code"

    @property
    def work(self) -> Path:
        """The children's working folder; empty, so that no settings file is found in it."""
        return self.root / "work"

    @property
    def ui(self) -> Path:
        """The server's copy of its UI; without it the server writes into its own package."""
        return self.root / "ui"

    def log(self, name: str) -> Path:
        """The file that a child's output goes to."""
        return self.root / f"{name}.log"


@asynccontextmanager
async def claimed(root: Path, *, patience: float = CLAIM_SECONDS) -> AsyncIterator[DemoFolder]:
    """Claim and empty `root`; waits `patience` seconds for an earlier demo to end.

    Raises BadInput when another demo uses it, or when it holds what no demo put there.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(root.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await acquire(lock, root, patience)
        empty(root)
        folder = DemoFolder(root, lock)
        for part in (folder.home, folder.code, folder.work, folder.ui):
            part.mkdir()
        yield folder
    finally:
        os.close(lock)


async def acquire(lock: int, root: Path, patience: float) -> None:
    """Wait for the lock; the kernel frees it when its last holder has ended."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() > until:
                raise BadInput(
                    f"Another demo is running in {root}.",
                    "Stop it, or set ASK_MARVIN_HOME to another folder.",
                ) from None
            await asyncio.sleep(CLAIM_POLL_SECONDS)
        else:
            return


def empty(root: Path) -> None:
    """Leave `root` as a new folder of ours. Whatever the demo did not make is never deleted."""
    if root.exists() and any(root.iterdir()):
        if not (root / MARKER).exists():
            raise BadInput(
                f"{root} holds files that the demo did not make.",
                "Move them away, or set ASK_MARVIN_HOME to another folder.",
            )
        shutil.rmtree(root)
    root.mkdir(exist_ok=True)
    (root / MARKER).touch()
