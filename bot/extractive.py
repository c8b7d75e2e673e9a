"""Answers with no model: the best passages, quoted word for word, cited, and said to be so."""

import re
from collections.abc import Sequence

from knowledge.models import Passage

# The first passage is usually the answer; the others say where else to look.
QUOTE_CHARS = (1500, 600, 400)
INTRO = "These are the passages that fit best, word for word:"
NOTHING = "I found nothing about that in the docs. Try other words, or ask `help` for what else I can do."
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")


def compose(numbered: Sequence[tuple[int, Passage]]) -> str:
    """Markdown with a heading, a quote and a citation for each of the first passages."""
    if not numbered:
        return NOTHING
    quotes = (_quote(n, passage, limit) for (n, passage), limit in zip(numbered, QUOTE_CHARS, strict=False))
    return "\n\n".join([INTRO, *quotes])


def _quote(n: int, passage: Passage, limit: int) -> str:
    heading = f" › {passage.heading.replace(' > ', ' › ')}" if passage.heading else ""
    text = _shorten(_without_links(passage.text), limit)
    # After a table, a fence or a list the number needs a line of its own, or it would become a part of it.
    is_prose = not re.match(r"\s*([|`~>*+-]|\d+[.)])", text.rsplit("\n", 1)[-1])
    return f"**{passage.title}{heading}**\n\n{text}{' ' if is_prose else chr(10) * 2}[{n}]"


def _without_links(markdown: str) -> str:
    """The words of links alone: their addresses are relative to a page that the reader is not on."""
    parts = re.split(r"(^[ \t]*```.*?^[ \t]*```[ \t]*$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if index % 2 else _LINK.sub(r"\1", part) for index, part in enumerate(parts)).strip()


def _shorten(text: str, limit: int) -> str:
    """Whole paragraphs up to the limit, of a list its first items; no code fence is left open."""
    kept: list[str] = []
    room = limit
    for paragraph in _paragraphs(text):
        if kept and len(paragraph) > room:
            return "\n\n".join([*kept, *_first_items(paragraph, room), "…"])
        kept.append(paragraph)
        room -= len(paragraph)
    return "\n\n".join(kept)


def _first_items(paragraph: str, room: int) -> list[str]:
    """The items of a list that fit, as one paragraph; nothing of any other paragraph."""
    if not re.match(r"\s*([*+-]|\d+[.)])\s", paragraph):
        return []
    items = ""
    for line in paragraph.splitlines(keepends=True):
        if len(items) + len(line) > room:
            break
        items += line
    return [items.rstrip()] if items else []


def _paragraphs(text: str) -> list[str]:
    """Split at empty lines, but not inside a code fence."""
    parts = re.split(r"(^[ \t]*```.*?^[ \t]*```[ \t]*$)", text, flags=re.MULTILINE | re.DOTALL)
    paragraphs: list[str] = []
    for index, part in enumerate(parts):
        found = [part] if index % 2 else re.split(r"\n\s*\n", part)
        paragraphs += [paragraph.strip("\n") for paragraph in found if paragraph.strip()]
    return paragraphs
