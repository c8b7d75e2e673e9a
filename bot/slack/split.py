"""Cuts Markdown into parts that Slack takes, while it is still being written.

A live Slack stream is append-only, so the cut is decided from what has been read so far: a part only
ever grows, and a full one is never touched again. Cuts fall between paragraphs where possible, else
between lines; code fences are closed and reopened, tables get their head again.
"""

import re
from dataclasses import dataclass, replace

# Slack refuses more than 12,000 characters over all markdown blocks of a message, and refused real
# messages at about 13,200 over all blocks; sources and footer need room too.
PART_CHARACTERS = 11_000
# From here on the next paragraph begins a new part.
SOFT_SHARE = 0.8
# A markdown block is stored as headings, tables, dividers and the text between them, and a message
# holds 50 blocks; the rest is for sources, footer and buttons.
PART_BLOCKS = 40
# Slack's limits for tables are 100 rows, and 10,000 characters over all tables of a message.
TABLE_ROWS = 95
TABLE_CHARACTERS = 9_500
# A head that takes more of every part than this is not repeated.
HEAD_SHARE = 0.25
# What is longer is no fence, or no language name, that anybody writes.
FENCE_CHARACTERS = 60

_FENCE = re.compile(
    r"^(?P<quote>(?:[ \t]*>)*)(?P<indent>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)"
    r"(?P<mark>`{3,}|~{3,})(?P<info>.*)$"
)
_DELIMITER = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_HEADING = re.compile(r"^ {0,3}#{1,6}(?:[ \t]|$)")
_RULE = re.compile(r"^ {0,3}(?:(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|(?:\*[ \t]*){3,}|=+[ \t]*)$")
# What a line must not be broken inside of: code spans, links and images, `<…>`, addresses, citations.
_WHOLE = re.compile(
    r"(`+)(?!`).{1,1000}?(?<!`)\1(?!`)|!?\[[^\]]{0,1000}\]\([^)]{0,3000}\)|<[^<>]{1,3000}>|https?://\S+|\[\d+\]"
)
# How far behind the place of a break a token is looked for: the longest address that Slack takes.
_TOKEN_CHARACTERS = 3_000


@dataclass(slots=True)
class Part:
    """One message's worth. `text` is for Slack; the `source`s of all parts join to the input."""

    text: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class _Fence:
    lead: str
    mark: str
    info: str

    @property
    def opening(self) -> str:
        return f"{self.lead}{self.mark}{self.info}\n"

    @property
    def closing(self) -> str:
        return f"{self.lead}{self.mark}\n"

    def alone(self) -> "_Fence":
        """The same in a part of its own: without its list, four spaces would make it indented code."""
        quote, indent = re.match(r"((?:[ \t]*>)*)(.*)", self.lead).groups()  # type: ignore[union-attr]
        return replace(self, lead=f"{quote}{indent if len(indent) <= 3 else ''}")

    def is_closed_by(self, line: str) -> bool:
        end = line.strip(" \t>\n" if ">" in self.lead else " \t\n")
        return len(end) >= len(self.mark) and set(end) == {self.mark[0]}


class Splitter:
    """Takes Markdown in any pieces by `feed`; `parts` holds what is complete, line by line."""

    def __init__(self, limit: int = PART_CHARACTERS) -> None:
        self.parts = [Part()]
        self._limit = limit
        self._line = ""
        self._previous = ""
        self._fence: _Fence | None = None
        self._reopened = False
        """Whether the open fence began in an earlier part."""
        self._table = ""
        """Head and delimiter line of the table that the last line belongs to."""
        self._begin()

    def _begin(self) -> None:
        """Starts to count anew, with what the part begins with."""
        self._in_run = self._fence is not None
        self._rows = 2 if self._table else 0
        self._table_characters = len(self._table)
        self._blocks = int(self._in_run or bool(self._table))

    def feed(self, text: str) -> None:
        """Adds text; a line counts once its end has come, or once it is too long for any part."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._add(f"{line}\n")
        if len(self._line) > self._limit + _TOKEN_CHARACTERS:
            self._line = self._shorten(self._line)

    def finish(self) -> None:
        """Adds the last line, which has no end."""
        if self._line:
            self._add(self._line)
            self._line = ""

    def close_part(self) -> None:
        """Lets what follows go into a new part, unless the last line may be the head of a table."""
        may_be_head = "|" in self._previous and not self._table and not self._fence
        if self.parts[-1].source and not may_be_head:
            self._cut()

    def _cut(self) -> None:
        part = self.parts[-1]
        if self._fence:
            part.text += ("" if part.text.endswith("\n") else "\n") + self._fence.closing
            self._fence = self._fence.alone()
        self.parts.append(Part(self.resumption))
        self._reopened = self._fence is not None
        self._begin()

    @property
    def resumption(self) -> str:
        """What a new part must begin with, for the text to go on as what it is."""
        head = self._fence.opening if self._fence else self._table
        return head if len(head) <= HEAD_SHARE * self._limit else ""

    def _add(self, line: str) -> None:
        if self._is_full(line):
            self._cut()
        self._put(self._shorten(line))

    def _room(self, line: str) -> int:
        """How much the part takes; an open fence must still be closed, unless the line does it."""
        fence = self._fence
        closing = len(fence.closing) + 1 if fence and not fence.is_closed_by(line) else 0
        return self._limit - len(self.parts[-1].text) - closing

    def _is_full(self, line: str) -> bool:
        part = self.parts[-1]
        if not part.source:
            return False
        if len(line) > self._room(line):
            return True
        if self._fence or self._is_delimiter(line):
            return False
        if self._table and _goes_on(line):
            return self._rows >= TABLE_ROWS or self._table_characters + len(line) > TABLE_CHARACTERS
        if "|" in line and 2 * len(line) + 100 > self._room(line):
            return True  # Perhaps the head of a table, which must not part from the line below it.
        if self._blocks >= PART_BLOCKS and self._begins_block(line):
            return True
        return self._is_boundary(line) and self._is_nearly_full(part)

    def _is_delimiter(self, line: str) -> bool:
        return "|" in self._previous and bool(_DELIMITER.match(line.rstrip("\n")))

    def _begins_block(self, line: str) -> bool:
        return bool(line.strip()) and (not self._in_run or _stands_alone(line.rstrip("\n")))

    def _is_boundary(self, line: str) -> bool:
        return not self._previous.strip() and bool(line.strip()) and not line[0].isspace()

    def _is_nearly_full(self, part: Part) -> bool:
        return len(part.text) >= SOFT_SHARE * self._limit or self._blocks >= SOFT_SHARE * PART_BLOCKS

    def _shorten(self, line: str) -> str:
        """Spreads a line that is too long for any part over several; gives the rest of it."""
        while len(line) > self._room(line):
            if self.parts[-1].source:
                self._cut()
            line = self._break(line)
        return line

    def _break(self, line: str) -> str:
        end = max(self._room(line), 1)
        if not self._fence:
            end = safe_end(line, end)
        part = self.parts[-1]
        part.text += line[:end]
        part.source += line[:end]
        self._previous, self._table = line[:end], ""
        self._cut()
        return line[end:]

    def _put(self, line: str) -> None:
        part = self.parts[-1]
        part.source += line
        part.text += self._read(line)
        self._previous = line

    def _read(self, line: str) -> str:
        """Follows the structure, and gives the line as Slack gets it."""
        bare = line.rstrip("\n")
        if self._fence:
            return self._read_code(line)
        if (fence := _fence_of(bare)) is not None:
            self._fence, self._reopened, self._table = fence, False, ""
            self._count_run(bare)
        elif self._table and _goes_on(bare):
            self._rows += 1
            self._table_characters += len(line)
        elif self._is_delimiter(line):
            self._start_table(line)
        else:
            self._table = ""
            self._count(bare)
        return line

    def _read_code(self, line: str) -> str:
        assert self._fence
        if not self._fence.is_closed_by(line):
            return line
        closing, reopened = self._fence.closing, self._reopened
        self._fence = None
        # A reopened fence may stand further left than the line that ends it in the source.
        return closing if reopened and line.endswith("\n") else line

    def _start_table(self, line: str) -> None:
        self._table = f"{self._previous}{line}"
        self._rows = 2
        self._table_characters += len(self._table)
        self._blocks += 1
        self._in_run = False

    def _count(self, bare: str) -> None:
        if _stands_alone(bare):
            self._blocks += 1
            self._in_run = False
        else:
            self._count_run(bare)

    def _count_run(self, bare: str) -> None:
        if bare.strip() and not self._in_run:
            self._blocks += 1
            self._in_run = True


def _stands_alone(bare: str) -> bool:
    return bool(_HEADING.match(bare) or _RULE.match(bare))


def _fence_of(bare: str) -> _Fence | None:
    match = _FENCE.match(bare)
    if not match or (match["mark"][0] == "`" and "`" in match["info"]):
        return None
    if max(len(match["quote"] + match["indent"]), len(match["mark"])) > FENCE_CHARACTERS:
        return None
    lead = match["quote"] + " " * len(match["indent"])
    return _Fence(lead, match["mark"], match["info"].rstrip()[:FENCE_CHARACTERS])


def _goes_on(line: str) -> bool:
    """A table ends at a blank line or where another block begins."""
    return bool(line.strip()) and not _HEADING.match(line) and not line.lstrip().startswith((">", "- ", "* "))


def safe_end(line: str, most: int) -> int:
    """The last place up to `most` to break a line: after a blank, and not inside of a link or token.

    Where there is none, between tokens; where a single one is longer than that, inside of it.
    """
    inside = bytearray(most + 1)
    for match in _WHOLE.finditer(line[: most + _TOKEN_CHARACTERS]):
        for place in range(match.start() + 1, min(match.end(), most + 1)):
            inside[place] = 1
    free = [end for end in range(most, 0, -1) if not inside[end]]
    after_blank = next((end for end in free if line[end - 1].isspace()), 0)
    return after_blank or next(iter(free), most)


def split_markdown(markdown: str, limit: int = PART_CHARACTERS) -> list[Part]:
    """The parts of a finished text, each at most `limit` characters; none for an empty text."""
    splitter = Splitter(limit)
    splitter.feed(markdown)
    splitter.finish()
    return [part for part in splitter.parts if part.source]


def continue_from(markdown: str, shown: int) -> str:
    """What is missing when the first `shown` characters (whole lines) stand in another message."""
    splitter = Splitter(max(len(markdown) + 1, PART_CHARACTERS))
    splitter.feed(markdown[:shown])
    splitter.finish()
    return splitter.resumption + markdown[shown:]
