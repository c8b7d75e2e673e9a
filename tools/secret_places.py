"""Masks a value that the name of a secret stands beside in other forms than `name = value`. Pure."""

import re
from typing import NamedTuple

from tools.masks import mask
from tools.secret_keywords import keywords_in, name_at
from tools.secret_names import is_code, is_harmless, kind_of_name

_INDENT = r"[^\S\n]{0,40}"
_QUOTE = r"\\{0,3}[\"']?"
_WITH_DIGIT = r"(?=[^\s\"'\d]{0,100}\d)[^\s\"'=:]{6,500}"


class Place(NamedTuple):
    """`before` ends where the name begins, `after` begins where it ends and has the group `value`."""

    before: re.Pattern[str]
    after: re.Pattern[str]


def _place(before: str, after: str) -> Place:
    flags = re.IGNORECASE | re.MULTILINE
    return Place(re.compile(rf"(?:{before})\Z", flags), re.compile(after, flags))


# How far before its name a form may begin.
_MAX_BEFORE = 80
_PLACES: tuple[Place, ...] = (
    _place(r"<(?:[\w-]{1,40}:)?", r">(?P<value>[^<>\n]{1,500})</"),
    _place(
        rf"(?<![\w-])(?:name|key){_QUOTE}\s{{0,3}}[:=]\s{{0,3}}{_QUOTE}",
        rf"{_QUOTE}[\s,]{{1,40}}{_QUOTE}value{_QUOTE}\s{{0,3}}[:=]\s{{0,3}}{_QUOTE}"
        r"(?P<value>[^\s\"'<>\\,}]{1,500})",
    ),
    # YAML: a block below its key, or one word.
    _place(
        rf"^{_INDENT}(?:-[ ])?[\"']?",
        rf"[\"']?:{_INDENT}[|>][+-]?[^\S\n]{{0,40}}\n"
        r"(?P<deeper>[^\S\n]{1,80})(?P<value>\S[^\n]*(?:\n(?P=deeper)[^\n]*\S[^\n]*)*)",
    ),
    _place(
        rf"^{_INDENT}(?:-[ ])?[\"']?",
        rf"[\"']?:{_INDENT}\r?\n[^\S\n]{{1,80}}(?P<value>[\w.!/+$@][^\s:=()\[\]{{}},]{{5,500}}){_INDENT}$",
    ),
    # What pydantic says of a value that is not valid.
    _place("^", r"\n[^\n]{0,400}?\binput_value=[\"']?(?P<value>[^\n]{1,500}?)[\"']?(?=, input_type)"),
    # Terraform.
    _place(
        r"\bvariable\s{1,3}\"",
        r"\"\s{0,3}\{[^{}]{0,400}?\bdefault\s{0,20}=\s{0,20}\"(?P<value>[^\"\n]{1,500})",
    ),
    # `aws configure set NAME value`, `ENV NAME value`; a line of its own in Spark's defaults or a .netrc.
    _place(r"\bsetx?\s{1,3}|^ENV\s{1,3}", rf"[ \t]{{1,20}}(?P<value>{_WITH_DIGIT})"),
    _place(rf"^{_INDENT}", rf"[ \t]{{1,20}}(?P<value>{_WITH_DIGIT}){_INDENT}$"),
)
# Seen from anywhere in the name, what the forms above go on with; most of a text is passed by here.
_LEADS_TO_PLACE = re.compile(
    rf"[\w.-]{{0,80}}(?:>|\n|{_QUOTE}[\s,]{{1,40}}{_QUOTE}value|[\"']?:{_INDENT}[|>\r\n]|\"\s{{0,3}}\{{"
    rf"|[ \t]{{1,20}}{_WITH_DIGIT})",
    re.IGNORECASE,
)


def without_placed(text: str) -> str:
    """Every value masked that its name stands beside in another way than by an assignment."""
    parts: list[str] = []
    done = 0
    for keyword in keywords_in(text):
        if (
            keyword >= done
            and _LEADS_TO_PLACE.match(text, keyword)
            and (span := _placed_at(text, keyword, done))
        ):
            start, end, kind = span
            parts += [text[done:start], mask(kind)]
            done = end
    return "".join([*parts, text[done:]])


def _placed_at(text: str, keyword: int, since: int) -> tuple[int, int, str] | None:
    """Where the value of the name is that the keyword is a part of, and the name's kind."""
    name = name_at(text, keyword, since)
    kind = kind_of_name(name[0]) if name else ""
    if name is None or not kind:
        return None
    for place in _PLACES:
        after = place.after.match(text, name.end())
        if after is None or is_harmless(after["value"], kind) or is_code(after["value"]):
            continue
        before = place.before.search(text, max(0, name.start() - _MAX_BEFORE), name.start())
        if before is not None and _is_below(after, before):
            return *after.span("value"), kind
    return None


def _is_below(after: re.Match[str], before: re.Match[str]) -> bool:
    """A block of YAML belongs to a key that it stands deeper than."""
    deeper = after.groupdict().get("deeper")
    return deeper is None or len(deeper) > len(before[0].rstrip("\"'"))
