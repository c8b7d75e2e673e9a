"""What the exit code of a run's process or container says. Pure."""

import re
from dataclasses import dataclass
from typing import Literal

Ending = Literal[
    "killed", "out_of_memory", "terminated", "bad_memory_access", "aborted", "not_started", "exit"
]

# Both ways in which Prefect writes it: of a process, and of a container or job.
_CODE = re.compile(
    r"(?:exited with (?:an? )?(?:non-zero )?(?:status|exit) code:?|exit code:?)\s*(-?\d+)", re.IGNORECASE
)
_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
            11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU"}  # fmt: skip
_ENDINGS: dict[int, Ending] = {9: "killed", 15: "terminated", 11: "bad_memory_access", 7: "bad_memory_access",
                               4: "aborted", 6: "aborted", 8: "aborted"}  # fmt: skip
# A shell, and so a container, reports a signal as this plus its number.
SHELL_SIGNALS = 128
# Container runtimes: the container failed to run, the command is not executable, is not found.
NOT_STARTED = frozenset({125, 126, 127})
# Prefect's own code for a process that it ended for its use of memory.
HIGH_MEMORY = 247


@dataclass(frozen=True, slots=True)
class Exit:
    code: int
    ending: Ending
    signal: str = ""


def exit_of(message: str) -> Exit | None:
    """Reads a state message such as `Process exited with status code: -9. …`; None when it has no code."""
    found = _CODE.search(message)
    return meaning(int(found[1])) if found else None


def meaning(code: int) -> Exit:
    if code in NOT_STARTED:
        return Exit(code, "not_started")
    if code == HIGH_MEMORY:
        return Exit(code, "out_of_memory")
    number = -code if code < 0 else code - SHELL_SIGNALS
    signal = _SIGNALS.get(number, "")
    if not signal:
        return Exit(code, "exit")
    # A container's 137 is nearly always the kernel's or the runtime's limit; -9 may be anybody's kill.
    ending: Ending = "out_of_memory" if code == SHELL_SIGNALS + 9 else _ENDINGS.get(number, "terminated")
    return Exit(code, ending, signal)
