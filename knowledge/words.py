"""Text → the words that keyword search compares: identifiers whole and in parts, compounds both ways."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

# Word characters, joined by what joins identifiers: flow.from_source, --job-variable, a/b, a:b.
RUN = re.compile(r"\w+(?:[-./:@]+\w+)*")
JOINERS = re.compile(r"[-./:@_]+")
DOTTED = re.compile(r"[./:@]+")
# Between fooBar, and between HTTPError's HTTP and Error; digits stay with their letters (k8s, s3).
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# A longer run is base64, a hash or a minified line, which nobody asks for as a whole.
MAX_WORD = 80

Stem = Callable[[str], list[str]]
"""Turns a text of words into their stems."""


def words(text: str) -> Iterator[str]:
    """Yield the words of a text in lower case: each identifier whole, then its pieces, then their words."""
    for run in RUN.findall(text):
        yield from _spellings(run)


def plain_words(text: str) -> list[str]:
    """Give the words of a text in their order, identifiers only as their parts."""
    return [part for run in RUN.findall(text) for part in _parts(run)]


@lru_cache(maxsize=10_000)  # a corpus repeats its words; more would take memory and no longer save time
def _spellings(run: str) -> tuple[str, ...]:
    parts = _parts(run)
    pieces = [piece.strip("-_") for piece in DOTTED.split(run.lower())]
    wholes = [run.lower().strip("_"), *pieces] if len(parts) > 1 else []
    return tuple(word for word in dict.fromkeys([*wholes, *parts]) if len(word) <= MAX_WORD)


def _parts(run: str) -> list[str]:
    return [part.lower() for piece in JOINERS.split(run) for part in CAMEL.split(piece) if part]


def compounds(phrases: Iterable[str], stem: Stem) -> dict[str, str]:
    """Learn from titles and headings which words people may write as one: {"workpool": "work pool"}.

    Only neighbours in the phrases count, so that "input" is not taken for "in put". What is joined is a stem.
    """
    learned: dict[str, str] = {}
    for phrase in phrases:
        for first, second in pairwise(plain_words(phrase)):
            if first.isalpha() and second.isalpha() and len(first) > 1 and len(second) > 1:
                learned[stem(first + second)[0]] = f"{first} {second}"
    return learned
