"""Masks what is assigned to the name of a secret: `DB_PASSWORD=…`, `"token": "…"`, `--api-key …`. Pure."""

import re

from tools.masks import MASK_START, mask
from tools.secret_keywords import MAX_NAME, keywords_in, name_at
from tools.secret_names import is_code, is_harmless, is_working_folder, kind_of_name

# After a long harmless value the search goes on behind it, or many of them would take quadratic time.
LONG_VALUE = 200
# What makes a sentence of an assignment stands right beside it; a line can be as long as the text.
NEAR = 200

_QUOTE = r"\\{0,7}[\"']"
# What stands below its name counts only in quotes: else it may be anything.
_BELOW = r"[ \t]{0,20}\r?\n[ \t]{0,40}(?=[\"'])"
# `token == "…"` compares with a secret, `requests-auth==6.0` names a version.
_SIGN = r"(?::=|=>|->|(?:!=|={2,3})(?=[ \t]*[\"'])|=(?!=)|:)"
_MIDDLE = rf"(?:{_QUOTE})?\]?[ \t]{{0,40}}{_SIGN}(?:[ \t]{{0,20}}|{_BELOW})"
_LEADS_TO_VALUE = re.compile(rf"[\w.-]{{0,{MAX_NAME}}}{_MIDDLE}")
_ASSIGNED = re.compile(
    rf"(?P<name>[a-z_][\w.-]{{0,{MAX_NAME}}})(?P<middle>{_MIDDLE})"
    r"(?P<value>(?:[bruf]{1,2}(?=[\"']))?"
    r"(?:\\{2,7}[\"'][^\"'\\\n]*\\{2,7}[\"']"
    r"|\\?\"(?:[^\"\\\n]|\\[^\"\n])*\\?\"|\\?'(?:[^'\\\n]|\\[^'\n])*\\?'|[^\s\"',;&}\])`]+(?:\([^()\n]*\))?))",
    re.IGNORECASE,
)
_FLAG = re.compile(
    r"-(?<![\w-]-)-?(?P<name>[A-Za-z][\w-]{0,60})(?P<middle>[ \t]+)"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'-][^\s\"']*)"
)
_QUOTED = re.compile(rf"^([bruf]{{0,2}}{_QUOTE})(.*?)({_QUOTE})$", re.DOTALL | re.IGNORECASE)


def without_assigned(text: str) -> str:
    """Every assignment masked, also one that is the value of another: `token: DB_PASSWORD=…`."""
    parts: list[str] = []
    done = position = 0
    for keyword in keywords_in(text):
        if keyword < position or not _LEADS_TO_VALUE.match(text, keyword):
            continue
        found = _assignment_at(text, keyword, position)
        if found is None:
            continue
        masked = _masked_assignment(found)
        if masked == found[0]:
            position = found.start("value") if len(found["value"]) < LONG_VALUE else found.end()
            continue
        parts += [text[done : found.start()], masked]
        done = position = found.end()
    return _FLAG.sub(_masked_assignment, "".join([*parts, text[done:]]))


def _assignment_at(text: str, keyword: int, since: int) -> re.Match[str] | None:
    """The assignment to the name that the keyword is a part of."""
    name = name_at(text, keyword, since)
    return _ASSIGNED.match(text, name.start()) if name else None


def _masked_assignment(found: re.Match[str]) -> str:
    kind, value = kind_of_name(found["name"]), found["value"]
    if not kind or is_working_folder(found["name"], value):
        return found[0]
    before = found[0][: found.start("value") - found.start()]
    if quoted := _QUOTED.match(value):
        opening, inside, closing = quoted.groups()
        return found[0] if is_harmless(inside, kind) else f"{before}{opening}{mask(kind)}{closing}"
    if "->" in found["middle"] and not re.search(r"\d", value):
        return found[0]
    if is_harmless(value, kind) or is_code(value) or _is_prose(found, value) or f"={MASK_START[:7]}" in value:
        return found[0]
    # The full stop of a sentence.
    return before + mask(kind) + ("." if value.endswith(".") else "")


def _is_prose(found: re.Match[str], value: str) -> bool:
    """`the token: expired yesterday` is a sentence, `…:secret:my-db` a part of an address."""
    if found["middle"] == ":" and found.string[max(0, found.start() - 1) : found.start()] == ":":
        return True
    if ": " not in found["middle"] or re.search(r"\d", value):
        return False
    before = found.string[max(0, found.start() - NEAR) : found.start()].rpartition("\n")[2]
    after = found.string[found.end() : found.end() + NEAR].partition("\n")[0]
    return bool(before.strip(" \t-{,#") or after.strip(" \t,}\r"))
