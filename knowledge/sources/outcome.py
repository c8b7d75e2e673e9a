"""What reading a source yields."""

from dataclasses import dataclass

from knowledge.models import Page


@dataclass(frozen=True, slots=True)
class Validators:
    """What a conditional request sends, as the site gave it with the copy that is held."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """How many pages the source is about to be asked for."""

    pages: int


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The copy that is held of the page is still right."""

    path: str


@dataclass(frozen=True, slots=True)
class FailedPage:
    """One page that could not be read; the others go on."""

    path_or_url: str
    reason: str


Fetched = Page | Unchanged | FailedPage | Total
