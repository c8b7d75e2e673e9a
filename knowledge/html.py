"""An HTML page becomes Markdown: its main part's headings, paragraphs, lists, tables and code."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from knowledge.fences import outside_fences

_DROPPED = frozenset(
    {
        "script",
        "style",
        "nav",
        "footer",
        "aside",
        "noscript",
        "template",
        "svg",
        "button",
        "form",
        "iframe",
        "dialog",
    }
)
_BLOCKS = frozenset(
    {
        "p",
        "div",
        "section",
        "blockquote",
        "dl",
        "dd",
        "figure",
        "figcaption",
        "details",
        "summary",
        "hr",
        "header",
    }
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_EMPHASIS = {"strong": "**", "b": "**", "em": "*", "i": "*", "dt": "**"}
_LANGUAGE = re.compile(r"\b(?:language|lang|highlight)-(?P<name>[\w+#-]+)")
_COMMENT = re.compile(r"<!--(?:(?!<!--).)*?-->", re.DOTALL)
# A `<` with another before any `>`: the standard library's parser takes quadratic time over many of them.
_NO_TAG = re.compile(r"<(?=[^<>]*(?:<|\Z))")
# No list is nested deeper that somebody reads; each level would make every line of it longer.
_MAX_DEPTH = 20
# Signs of the links that documentation generators hang on headings.
_PERMALINKS = frozenset({"#", "¶", "§", "🔗", "\u200b", ""})


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """What a page says, without the site around it."""

    title: str
    description: str
    markdown: str
    """Without the title's heading; headings that have an id carry it as `{#id}`."""


def read_html(text: str) -> HtmlPage:
    """Reads the `<main>` of the page, else its `<article>`, else all but navigation, scripts and the like."""
    text = _NO_TAG.sub("&lt;", _COMMENT.sub("", text))
    lowered = text.lower()
    region = next((tag for tag in ("main", "article") if f"<{tag}" in lowered), "")
    reader = _Reader(region)
    reader.feed(text)
    reader.close()
    return HtmlPage(
        title=reader.main_title or _one_line(reader.document_title),
        description=reader.description,
        markdown=reader.markdown(),
    )


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@dataclass(slots=True)
class _Link:
    href: str
    start: int
    """How much had been written when it began."""


@dataclass(slots=True)
class _Table:
    rows: list[list[str]] = field(default_factory=list)
    cell_start: int = 0


class _Reader(HTMLParser):
    """Writes Markdown while it reads. HTML in the wild leaves tags open: nothing relies on a closed one."""

    def __init__(self, region: str) -> None:
        super().__init__(convert_charrefs=True)
        self.region = region
        self.main_title = self.document_title = self.description = ""
        self._out: list[str] = []
        self._regions = 0
        self._dropped: list[str] = []
        self._in_title = False
        self._lists: list[str] = []
        self._links: list[_Link] = []
        self._table: _Table | None = None
        self._heading_start = 0
        self._anchor = ""
        self._code: list[str] | None = None
        self._language = ""

    def markdown(self) -> str:
        """All that was written, with at most one blank line in a row."""
        text = outside_fences("".join(self._out), lambda part: re.sub(r"\n(?:[ \t]*\n){2,}", "\n\n", part))
        return text.strip() + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        if tag == "title" and not self.document_title:
            self._in_title = True
        elif tag == "meta" and attributes.get("name", "").lower() == "description":
            self.description = _one_line(attributes.get("content", ""))
        elif tag == self.region:
            self._regions += 1
        elif self._dropped or tag in _DROPPED:
            if tag in _DROPPED:
                self._dropped.append(tag)
        elif self._reading():
            self._open(tag, attributes)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag == self.region:
            self._regions = max(0, self._regions - 1)
        elif self._dropped:
            if tag in self._dropped:
                del self._dropped[self._dropped.index(tag) :]
        elif self._reading():
            self._close(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.document_title += data
        elif self._code is not None:
            self._code.append(data)
        elif self._reading() and not self._dropped:
            self._write(re.sub(r"\s+", " ", data))

    def _reading(self) -> bool:
        return not self.region or self._regions > 0

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        self._note_language(tag, attributes)
        if tag in _HEADINGS:
            self._break()
            self._heading_start = len(self._out)
            self._anchor = attributes.get("id") or self._anchor
        elif tag == "section":
            self._break()
            self._anchor = attributes.get("id", "")
        elif tag == "pre":
            self._code = []
        elif tag in ("ul", "ol"):
            self._lists.append(tag)
        elif tag == "li":
            self._out.append(f"\n{self._indent(len(self._lists) - 1)}{self._marker()}")
        elif tag == "a":
            self._links.append(_Link(attributes.get("href", ""), len(self._out)))
        elif tag == "br":
            self._out.append(" " if self._table else "\n" + self._indent(len(self._lists)))
        else:
            self._open_other(tag)

    def _open_other(self, tag: str) -> None:
        if tag == "table":
            self._break()
            self._table = _Table(cell_start=len(self._out))
        elif tag == "tr" and self._table:
            self._table.rows.append([])
        elif tag in ("td", "th") and self._table:
            self._table.cell_start = len(self._out)
        elif tag == "code" and self._code is None:
            self._out.append("`")
        elif tag in _EMPHASIS and self._code is None:
            if tag == "dt":
                self._break()
            self._out.append(_EMPHASIS[tag])
        elif tag in _BLOCKS:
            self._break()

    def _close(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._close_heading(_HEADINGS[tag])
        elif tag == "pre":
            self._close_code()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
            self._break()
        elif tag == "a" and self._links:
            self._close_link(self._links.pop())
        elif tag in ("td", "th") and self._table and self._table.rows:
            self._table.rows[-1].append(_one_line(self._taken(self._table.cell_start)).replace("|", "\\|"))
        elif tag == "table" and self._table:
            self._close_table(self._table)
        elif tag == "code" and self._code is None:
            self._out.append("`")
        elif tag in _EMPHASIS and self._code is None:
            self._out.append(_EMPHASIS[tag])
        elif tag in _BLOCKS:
            self._break()

    def _write(self, text: str) -> None:
        starts_line = not self._out or self._out[-1].endswith(("\n", "- ", ". "))
        if text.strip() or not starts_line:
            # A sign that opens a heading in Markdown is an ordinary one here.
            text = text.lstrip() if starts_line else text
            self._out.append(f"\\{text}" if starts_line and text.startswith("#") else text)

    def _break(self) -> None:
        """Ends the paragraph; inside a table cell only the word."""
        if self._code is not None:
            return
        if self._table:
            self._out.append(" ")
        elif not self._out or self._out[-1].endswith(("- ", "1. ")):
            return
        else:
            self._out.append("\n\n" + self._indent(len(self._lists)))

    def _marker(self) -> str:
        return "1. " if self._lists[-1:] == ["ol"] else "- "

    def _indent(self, depth: int) -> str:
        return "   " * max(0, min(depth, _MAX_DEPTH))

    def _taken(self, start: int) -> str:
        text = "".join(self._out[start:])
        del self._out[start:]
        return text

    def _close_heading(self, level: int) -> None:
        text = _one_line(self._taken(self._heading_start))
        anchor, self._anchor = self._anchor, ""
        if level == 1 and not self.main_title:
            self.main_title = text.replace("`", "")
        elif text:
            self._out.append(f"{'#' * level} {text}{f' {{#{anchor}}}' if anchor else ''}\n\n")

    def _close_link(self, link: _Link) -> None:
        text = self._taken(link.start)
        if text.strip() in _PERMALINKS:
            return
        shown = link.href and not link.href.startswith(("#", "javascript:"))
        self._out.append(f"[{text.strip()}]({link.href})" if shown else text)

    def _note_language(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in ("pre", "code", "div") and (found := _LANGUAGE.search(attributes.get("class", ""))):
            self._language = found["name"]

    def _close_code(self) -> None:
        code = "".join(self._code or []).strip("\n")
        language, self._language, self._code = self._language, "", None
        if not code.strip():
            return
        self._break()
        indent = self._indent(len(self._lists))
        marks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", code)), default=0))
        lines = [f"{marks}{language}", *code.split("\n"), marks]
        self._out.append("\n" + "\n".join(f"{indent}{line}" for line in lines) + "\n\n")

    def _close_table(self, table: _Table) -> None:
        self._table = None
        rows = [row for row in table.rows if row]
        if not rows:
            return
        width = max(len(row) for row in rows)
        rows = [row + [""] * (width - len(row)) for row in rows]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|" + " --- |" * width)
        self._out.append("\n".join(lines) + "\n\n")
