"""The built-in field guide: short pages on what people ask about, each section with its official source."""

import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from knowledge.markdown import plain
from knowledge.models import Page
from knowledge.sources.config import FIELD_GUIDE
from knowledge.sources.documents import split_front_matter
from knowledge.sources.outcome import Fetched, Total

_SOURCE_LINE = re.compile(r"^Source:[ \t]*(?P<links>\[[^\n]*)\n?", re.MULTILINE)
_LINK = re.compile(r"\[[^\]\n]+\]\((?P<url>https://[^)\s]+)\)")
_HEADING = re.compile(r"^##[ \t]+(?P<text>[^\n]+)$", re.MULTILINE)


class GuidePageError(ValueError):
    """A page of the guide does not keep to its format, which is a fault of this project."""


def read_field_guide(folder: Traversable | None = None) -> Iterator[Fetched]:
    """Every page of the guide, in order of name. Its folder comes with the package, unless one is given."""
    folder = folder or resources.files("knowledge") / "field_guide"
    entries = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".md")}
    yield Total(len(entries))
    for name in sorted(entries):
        yield guide_page(name.removesuffix(".md"), entries[name].read_text(encoding="utf-8"))


def guide_page(name: str, text: str) -> Page:
    """One page. In its `metadata`, `section_urls` maps headings to official addresses; `links` has all.

    Raises:
        GuidePageError: the front matter lacks a field or a section lacks its source.
    """
    front_matter, body = split_front_matter(text)
    title, aliases, versions = (front_matter.get(key) for key in ("title", "aliases", "versions"))
    if not isinstance(title, str) or not isinstance(aliases, list) or not aliases or not versions:
        raise GuidePageError(f"{name!r}: the front matter needs `title`, `aliases` and `versions`")
    section_urls, links = _sources(name, title, body)
    return Page(
        path=f"field-guide/{name}",
        url=links[0],
        title=title,
        source=FIELD_GUIDE.name,
        markdown=_SOURCE_LINE.sub("", body).strip("\n") + "\n",
        aliases=tuple(str(alias) for alias in aliases),
        versions=str(versions),
        metadata={"section_urls": section_urls, "links": links},
    )


def _sources(name: str, title: str, body: str) -> tuple[dict[str, str], list[str]]:
    headings = ["", *(plain(heading["text"]) for heading in _HEADING.finditer(body))]
    section_urls: dict[str, str] = {}
    links: list[str] = []
    for heading, section in zip(headings, _HEADING.split(body)[::2], strict=True):
        found = [
            link["url"] for line in _SOURCE_LINE.finditer(section) for link in _LINK.finditer(line["links"])
        ]
        if not found:
            raise GuidePageError(f"{name!r}: no Source line under {heading or title!r}")
        section_urls[heading] = found[0]
        links += found
    return section_urls, list(dict.fromkeys(links))
