"""The text of one document becomes a page: front matter, title, description, plain Markdown."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from knowledge.markdown import heading_text, plain
from knowledge.mdx import clean

# The one in C is four times as fast, and not in every build of PyYAML. Both make every value a text: whoever
# wrote a page may have written a thirteenth month, or a number of 5,000 digits.
_YAML = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
# More levels than fit in here end the reader in C, and this process with it.
MAX_FRONT_MATTER = 10_000

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?)(?:\n|\A)---[ \t]*(?:\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"\s*#(?P<text>#*|[ \t][^\n]*)[ \t]*(?:\n|\Z)")
_SUMMARY = re.compile(r"\s*(?P<quote>(?:>[^\n]*(?:\n|\Z))+)")
# What Mintlify puts around the Markdown that it serves.
_SITE_NOTES = re.compile(r"\A\s*>[ \t]*#+[ \t]*Documentation Index\n(?:>[^\n]*\n)*")
_SITE_FOOT = re.compile(r"\n[^\n]*Built with \[Mintlify\]\([^)]*\)\.?\s*\Z")
_METHODS = re.compile(r"\s*(?:[\w./{}-]+\.(?:json|ya?ml)\s+)?(?P<method>\w+)\s+(?P<path>/\S*)\s*$")


@dataclass(frozen=True, slots=True)
class Document:
    """A document's own words and what it says about itself."""

    title: str
    description: str
    markdown: str
    """Without front matter, title heading and tags."""
    front_matter: dict[str, Any]


def read_document(
    text: str, *, fallback_title: str, read_snippet: Callable[[str], str | None] = lambda _: None
) -> Document:
    """Reads MDX or Markdown. The title is the page's leading heading, else the front matter's.

    API references head their pages with the full name (`prefect.tasks`), where the front matter says `tasks`.
    """
    front_matter, body = split_front_matter(text.replace("\r\n", "\n").lstrip("\ufeff"))
    body = _SITE_FOOT.sub("\n", clean(body, read_snippet=read_snippet))
    heading, body = _leading_headings(_SITE_NOTES.sub("", body))
    summary, body = _leading_summary(body) if heading and not front_matter else ("", body)
    endpoint = _endpoint(front_matter)
    named = _said(front_matter, "title") or _said(front_matter, "sidebarTitle")
    return Document(
        title=heading or named or fallback_title,
        description=_said(front_matter, "description") or summary,
        markdown=f"{endpoint}{body}".strip("\n") + "\n",
        front_matter=front_matter,
    )


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The front matter, its values as texts, and the text after it; empty when it is missing or not YAML."""
    found = _FRONT_MATTER.match(text)
    if not found:
        return {}, text
    if len(found["yaml"]) > MAX_FRONT_MATTER:
        return {}, text[found.end() :]
    try:
        values = yaml.load(found["yaml"], Loader=_YAML)  # noqa: S506 - both make texts, lists and tables alone
    except (yaml.YAMLError, RecursionError):
        # A page with a slip in its front matter still has its text.
        return {}, text[found.end() :]
    return values if isinstance(values, dict) else {}, text[found.end() :]


def title_from(name: str) -> str:
    """`v3/how-to/manage-work-pools` → `Manage work pools`; an `index` is named after its folder."""
    parts = [part for part in name.split("/") if part and part != "index"] or ["index"]
    words = re.sub(r"[-_]+", " ", parts[-1]).strip()
    return words[:1].upper() + words[1:]


def _said(front_matter: dict[str, Any], key: str) -> str:
    value = front_matter.get(key)
    return plain(value) if isinstance(value, str) and value not in ("null", "~") else ""


def _leading_headings(body: str) -> tuple[str, str]:
    """Takes the first-level headings that the page opens with; the last that is not empty is its title."""
    title = ""
    while heading := _HEADING.match(body):
        title = plain(heading_text(heading["text"])) or title
        body = body[heading.end() :]
    return title, body


def _leading_summary(body: str) -> tuple[str, str]:
    """The quoted line below the title, where Mintlify serves a page's description."""
    quote = _SUMMARY.match(body)
    if not quote or quote["quote"].count("\n") > 1:
        return "", body
    return plain(quote["quote"].lstrip("> ")), body[quote.end() :]


def _endpoint(front_matter: dict[str, Any]) -> str:
    """Mintlify makes the page of a REST endpoint from this one line."""
    found = _METHODS.match(_said(front_matter, "openapi"))
    return f"REST API endpoint: `{found['method'].upper()} {found['path']}`\n\n" if found else ""
