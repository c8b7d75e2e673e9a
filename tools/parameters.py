"""Flow parameters against a deployment's schema, before anything is asked of the server.

The server's own check lets unknown parameters pass (the run then crashes), ignores `format: date-time` and
words its refusals for programs. Values with `__prefect_kind` would be resolved on the server, out of its
variables for example, and so never come from a chat.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError as SchemaError
from pydantic import TypeAdapter, ValidationError
from referencing.exceptions import Unresolvable

from knowledge.errors import BadInput
from tools.redact import contains_mask

MAX_PROBLEMS = 5
MAX_SHOWN = 80
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_COMPLAINTS = {
    "const": "is not {wanted}",
    "format": "is not a valid {wanted}",
    "minimum": "is less than {wanted}",
    "maximum": "is more than {wanted}",
    "exclusiveMinimum": "is not more than {wanted}",
    "exclusiveMaximum": "is not less than {wanted}",
    "minLength": "is shorter than {wanted} characters",
    "maxLength": "is longer than {wanted} characters",
    "minItems": "has fewer than {wanted} items",
    "maxItems": "has more than {wanted} items",
    "pattern": "does not have the form {wanted}",
    "additionalProperties": "has fields that it may not have",
}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_FORMATS = jsonschema.FormatChecker()
_MOMENT = TypeAdapter(datetime)


@_FORMATS.checks("date-time", raises=ValidationError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or bool(_MOMENT.validate_strings(value))


def check_parameters(
    schema: Mapping[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters that the run will have: `given` over the deployment's `defaults`.

    Raises BadInput that says in one sentence a problem which parameter is wrong and what it should be.
    An empty schema (none was recorded) checks only what no run may have.
    """
    _refuse_server_side_values(given, "parameter")
    properties = schema.get("properties")
    if not schema or not isinstance(properties, dict):
        return {**defaults, **given}
    _refuse_unknown(given, properties, "parameter")
    merged = {**defaults, **given}
    problems = list(_problems(schema, merged))
    if problems:
        raise BadInput(
            f"The parameters do not fit: {'; '.join(problems)}.",
            f"It takes {_signature(schema, properties)}.",
        )
    return merged


def check_job_variables(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises BadInput for job variables that the pool does not know or that have the wrong type."""
    _refuse_server_side_values(given, "job variable")
    if "{{" in json.dumps(given, default=str):
        raise BadInput(
            "A job variable from here may not hold a {{ template }}, as that could read stored secrets.",
            "Give the plain value, or set the template on the deployment itself.",
        )
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return
    _refuse_unknown(given, properties, "job variable")
    problems = list(_problems({**schema, "required": []}, given))
    if problems:
        raise BadInput(
            f"The job variables do not fit: {'; '.join(problems)}.", "Give values of the right type."
        )


def parse_typed(schema: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Typed words (`x=1`) as the values that the deployment's schema wants."""
    properties = schema.get("properties", {})
    return {
        name: parse_value(text, resolved(schema, properties.get(name, {}))) for name, text in words.items()
    }


def resolved(schema: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that a `$ref` points at, as for an enum; pydantic's schemas point one level deep."""
    parts = [spec, *spec.get("allOf", [])]
    reference = next((part["$ref"] for part in parts if "$ref" in part), "")
    name = str(reference).rpartition("/")[2]
    tables = (schema.get("definitions", {}), schema.get("$defs", {}))
    return next((table[name] for table in tables if name in table), spec)


def parse_value(text: str, schema: Mapping[str, Any]) -> Any:
    """A typed word as the value that its parameter wants: `5` is a number for an integer, else a text.

    `schema` is the parameter's own part of the deployment's schema. What fits no type stays a text, so that
    `check_parameters` can name the problem.
    """
    types = _types(schema)
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


def _types(schema: Mapping[str, Any]) -> set[str]:
    """All JSON types that the schema names, in it or in its alternatives."""
    own = schema.get("type", [])
    types = {own} if isinstance(own, str) else set(own)
    for key in ("anyOf", "oneOf"):
        for part in schema.get(key, []):
            types |= _types(part)
    return types


def _refuse_server_side_values(given: Mapping[str, Any], what: str) -> None:
    for name, value in given.items():
        if name == "__prefect_kind" or _holds_key(value, "__prefect_kind"):
            raise BadInput(
                f"The {what} {name!r} holds `__prefect_kind`, which makes the server look a value up.",
                "Give the value itself.",
            )
        if contains_mask(value):
            raise BadInput(
                f"The {what} {name!r} holds the mask of a secret, not a value.",
                "Leave it out to keep what the deployment has; secrets cannot be set from here.",
            )


def _holds_key(value: Any, key: str) -> bool:
    if isinstance(value, Mapping):
        return key in value or any(_holds_key(item, key) for item in value.values())
    return isinstance(value, list | tuple) and any(_holds_key(item, key) for item in value)


def _refuse_unknown(given: Mapping[str, Any], properties: Mapping[str, Any], what: str) -> None:
    for name in given:
        if name in properties:
            continue
        near = difflib.get_close_matches(name, properties, n=1)
        fix = f"Did you mean {near[0]!r}?" if near else ""
        known = f"It takes {', '.join(properties)}." if properties else f"It takes no {what}s."
        raise BadInput(f"There is no {what} {name!r}.", f"{fix} {known}".strip())


def _problems(schema: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    validator = jsonschema.Draft202012Validator(_as_the_server_reads_it(schema), format_checker=_FORMATS)
    try:
        errors = sorted(validator.iter_errors(values), key=lambda error: error.json_path)
    except (Unresolvable, RecursionError):
        # The schema itself is broken; the server would refuse every run, so it is left to say so.
        return
    for error in errors[:MAX_PROBLEMS]:
        yield _sentence(error)


def _as_the_server_reads_it(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An optional property with a type and no default may be null, as the server has it for old schemas."""
    adjusted = deepcopy(dict(schema))
    required = adjusted.get("required", [])
    for name, spec in adjusted.get("properties", {}).items():
        optional = name not in required and "default" not in spec
        if optional and isinstance(spec.get("type"), str) and spec["type"] != "null":
            spec["type"] = [spec["type"], "null"]
    return adjusted


def _sentence(error: SchemaError) -> str:
    """`days: 'abc' is not a whole number`."""
    if error.validator == "required":
        return f"{error.message.split(chr(39))[1]}: it is required and has no value"
    best = _most_telling(error)
    field = best.json_path.removeprefix("$.").removeprefix("$") or "parameters"
    return f"{field}: {_shown(best.instance)} {_complaint(best)}"


def _most_telling(error: SchemaError) -> SchemaError:
    """For `x or null` the complaint about x, which says more than that no alternative fits."""
    branches: dict[Any, list[SchemaError]] = {}
    for part in error.context or []:
        if not (isinstance(part.schema, Mapping) and part.schema.get("type") == "null"):
            branches.setdefault(part.schema_path[0], []).append(part)
    if error.validator not in ("anyOf", "oneOf") or len(branches) != 1:
        return error
    return next(iter(branches.values()))[0]


def _complaint(error: SchemaError) -> str:
    wanted: Any = error.validator_value
    match error.validator:
        case "anyOf" | "oneOf" if isinstance(error.schema, Mapping):
            return f"is not {_kinds(_types(error.schema))}"
        case "type":
            return f"is not {_kinds({wanted} if isinstance(wanted, str) else set(wanted))}"
        case "enum":
            return f"is not one of {', '.join(map(_shown, wanted))}"
        case _:
            words = _COMPLAINTS.get(str(error.validator), "does not fit ({validator}: {wanted})")
            return words.format(wanted=wanted, validator=error.validator)


def _kinds(types: set[str]) -> str:
    words = [_WORDS.get(kind, kind) for kind in sorted(types - {"null"})] or ["null"]
    return " or ".join(words)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _signature(schema: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    return ", ".join(
        f"{name} ({type_in_words(schema, spec)}{', required' if name in required else ''})"
        for name, spec in properties.items()
    )


def type_in_words(schema: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """`a whole number or null`; `spec` is one parameter's part of the deployment's `schema`."""
    types = _types(resolved(schema, spec))
    if not types:
        return "any value"
    formats = [part["format"] for part in (spec, *spec.get("anyOf", [])) if "format" in part]
    form = f" ({formats[0]})" if formats else ""
    return _kinds(types) + form + (" or null" if "null" in types and len(types) > 1 else "")
