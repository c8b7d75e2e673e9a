"""The passages that one answer may cite, numbered from 1 in the order in which they were found."""

from collections.abc import Iterable, Iterator

from bot.events import Citation
from knowledge.models import Passage

# A citation has at most three digits, and no reader follows more sources than this.
MAX_PASSAGES = 40


class Evidence:
    def __init__(self) -> None:
        self._passages: list[Passage] = []

    def __len__(self) -> int:
        return len(self._passages)

    def add(self, passages: Iterable[Passage]) -> list[int]:
        """Number the passages; one that is there already keeps its number. Gives the numbers in order."""
        numbers = []
        for passage in passages:
            known = next((n for n, old in self.numbered() if _same(old, passage)), None)
            if known is None and len(self._passages) < MAX_PASSAGES:
                self._passages.append(passage)
                known = len(self._passages)
            if known is not None:
                numbers.append(known)
        return numbers

    def numbered(self) -> Iterator[tuple[int, Passage]]:
        return enumerate(self._passages, start=1)

    def text(self, number: int) -> str:
        """What the passage with that number says, its headings too; empty when there is none."""
        found = (passage for n, passage in self.numbered() if n == number)
        return next((f"{passage.title}\n{passage.heading}\n{passage.text}" for passage in found), "")

    def citations(self, numbers: Iterable[int]) -> tuple[Citation, ...]:
        """The sources with these numbers, in order."""
        wanted = set(numbers)
        return tuple(
            Citation(n=n, title=_name(passage), url=passage.url, source=passage.source)
            for n, passage in self.numbered()
            if n in wanted
        )


def _same(one: Passage, other: Passage) -> bool:
    return (one.page, one.heading, one.text) == (other.page, other.heading, other.text)


def _name(passage: Passage) -> str:
    """Title and innermost heading; enough to tell two sections of one page apart."""
    heading = passage.heading.split(" > ")[-1]
    return f"{passage.title}: {heading}" if heading and heading != passage.title else passage.title
