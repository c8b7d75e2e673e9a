"""Saying that the docs do not answer: plainly, with the nearest pages and no show of an answer."""

import re
from collections.abc import Iterable, Sequence

from knowledge.models import Passage

MAX_PAGES = 3
# A line that says what the page is about; the page itself is one click away.
GIST_CHARS = 160
UNANSWERED = "I do not find an answer to this in the docs, as they are indexed here."
NOTHING = "I found nothing about that in the docs. Try other words, or ask `help` for what else I can do."
NEAREST = "The nearest pages:"
TRY = "If one of them is what you meant, ask again with its words. `help` says what else I can do."
_SENTENCE = re.compile(r"[A-Z`*\[].*?[a-z0-9`)\]]{2}[.!?](?=\s|\Z)", re.DOTALL)
_MARKS = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)|[*_]{2}")


def abstain(numbered: Sequence[tuple[int, Passage]]) -> str:
    """The whole answer, where no model is there to word one and the search found little that fits."""
    if not numbered:
        return NOTHING
    pages = [f"- {_link(passage)}{_gist(passage.text)} [{n}]" for n, passage in _pages(numbered)]
    return "\n\n".join([UNANSWERED, f"{NEAREST}\n\n" + "\n".join(pages), TRY])


def nearest_pages(numbered: Sequence[tuple[int, Passage]]) -> str:
    """One line that names the nearest pages, below a model's own words; empty where nothing was found."""
    named = ", ".join(f"{_link(passage)} [{n}]" for n, passage in _pages(numbered))
    return f"{NEAREST} {named}" if named else ""


def _pages(numbered: Iterable[tuple[int, Passage]]) -> list[tuple[int, Passage]]:
    """The first passage of each of the first pages; two pages of one address count as one."""
    first: dict[str, tuple[int, Passage]] = {}
    for n, passage in numbered:
        first.setdefault(passage.url.partition("#")[0], (n, passage))
    return list(first.values())[:MAX_PAGES]


def _link(passage: Passage) -> str:
    heading = passage.heading.split(" > ")[-1]
    name = f"{passage.title}: {heading}" if heading and heading != passage.title else passage.title
    return f"[{name}]({passage.url})"


def _gist(text: str) -> str:
    """The first whole sentence of prose, if there is a short one."""
    for paragraph in re.split(r"\n\s*\n", text):
        if re.match(r"\s*(```|~~~|[|>#*+<-]|\d+[.)])", paragraph):
            continue
        sentence = _SENTENCE.match(_MARKS.sub(r"\1", paragraph).strip())
        if sentence and len(sentence[0]) <= GIST_CHARS:
            return f": {' '.join(sentence[0].split())}"
    return ""
