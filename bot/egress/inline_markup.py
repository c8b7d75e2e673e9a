"""What construct of Markdown stands at a place of a text that is still growing. Pure.

Each function gives None while that is not decided and more text may come (`final` is false); what is
longer than its bound is not that construct.
"""

import re
from dataclasses import dataclass

from bot.egress.links import is_address
from bot.egress.markup import closing_bracket, closing_parenthesis, closing_run

# Bounds on what is held back; what is longer is not that construct, and flows on as text.
MAX_LINK = 2000
MAX_SPAN = 1000
MAX_WORD = 4000

CITATION = re.compile(r"\[\s*\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\s*\]")
_PLAIN_BRACKET = re.compile(r"\[[^\\`<\[\]]*\]")
_AUTOLINK = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:[^\s<>|]*)(?:\|([^<>\n]*))?>\Z")
_TICKS = re.compile(r"`{1,200}")
_SPECIAL = frozenset("\\`[!<\n \t")


@dataclass(frozen=True, slots=True)
class CodeSpan:
    ticks: str
    inner: str | None
    """None for a run of backticks that does not close."""

    @property
    def length(self) -> int:
        return len(self.ticks) if self.inner is None else 2 * len(self.ticks) + len(self.inner)


def code_span(text: str, at: int, *, in_table: bool, final: bool) -> CodeSpan | None:
    ticks = _TICKS.match(text, at)
    assert ticks is not None
    run = len(ticks[0])
    if ticks.end() == len(text) and not final:
        return None
    window = text[ticks.end() : ticks.end() + MAX_SPAN]
    # In a table row a bar ends the cell, whatever it stands in.
    content = re.split(r"[\n|]" if in_table else r"\n", window, maxsplit=1)[0]
    undecided = len(content) == len(window) < MAX_SPAN and not final
    close = closing_run(content, run)
    if undecided and (close is None or close + run == len(content)):
        return None  # At the end of what is there, one more backtick would make it another run.
    return CodeSpan(ticks[0], None if close is None else content[:close])


@dataclass(frozen=True, slots=True)
class Bracket:
    """A citation `[n]`, a link `[text](address)`, or a bracket that is no more than that."""

    label: str
    """With its brackets; empty where it does not close on its line."""
    address: str
    following: str
    """What comes right after the label, if anything."""
    length: int
    """To the end of the link; of the label alone where it is none."""
    is_plain: bool
    """Nothing in or after it could make it a part of a link."""


def bracket(text: str, at: int, *, final: bool) -> Bracket | None:
    window = text[at : at + MAX_LINK]
    undecided = len(window) < MAX_LINK and not final
    close = closing_bracket(window)
    if close is None:
        wait = undecided and "\n" not in window
        return None if wait else Bracket("", "", "", 0, is_plain=False)
    following = window[close + 1 : close + 2]
    if not following and undecided:
        return None
    label, end = window[: close + 1], None
    if following == "(":
        end = closing_parenthesis(window, close + 1)
        if end is None and undecided and "\n" not in window[close:]:
            return None
    address = window[close + 2 : end].strip().split(" ")[0].strip("<>") if end else ""
    if end and is_address(address):
        return Bracket(label, address, following, end + 1, is_plain=False)
    harmless = _PLAIN_BRACKET.fullmatch(label) is not None and following not in ("(", "[", ":")
    return Bracket(label, "", following, len(label), is_plain=harmless and len(window) < MAX_LINK)


@dataclass(frozen=True, slots=True)
class Angle:
    """`<address>` or `<address|label>`; without an address what begins as a tag does."""

    address: str
    label: str
    length: int


def angle(text: str, at: int, *, final: bool) -> Angle | None:
    window = text[at : at + MAX_LINK]
    stop = re.search(r"[>\n]", window)
    if stop is None:
        return None if len(window) < MAX_LINK and not final else Angle("", "", 1)
    found = _AUTOLINK.match(window[: stop.end()])
    return Angle(found[1], found[2] or "", stop.end()) if found else Angle("", "", 1)


def word(text: str, at: int, *, final: bool) -> str | None:
    end = at
    while end < len(text) and end - at < MAX_WORD and text[end] not in _SPECIAL:
        end += 1
    # A bracket, a bang or a backslash ends a word at once; a word at the end may still grow.
    if end == len(text) and end - at < MAX_WORD and not final:
        return None
    return text[at:end]
