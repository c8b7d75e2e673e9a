"""What a build tells while it goes on, and when it is done."""

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from knowledge.evaluation import Scores
from knowledge.models import Page

Stage = Literal["fetch", "embed", "write", "check", "swap"]
Change = Literal["added", "changed", "removed"]
# Pages named of each kind: what a person reads through, and what fits into a message.
LISTED = 20


class PageCounts(BaseModel):
    """What became of pages, compared with the generation before."""

    model_config = ConfigDict(frozen=True)

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    """Could not be read; where there was an older copy, it was kept."""

    def __add__(self, other: Self) -> Self:
        return self.model_copy(
            update={name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields}
        )

    def differ(self) -> bool:
        """Tell whether anything is to be written."""
        return bool(self.added or self.changed or self.removed)


class PageChange(BaseModel):
    """One page that differs from the generation before."""

    model_config = ConfigDict(frozen=True)

    change: Change
    page: str
    title: str
    url: str

    @classmethod
    def of(cls, change: Change, page: Page) -> Self:
        return cls(change=change, page=page.path, title=page.title, url=page.url)


class SourceReport(BaseModel):
    """How taking in one source went."""

    model_config = ConfigDict(frozen=True)

    name: str
    ok: bool
    error: str = ""
    """One sentence when the source as a whole failed; its old pages were kept."""
    pages: PageCounts
    changes: tuple[PageChange, ...] = ()
    """At most LISTED of each kind; `pages` has the true numbers."""


@dataclass(frozen=True)
class Progress:
    """How far a stage is; `total` is 0 while it is not known, `source` is empty after the fetch."""

    stage: Stage
    source: str
    done: int
    total: int


class BuildReport(BaseModel):
    """What a build did."""

    model_config = ConfigDict(frozen=True)

    generation: int
    """The live one afterwards."""
    pages: PageCounts
    chunks: int
    seconds: float
    sources: tuple[SourceReport, ...]
    previous: int = 0
    """The live one before; 0 when there was none."""
    swapped: bool
    """False when nothing had changed, or the new one was held back, so that the live generation stayed."""
    score_before: Scores | None = None
    """Of the live generation on the golden questions that both can be asked; None when there are none."""
    score_after: Scores | None = None
    held_back: str = ""
    """Why the new generation was not made live, in one sentence; empty where nothing stood in its way."""
