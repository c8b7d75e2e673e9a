"""A passage as it is quoted: without what only makes sense on its page, and cut where nothing is lost by it.

A cut is marked with `…`. What introduces a piece of code or a list is never shown without it: whoever reads
"run this command:" at night needs the command.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate

from bot.telling import telling_stems

CUT = "…"
# Longer tables are reference; of those only the rows that the question names are of use, or the first ones.
LONG_TABLE, TABLE_ROWS = 8, 6
# Something introduced is worth so many times the room, before it is cut itself.
STRETCH = 1.5
# Pointers are short; a longer paragraph that begins like one says something as well.
POINTER_CHARS = 220

_FENCED = re.compile(r"(^[ \t]*```.*?^[ \t]*```[ \t]*$)", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"[ \t]*```")
_DIAGRAM = re.compile(r"[ \t]*```[ \t]*(mermaid|plantuml|dot)\b")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_TAG_LINE = re.compile(r"^[ \t]*</?[A-Za-z][^<>\n]*>[ \t]*\n?", re.MULTILINE)
_ITEM = re.compile(r"\s*([*+-]|\d+[.)])\s")
_NEXT_ITEM = re.compile(r"\n(?=[*+-] |\d{1,3}[.)] )")
_LABEL = re.compile(r"\*\*[^\n]{1,200}\*\*:?|#{1,6} [^\n]*")
_BELOW = re.compile(r"(below|here|the following)\b[^.\n]*\.", re.IGNORECASE)
_READ_ON = re.compile(
    r"(#{1,6} |\*\*)?(further reading|next steps|learn more|see also|related( \w+)?|additional resources)"
    r"[:*]*\s*\Z",
    re.IGNORECASE,
)
_POINTER = re.compile(
    r"(for (more|further|additional|implementation|full)\b[^.]*\b(see|read|refer|check|visit)"
    r"|see (also|the)\b|refer to\b|(to )?(learn|read) more\b|check out\b)",
    re.IGNORECASE,
)


def excerpt(markdown: str, limit: int, asked: Collection[str]) -> str:
    """The passage within about `limit` characters: the stretch that holds most of the `asked` stems.

    Whole where it fits. Markdown as it stands, with no fence left open; empty when nothing of use is left.
    """
    units = _units(list(_useful(markdown, asked)))
    if sum(map(len, units)) <= limit:
        return "\n\n".join(units)
    start, stop = _best_stretch(units, limit, asked)
    shown = [_fitted(unit, limit, asked) for unit in units[start:stop]]
    before, after = [CUT] * (start > 0), [CUT] * (stop < len(units))
    return "\n\n".join([*before, *shown, *after])


def is_pointer(heading: str) -> bool:
    """Whether a section under this heading only says where to read on."""
    return _READ_ON.fullmatch(heading.split(" > ")[-1].strip()) is not None


def _useful(markdown: str, asked: Collection[str]) -> Iterator[str]:
    """The paragraphs, fences and tables, without diagrams, tags and what points to other pages."""
    for paragraph in _paragraphs(markdown):
        if _READ_ON.fullmatch(paragraph):
            return
        if _FENCE.match(paragraph):
            yield from [] if _DIAGRAM.match(paragraph) else [paragraph]
        elif paragraph.lstrip().startswith("|"):
            yield _short_table(paragraph, asked)
        elif len(paragraph) > POINTER_CHARS or not _POINTER.match(paragraph):
            yield paragraph


def _paragraphs(markdown: str) -> list[str]:
    """Split at empty lines, but not inside a code fence; outside of fences links are their words alone.

    The addresses of links are relative to a page that the reader is not on.
    """
    paragraphs: list[str] = []
    for index, part in enumerate(_FENCED.split(markdown)):
        prose = re.split(r"\n\s*\n", _LINK.sub(r"\1", _TAG_LINE.sub("", part)))
        paragraphs += [found.strip("\n") for found in ([part] if index % 2 else prose) if found.strip()]
    return paragraphs


def _short_table(table: str, asked: Collection[str]) -> str:
    head, rows = table.split("\n")[:2], table.split("\n")[2:]
    if len(rows) <= LONG_TABLE:
        return table
    named = [row for row in rows if telling_stems(row) & set(asked)]
    return "\n".join([*head, *(named or rows)[:TABLE_ROWS]]) + f"\n\n{CUT}"


def _units(paragraphs: Sequence[str]) -> list[str]:
    """Join each label and introduction with what it introduces; one that introduces nothing is left out."""
    units: list[str] = []
    opening: list[str] = []
    for paragraph in paragraphs:
        opening.append(paragraph)
        if not _introduces(paragraph):
            units.append("\n\n".join(opening))
            opening = []
    return units


def _introduces(paragraph: str) -> bool:
    text = paragraph.strip()
    if _FENCE.match(text) or text.startswith("|"):
        return False
    return text.endswith(":") or bool(_LABEL.fullmatch(text) or _BELOW.fullmatch(text))


def _best_stretch(units: Sequence[str], limit: int, asked: Collection[str]) -> tuple[int, int]:
    """From which unit to which: as many as fit, with most of the question in them; the first of equals."""
    stems = [telling_stems(unit) & set(asked) for unit in units]
    # What is indented goes on from a list item, and alone would be read as code.
    starts = [start for start, unit in enumerate(units) if not start or not unit[0].isspace()]
    stretches = [(start, _end(units, start, limit)) for start in starts]
    return max(stretches, key=lambda stretch: len(set().union(*stems[stretch[0] : stretch[1]])))


def _end(units: Sequence[str], start: int, limit: int) -> int:
    """After the last unit that fits beside the one at `start`, which is always taken."""
    room = limit - len(units[start])
    stop = start + 1
    while stop < len(units) and len(units[stop]) <= room:
        room -= len(units[stop])
        stop += 1
    return stop


def _fitted(unit: str, limit: int, asked: Collection[str]) -> str:
    """A unit that is far longer than the room: of a list the items that count, of a fence its first lines."""
    if len(unit) <= limit * STRETCH:
        return unit
    *before, last = _paragraphs(unit)
    room = limit - sum(map(len, before))
    if _FENCE.match(last):
        first, *lines, close = last.split("\n")
        return "\n\n".join([*before, "\n".join([first, *_that_fit(lines, room), close]), CUT])
    if _ITEM.match(last):
        items = _NEXT_ITEM.split(last)
        by_use = sorted(items, key=lambda item: -len(telling_stems(item) & set(asked)))
        kept = set(_that_fit(by_use, room))
        return "\n\n".join([*before, "\n".join(item for item in items if item in kept), CUT])
    return unit


def _that_fit(texts: Sequence[str], room: int) -> list[str]:
    """The first texts that fit together, and always one."""
    sizes = accumulate(map(len, texts))
    return [
        text
        for number, (text, size) in enumerate(zip(texts, sizes, strict=True))
        if not number or size <= room
    ]
