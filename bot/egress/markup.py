"""Where a construct of Markdown ends in a window of text, and how text is written to stay harmless."""

import re

ZERO_WIDTH = "\u200b"

_BROADCAST = re.compile(r"@(?=(?:here|channel|everyone)\b)", re.IGNORECASE)


def may_be_special(line: str) -> bool:
    """Whether the line, as far as it is known, can still turn out to be a fence or the verdict."""
    bare = line.lstrip(" \t")
    if not bare:
        return not line.endswith("\n")
    if bare[0] in "`~" and (set(bare[:3].rstrip("\n")) <= {bare[0]}):
        return True
    word = bare.lstrip("*_` ").upper()
    return "VERDICT".startswith(word[:7].rstrip("\n")) if len(word) < 7 else word.startswith("VERDICT")


def closing_run(content: str, run: int) -> int | None:
    """Where a run of exactly `run` backticks closes the span."""
    for match in re.finditer(r"`+", content):
        if len(match[0]) == run:
            return match.start()
    return None


def closing_bracket(window: str) -> int | None:
    """Where the bracket that opens `window` closes, on the same line; brackets may nest."""
    return _closing(window, 0, "[", "]")


def closing_parenthesis(window: str, opening: int) -> int | None:
    return _closing(window, opening, "(", ")")


def _closing(window: str, start: int, opens: str, closes: str) -> int | None:
    depth = 0
    for index in range(start, len(window)):
        character = window[index]
        if character == "\n":
            return None
        depth += (character == opens) - (character == closes)
        if depth == 0:
            return index
    return None


def at_margin(line: str) -> str:
    """The line of a fence at the margin, where it ends any list or quote for every reader."""
    return line.lstrip(" \t")


def as_code(text: str) -> str:
    return f"`{defused(text).replace('`', '')}`"


def defused(text: str) -> str:
    """Keep mention tokens and broadcasts from notifying anybody; what is seen stays the same."""
    return _BROADCAST.sub("@" + ZERO_WIDTH, re.sub(r"(<|&lt;)(?=[!@#]|$)", r"\1" + ZERO_WIDTH, text))
