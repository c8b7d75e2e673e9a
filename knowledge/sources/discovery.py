"""Which pages a website has: robots.txt says what may be read, llms.txt or the sitemap what there is."""

import html
import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

from knowledge.errors import BadInput, Refused, Unreachable
from knowledge.sources.config import SourceConfig
from knowledge.sources.files import wanted
from knowledge.sources.redirects import (
    MAX_REDIRECTS_BYTES,
    REDIRECTS_FILE,
    old_names,
    old_paths,
    read_redirects,
)
from knowledge.sources.site import USER_AGENT, Answer, RequestFailed, Site

# RFC 9309 asks for 500 KiB at least; more is not needed.
_MAX_ROBOTS_BYTES = 512 * 1024
# The sitemap protocol allows 50 MB, of which no documentation site is near.
_MAX_LIST_BYTES = 20_000_000
_MAX_SITEMAPS = 50
# A site may ask for more, but a thousand pages have to be read in an evening.
_MAX_CRAWL_DELAY_SECONDS = 5.0

_PAGE_SUFFIX = re.compile(r"\.(?:mdx?|html?)$")
_OTHER_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{1,5}$", re.IGNORECASE)
_LLMS_LINK = re.compile(
    r"\[(?P<title>[^\[\]\n]*)\]\((?P<url>[^()\s]+)\)(?:[ \t]*:[ \t]*(?P<description>[^\n]*))?"
)
# Read with a pattern, not an XML parser, which would expand entities without bound.
_LOCATION = re.compile(r"<(?:\w+:)?loc>\s*(?:<!\[CDATA\[\s*)?([^<\]\s]+)")


@dataclass(frozen=True, slots=True)
class Listing:
    """A page that the site names, with what it says about it."""

    path: str
    url: str
    title: str = ""
    description: str = ""
    old_paths: tuple[str, ...] = ()
    """Addresses that it had before, where the site tells."""
    aliases: tuple[str, ...] = ()
    """What the page was called at its old addresses."""


async def discover(site: Site, config: SourceConfig) -> list[Listing]:
    """The pages below `base_url` that the site lists and allows and the source wants, in the site's order.

    Raises:
        Unreachable: the site does not answer.
        Refused: its robots.txt allows none of its pages.
        BadInput: it lists no pages, or none that the source wants.
    """
    robots = await _robots(site, config)
    site.delay = min(float(robots.crawl_delay(USER_AGENT) or 0), _MAX_CRAWL_DELAY_SECONDS)
    listed = await _from_llms(site, config) or await _from_sitemap(site, config, robots.site_maps() or [])
    listed = with_index_names(listed)
    if not listed:
        raise BadInput(
            f"Neither {config.base_url}/llms.txt nor a sitemap.xml of {site.base.host} lists a page.",
            f"Correct `base_url` of source {config.name!r}, or read the documents as a `files` source.",
        )
    chosen = [listing for listing in listed if wanted(listing.path, config)]
    allowed = [listing for listing in chosen if robots.can_fetch(USER_AGENT, listing.url)]
    if not chosen:
        raise BadInput(
            f"None of the {len(listed)} pages of {site.base.host} is wanted by source {config.name!r}.",
            "Correct its `include` or `exclude`.",
        )
    if not allowed:
        raise Refused(
            f"The robots.txt of {site.base.host} does not allow {USER_AGENT} to read its pages.",
            "Ask the site's owner, or read the documents as a `files` source.",
        )
    return await _with_old_paths(allowed, site, config, robots)


async def _with_old_paths(
    listed: Sequence[Listing], site: Site, config: SourceConfig, robots: RobotFileParser
) -> list[Listing]:
    """The pages with their old addresses, from the site's `docs.json` where it serves one."""
    url = f"{config.base_url}/{REDIRECTS_FILE}"
    if not robots.can_fetch(USER_AGENT, url):
        return list(listed)
    try:
        answer = await site.get(url, limit=MAX_REDIRECTS_BYTES)
    except RequestFailed:
        return list(listed)
    redirects = read_redirects(answer.text, config.base_url) if answer.status == 200 else {}
    paths = {listing.path for listing in listed}
    old = old_paths(redirects, paths)
    names = old_names(old, paths)
    return [
        replace(listing, old_paths=tuple(old.get(listing.path, ())), aliases=names.get(listing.path, ()))
        for listing in listed
    ]


def with_index_names(listed: Sequence[Listing]) -> list[Listing]:
    """The pages named as in a folder of documents, where what has pages below it is their `index`.

    Sites list `/guide` or `/guide/index` alike; either way it is the page `guide/index`, and there once.
    """
    paths = {listing.path for listing in listed}
    folders = {path[:end] for path in paths for end in range(len(path)) if path[end] == "/"}
    named = [
        replace(listing, path=f"{listing.path}/index") if listing.path in folders else listing
        for listing in listed
    ]
    found: dict[str, Listing] = {}
    for listing in named:
        found.setdefault(listing.path, listing)
    return list(found.values())


async def _robots(site: Site, config: SourceConfig) -> RobotFileParser:
    """The site's rules. As RFC 9309 has it, a file that is not there allows all, a failing server nothing."""
    rules = RobotFileParser()
    url = str(site.base.copy_with(path="/robots.txt", query=None, fragment=None))
    try:
        answer = await site.get(url, limit=_MAX_ROBOTS_BYTES)
    except RequestFailed as error:
        raise unreachable(config, f"{url} {error.reason}") from error
    if answer.status >= 500:
        raise unreachable(config, f"{url} answers {answer.status}, so none of its pages may be read")
    rules.parse(answer.text.splitlines() if answer.status == 200 else [])
    return rules


def unreachable(config: SourceConfig, problem: str) -> Unreachable:
    """The failure of a whole site; what was read of it earlier stays."""
    return Unreachable(
        f"Source {config.name!r} cannot be read: {problem}.",
        f"Check the network and the source's `base_url` ({config.base_url}), or try again later.",
    )


async def _from_llms(site: Site, config: SourceConfig) -> list[Listing]:
    url = f"{config.base_url}/llms.txt"
    answer = await _list(site, config, url)
    if answer is None or answer.content_type == "text/html":
        return []
    links = (
        (found["url"], found["title"], found["description"] or "")
        for found in _LLMS_LINK.finditer(answer.text)
    )
    return list(_listings(links, url, site))


async def _from_sitemap(site: Site, config: SourceConfig, named: list[str]) -> list[Listing]:
    """The pages of the sitemaps that robots.txt names, else of those in the usual places."""
    usual = [[f"{config.base_url}/sitemap.xml"], [str(site.base.copy_with(path="/sitemap.xml"))]]
    for group in filter(None, (named, *usual)):
        pages = [(url, "", "") for url in await _sitemap_pages(site, config, group)]
        if listings := list(_listings(pages, group[0], site)):
            return listings
    return []


async def _sitemap_pages(site: Site, config: SourceConfig, sitemaps: Sequence[str]) -> list[str]:
    """The addresses in the sitemaps, and in those that they are an index of."""
    waiting, read, pages = deque(sitemaps), set[str](), list[str]()
    while waiting and len(read) < _MAX_SITEMAPS:
        url = waiting.popleft()
        if url in read or not site.owns(url):
            continue
        read.add(url)
        answer = await _list(site, config, url)
        text = _unpacked(answer) if answer else ""
        locations = [html.unescape(location) for location in _LOCATION.findall(text)]
        (waiting if "<sitemapindex" in text else pages).extend(locations)
    return pages


async def _list(site: Site, config: SourceConfig, url: str) -> Answer | None:
    """A list of pages, or None where the site has none at this address."""
    try:
        answer = await site.get(url, limit=_MAX_LIST_BYTES)
    except RequestFailed as error:
        if error.silent:
            raise unreachable(config, f"{url} {error.reason}") from error
        return None
    return answer if answer.status == 200 else None


def _unpacked(answer: Answer) -> str:
    if not answer.body.startswith(b"\x1f\x8b"):
        return answer.text
    try:
        # 31 = gzip with its header; bounded, as a small file may unpack to a huge one.
        return (
            zlib.decompressobj(31).decompress(answer.body, _MAX_LIST_BYTES).decode("utf-8", errors="replace")
        )
    except zlib.error:
        return ""


def _listings(links: Iterable[tuple[str, str, str]], list_url: str, site: Site) -> Iterator[Listing]:
    seen: set[str] = set()
    for url, title, description in links:
        try:
            parts = urlsplit(urljoin(list_url, url))
        except ValueError:
            # Not an address at all, such as one with half an IPv6 host.
            continue
        bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        path = page_path(parts.path, site.base.path)
        if path is None or path in seen or not site.owns(bare):
            continue
        seen.add(path)
        yield Listing(path, bare, title.strip(), description.strip())


def page_path(url_path: str, base_path: str) -> str | None:
    """The page path below the base, without extension; None for what is no page or lies elsewhere."""
    base = base_path.rstrip("/")
    if url_path != base and not url_path.startswith(f"{base}/"):
        return None
    path = unquote(url_path[len(base) :]).strip("/")
    bare = _PAGE_SUFFIX.sub("", path)
    if bare == path and _OTHER_SUFFIX.search(path):
        return None
    return bare or "index"
