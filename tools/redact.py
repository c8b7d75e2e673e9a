"""Masks secrets in texts and data before a model or a person sees them. Pure and deterministic.

Two ways lead to a mask: a value whose own shape gives it away (a Slack token, a private key), and a value
that is assigned to a name that gives it away (`DB_PASSWORD=…`, `"token": "…"`, `--api-key …`).
What only looks like one stays: ids, hashes, digests, references to secrets, placeholders, words in prose.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tools.secret_names import is_code, is_harmless, is_working_folder, kind_of_name
from tools.secret_shapes import AFTER_PREFIX, PLACES, SHAPES, URL_CREDENTIALS, Shape

MASK_START = "[secret hidden"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "x-auth-token"})
# A name and its value further apart than this belong to nothing that was seen.
MAX_NAME = 80
# After a long harmless value the search goes on behind it, or many of them would take quadratic time.
LONG_VALUE = 200


def mask(kind: str) -> str:
    return f"{MASK_START}: {kind}]"


def redact(text: str) -> str:
    """`text` with every known secret replaced by a mask that says its kind."""
    for shape in SHAPES:
        if shape.hint in text:
            text = shape.pattern.sub(mask(shape.kind), text)
    lowered = text.lower()
    for shape in AFTER_PREFIX:
        if shape.hint in lowered:
            text = _without_prefixed(text, shape)
    if "://" in text:
        text = URL_CREDENTIALS.sub(_masked_url, text)
    for place in PLACES:
        if place.hint in lowered:
            text = place.pattern.sub(_masked_place, text)
    return _FLAG.sub(_masked_assignment, _without_assigned(text))


def redact_data(value: Any) -> Any:
    """The same JSON-able structure without secrets; the key that a value stands under counts too."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        named = _secret_name_of(value)
        return {redact(str(key)): _redact_item(str(key), item, named) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return _redact_list(value)
    return value


def _redact_list(items: Sequence[Any]) -> list[Any]:
    """Item by item; what follows `--password` or `Authorization` is a secret as well."""
    shown: list[Any] = []
    named = ""
    for item in items:
        shown.append(_redact_item(named, item, "") if named else redact_data(item))
        named = item.lstrip("-") if isinstance(item, str) and _names_the_next(item) else ""
    return shown


def _names_the_next(item: str) -> bool:
    return (item.startswith("-") and "=" not in item) or item.lower() in SECRET_HEADERS


def is_secret_name(name: str) -> bool:
    """Whether a variable, key or option of that name holds a secret, as `DB_PASSWORD` does."""
    return bool(kind_of_name(name))


def contains_mask(value: Any) -> bool:
    """Whether a mask is anywhere in JSON-able data; what holds one cannot be sent back to a server."""
    if isinstance(value, Mapping):
        return any(contains_mask(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return any(contains_mask(item) for item in value)
    return isinstance(value, str) and MASK_START in value


def _secret_name_of(value: Mapping[Any, Any]) -> str:
    """What makes a pair's value a secret: `{"name": "API_KEY", "value": …}`, or a Secret block."""
    fields = {str(key).lower(): item for key, item in value.items()}
    if _is_secret_block(fields):
        return "secret"
    if "value" not in fields:
        return ""
    names = (fields.get("name"), fields.get("key"))
    return next((name for name in names if isinstance(name, str) and is_secret_name(name)), "")


def _is_secret_block(fields: Mapping[str, Any]) -> bool:
    kind = fields.get("block_type")
    slug = kind.get("slug") if isinstance(kind, Mapping) else fields.get("block_type_slug")
    return slug == "secret"


def _redact_item(key: str, item: Any, pair_name: str) -> Any:
    is_value = bool(pair_name) and key.lower() in ("value", "default", "data")
    name = pair_name if is_value else key
    kind = kind_of_name(name)
    if key.lower() == "auth" and isinstance(item, list | tuple) and len(item) == 2:
        return [redact_data(item[0]), _redact_item("password", item[1], "")]
    if not kind:
        return redact_data(item)
    if isinstance(item, Mapping):
        return {redact(str(inner)): _redact_item(str(inner), part, name) for inner, part in item.items()}
    if isinstance(item, list | tuple):
        return [_redact_item(key, part, pair_name) for part in item]
    if isinstance(item, bool) or not isinstance(item, str | int | float):
        return redact_data(item)
    return item if is_harmless(str(item), kind) else mask(kind)


def _without_prefixed(text: str, shape: Shape) -> str:
    def masked(found: re.Match[str]) -> str:
        if is_harmless(found["secret"], shape.kind):
            return found[0]
        return found["before"] + mask(shape.kind)

    return shape.pattern.sub(masked, text)


def _masked_place(found: re.Match[str]) -> str:
    """A value that a name stands beside in other ways than by an assignment; the kind is the name's."""
    kind, value = kind_of_name(found["name"]), found["value"]
    if not kind or is_harmless(value, kind):
        return found[0]
    start, end = found.span("value")
    whole = found[0]
    return f"{whole[: start - found.start()]}{mask(kind)}{whole[end - found.start() :]}"


def _masked_url(found: re.Match[str]) -> str:
    user, password = found["user"], found["password"]
    if found["colon"] and password and not is_harmless(password, "password"):
        return f"://{user}:{mask('password')}@"
    if not password and len(user) >= 16 and any(letter.isdigit() for letter in user):
        return f"://{mask('token')}@"
    return found[0]


# Every name of a secret holds one of these. They are searched as plain words, and only there the patterns
# are tried: many times faster than one pattern over a text of a megabyte.
_KEYWORDS = ("pass", "pwd", "token", "key", "secret", "cred", "auth", "conn", "pat")
_QUOTE = r"\\{0,7}[\"']"
# What stands below its name counts only in quotes: else it may be anything.
_BELOW = r"[ \t]{0,20}\r?\n[ \t]{0,40}(?=[\"'])"
_MIDDLE = rf"(?:{_QUOTE})?\]?[ \t]{{0,40}}(?::=|=>|->|[:=])(?:[ \t]{{0,20}}|{_BELOW})"
_LEADS_TO_VALUE = re.compile(rf"[\w.-]{{0,{MAX_NAME}}}{_MIDDLE}")
_NAME_BEFORE = re.compile(r"(?<![\w.$])[A-Za-z_][\w.-]*\Z")
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


def _without_assigned(text: str) -> str:
    """Every assignment masked, also one that is the value of another: `token: DB_PASSWORD=…`."""
    parts: list[str] = []
    done = position = 0
    for keyword in _keywords_in(text):
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
    return "".join([*parts, text[done:]])


def _keywords_in(text: str) -> list[int]:
    """Where they begin, in order."""
    # The one letter that is two in lower case, after which the places would not fit.
    lowered = text.replace("İ", "I").lower()
    return sorted({found.start() for word in _KEYWORDS for found in re.finditer(word, lowered)})


def _assignment_at(text: str, keyword: int, since: int) -> re.Match[str] | None:
    """The assignment to the name that the keyword is a part of."""
    start = _NAME_BEFORE.search(text, max(since, keyword - MAX_NAME), keyword + 1)
    return _ASSIGNED.match(text, start.start()) if start else None


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
    line_start = found.string.rfind("\n", 0, found.start()) + 1
    line_end = found.string.find("\n", found.end())
    before = found.string[line_start : found.start()]
    after = found.string[found.end() : None if line_end < 0 else line_end]
    return bool(before.strip(" \t-{,#") or after.strip(" \t,}\r"))
