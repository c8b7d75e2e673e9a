"""Since which version something has been there, where an answer rests on it: older servers do not have it."""

import re
from collections.abc import Mapping

from knowledge.symbols.table import Symbols

# More would be a list of news and no remark.
MAX_NAMED = 3


def came_with(symbols: Symbols | None, text: str) -> dict[str, str]:
    """Which of the names in the text came with a release of the present major version: name → `3.4`."""
    if symbols is None:
        return {}
    found = {name: version for name, version in symbols.first_seen.items() if _names(text, name)}
    return dict(list(found.items())[:MAX_NAMED])


def since(came: Mapping[str, str]) -> str:
    """One sentence; empty where there is nothing to say."""
    named = ", ".join(f"`{name}` since Prefect {version}" for name, version in came.items())
    return f"By the release notes: {named}." if named else ""


def _names(text: str, name: str) -> bool:
    """Whether the name stands in the text as a whole; a flag belongs to its command on the same line."""
    command, _, flag = name.partition(" --")
    if command not in text:  # True of nearly all, and a pattern takes a hundred times as long to find out.
        return False
    rest = rf"[^\n`]*\s--{re.escape(flag)}" if flag else ""
    return re.search(rf"(?<![\w.-]){re.escape(command)}{rest}(?![\w-])", text) is not None
