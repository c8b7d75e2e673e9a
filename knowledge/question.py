"""A question → what the two indexes are asked: stems with weights, and a text to embed."""

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from knowledge.keywords import stems_of_words
from knowledge.lexicon import MAX_ALIAS_WORDS, Lexicon
from knowledge.words import Stem, plain_words, words

# A question is rarely longer; beyond, only its two ends are read.
MAX_CHARS = 2_000
# The words of the longest real questions; more cost time and find nothing better.
MAX_STEMS = 64
TRACEBACK = "Traceback (most recent call last)"
# The lines that are not indented: exceptions, their messages, and what was written below.
TRACEBACK_LINES = 6
TRACEBACK_CHARS = 800
# Frames of a deep recursion are not worth reading; the exception stands at the end.
MAX_TRACEBACK = 80_000
# A page that goes by another name in the question is meant, but the words that were said count more.
ALIAS_WEIGHT = 0.5
# Whoever writes a name as it stands in code means just that; its parts are only the next best.
NAME_WEIGHT = 2.0
NAME = re.compile(r"[-_./:@]")
# --job-variable, PREFECT_API_URL, deploy(, flow.from_source, FlowRunNotFound: what reference pages are for.
IDENTIFIER = re.compile(r"--\w|\w_\w|\w\.[a-z]\w*\(|[a-z]\w*\.[a-z]\w*\w|\b[A-Z][a-z]+[A-Z]\w+")
DEFINITION = re.compile(
    r"\s*(hi|hey|hello|please)?\W*(what('?s| is| are| does)|explain|define|describe|tell me)\b", re.IGNORECASE
)
# "workpool", "the prefect agent": a thing and nothing about it.
FEW_WORDS = 3
PLAIN_WORD = re.compile(r"(?<![\w./-])[A-Za-z]{4,40}(?![\w./-])")
# Words that tell nothing about what a question is about.
STOP_WORDS = """
a about all also am an and any are as at be been but by can cannot could d did do does doesn don each
explain for from get give had has have help hi hello how i if in into is isn it its just know let like ll
m make me my need no not of on one or our out please re s say should so some t tell than that the their
them then there these they this those to trying use used using ve want was we what when where which while
who why will with would you your
"""
STOP = frozenset(STOP_WORDS.split())
# A shorter word is as likely to be another word as a slip of the finger.
MISSPELT_CHARS = 6
# A text with more unknown words is no misspelt question but another language, a log or a list of names.
MAX_MISSPELT = 5
# Two letters swapped, or one wrong, in a word of eight.
ALIKE = 0.87
T = TypeVar("T", str, list[str])


@dataclass(frozen=True)
class Query:
    stems: Mapping[str, float]
    """What keywords are searched, with weights; empty when the question has no word in it."""
    text: str
    """What is embedded."""
    meant: Mapping[str, float]
    """Titles of the pages that the question names by an alias → share of its words that name it."""
    identifiers: bool
    """Asks for a name as it stands in code, which reference pages answer best."""
    asks_what_it_is: bool
    """Asks for a thing as such, not for what to do with it or about it."""


def understand(question: str, lexicon: Lexicon, known: Callable[[str], bool]) -> Query:
    """Read a question of any length; `known` tells whether a stem stands anywhere in the corpus."""
    stem = stems_of_words().analyze
    text = _mended(focus(question), lexicon, lambda word: known(stem(word)[0]))
    neighbours = stem(" ".join(plain_words(text)))
    meant = _meant(neighbours, lexicon)
    spoken = _ends(stem(" ".join(_telling(words(text)))), MAX_STEMS)
    stems = {word: NAME_WEIGHT if NAME.search(word) else 1.0 for word in spoken}
    stems |= {word: 1.0 for word in _respelled(neighbours, lexicon, stem) if word not in stems}
    for title in meant:
        named = stem(" ".join(word for word in plain_words(title) if word not in STOP))
        stems |= {word: ALIAS_WEIGHT for word in named if word not in stems}
    what = DEFINITION.match(text) is not None or len(neighbours) <= FEW_WORDS
    return Query(stems, _apart(text, lexicon, stem), meant, bool(IDENTIFIER.search(text)), what)


def focus(question: str) -> str:
    """Cut a question to what says what is asked: a traceback to its last lines, a long text to its ends."""
    # A lone surrogate, which JSON can carry, is no text to anything below.
    readable = question.encode(errors="replace").decode()
    before, found, after = readable.partition(TRACEBACK)
    if not found:
        return _ends(readable, MAX_CHARS)
    return f"{_ends(before, MAX_CHARS - TRACEBACK_CHARS)}\n{_outcome(after)[-TRACEBACK_CHARS:]}".strip()


def _mended(text: str, lexicon: Lexicon, known: Callable[[str], bool]) -> str:
    """Write words that stand nowhere like the word of a heading that they look like: "depolyment"."""

    tried = itertools.count()

    def mended(run: re.Match[str]) -> str:
        word = run[0].lower()
        if len(word) < MISSPELT_CHARS or known(word) or next(tried) >= MAX_MISSPELT:
            return run[0]
        # The first letter is hardly ever the wrong one, and "eating" is not "creating".
        possible = [other for other in lexicon.words if other[0] == word[0]]
        return next(iter(difflib.get_close_matches(word, possible, 1, ALIKE)), run[0])

    return PLAIN_WORD.sub(mended, text)


def _ends(text: T, limit: int) -> T:
    return text if len(text) <= limit else text[: limit // 2] + text[-limit // 2 :]


def _outcome(traceback: str) -> str:
    lines = [line for line in traceback[-MAX_TRACEBACK:].splitlines() if line and not line[0].isspace()]
    return "\n".join(lines[-TRACEBACK_LINES:])


def _telling(spoken: Iterable[str]) -> list[str]:
    """Leave out the words that tell nothing, unless hardly any other is left: "what is prefect"."""
    everything = list(spoken)
    telling = [word for word in everything if word not in STOP]
    return telling if len(telling) > 1 else everything


def _respelled(stems: list[str], lexicon: Lexicon, stem: Stem) -> Iterator[str]:
    """Yield the other spelling of each compound: the words of "workpool", and "workpool" for "work pool"."""
    for spoken in stems:
        yield from stem(lexicon.compounds.get(spoken, ""))
    for first, second in pairwise(stems):
        if first + second in lexicon.compounds:
            yield first + second


def _meant(stems: list[str], lexicon: Lexicon) -> dict[str, float]:
    meant: dict[str, set[int]] = {}
    for size in range(1, MAX_ALIAS_WORDS + 1):
        for start in range(len(stems) - size + 1):
            for title in lexicon.aliases.get(" ".join(stems[start : start + size]), ()):
                meant.setdefault(title, set()).update(range(start, start + size))
    return {title: len(places) / len(stems) for title, places in meant.items()}


def _apart(text: str, lexicon: Lexicon, stem: Stem) -> str:
    """Write the joined compounds of a text as two words, as the corpus does, for the embedder."""

    def spelled(run: re.Match[str]) -> str:
        return lexicon.compounds.get(stem(run[0].lower())[0], run[0])

    return PLAIN_WORD.sub(spelled, text)
