"""Run one command and end it, with all that it started, as soon as whoever started us is gone.

    python -I -S supervisor.py PARENT_ID COMMAND [ARGUMENT ...]

A worker starts every flow run in a session of its own, so neither a signal to its process group nor a
parent-death signal reaches them. This process therefore stands above the whole tree: its stdin is a pipe
that the parent never writes to, and the kernel closes that pipe however the parent ends, SIGKILL included.
It runs as a file, with the standard library alone, to start in milliseconds and to have one thread.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

# How often the command and the parent are looked at; an idle look costs microseconds.
POLL_SECONDS = 0.2
# A Prefect server needs 0.3 s to end in order; a worker may never end by itself.
GRACE_SECONDS = 3.0
# After SIGKILL only the kernel is left to wait for.
KILL_SECONDS = 5.0
# <linux/prctl.h>: orphans below us become our children, not those of process 1.
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Keep the tree together when a process in its middle dies. Only Linux has this."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents() -> dict[int, int]:
    """Every process id with its parent's, from /proc, or from ps where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return dict(pair for stat in Path("/proc").glob("[0-9]*/stat") if (pair := read_stat(stat)))
    with subprocess.Popen(["/bin/ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as ps:
        pairs = [line.split() for line in ps.communicate()[0].splitlines()]
    return {int(pid): int(parent) for pid, parent in pairs if int(pid) != ps.pid}


def read_stat(stat: Path) -> tuple[int, int] | None:
    """Process id and parent's id of one /proc/<pid>/stat; None when the process has just ended."""
    try:
        text = stat.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # pid (name) state ppid …, and a name may hold spaces and brackets.
    return int(stat.parent.name), int(text.rpartition(")")[2].split()[1])


def descendants() -> set[int]:
    """The process ids of everything below this process."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(below)
        waiting += below
    return found


def send(pids: set[int], number: signal.Signals) -> None:
    """Signal every process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def reap() -> dict[int, int]:
    """Collect what has ended: process id → exit status as `os.waitpid` gives it."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def parent_is_gone(parent: int) -> bool:
    """Wait one poll for the pipe to close; a changed parent says the same if somebody inherited the pipe."""
    readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
    return bool(readable) or os.getppid() != parent


def end_all() -> None:
    """End every descendant: asked first, then forced."""
    asked = descendants()
    send(asked, signal.SIGTERM)
    forced_from = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < forced_from + KILL_SECONDS:
        reap()
        left = descendants()
        if not left:
            break
        if time.monotonic() > forced_from:
            send(left, signal.SIGKILL)
        time.sleep(POLL_SECONDS / 4)
    # Without a subreaper orphans go to process 1; those that were in our tree are known by their ids.
    send({pid for pid, parent in parents().items() if parent == 1 and pid in asked}, signal.SIGKILL)


def main(parent: int, command: list[str]) -> int:
    """Run the command to its end or ours; returns its exit code, or 1 when it was ended."""
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    adopt_orphans()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    code = 1
    while not stopping and not parent_is_gone(parent):
        ended = reap()
        if child.pid in ended:
            code = os.waitstatus_to_exitcode(ended[child.pid])
            break
    end_all()
    return abs(code)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
