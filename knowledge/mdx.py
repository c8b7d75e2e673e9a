"""MDX, and HTML tags in Markdown, become plain Markdown.

Documentation sites write Markdown with components in it. Their tags carry little text of their own (a
tab's title, an option's name) but break parsers: a fence in an indented tag is read as HTML or indented code.
"""

import re
from collections.abc import Callable, Mapping

from knowledge.fences import beside_code_spans, outside_fences

_NAME = r"[A-Za-z][\w.]*"
# Attribute values may hold `>`; expressions may hold one more level of braces, as in style={{…}}.
_ATTRIBUTES = r"""(?:[^<>"'{}]|"[^"]*"|'[^']*'|\{(?:[^{}]|\{[^{}]*\})*\})*"""
_TAG = beside_code_spans(
    rf"(?P<lead>^[ \t]*)?<(?P<slash>/?)[ \t]*(?P<name>{_NAME})(?P<attributes>(?=[\s/>]){_ATTRIBUTES})>",
    re.MULTILINE,
)
_ATTRIBUTE = re.compile(r"""(?P<key>[\w-]+)(?:=(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|\{[^{}]*\}))?""")

# Nothing between these tags is text for readers; the last is addressed to programs that read pages.
# None may hold its own beginning: looking for the end of each of many beginnings would take forever.
_HIDDEN = beside_code_spans(
    r"<(?P<hidden>script|style|svg|iframe|AgentInstructions)\b[^<>]*>(?:(?!<(?P=hidden)\b).)*?</(?P=hidden)\s*>"
    r"|\{/\*(?:(?!\{/\*).)*?\*/\}|<!--(?:(?!<!--).)*?-->",
    re.DOTALL,
)
_HIDING = re.compile(r"<(?:script|style|svg|iframe|AgentInstructions|!--)|\{/\*")
_IMPORT = re.compile(
    r"^import\s+(?P<names>[^\s;'\"](?:[^;'\"\n]*?[^\s;'\"])?)\s+from\s+"
    r"['\"](?P<target>[^'\"\n]+)['\"];?[ \t]*$",
    re.MULTILINE,
)
_EXPORT = re.compile(r"^export\s+(?:const|let|function|default|async)\b", re.MULTILINE)
_ESCAPED = beside_code_spans(r"\\(?P<char>[${}<])")
# GitHub's callouts: `> [!NOTE]`, which Mintlify writes into its Markdown pages too.
_CALLOUT = re.compile(
    r"^(?P<lead>[ \t]*>[ \t]*)\[!(?P<kind>[A-Z]+)\][ \t]*\n(?:[ \t]*>[ \t]*\n)?", re.MULTILINE
)
# Two blank lines or more; at the start, which follows a fence's line end, that is two line ends.
_BLANK_LINES = re.compile(r"(?:\A|\n)(?:[ \t]*\n){2,}")

# fmt: off
_INLINE_HTML = frozenset({
    "a", "abbr", "b", "br", "cite", "code", "del", "em", "font", "i", "img", "input", "ins", "kbd", "label",
    "mark", "picture", "q", "s", "samp", "small", "source", "span", "strong", "sub", "sup", "u", "var",
    "video", "wbr",
})
_BLOCK_HTML = frozenset({
    "article", "aside", "blockquote", "center", "dd", "details", "div", "dl", "dt", "figcaption", "figure",
    "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section",
    "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
})
# fmt: on
_FIELDS = frozenset({"ResponseField", "ParamField"})
_WARNINGS = frozenset({"Warning", "Danger"})
# Marks where the text of a field follows on the next line; never survives `clean`.
_JOIN = "\x00"

ReadSnippet = Callable[[str], str | None]


def clean(mdx: str, *, read_snippet: ReadSnippet = lambda _: None) -> str:
    """Plain Markdown with the same words, code fences untouched.

    `read_snippet` is given the target of an import (`/snippets/install.mdx`) and answers its text, or None.
    """
    text = mdx.replace("\r\n", "\n").replace("\r", "\n").replace(_JOIN, "\ufffd").lstrip("\ufeff")
    imported: dict[str, str] = {}
    text = outside_fences(text, lambda part: _without_imports(part, imported))
    text = _with_snippets(text, imported, read_snippet)
    return outside_fences(text, lambda part: _plain(part, imported)).strip("\n") + "\n"


def _without_imports(text: str, imported: dict[str, str]) -> str:
    """Drops import and export statements; fills `imported` with the name of each component and its target."""

    def note(statement: re.Match[str]) -> str:
        for name in re.findall(r"[A-Za-z_]\w*", statement["names"]):
            imported[name] = statement["target"]
        return ""

    return _without_exports(_IMPORT.sub(note, text))


def _without_exports(text: str) -> str:
    kept, position = [], 0
    while statement := _EXPORT.search(text, position):
        kept.append(text[position : statement.start()])
        position = _statement_end(text, statement.end())
    return "".join([*kept, text[position:]])


def _statement_end(text: str, position: int) -> int:
    """The end of the line on which all brackets of the statement are closed again; at worst the end."""
    depth = 0
    for index in range(position, len(text)):
        char = text[index]
        depth += (char in "({[") - (char in ")}]")
        if char == "\n" and depth <= 0:
            return index
    return len(text)


def _with_snippets(text: str, imported: Mapping[str, str], read_snippet: ReadSnippet) -> str:
    for name, target in imported.items():
        snippet = read_snippet(target)
        if snippet is not None and not _EXPORT.search(snippet):
            use = re.compile(rf"^[ \t]*<{name}[^<>]*/>[ \t]*$", re.MULTILINE)
            text = f"\n{snippet.strip()}\n".join(use.split(text))
    return text


def _plain(text: str, imported: Mapping[str, str]) -> str:
    # Passing over every code span takes long, and most stretches have nothing to be replaced.
    if _HIDING.search(text):
        text = _HIDDEN.sub(lambda match: match["code"] or "", text)
    if "<" in text:
        text = _TAG.sub(lambda match: match["code"] or _replacement(match, imported), text)
    text = _CALLOUT.sub(_callout, text)
    text = re.sub(rf"{_JOIN}[ \t]*\n?[ \t]*(?=[\w`*(\[<\"'$~])", " ", text).replace(_JOIN, "")
    if "\\" in text:
        text = _ESCAPED.sub(lambda match: match["code"] or match["char"], text)
    return _BLANK_LINES.sub(lambda blank: "\n\n" if blank.start() else "\n", text)


def _callout(match: re.Match[str]) -> str:
    return f"{match['lead']}**Warning:**\n" if match["kind"] in {"WARNING", "CAUTION"} else ""


def _replacement(tag: re.Match[str], imported: Mapping[str, str]) -> str:
    name, lead = tag["name"], tag["lead"] or ""
    if name in _INLINE_HTML:
        return lead + (" " if name == "br" else "")
    if not (name in _BLOCK_HTML or name in imported or _is_component(name)):
        return tag[0]
    if _in_table_row(tag):
        return " "
    label = "" if tag["slash"] else _label(name, _attributes(tag["attributes"]))
    return f"\n{lead}{label}" if label.startswith("- ") else f"\n\n{lead}{label}\n\n"


def _is_component(name: str) -> bool:
    """`<Tab>` is one; `<HOST>` and `<your-token>` are placeholders of the text."""
    return name[0].isupper() and any(char.islower() for char in name)


def _in_table_row(tag: re.Match[str]) -> bool:
    line_start = tag.string.rfind("\n", 0, tag.start()) + 1
    return tag.string[line_start : tag.start()].lstrip().startswith("|")


def _attributes(text: str) -> dict[str, str]:
    return {
        match["key"]: (match["double"] or match["single"] or "").strip()
        for match in _ATTRIBUTE.finditer(text)
    }


def _label(name: str, attributes: Mapping[str, str]) -> str:
    """The words that a tag itself shows on the page."""
    if name in _FIELDS:
        return _field_label(attributes)
    if name.startswith("Tree."):
        return f"- {attributes.get('name', '')}{'/' if name == 'Tree.Folder' else ''}\n"
    if name in _WARNINGS:
        return "**Warning:**"
    title = attributes.get("title") or attributes.get("label") or ""
    if title and "href" in attributes and attributes["href"]:
        return f"**[{title}]({attributes['href']})**"
    if title and name not in {"Icon", "Frame", "img"}:
        return f"**{title}**"
    return "- " if name == "li" else ""


def _field_label(attributes: Mapping[str, str]) -> str:
    keys = ("name", "path", "query", "body", "header")
    field = next((attributes[key] for key in keys if attributes.get(key)), "")
    facts = [attributes.get("type", ""), "required" if "required" in attributes else ""]
    noted = ", ".join(fact for fact in facts if fact)
    return f"- `{field}`{f' ({noted})' if noted else ''}:{_JOIN}" if field else ""
