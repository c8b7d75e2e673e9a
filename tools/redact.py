"""Masks secrets in texts and data before a model or a person sees them. Pure and deterministic.

Two ways lead to a mask: a value whose own shape gives it away (a Slack token, a private key), and a value
that is assigned to a name that gives it away (`DB_PASSWORD=…`, `"token": "…"`, `--api-key …`).
What only looks like one stays: ids, hashes, digests, references to secrets, placeholders, words in prose.
"""

import re
from collections.abc import Mapping
from typing import Any

from tools.secret_names import is_code, is_harmless, kind_of_name
from tools.secret_shapes import AFTER_PREFIX, SHAPES, URL_CREDENTIALS, Shape

MASK_START = "[secret hidden"
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
    return _FLAG.sub(_masked_assignment, _without_assigned(text))


def redact_data(value: Any) -> Any:
    """The same JSON-able structure without secrets; the key that a value stands under counts too."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        named = _secret_name_of(value)
        return {redact(str(key)): _redact_item(str(key), item, named) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_data(item) for item in value]
    return value


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
    """`{"name": "API_KEY", "value": …}`: the name that makes the value of such a pair a secret."""
    name = value.get("name")
    return name if isinstance(name, str) and "value" in value and is_secret_name(name) else ""


def _redact_item(key: str, item: Any, pair_name: str) -> Any:
    kind = kind_of_name(pair_name if pair_name and key in ("value", "default") else key)
    if not kind:
        return redact_data(item)
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


def _masked_url(found: re.Match[str]) -> str:
    user, password = found["user"], found["password"]
    if found["colon"] and password and not is_harmless(password, "password"):
        return f"{found['scheme']}{user}:{mask('password')}@"
    if not password and len(user) >= 16 and any(letter.isdigit() for letter in user):
        return f"{found['scheme']}{mask('token')}@"
    return found[0]


# Only names that can be a secret's are matched, so that no other assignment hides one inside its value.
_ASSIGNED = re.compile(
    r"(?<![\w.$])(?=[\w.-]{0,80}?(?:pass|pwd|token|key|secret|cred|auth|conn|pat))"
    rf"(?P<name>[a-z_][\w.-]{{0,{MAX_NAME}}})(?P<middle>\\?[\"']?\]?[ \t]{{0,3}}(?::=|=>|[:=])[ \t]{{0,4}})"
    r"(?P<value>(?:[bruf]{1,2}(?=[\"']))?"
    r"(?:\\?\"(?:[^\"\\\n]|\\[^\"\n])*\\?\"|\\?'(?:[^'\\\n]|\\[^'\n])*\\?'|[^\s\"',;&}\])`]+(?:\([^()\n]*\))?))",
    re.IGNORECASE,
)
_FLAG = re.compile(
    r"(?<![\w-])--?(?P<name>[A-Za-z][\w-]{0,60})(?P<middle>[ \t]+)"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s\"'-][^\s\"']*)"
)
_QUOTED = re.compile(r"^([bruf]{0,2}\\?[\"'])(.*?)(\\?[\"'])$", re.DOTALL | re.IGNORECASE)


def _without_assigned(text: str) -> str:
    """Every assignment masked, also one that is the value of another: `token: DB_PASSWORD=…`."""
    parts: list[str] = []
    done = position = 0
    while found := _ASSIGNED.search(text, position):
        masked = _masked_assignment(found)
        if masked == found[0]:
            position = found.start("value") if len(found["value"]) < LONG_VALUE else found.end()
            continue
        parts += [text[done : found.start()], masked]
        done = position = found.end()
    return "".join([*parts, text[done:]])


def _masked_assignment(found: re.Match[str]) -> str:
    kind = kind_of_name(found["name"])
    if not kind:
        return found[0]
    value = found["value"]
    before = found[0][: found.start("value") - found.start()]
    if quoted := _QUOTED.match(value):
        opening, inside, closing = quoted.groups()
        return found[0] if is_harmless(inside, kind) else f"{before}{opening}{mask(kind)}{closing}"
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
