"""Reading a source, whatever its kind."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from knowledge.sources.config import SourceConfig
from knowledge.sources.field_guide import read_field_guide
from knowledge.sources.files import read_files
from knowledge.sources.github import read_github
from knowledge.sources.outcome import FailedPage, Fetched, Total, Unchanged, Validators
from knowledge.sources.website import read_website

__all__ = ["FailedPage", "Fetched", "Total", "Unchanged", "Validators", "fetch"]


async def fetch(config: SourceConfig, known: Mapping[str, Validators]) -> AsyncGenerator[Fetched]:
    """What the source holds. A page that is not mentioned at all was removed there.

    `known` maps the paths of the pages that are held to what the site said of them; unchanged ones are then
    answered by `Unchanged`. Folders are always read whole.

    Raises:
        ExpectedError: the source as a whole cannot be read (BadInput, Unreachable, Refused).
    """
    if config.kind in ("website", "github"):
        read = read_website if config.kind == "website" else read_github
        # Whoever leaves off early must not leave requests running.
        async with aclosing(read(config, known)) as outcomes:
            async for outcome in outcomes:
                yield outcome
        return
    for outcome in read_files(config) if config.kind == "files" else read_field_guide():
        yield outcome
