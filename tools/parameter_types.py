"""The types that a deployment's schema gives its parameters, and typed words as values of them."""

import json
from collections.abc import Mapping
from typing import Any

# A reference that leads to itself ends somewhere.
MAX_REFERENCES = 8
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def parse_typed(schema: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Typed words (`x=1`) as the values that the deployment's schema wants."""
    properties = schema.get("properties", {})
    return {
        name: parse_value(text, resolved(schema, properties.get(name, {}))) for name, text in words.items()
    }


def parse_value(text: str, schema: Mapping[str, Any]) -> Any:
    """A typed word as the value that its parameter wants: `5` is a number for an integer, else a text.

    `schema` is the parameter's own part of the deployment's schema. What fits no type stays a text, so that
    `check_parameters` can name the problem.
    """
    types = types_of(schema)
    if text == "null" and "null" in types:
        return None
    if types and types <= {"string", "null"}:
        return text
    if "boolean" in types and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def resolved(
    schema: Mapping[str, Any], spec: Mapping[str, Any], *, depth: int = MAX_REFERENCES
) -> Mapping[str, Any]:
    """`spec` with what its `$ref` points at put in its place, as for an enum, also in its alternatives.

    Pydantic 1 writes the reference into an `allOf`, pydantic 2 as it is, or into an `anyOf` beside null.
    What lies deeper, in the properties of a model or the items of a list, stays as it is.
    """
    if depth == 0:
        return {}
    parts = [spec, *spec.get("allOf", [])]
    reference = next((part["$ref"] for part in parts if "$ref" in part), "")
    name = str(reference).rpartition("/")[2]
    tables = (schema.get("definitions", {}), schema.get("$defs", {}))
    target = next((table[name] for table in tables if name in table), None)
    if target is not None:
        own = {key: value for key, value in spec.items() if key not in ("$ref", "allOf")}
        return {**resolved(schema, target, depth=depth - 1), **own}
    alternatives = {key: spec[key] for key in ("anyOf", "oneOf") if key in spec}
    return {
        **spec,
        **{
            key: [resolved(schema, part, depth=depth - 1) for part in parts]
            for key, parts in alternatives.items()
        },
    }


def types_of(schema: Mapping[str, Any]) -> set[str]:
    """All JSON types that the schema names, in it or in its alternatives."""
    own = schema.get("type", [])
    types = {own} if isinstance(own, str) else set(own)
    for key in ("anyOf", "oneOf"):
        for part in schema.get(key, []):
            types |= types_of(part)
    return types


def type_in_words(schema: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """`a whole number or null`; `spec` is one parameter's part of the deployment's `schema`."""
    whole = resolved(schema, spec)
    types = types_of(whole)
    if not types:
        return "any value"
    formats = [part["format"] for part in (whole, *whole.get("anyOf", [])) if "format" in part]
    form = f" ({formats[0]})" if formats else ""
    return kinds_in_words(types) + form + (" or null" if "null" in types and len(types) > 1 else "")


def kinds_in_words(types: set[str]) -> str:
    """`a number or a text`; null is left out."""
    words = [_WORDS.get(kind, kind) for kind in sorted(types - {"null"})] or ["null"]
    return " or ".join(words)
