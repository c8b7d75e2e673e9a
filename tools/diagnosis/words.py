"""How causes name things."""

import shlex
from collections.abc import Sequence

from tools.models import FlowRun

MAX_NAMED = 3


def listed(names: Sequence[str]) -> str:
    """`'a', 'b', 'c' and 4 more`."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:MAX_NAMED]) + more


def counted(number: int, thing: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def runs_named(runs: Sequence[FlowRun]) -> str:
    """`2 runs ('a', 'b')`."""
    return f"{counted(len(runs), 'run')} ({listed([run.name for run in runs])})"


def shell(*words: str) -> str:
    """A command to copy, quoted as a shell needs it."""
    return f"`{shlex.join(words)}`"
