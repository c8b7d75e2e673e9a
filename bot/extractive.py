"""Answers with no model: the best passages, quoted word for word, cited, and said to be so."""

import re
from collections.abc import Sequence

from bot.abstention import abstain
from bot.excerpt import excerpt, is_pointer
from bot.telling import telling_stems
from knowledge.models import Passage

# The first passage is usually the answer, and is shown whole: no passage of the index is longer than this.
# The others complete it or are the second guess, and have to leave the first one in sight.
QUOTE_CHARS = (3000, 1000, 800)
INTRO = "These are the passages that fit best, word for word:"


def compose(numbered: Sequence[tuple[int, Passage]], question: str) -> str:
    """Markdown with a heading, a quote and a citation for each of the first passages."""
    asked = telling_stems(question)
    quotes: list[str] = []
    for n, passage in numbered:
        if len(quotes) == len(QUOTE_CHARS):
            break
        text = "" if is_pointer(passage.heading) else excerpt(passage.text, QUOTE_CHARS[len(quotes)], asked)
        if text:
            quotes.append(_quote(n, passage, text))
    return "\n\n".join([INTRO, *quotes]) if quotes else abstain(numbered)


def _quote(n: int, passage: Passage, text: str) -> str:
    heading = f" › {passage.heading.replace(' > ', ' › ')}" if passage.heading else ""
    # After a table, a fence or a list the number needs a line of its own, or it would become a part of it.
    is_prose = not re.match(r"\s*([|`~>*+-]|\d+[.)])", text.rsplit("\n", 1)[-1])
    return f"**{passage.title}{heading}**\n\n{text}{' ' if is_prose else chr(10) * 2}[{n}]"
