"""Slack's own text format, `mrkdwn`: escaping into it, and Markdown converted to it.

Answers are sent as Markdown, which Slack converts itself; this is for notifications, for cards, and
for the places where Slack refuses a `markdown` block.
"""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.slack.split import split_markdown

# What the notification and old clients show; Slack advises 4,000 at most.
FALLBACK_CHARACTERS = 3_000
SECTION_CHARACTERS = 3_000
# Escaping makes one character five at worst, so the least pieces always fit into a section.
_SMALLEST_PIECE = 800
_FIRST_PIECE = 2_400

_BROADCAST = re.compile(r"@(?=(?:here|channel|everyone)\b)")
_CODE_SPAN = re.compile(r"((?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))")
_LINK = re.compile(
    r"!?\[(?P<label>[^\]\n]+)\]\((?P<url>[^()\s]+(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\)"
)
_AUTOLINK = re.compile(r"&lt;(?P<url>(?:https?|mailto):[^\s|]+?)&gt;")
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?![\w*])")
_STRIKE = re.compile(r"~~(?=\S)(.+?)(?<=\S)~~")
_BACKSLASH = re.compile(r"\\([!-/:-@\[-`{-~])")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(?P<words>.+?)[ \t]*#*$")
_BULLET = re.compile(r"^(?P<indent>[ \t]*)[-*+][ \t]+")
_FENCE = re.compile(r"^[ \t]*(?P<mark>`{3,}|~{3,})")


def escape(text: str) -> str:
    """Text that is shown as it is: no entity, link or mention, and nobody is called by `@here`."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BROADCAST.sub("@\u200b", plain)


def link(url: str, label: str) -> str:
    """A link with a label; the bare label where the address cannot stand in Slack's brackets."""
    if not re.fullmatch(r"https?://[^\s<>|]+", url):
        return escape(label)
    return f"<{url.replace('&', '&amp;')}|{escape(label).replace('|', '¦')}>"


def shorten(text: str, most: int) -> str:
    """Escaped text within `most` characters, with an ellipsis and no half entity at its end."""
    if len(text) <= most:
        return text
    return re.sub(r"&[a-z]*$", "", text[: most - 1]) + "…"


def plain_text(markdown: str) -> str:
    """What a notification says: the words without their markup, escaped, at most 3,000 characters."""
    # The beginning is enough: markup only gets shorter, and a notification shows a few lines.
    tokens = (
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown[: 2 * FALLBACK_CHARACTERS])
    )
    words = "\n".join(line for token in tokens if (line := _words(token)))
    return shorten(escape(words), FALLBACK_CHARACTERS)


def _words(token: Token) -> str:
    if token.type == "inline":
        return "".join(_inline_words(token.children or []))
    return token.content.rstrip("\n")


def _inline_words(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            yield "\n"
        else:
            yield token.content


def to_mrkdwn(markdown: str) -> str:
    """Markdown as Slack's own format; nothing is left out, what it lacks becomes plain or code."""
    return "".join(_converted_lines(markdown)).strip("\n")


def _converted_lines(markdown: str) -> Iterator[str]:
    mark = ""
    in_table = False
    for line in markdown.split("\n"):
        is_row = not mark and line.lstrip().startswith("|")
        if is_row != in_table:
            yield "```\n"
            in_table = is_row
        fence = _FENCE.match(line)
        if mark or is_row:
            closes = fence is not None and fence["mark"].startswith(mark) and bool(mark)
            mark = "" if closes else mark
            yield "```\n" if closes else f"{escape(line)}\n"
        elif fence:
            mark = fence["mark"]
            yield "```\n"
        else:
            yield f"{_converted(line)}\n"
    if mark or in_table:
        yield "```\n"


def _converted(line: str) -> str:
    if heading := _HEADING.match(line):
        return f"*{_inline(heading['words']).replace('*', '')}*"
    return _inline(_BULLET.sub(r"\g<indent>• ", line))


def _inline(text: str) -> str:
    """Converts outside of code spans; the pieces of the split are text, span, ticks, text, …"""
    pieces = _CODE_SPAN.split(text)
    texts = [_styled(piece) for piece in pieces[0::3]]
    spans = [escape(piece) for piece in pieces[1::3]]
    return "".join(part for pair in zip(texts, [*spans, ""], strict=True) for part in pair)


def _styled(text: str) -> str:
    # Links first, and out of the way: their addresses may hold any of the other marks.
    links: list[str] = []

    def keep(made: str) -> str:
        links.append(made)
        return f"\ue000{len(links) - 1}\ue001"

    text = text.replace("\ue000", "").replace("\ue001", "")
    text = _LINK.sub(lambda found: keep(link(found["url"], found["label"])), text)
    text = _AUTOLINK.sub(lambda found: keep(f"<{found['url']}>"), escape(text))
    text = _BACKSLASH.sub(lambda found: keep(escape(found[1])), text)
    text = _ITALIC.sub(r"_\1_", text)
    text = _STRIKE.sub(r"~\1~", _BOLD.sub(r"*\2*", text))
    return re.sub("\ue000(\\d+)\ue001", lambda found: links[int(found[1])], text)


def sections_of(markdown: str, piece: int = _FIRST_PIECE) -> list[str]:
    """Markdown as texts for section blocks, each at most 3,000 characters of mrkdwn."""
    texts: list[str] = []
    for part in split_markdown(markdown, piece):
        converted = to_mrkdwn(part.text)
        if len(converted) <= SECTION_CHARACTERS:
            texts.append(converted)
        elif piece > _SMALLEST_PIECE:
            texts += sections_of(part.text, max(piece // 2, _SMALLEST_PIECE))
        else:
            texts += [
                converted[at : at + SECTION_CHARACTERS] for at in range(0, len(converted), SECTION_CHARACTERS)
            ]
    return [text for text in texts if text.strip()]
