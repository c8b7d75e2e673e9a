"""Since which minor version a name has been there, as the release notes in the index tell it."""

import re
from collections.abc import Iterable, Iterator

from knowledge.contents import Contents
from knowledge.models import Page
from knowledge.symbols.table import Command, Symbols

_NOTES = re.compile(r"release-notes/(?:oss/)?version-(\d+)-(\d+)$")
# Headings and bold lines that begin a list of what is new, and those that begin another one.
_HEADING = re.compile(r"^(?:#{2,6}\s+(?P<heading>.*)|\*\*(?P<bold>[^*]+)\*\*\s*:?)\s*$")
_NEW = re.compile(r"\b(?:new|features?|enhancements?|additions?)\b", re.IGNORECASE)
# "Add `x`" tells that x is new; "Add support for `x`" and "Add `x` to `y`" tell nothing of the kind.
_ADDS = re.compile(
    r"^[*-]\s+(?:adds?|introduces?)\s+(?:(?:an?|the|new|setting|command|function|class|decorator)\s+)*"
    r"`(?P<name>[^`\n]+)`(?P<after>[^\n]*)",
    re.IGNORECASE,
)
_SAID_OF = re.compile(
    r"\s*(?:to|support|examples?|docs|section|arg(?:ument)?s?|param(?:eter)?s?|fields?|hooks?|notes?|property)\b"
)
_FLAG_OF = re.compile(r"\s*(?:flag|option)s?\s+(?:to|for)\s+(?:the\s+)?`(?P<command>[^`\n]+)`")
_CALLABLE = re.compile(r"\s*(?:function|utility|class|context manager)\b")
_SPAN = re.compile(r"`([^`\n]+)`")


def with_since(symbols: Symbols, contents: Contents) -> Symbols:
    """The table with what the release notes among the index's pages tell."""
    notes = [
        page
        for source in contents.sources()
        for path in contents.hashes(source)
        if _NOTES.search(path) and (page := contents.page(source, path))
    ]
    return symbols.model_copy(update={"first_seen": first_seen(notes, symbols)})


def first_seen(pages: Iterable[Page], symbols: Symbols) -> dict[str, str]:
    """Give the minor version that each known name came with, where a note says that it was added.

    A name that an older release's notes mention at all was there before, and is left out.
    """
    notes = sorted((version, page.markdown) for page in pages if (version := _version(page)))
    # What the earliest notes add may be older than they are.
    mentioned = {span for _, markdown in notes[:1] for span in _SPAN.findall(markdown)}
    added: dict[str, str] = {}
    for version, markdown in notes[1:]:
        for name in _added(markdown, symbols):
            if name not in mentioned:
                added.setdefault(name, f"{version[0]}.{version[1]}")
        mentioned.update(_SPAN.findall(markdown))
    return added


def _version(page: Page) -> tuple[int, int] | None:
    match = _NOTES.search(page.path)
    return (int(match[1]), int(match[2])) if match else None


def _added(markdown: str, symbols: Symbols) -> Iterator[str]:
    """The names that a release's notes call new and that exist."""
    is_new = False
    for line in markdown.splitlines():
        if heading := _HEADING.match(line):
            is_new = _NEW.search(heading["heading"] or heading["bold"]) is not None
        elif is_new and (adds := _ADDS.match(line)):
            name = _name(adds["name"].strip(), adds["after"], symbols)
            yield from [name] if name else []


def _name(code: str, after: str, symbols: Symbols) -> str:
    """What was added, as it can be looked up: a setting, a command or its flag, a name, a class, a call."""
    if code.startswith("--"):
        flag_of = _FLAG_OF.match(after)
        command = _command(flag_of["command"], symbols.cli) if flag_of else None
        return f"{command[0]} {code}" if command and code in command[1].flags else ""
    if _SAID_OF.match(after):
        return ""
    if code.startswith("PREFECT_"):
        return code if code in symbols.settings else ""
    if found := _command(code, symbols.cli):
        return found[0]
    bare = code.removesuffix("()")
    if "." in bare:
        return bare if symbols.has_name(f"prefect.{bare.removeprefix('prefect.')}") else ""
    # A bare word may be a parameter or a field; a class and what is called a function are not.
    is_own = bare != code or re.fullmatch(r"(?:[A-Z][a-z]+){2,}", bare) or _CALLABLE.match(after)
    return bare if is_own and bare in symbols.public else ""


def _command(code: str, root: Command) -> tuple[str, Command] | None:
    """A command by its words, which may leave out `prefect`, but not be a single word then."""
    words = code.removeprefix("prefect ").split()
    command: Command | None = root if words and (len(words) > 1 or code.startswith("prefect ")) else None
    for word in words:
        command = command.commands.get(word) if command else None
    return (f"prefect {' '.join(words)}", command) if command else None
