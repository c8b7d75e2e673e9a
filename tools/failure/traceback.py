"""Reads the text of a Python traceback (3.11 to 3.14), wherever in a log message it stands. Pure.

What stands in it is a user's text: only its form is trusted, and every part may be cut off.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

HEADER = "Traceback (most recent call last):"
CAUSE = "The above exception was the direct cause of the following exception:"
CONTEXT = "During handling of the above exception, another exception occurred:"

# Frames beyond these are in the middle of a recursion; the ends matter.
MAX_FRAMES = 400
# A group of hundreds says no more than its first parts.
MAX_PARTS = 20

Relation = Literal["first", "cause", "context"]


@dataclass(frozen=True, slots=True)
class CodeFrame:
    file: str
    line: int
    function: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception; `type` is empty where the text ends before it is named."""

    type: str
    """Without the module."""
    message: str
    frames: tuple[CodeFrame, ...] = ()
    relation: Relation = "first"
    """How it came from the one before: raised `from` it, or while that one was handled."""


@dataclass(frozen=True, slots=True)
class ParsedTraceback:
    chain: tuple[Raised, ...]
    """In the order in which they were raised; never empty."""
    parts: tuple[Raised, ...] = field(default=())
    """The innermost exceptions of an ExceptionGroup."""

    @property
    def last(self) -> Raised:
        return self.chain[-1]


def parse_traceback(text: str) -> ParsedTraceback | None:
    """The first traceback in a log message; None when there is none."""
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if _opens(line)), None)
    if start is None:
        return None
    trunk, parts = _branches(lines[start:])
    chain = tuple(_chain(trunk))
    if not chain:
        return None
    ends = [raised for part in parts[:MAX_PARTS] for raised in list(_chain(part))[-1:]]
    return ParsedTraceback(chain, tuple(end for end in ends if end.type and not _is_group(end)))


def _opens(line: str) -> bool:
    """The header, that of a group, or a frame of a text whose beginning was cut off."""
    return line.lstrip(" |+") in (HEADER, f"Exception Group {HEADER}") or bool(_FRAME.match(line))


# -- groups: `  | ` before every line, two spaces deeper for each level, `+-+----- 1 -----` between parts --

_RULE = re.compile(r"^(?P<margin> *)\+(?:-\+)?-{4,}(?: (?P<number>\d+|\.\.\.) -{4,})?$")
_MARGIN = re.compile(r"^(?P<margin> *)[|+] ?(?P<rest>.*)$")


def _branches(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The lines of the whole exception, and those of each part of a group at any depth."""
    trunk: list[str] = []
    parts: list[list[str]] = []
    trunk_margin: int | None = None
    branch = trunk
    for line in lines:
        if trunk_margin is not None and (rule := _RULE.match(line)):
            branch = []
            if rule["number"]:
                parts.append(branch)
            continue
        framed = _MARGIN.match(line) if trunk_margin is not None or _is_group_header(line) else None
        if framed is None:
            branch = trunk
        elif trunk_margin is None:
            trunk_margin = len(framed["margin"])
        elif len(framed["margin"]) <= trunk_margin:
            branch = trunk
        branch.append(framed["rest"] if framed else line)
    return trunk, parts


def _is_group_header(line: str) -> bool:
    return line.rstrip().endswith(f"+ Exception Group {HEADER}")


def _is_group(raised: Raised) -> bool:
    return raised.type.endswith("ExceptionGroup")


# -- one chain of exceptions --


def _chain(lines: Sequence[str]) -> Iterator[Raised]:
    relation: Relation = "first"
    block: list[str] = []
    for line in lines:
        if (said := line.strip()) in (CAUSE, CONTEXT):
            yield from _raised(block, relation)
            block, relation = [], "cause" if said == CAUSE else "context"
        else:
            block.append(line)
    yield from _raised(block, relation)


_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_ENDS = re.compile(r"^(?P<type>[A-Za-z_][\w.<>]*(?:\[[\w., ]+\])?)(?:: ?(?P<message>.*))?$")
_REPEATED = re.compile(r"^\s*\[Previous line repeated \d+ more times?\]$")
_MARKERS = frozenset(" ^~")


def _raised(block: Sequence[str], relation: Relation) -> Iterator[Raised]:
    """The one exception of a block: frames, then its name, then the rest of its message."""
    frames: list[CodeFrame] = []
    source: list[str] = []
    end = len(block)
    for number, line in enumerate(block):
        if found := _FRAME.match(line):
            _close(frames, source)
            frames.append(_frame(found))
        elif frames and (line.startswith("    ") or _REPEATED.match(line)):
            source.append(line)
        elif line.strip() and not line.lstrip().endswith(HEADER):
            end = number
            break
    _close(frames, source)
    named = _ENDS.match(block[end].rstrip()) if end < len(block) else None
    if named is None and not frames:
        return
    kept = (*frames[: MAX_FRAMES // 2], *frames[MAX_FRAMES // 2 :][-MAX_FRAMES // 2 :])
    if named is None:
        yield Raised("", "", kept, relation)
        return
    message = "\n".join([named["message"] or "", *block[end + 1 :]]).strip()
    yield Raised(named["type"].rpartition(".")[2], message, kept, relation)


def _frame(found: re.Match[str]) -> CodeFrame:
    return CodeFrame(found["file"], int(found["line"]), found["function"] or "<module>")


def _close(frames: list[CodeFrame], source: list[str]) -> None:
    """Gives the last frame its line of code: the one that is marked, else the first."""
    if source:
        marked = next((at for at, line in enumerate(source) if at and set(line) <= _MARKERS), 1)
        last = frames[-1]
        frames[-1] = CodeFrame(last.file, last.line, last.function, source[marked - 1].strip())
        source.clear()
