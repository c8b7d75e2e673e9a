"""Where the code fences of a Markdown text are; what rewrites prose must leave them alone."""

import re
from collections.abc import Callable, Iterator

# A fence may stand behind list markers and quote signs, at any indent: in MDX, children of tags are indented.
_OPEN = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+|>[ \t]*)*(?P<marks>`{3,}(?!.*`)|~{3,})")
_CLOSE = re.compile(r"[ \t>]*(?P<marks>`{3,}|~{3,})[ \t]*$")

_CODE_SPAN = r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:[^\n]|\n(?!\s*\n))*?(?<!`)(?P=ticks)(?!`))"


def segments(markdown: str) -> Iterator[tuple[bool, str]]:
    """Cuts the text into stretches of whole lines: (is it a fence, text). Joined, they are the text again.

    A fence that is never closed reaches to the end, as CommonMark has it.
    """
    stretch: list[str] = []
    marks = ""
    for line in markdown.splitlines(keepends=True):
        if marks:
            stretch.append(line)
            if marks in line and _closes(line, marks):
                yield True, "".join(stretch)
                stretch, marks = [], ""
        elif ("```" in line or "~~~" in line) and (opened := _OPEN.match(line)):
            if stretch:
                yield False, "".join(stretch)
            stretch, marks = [line], opened["marks"]
        else:
            stretch.append(line)
    if stretch:
        yield bool(marks), "".join(stretch)


def fences_apart(markdown: str) -> str:
    """The text with a blank line before each fence.

    An indented fence right below a paragraph would be read as the paragraph's continuation.
    """
    out: list[str] = []
    for fenced, text in segments(markdown):
        if fenced and out and text.lstrip(" \t")[0] in "`~" and not out[-1].endswith("\n\n"):
            out.append("\n")
        out.append(text)
    return "".join(out)


def outside_fences(markdown: str, rewrite: Callable[[str], str]) -> str:
    """The text with everything but its code fences rewritten."""
    return "".join(text if fenced else rewrite(text) for fenced, text in segments(markdown))


def beside_code_spans(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """The pattern, made to match whole code spans too (group `code`), so that it never matches inside one."""
    return re.compile(f"{_CODE_SPAN}|{pattern}", flags)


def _closes(line: str, marks: str) -> bool:
    closing = _CLOSE.match(line)
    return closing is not None and closing["marks"].startswith(marks)
