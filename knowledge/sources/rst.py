"""reStructuredText becomes Markdown, as far as finding and reading needs it: headings, code, roles, links."""

import re
import textwrap

_UNDERLINE = re.compile(r"(?P<char>[=\-~^\"'`#*+:.<>_])(?P=char){2,}\s*$")
_CODE = re.compile(r"(?P<indent>\s*)\.\. (?:code-block|code|sourcecode|prompt)::\s*(?P<language>[\w+-]*)\s*$")
_ADMONITION = re.compile(
    r"(?P<indent>\s*)\.\. (?P<kind>note|tip|hint|important|warning|danger|caution|seealso)::\s*"
)
_DIRECTIVE = re.compile(r"\s*\.\. (?:[\w:-]+::|_[^:]+:|\|)")
_OPTION = re.compile(r"\s*:[\w-]+:")
_INLINE = (
    (re.compile(r"``(.+?)``"), r"`\1`"),
    (re.compile(r":[\w:+.-]{1,60}:`~?([^`<]+?)(?<!\s)\s*(?:<[^`>]*>)?`"), r"`\1`"),
    (re.compile(r"`([^`<]+?)(?<!\s)\s*<(https?://[^`>\s]+)>`__?"), r"[\1](\2)"),
)


def markdown_from_rst(text: str) -> str:
    """Markdown with the same words; directives that hold no text of their own are dropped."""
    lines = text.expandtabs(4).splitlines()
    levels: dict[str, int] = {}
    out: list[str] = []
    position = 0
    while position < len(lines):
        taken, written = _heading(lines, position, levels) or _code(lines, position) or _line(lines, position)
        out += written
        position += taken
    return "\n".join(out) + "\n"


def _heading(lines: list[str], at: int, levels: dict[str, int]) -> tuple[int, list[str]] | None:
    """A line with an underline as long as itself, perhaps with the same line above it."""
    over = 1 if at + 2 < len(lines) and _UNDERLINE.match(lines[at]) and lines[at] == lines[at + 2] else 0
    if at + over + 1 >= len(lines):
        return None
    title, mark = lines[at + over].strip(), lines[at + over + 1]
    if not title or not _UNDERLINE.match(mark) or len(mark.rstrip()) < len(title) or _UNDERLINE.match(title):
        return None
    level = levels.setdefault(f"{over}{mark[0]}", len(levels) + 1)
    return over + 2, [f"{'#' * min(level, 6)} {_inline(title)}"]


def _code(lines: list[str], at: int) -> tuple[int, list[str]] | None:
    """A code directive, or a paragraph that ends in `::`, with the indented lines below it."""
    directive = _CODE.match(lines[at])
    literal = not directive and lines[at].rstrip().endswith("::") and not _DIRECTIVE.match(lines[at])
    if not directive and not literal:
        return None
    body = _indented(lines, at + 1)
    code = [line for line in body if not (directive and _OPTION.match(line))]
    lead = [] if directive else [_inline(lines[at].rstrip()[:-1])]
    if not any(line.strip() for line in code):
        return (1 + len(body), lead)
    language = directive["language"] if directive else ""
    fence = textwrap.dedent("\n".join(code)).strip("\n").split("\n")
    return 1 + len(body), [*lead, "", f"```{language}", *fence, "```", ""]


def _line(lines: list[str], at: int) -> tuple[int, list[str]]:
    line = lines[at]
    if admonition := _ADMONITION.match(line):
        return 1, [admonition["indent"] + _inline(line[admonition.end() :])]
    if _DIRECTIVE.match(line) or line.strip() == "..":
        return 1, []
    return 1, [_inline(line)]


def _indented(lines: list[str], start: int) -> list[str]:
    """The block of indented and blank lines from `start` on."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end][0] == " "):
        end += 1
    return lines[start:end]


def _inline(line: str) -> str:
    for pattern, replacement in _INLINE:
        line = pattern.sub(replacement, line)
    return line
