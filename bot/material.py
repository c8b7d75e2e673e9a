"""What is piped into `ask` beside the question: `cat traceback.txt | ask-marvin ask "what is this?"`."""

import os
import select
import stat
import sys
import time

from rich.console import Console

# Far more than any model's window takes; of a whole log it is better to pipe the end (`tail`).
MAX_MATERIAL_BYTES = 200_000
# A program that writes has begun by now; one that does not may keep the pipe open for ever.
FIRST_BYTE_WITHIN_S = 0.5
# Whoever pipes what has no end (`tail -f`) gets an answer about its beginning.
WHOLE_WITHIN_S = 30.0
CHUNK = 65_536


def read_material(given: str | None) -> str:
    """The text on stdin, where the question is an argument; empty where nobody pipes anything.

    Says on stderr when a part, or all, of it was not read.
    """
    if given is None or given == "-" or sys.stdin.isatty():
        return ""
    try:
        source = sys.stdin.fileno()
        kind = os.fstat(source).st_mode
    except (OSError, ValueError):  # There is none at all.
        return ""
    if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        return ""
    read = _read(source)
    if read is None:
        _tell(f"nothing came through stdin within {FIRST_BYTE_WITHIN_S} s, so it is not read.")
        return ""
    if len(read) > MAX_MATERIAL_BYTES:
        _tell(f"of what came through stdin the first {MAX_MATERIAL_BYTES:,} bytes are read.")
    return read[:MAX_MATERIAL_BYTES].decode("utf-8", errors="replace").replace("\0", "").strip()


def _read(source: int) -> bytes | None:
    """One byte more than is allowed shows that there is more; None where nobody writes."""
    if not _is_ready(source, FIRST_BYTE_WITHIN_S):
        return None
    read, until = b"", time.monotonic() + WHOLE_WITHIN_S
    while len(read) <= MAX_MATERIAL_BYTES and _is_ready(source, until - time.monotonic()):
        chunk = os.read(source, CHUNK)
        if not chunk:
            break
        read += chunk
    return read


def _is_ready(source: int, within_s: float) -> bool:
    return bool(select.select([source], [], [], max(within_s, 0.0))[0])


def _tell(message: str) -> None:
    Console(stderr=True, highlight=False).print(f"ask-marvin: {message}", soft_wrap=True, markup=False)
