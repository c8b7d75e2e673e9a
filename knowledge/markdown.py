"""Markdown becomes sections of blocks, cut from the text by the parser's line numbers, never re-rendered."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from knowledge.fences import beside_code_spans, fences_apart, outside_fences

# No pattern here may begin with blanks of any number, or look for the end of a line from any place on it: a
# page with a megabyte on one line would take hours.
_CUSTOM_ANCHOR = re.compile(r"(?<!\s)\s*\\?\{#(?P<anchor>[\w-]+)\\?\}\s*$")

# Descriptions are read like headings, and are the longest of them.
MAX_HEADING = 2_000

Kind = Literal["text", "item", "table", "fence", "title"]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, table, fence or title line; `parts` are what it can be cut into."""

    kind: Kind
    text: str
    parts: tuple["Block", ...] = ()


@dataclass(slots=True)
class Section:
    """What stands under one heading, up to the next heading of any level."""

    level: int
    """1 to 6; 0 for what stands before the first heading."""
    path: tuple[tuple[int, str], ...] = ()
    """The headings down to this one: level and plain text of each."""
    anchor: str = ""
    blocks: list[Block] = field(default_factory=list)

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(text for _, text in self.path)

    @property
    def size(self) -> int:
        """Characters of its blocks."""
        return sum(len(block.text) for block in self.blocks)


def sections(markdown: str) -> list[Section]:
    """The sections in order; the first holds what stands before any heading and may be empty."""
    text = fences_apart(markdown)
    lines = text.split("\n")
    found, anchors = [Section(level=0)], Counter[str]()
    for node in _nodes(_PARSER.parse(text)):
        if node[0].type == "heading_open":
            found.append(_opened(node, found[-1], anchors))
        else:
            found[-1].blocks.extend(_blocks(node, lines))
    return found


def slug(heading: str) -> str:
    """The anchor that GitHub and most documentation sites give a heading of this plain text."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def heading_text(line: str) -> str:
    """What a heading says: without blanks, and the signs that may close it."""
    return line.strip(" \t").rstrip("#").rstrip(" \t")


def plain(inline: str) -> str:
    """A heading's words without their Markdown: code ticks, emphasis, links; cut where it is too long."""
    text = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", inline[:MAX_HEADING])
    text = re.sub(r"(\*{1,3})(\S(?:.*?\S)?)\1", r"\2", text)
    return re.sub(r"\s+", " ", re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text.replace("`", ""))).strip()


_LINK = beside_code_spans(
    r"(?P<image>!?)\[(?P<label>(?:[^\[\]\n]|\n(?!\n)|\[[^\[\]\n]*\])*)\]"
    r"\(\s*<?(?P<target>(?:[^()\s]|\([^()\s]*\))*)>?(?:\s+\"[^\"\n]*\"|\s+'[^'\n]*')?\s*\)"
)


def without_targets(markdown: str) -> str:
    """Links become their words, except those that lead to another site; pictures become their description.

    A target inside the site is noise for search and dead where the passage is shown. So are the links of
    release notes to every author and change (`@name`, `#123`).
    """

    def words(link: re.Match[str]) -> str:
        if link["code"]:
            return link[0]
        foreign = link["target"].startswith(("http://", "https://")) and not link["image"]
        return link[0] if foreign and not link["label"].startswith(("@", "#")) else link["label"]

    return outside_fences(markdown, lambda text: _LINK.sub(words, text))


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    # Indented children of MDX tags, and fences among them, would be read as code or HTML.
    parser.disable(["code", "html_block", "reference"])
    # Only the lines of the blocks are used, so the text inside them need not be parsed.
    parser.core.ruler.disable("inline")
    return parser


_PARSER = _make_parser()

Node = list[Token]


def _nodes(tokens: Sequence[Token]) -> Iterator[Node]:
    """The tokens of one nesting level, each with all that it contains."""
    node: Node = []
    depth = 0
    for token in tokens:
        node.append(token)
        depth += token.nesting
        if depth == 0:
            yield node
            node = []


def _opened(node: Node, previous: Section, anchors: Counter[str]) -> Section:
    level = int(node[0].tag[1])
    custom = _CUSTOM_ANCHOR.search(node[1].content)
    heading = plain(_CUSTOM_ANCHOR.sub("", node[1].content))
    anchor = custom["anchor"] if custom else slug(heading)
    anchors[anchor] += 1
    if anchors[anchor] > 1:
        # Mintlify counts the second heading of the same text as 2 (GitHub as 1).
        anchor = f"{anchor}-{anchors[anchor]}"
    above = tuple(entry for entry in previous.path if entry[0] < level)
    return Section(level=level, path=(*above, (level, heading)), anchor=anchor)


def _blocks(node: Node, lines: Sequence[str]) -> list[Block]:
    first = node[0]
    if first.type == "fence":
        return [fence(first.content, info=first.info, marks=first.markup)]
    if first.type in ("bullet_list_open", "ordered_list_open"):
        return [_container("item", item, lines) for item in _nodes(node[1:-1])]
    if first.type == "blockquote_open":
        return [_container("text", node, lines)]
    if first.type == "table_open":
        return [Block("table", re.sub(r"-{4,}", "---", re.sub(r" {2,}", " ", _cut(first, lines))))]
    return [] if first.type == "hr" else [Block("text", _cut(first, lines))]


def _container(kind: Kind, node: Node, lines: Sequence[str]) -> Block:
    children = [block for child in _nodes(node[1:-1]) for block in _blocks(child, lines)]
    # A container of one paragraph cannot be cut anywhere else than the paragraph itself.
    parts = tuple(children) if len(children) > 1 or any(child.kind == "fence" for child in children) else ()
    return Block(kind, _cut(node[0], lines), parts)


def fence(code: str, *, info: str, marks: str) -> Block:
    """A code fence; of its info string the language and a plain title stay (`bash uv`), attributes go."""
    words = [word for word in info.split() if "=" not in word and "{" not in word]
    return Block("fence", f"{marks}{' '.join(words)}\n{code.rstrip()}\n{marks}")


def _cut(token: Token, lines: Sequence[str]) -> str:
    """The lines of a block, without the indent of its first one."""
    start, end = token.map or (0, 0)
    block = lines[start:end]
    indent = len(block[0]) - len(block[0].lstrip()) if block else 0
    return "\n".join(line[:indent].lstrip() + line[indent:] for line in block).rstrip()
