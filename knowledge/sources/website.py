"""A documentation website as a source, read page by page."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing

import httpx

from knowledge.html import read_html
from knowledge.models import Page
from knowledge.sources.config import SourceConfig
from knowledge.sources.discovery import Listing, discover, unreachable
from knowledge.sources.documents import Document, read_document, title_from
from knowledge.sources.files import address
from knowledge.sources.outcome import FailedPage, Fetched, Total, Unchanged, Validators
from knowledge.sources.site import USER_AGENT, Answer, RequestFailed, Site

# So many pages in a row without any answer mean that the site is gone, not the pages.
MAX_SILENT_PAGES = 10

_ACCEPT = "text/markdown, text/html;q=0.8, text/plain;q=0.7"
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_MARKDOWN_SUFFIXES = (".md", ".mdx")

_Outcome = Page | Unchanged | FailedPage | None


async def read_website(config: SourceConfig, known: Mapping[str, Validators]) -> AsyncGenerator[Fetched]:
    """Every page that the site lists, as they arrive; of pages held already, whether they changed.

    Raises:
        Unreachable: the site does not answer, or stopped to.
        Refused, BadInput: see `discover`.
    """
    timeout = httpx.Timeout(config.timeout)
    async with httpx.AsyncClient(
        timeout=timeout, headers={"user-agent": USER_AGENT, "accept": _ACCEPT}
    ) as client:
        site = Site(client, config.base_url, timeout=config.timeout)
        listings = await discover(site, config)
        chosen = listings[: config.max_pages]
        yield Total(len(chosen))
        reader = _PageReader(site, config, known, suffix=await _markdown_suffix(chosen[0], site, config))
        async with aclosing(_as_they_arrive(reader.read, chosen, config.concurrency)) as outcomes:
            async for outcome in outcomes:
                reader.check()
                if outcome is not None:
                    yield outcome
        reader.check_all()
        if len(listings) > config.max_pages:
            yield FailedPage(
                config.base_url,
                f"lists {len(listings)} pages; only the first {config.max_pages} are read (`max_pages`)",
            )


async def _markdown_suffix(first: Listing, site: Site, config: SourceConfig) -> str:
    """`.md` where the site serves its pages' Markdown beside them, as its first page tells; else nothing."""
    if first.url.endswith((*_MARKDOWN_SUFFIXES, "/", ".html", ".htm")):
        return ""
    try:
        answer = await site.get(f"{first.url}.md", limit=config.max_page_bytes)
    except RequestFailed:
        return ""
    return ".md" if answer.status == 200 and answer.content_type not in _HTML else ""


class _PageReader:
    """Reads single pages and counts how the site answers."""

    def __init__(
        self, site: Site, config: SourceConfig, known: Mapping[str, Validators], *, suffix: str
    ) -> None:
        self.site = site
        self.suffix = suffix
        self.config = config
        self.known = known
        self.answered = 0
        self.failed = 0
        self.silent_in_a_row = 0
        self.last_reason = ""

    async def read(self, listing: Listing) -> _Outcome:
        """None when the site says that a page that is held exists no more."""
        validators = self.known.get(listing.path, Validators())
        try:
            answer = await self._get(listing, _conditions(validators))
        except RequestFailed as error:
            return self._failure(listing, error.reason, silent=error.silent)
        self.silent_in_a_row = 0
        if answer.status == 304 and validators != Validators():
            self.answered += 1
            return Unchanged(listing.path)
        if answer.status in (404, 410) and listing.path in self.known:
            self.failed += 1
            self.last_reason = f"answers {answer.status}"
            return None
        reason = _unusable(answer)
        if reason:
            return self._failure(listing, reason, silent=False)
        self.answered += 1
        return _page(answer, listing, self.config)

    async def _get(self, listing: Listing, conditions: Mapping[str, str]) -> Answer:
        limit = self.config.max_page_bytes
        if self.suffix:
            answer = await self.site.get(f"{listing.url}{self.suffix}", limit=limit, headers=conditions)
            if answer.status not in (404, 410):
                return answer
        return await self.site.get(listing.url, limit=limit, headers=conditions)

    def check(self) -> None:
        """Raises Unreachable when the site has stopped to answer."""
        if self.silent_in_a_row >= MAX_SILENT_PAGES:
            raise unreachable(
                self.config, f"{self.silent_in_a_row} pages in a row failed; the last {self.last_reason}"
            )

    def check_all(self) -> None:
        """Raises Unreachable when not one page could be read."""
        if self.failed and not self.answered:
            raise unreachable(self.config, f"not one of its pages can be read; the last {self.last_reason}")

    def _failure(self, listing: Listing, reason: str, *, silent: bool) -> FailedPage:
        self.failed += 1
        self.silent_in_a_row = self.silent_in_a_row + 1 if silent else 0
        self.last_reason = reason
        return FailedPage(listing.path, reason)


def _conditions(validators: Validators) -> dict[str, str]:
    conditions = {"if-none-match": validators.etag, "if-modified-since": validators.last_modified}
    return {name: value for name, value in conditions.items() if value}


def _unusable(answer: Answer) -> str:
    """Why the answer is no page; empty when it is one."""
    if answer.status != 200:
        return f"answers {answer.status}"
    if (
        answer.content_type
        and not answer.content_type.startswith("text/")
        and answer.content_type not in _HTML
    ):
        return f"is {answer.content_type}, not text"
    return "" if answer.body.strip() else "is empty"


def _page(answer: Answer, listing: Listing, config: SourceConfig) -> Page:
    document = _document(answer, listing)
    markdown_address = listing.url.endswith(_MARKDOWN_SUFFIXES)
    metadata = {
        "etag": answer.headers.get("etag", ""),
        "last_modified": answer.headers.get("last-modified", ""),
        "old_paths": list(listing.old_paths),
    }
    return Page(
        path=listing.path,
        url=address(config.base_url, listing.path) if markdown_address else listing.url,
        title=document.title,
        source=config.name,
        markdown=document.markdown,
        description=document.description or listing.description,
        aliases=listing.aliases,
        metadata={name: value for name, value in metadata.items() if value},
    )


def _document(answer: Answer, listing: Listing) -> Document:
    title = listing.title or title_from(listing.path)
    if answer.content_type in _HTML:
        page = read_html(answer.text)
        return Document(page.title or title, page.description, page.markdown, {})
    return read_document(answer.text, fallback_title=title)


async def _as_they_arrive(
    read: Callable[[Listing], Coroutine[None, None, _Outcome]], listings: Iterable[Listing], at_once: int
) -> AsyncGenerator[_Outcome]:
    """The outcomes in order of arrival, with at most `at_once` requests under way."""
    running: set[asyncio.Task[_Outcome]] = set()
    try:
        for listing in listings:
            if len(running) >= at_once:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
            running.add(asyncio.create_task(read(listing)))
        for last in asyncio.as_completed(list(running)):
            yield await last
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
