"""The documentation: searching it and reading a page."""

import asyncio
from typing import Annotated

from pydantic import Field

from knowledge.library import Library
from knowledge.models import Passage
from tools.run_rows import Result

MAX_TOP = 20
# About 3,000 tokens; most pages are shorter.
PAGE_CHARS = 12_000


class SearchResult(Result):
    passages: list[Passage]
    weak: bool = Field(description="true when probably none of these passages answers the question")


class PageSlice(Result):
    page: str
    title: str
    url: str
    source: str
    markdown: str
    next_offset: int | None = Field(None, description="pass as `offset` to read on; absent at the page's end")
    total_chars: int


class Docs:
    """Reads the knowledge base."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def search_docs(
        self,
        question: Annotated[
            str, Field(min_length=1, max_length=2000, description="the question or the terms, in English")
        ],
        top: Annotated[int, Field(ge=1, le=MAX_TOP, description="how many passages")] = 8,
    ) -> SearchResult:
        """Searches Prefect's documentation and the field guide; the passages that answer best come first.

        Ask for one thing at a time, with Prefect's own words (work pool, worker, deployment) if known.
        """
        found = await asyncio.to_thread(self._library.find, question, top)
        return SearchResult(passages=found.passages, weak=found.weak)

    async def read_page(
        self,
        page: Annotated[str, Field(min_length=1, description="a passage's `page`")],
        offset: Annotated[int, Field(ge=0, description="the character to begin at")] = 0,
    ) -> PageSlice:
        """Reads a whole page of the documentation, when a passage alone is not enough."""
        found = await asyncio.to_thread(self._library.page, page)
        end = offset + PAGE_CHARS
        return PageSlice(
            page=found.page,
            title=found.title,
            url=found.url,
            source=found.source,
            markdown=found.markdown[offset:end],
            next_offset=end if end < len(found.markdown) else None,
            total_chars=len(found.markdown),
        )
