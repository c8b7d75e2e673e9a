"""Pages become chunks: one subject each, never cut inside a code fence that fits."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from knowledge.markdown import Block, Section, sections, without_targets
from knowledge.models import Chunk, Page

CHUNKER = "headings-1"

# About 350 tokens: enough for an answer's context, small enough that its vector is about one thing.
TARGET_CHARS = 1_500
# About 900 tokens with code; no chunk is longer.
MAX_CHARS = 3_000
# A section shorter than this says too little on its own to be found or to answer anything.
TINY_CHARS = 200
# A paragraph that introduces code or a list ("Run the following command:") is not longer than this.
_LEAD_IN_CHARS = 250
# What remains of a tab's or an accordion's tag: its title in bold.
_LABEL = re.compile(r"\*\*[^\n]{1,200}\*\*")
_PIECE_CHARS = MAX_CHARS - _LEAD_IN_CHARS - len("\n\n")


def chunk_page(page: Page) -> list[Chunk]:
    """The chunks of the page in reading order, each with the deep link to its heading.

    Where `page.metadata["section_urls"]` maps headings to addresses, a section is cited by its own one.
    """
    section_urls: dict[str, str] | None = page.metadata.get("section_urls")
    found = sections(without_targets(page.markdown))
    chunks: list[Chunk] = []
    for stretch in _stretches(found, join=section_urls is None):
        for text in _packed(_with_description(stretch, page)):
            chunks.append(_chunk(page, stretch, text, len(chunks)))
    if not chunks and page.description:
        chunks.append(_chunk(page, _Stretch([found[0]]), page.description, 0))
    return chunks


@dataclass(slots=True)
class _Stretch:
    """One section, or several tiny ones that stand together; becomes one chunk or more."""

    members: list[Section]

    @property
    def headings(self) -> tuple[str, ...]:
        """What all members stand under."""
        first = self.members[0].headings
        return first if all(member.headings[: len(first)] == first for member in self.members) else first[:-1]

    @property
    def blocks(self) -> list[Block]:
        found: list[Block] = []
        for member in self.members:
            if member.headings != self.headings:
                found.append(Block("title", f"{'#' * member.level} {member.headings[-1]}"))
            found.extend(member.blocks)
        return found


def _chunk(page: Page, stretch: _Stretch, text: str, position: int) -> Chunk:
    return Chunk(
        page=page.path,
        title=page.title,
        heading=" > ".join(stretch.headings),
        url=_address(page, stretch),
        source=page.source,
        text=text,
        position=position,
        aliases=page.aliases,
    )


def _address(page: Page, stretch: _Stretch) -> str:
    section_urls: dict[str, str] | None = page.metadata.get("section_urls")
    if section_urls is not None:
        above = (*reversed(stretch.headings), "")
        return next((section_urls[heading] for heading in above if heading in section_urls), page.url)
    return f"{page.url}#{stretch.members[0].anchor}" if stretch.members[0].anchor else page.url


def _with_description(stretch: _Stretch, page: Page) -> list[Block]:
    """The page's own summary stands before its first words, unless they are the same."""
    if stretch.headings or not page.description or page.description in stretch.blocks[0].text:
        return stretch.blocks
    return [Block("text", page.description), *stretch.blocks]


def _stretches(found: Sequence[Section], *, join: bool) -> Iterator[_Stretch]:
    members: list[Section] = []
    for section, following in zip_longest(found, found[1:]):
        if not section.blocks and (not section.level or (following and following.level > section.level)):
            # Nothing stands here, and a heading with parts below it is in their paths.
            continue
        if members and not (join and _belongs(section, members)):
            yield _Stretch(members)
            members = []
        members.append(section)
    yield from [_Stretch(members)] if members else []


def _belongs(section: Section, members: Sequence[Section]) -> bool:
    """Tiny neighbours under one heading stand together, and a heading's one sentence with its first part."""
    last = members[-1]
    if last.level == 0 or last.size > TINY_CHARS:
        return False
    if sum(_shown_size(member) for member in [*members, section]) > TARGET_CHARS:
        return False
    parent = section.headings[:-1]
    if parent == last.headings:
        return len(members) == 1
    return section.size <= TINY_CHARS and parent == last.headings[:-1]


def _shown_size(section: Section) -> int:
    """Characters of the section with its title above it."""
    return section.size + len(section.headings[-1]) + len("###### \n\n")


def _packed(blocks: Iterable[Block]) -> Iterator[str]:
    """The blocks as texts of about the target size, in order."""
    current: list[Block] = []
    for block in (piece for whole in blocks for piece in _pieces(whole)):
        if current and _overflows(current, block):
            carried = _lead_in(current, block)
            yield _text(current[: len(current) - len(carried)])
            current = carried
        current.append(block)
    if current:
        yield _text(current)


def _overflows(current: Sequence[Block], block: Block) -> bool:
    size = len(_text(current))
    together = size + len(block.text)
    # A short beginning is not left alone in front of a long block.
    return together > MAX_CHARS - len("\n\n") or (together > TARGET_CHARS and size > TARGET_CHARS // 2)


def _lead_in(current: Sequence[Block], block: Block) -> list[Block]:
    """The title, label or introduction of the block that opens the next chunk, which goes with it."""
    last = current[-1]
    introduces = last.kind == "text" and block.kind != "text" and len(last.text) <= _LEAD_IN_CHARS
    carried = introduces or last.kind == "title" or _LABEL.fullmatch(last.text)
    return [last] if carried and len(current) > 1 else []


def _text(blocks: Sequence[Block]) -> str:
    text = ""
    for before, block in zip([None, *blocks], blocks, strict=False):
        tight = before is not None and before.kind == block.kind == "item"
        text += block.text if before is None else ("\n" if tight else "\n\n") + block.text
    return text


def _pieces(block: Block) -> Iterator[Block]:
    """The block itself where it fits, else what it can be cut into, each small enough."""
    if len(block.text) <= _PIECE_CHARS:
        yield block
    elif block.parts:
        for part in block.parts:
            yield from _pieces(part)
    else:
        head, lines, foot = _frame(block)
        room = max(TARGET_CHARS - len(head) - len(foot), TINY_CHARS)
        for text in _grouped(_short(lines, room), room):
            yield Block(block.kind, f"{head}{text}{foot}")


def _frame(block: Block) -> tuple[str, list[str], str]:
    """What every piece of a block repeats before and after its lines: a fence's marks, a table's header."""
    lines = block.text.split("\n")
    if block.kind == "fence":
        return lines[0] + "\n", lines[1:-1], "\n" + lines[-1]
    if block.kind == "table" and len(lines) > 2:
        return "\n".join(lines[:2]) + "\n", lines[2:], ""
    return "", lines, ""


def _grouped(lines: Iterable[str], limit: int) -> Iterator[str]:
    group = ""
    for line in lines:
        if group and len(group) + 1 + len(line) > limit:
            yield group
            group = line
        else:
            group = f"{group}\n{line}" if group else line
    if group:
        yield group


def _short(lines: Iterable[str], limit: int) -> Iterator[str]:
    """The lines; one that is longer than the limit is cut at its last space within it, or hard."""
    for line in lines:
        rest = line
        while len(rest) > limit:
            at = rest.rfind(" ", limit // 2, limit)
            at = at if at > 0 else limit
            yield rest[:at]
            rest = rest[at:].lstrip()
        yield rest
