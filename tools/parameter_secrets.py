"""Which of a run's parameters are secrets: by the type in the schema, by name and by shape. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tools.masks import mask
from tools.parameter_types import resolved
from tools.redact import redact_data

HIDDEN = mask("secret")


def hide_secrets(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as people may see them.

    A `SecretStr` is hidden whatever its name, also inside a model; `schema` is the deployment's.
    """
    properties = schema.get("properties") or {}
    hidden = {name: _hidden(schema, properties.get(name, {}), value) for name, value in values.items()}
    shown: dict[str, Any] = redact_data(hidden)
    return shown


def is_secret_type(spec: Mapping[str, Any]) -> bool:
    """Pydantic 1 and 2 write both; another writer of schemas may leave one out."""
    return bool(spec.get("writeOnly")) or spec.get("format") == "password"


def _hidden(schema: Mapping[str, Any], spec: Any, value: Any) -> Any:
    """As deep as the value goes, so a model that holds itself ends."""
    parts = list(_alternatives(schema, spec))
    if value is not None and any(map(is_secret_type, parts)):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _hidden(schema, _field_of(parts, str(key)), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(schema, _item_of(parts, position), item) for position, item in enumerate(value)]
    return value


def _alternatives(schema: Mapping[str, Any], spec: Any) -> Iterable[Mapping[str, Any]]:
    if not isinstance(spec, Mapping):
        return
    whole = resolved(schema, spec)
    yield whole
    for key in ("anyOf", "oneOf"):
        yield from whole.get(key, [])


def _field_of(parts: Iterable[Mapping[str, Any]], key: str) -> Any:
    """The schema of a model's field, or of a dict's values; of the alternative that knows it."""
    for part in parts:
        if key in part.get("properties", {}):
            return part["properties"][key]
    return next((part["additionalProperties"] for part in parts if "additionalProperties" in part), {})


def _item_of(parts: Iterable[Mapping[str, Any]], position: int) -> Any:
    for part in parts:
        if position < len(part.get("prefixItems", [])):
            return part["prefixItems"][position]
    return next((part["items"] for part in parts if "items" in part), {})
