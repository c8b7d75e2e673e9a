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
from tools.masks import contains_mask
from tools.parameter_types import kinds_in_words, type_in_words, types_of
from tools.redact import redact_data

MAX_PROBLEMS = 5
MAX_SHOWN = 80
# What pydantic writes in the place of a SecretStr, also as the default in a schema.
STARS = "**********"
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
    refuse_server_side_values(given, "parameter")
    properties = schema.get("properties")
    if not schema or not isinstance(properties, dict):
        return {**defaults, **given}
    _refuse_unknown(given, properties, "parameter")
    merged = {**defaults, **given}
    problems = [_sentence(error) for error in _problems(schema, merged)]
    if problems:
        raise BadInput(
            f"The parameters do not fit, so no run was created: {'; '.join(problems)}.",
            f"It takes {_signature(schema, properties)}.",
        )
    return merged


def problems_by_name(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a deployment's parameters: `"x" is not a number.` for each of them that is wrong.

    `values` are all that the run would have; names that the schema does not know are not looked at.
    """
    problems: dict[str, str] = {}
    for error in _problems(schema, values, most=None):
        name = _name_of(error)
        said = _sentence(error)
        whole = said.removeprefix(f"{name}: ")  # A part keeps its path: `names[1]: …`.
        problems.setdefault(name, f"{said}." if whole == said else f"{whole[:1].upper()}{whole[1:]}.")
    return problems


def check_job_variables(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises BadInput for job variables that the pool does not know or that have the wrong type."""
    refuse_server_side_values(given, "job variable")
    if "{{" in json.dumps(given, default=str):
        raise BadInput(
            "A job variable from here may not hold a {{ template }}, as that could read stored secrets.",
            "Give the plain value, or set the template on the deployment itself.",
        )
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return
    _refuse_unknown(given, properties, "job variable")
    problems = [_sentence(error) for error in _problems({**schema, "required": []}, given)]
    if problems:
        raise BadInput(
            f"The job variables do not fit: {'; '.join(problems)}.", "Give values of the right type."
        )


def refuse_server_side_values(given: Mapping[str, Any], what: str) -> None:
    """Raises BadInput for a value that the server would look up, or that only stands for a secret."""
    for name, value in given.items():
        if name == "__prefect_kind" or _holds_key(value, "__prefect_kind"):
            raise BadInput(
                f"The {what} {name!r} holds `__prefect_kind`, which makes the server look a value up.",
                "Give the value itself.",
            )
        if contains_mask(value) or _holds_stars(value):
            raise BadInput(
                f"The {what} {name!r} holds the mask of a secret, not a value.",
                "Leave it out to keep what the deployment has; secrets cannot be set from here.",
            )


def _holds_stars(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_stars, value.values()))
    return any(map(_holds_stars, value)) if isinstance(value, list | tuple) else value == STARS


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


def _problems(
    schema: Mapping[str, Any], values: Mapping[str, Any], *, most: int | None = MAX_PROBLEMS
) -> Iterator[SchemaError]:
    validator = jsonschema.Draft202012Validator(_as_the_server_reads_it(schema), format_checker=_FORMATS)
    try:
        errors = sorted(validator.iter_errors(values), key=lambda error: error.json_path)
    except (Unresolvable, RecursionError):
        # The schema itself is broken; the server would refuse every run, so it is left to say so.
        return
    yield from errors[:most]


def _as_the_server_reads_it(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An optional property with a type and no default may be null, as the server has it for old schemas."""
    adjusted = deepcopy(dict(schema))
    required = adjusted.get("required", [])
    for name, spec in adjusted.get("properties", {}).items():
        # `true` is a schema as well.
        if not isinstance(spec, dict):
            continue
        optional = name not in required and "default" not in spec
        if optional and isinstance(spec.get("type"), str) and spec["type"] != "null":
            spec["type"] = [spec["type"], "null"]
    return adjusted


def _sentence(error: SchemaError) -> str:
    """`days: 'abc' is not a whole number`."""
    best = _most_telling(error)
    field = best.json_path.removeprefix("$").removeprefix(".")
    if best.validator == "required":
        return f"{'.'.join(filter(None, [field, _missing(best)]))}: it is required and has no value"
    return f"{field or 'parameters'}: {_value_shown(error, best)} {_complaint(best)}"


def _value_shown(error: SchemaError, best: SchemaError) -> str:
    """The value that does not fit, unless it is a secret by its type or by any name on the way to it."""
    specs = [spec for spec in (error.schema, best.schema) if isinstance(spec, Mapping)]
    if any(spec.get("writeOnly") or spec.get("format") == "password" for spec in specs):
        return "this secret"
    value = best.instance
    for name in reversed([part for part in best.absolute_path if isinstance(part, str)]):
        (value,) = redact_data({name: value}).values()
    return _shown(value)


def _name_of(error: SchemaError) -> str:
    """The parameter that an error is about; one that is missing has no path."""
    return str(error.absolute_path[0]) if error.absolute_path else _missing(error)


def _missing(error: SchemaError) -> str:
    """Which of the required fields the complaint is about; it is made for each of them."""
    wanted = error.schema.get("required", []) if isinstance(error.schema, Mapping) else []
    return next((name for name in wanted if error.message == f"{name!r} is a required property"), "")


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
            return f"is not {kinds_in_words(types_of(error.schema))}"
        case "type":
            return f"is not {kinds_in_words({wanted} if isinstance(wanted, str) else set(wanted))}"
        case "enum":
            return f"is not one of {', '.join(map(_shown, wanted))}"
        case _:
            words = _COMPLAINTS.get(str(error.validator), "does not fit ({validator}: {wanted})")
            return words.format(wanted=wanted, validator=error.validator)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _signature(schema: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    return ", ".join(
        f"{name} ({type_in_words(schema, spec)}{', required' if name in required else ''})"
        for name, spec in properties.items()
    )
