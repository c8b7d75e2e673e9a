"""Masks secrets in texts and data before a model or a person sees them. Pure and deterministic.

Two ways lead to a mask: a value whose own shape gives it away (a Slack token, a private key), and a value
that is assigned to a name that gives it away (`DB_PASSWORD=…`, `"token": "…"`, `--api-key …`).
What only looks like one stays: ids, hashes, digests, references to secrets, placeholders, words in prose.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tools.masks import mask
from tools.secret_assignments import without_assigned
from tools.secret_keywords import lowered
from tools.secret_names import is_harmless, kind_of_name
from tools.secret_places import without_placed
from tools.secret_prefixes import AFTER_PREFIX, without_url_credentials
from tools.secret_shapes import OF_THEIR_OWN, without_key_ends, without_shape

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "x-auth-token"})


def redact(text: str) -> str:
    """`text` with every known secret replaced by a mask that says its kind."""
    plain = lowered(text)
    for shape in (*OF_THEIR_OWN, *AFTER_PREFIX):
        for hint in shape.hints:
            if hint in plain and (shown := without_shape(text, plain, shape, hint)) is not text:
                text, plain = shown, lowered(shown)
    return without_assigned(without_placed(without_url_credentials(without_key_ends(text))))


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
