"""A parameter as a field of a form, out of its part of the deployment's schema. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tools.masks import contains_mask
from tools.parameter_secrets import hide_secrets, is_secret_type
from tools.parameter_types import parse_value, resolved, type_in_words, types_of
from tools.parameters import STARS, problems_by_name
from tools.redact import is_secret_name, redact

Kind = Literal[
    "text", "integer", "number", "boolean", "choice", "multi-choice", "date", "datetime", "json", "secret"
]

# A longer JSON text is easier to read and to change line by line.
ONE_LINE = 60
MAX_FALLBACK = 60
_EXAMPLES: Mapping[Kind, str] = {
    "date": "a date such as 2026-11-23",
    "datetime": "a date and time such as 2026-11-23T08:00:00Z",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "of the form {}",
}


class _Nothing:
    """No value at all, which is not the same as null."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Choice:
    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class FormField:
    """One parameter; everything in it but `value` may be shown to people."""

    name: str
    kind: Kind
    spec: Mapping[str, Any]
    """Its part of the schema, references resolved."""
    title: str = ""
    """Where the schema has another than the name."""
    help: str = ""
    type: str = ""
    """`a whole number or null`."""
    constraints: tuple[str, ...] = ()
    """`at least 1`."""
    choices: tuple[Choice, ...] = ()
    """What the value, or every item of a multi-choice, can be."""
    required: bool = False
    shown: str = ""
    """The present value as text; empty for none, for an empty text and for a secret."""
    value: Any = NOTHING
    given: bool = False
    """Whether the run has been given the value; else the deployment has it, or the flow's signature."""
    fallback: Any = NOTHING
    """What the run has when it is given nothing."""

    fallback_shown: str = ""

    @property
    def nullable(self) -> bool:
        return "null" in types_of(self.spec)

    @property
    def must_be_filled(self) -> bool:
        """An empty field would leave the run without a value that it needs."""
        kept = self.kind == "secret" and self.given
        return self.required and self.fallback is NOTHING and not self.nullable and not kept

    @property
    def empty_is_null(self) -> bool:
        """Where null is another value than the default; what can be chosen has null among its choices."""
        by_itself = self.required if self.fallback is NOTHING else self.fallback is not None
        return self.nullable and by_itself and self.kind not in ("choice", "secret")

    @property
    def when_empty(self) -> str:
        """What leaving the field empty means, in words; nothing where that is plain."""
        if self.kind == "secret":
            known = self.value not in (NOTHING, None, "")
            return "It is set, and not shown; empty leaves it as it is." if known else ""
        if self.empty_is_null:
            return "Leave it empty for null."
        if not self.fallback_shown:
            return ""
        short = len(self.fallback_shown) <= MAX_FALLBACK
        return f"Leave it empty for the default{f', {self.fallback_shown}' if short else ''}."


def form_field(
    schema: Mapping[str, Any], name: str, *, defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> FormField:
    own = schema["properties"][name]
    required = name in schema.get("required", [])
    spec = _as_value(schema, resolved(schema, own), optional=not required)
    fallback = defaults.get(name, own.get("default", NOTHING))
    value = given.get(name, fallback)
    safe, safe_fallback = (hide_secrets(schema, {name: each})[name] for each in (value, fallback))
    choices, many = _choices(schema, spec)
    kind = _kind(name, spec, safe, choices=choices, many=many)
    title = str(own.get("title", ""))
    return FormField(
        name=name,
        kind=kind,
        spec=spec,
        title="" if title == name else title,
        help=redact(" ".join(str(own.get("description", "")).split())),
        type=_EXAMPLES.get(kind) or type_in_words(schema, spec),
        constraints=tuple(_constraints(spec)),
        choices=choices,
        required=required,
        shown="" if kind == "secret" else _shown(safe, spec),
        value=value,
        given=name in given,
        fallback=fallback,
        fallback_shown="" if kind == "secret" else " ".join(_shown(safe_fallback, spec).split()),
    )


def _as_value(schema: Mapping[str, Any], spec: Mapping[str, Any], *, optional: bool) -> Mapping[str, Any]:
    """`x or null` as x that may also be null, and an enum with its type, so that one look is enough."""
    parts = [part for part in spec.get("anyOf", []) if part.get("type") != "null"]
    null = len(parts) < len(spec.get("anyOf", []))
    if len(parts) == 1:
        own = {key: value for key, value in spec.items() if key != "anyOf"}
        spec = {**resolved(schema, parts[0]), **own}
    # A type of an old schema that has no default may be null, as the server has it.
    null = null or (optional and "default" not in spec and isinstance(spec.get("type"), str))
    kinds = sorted({*types_of(spec), *({"null"} if null else ())})
    return {**spec, "type": kinds} if null and kinds != ["null"] and "anyOf" not in spec else spec


def _choices(schema: Mapping[str, Any], spec: Mapping[str, Any]) -> tuple[tuple[Choice, ...], bool]:
    """What can be chosen, and whether several at a time."""
    if values := _listed(spec):
        null = "null" in types_of(spec) and None not in values
        return tuple(Choice(_word(value), value) for value in [*values, *([None] if null else [])]), False
    items = spec.get("items")
    values = _listed(resolved(schema, items)) if isinstance(items, Mapping) else []
    return tuple(Choice(_word(value), value) for value in values), True


def _listed(spec: Mapping[str, Any]) -> list[Any]:
    """The values of an enum, where each can be told by its text."""
    values = list(spec["enum"]) if "enum" in spec else [spec["const"]] if "const" in spec else []
    simple = all(value is None or isinstance(value, str | int | float) for value in values)
    return values if simple and len({_word(value) for value in values}) == len(values) else []


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _kind(name: str, spec: Mapping[str, Any], safe: Any, *, choices: tuple[Choice, ...], many: bool) -> Kind:
    is_text = types_of(spec) <= {"string", "null"} and not choices
    if is_secret_type(spec) or (is_text and (is_secret_name(name) or _is_masked(safe))):
        return "secret"
    if safe is NOTHING or safe is None or _fits(safe, spec):
        return _kind_of_type(spec, choices=choices, many=many)
    # Such as a variable's name in the place of a number.
    return "json"


def _is_masked(safe: Any) -> bool:
    return isinstance(safe, str) and (safe == STARS or contains_mask(safe))


def _kind_of_type(spec: Mapping[str, Any], *, choices: tuple[Choice, ...], many: bool) -> Kind:
    if choices:
        return "multi-choice" if many else "choice"
    match sorted(types_of(spec) - {"null"}):
        case ["integer"]:
            return "integer"
        case ["number"]:
            return "number"
        case ["boolean"]:
            return "boolean"
        case ["string"] if spec.get("format") == "date":
            return "date"
        case ["string"] if spec.get("format") == "date-time":
            return "datetime"
        case kinds if kinds and set(kinds) <= {"array", "object"}:
            return "json"
    return "text"


def _fits(value: Any, spec: Mapping[str, Any]) -> bool:
    kinds = sorted(types_of(spec))
    return not kinds or not problems_by_name({"properties": {"x": {"type": kinds}}}, {"x": value})


def _shown(safe: Any, spec: Mapping[str, Any]) -> str:
    """The text that reads back as the value."""
    if safe is NOTHING or safe is None or safe == "":
        return ""
    if isinstance(safe, str) and parse_value(safe, spec) == safe:
        return safe
    line = json.dumps(safe, ensure_ascii=False)
    return line if len(line) <= ONE_LINE else json.dumps(safe, ensure_ascii=False, indent=2)


def _constraints(spec: Mapping[str, Any]) -> list[str]:
    """What the type does not say, of an object the names of its fields."""
    names = list(spec.get("properties", {}))
    return [
        *([f"with {', '.join(names)}"] if names else []),
        *(words.format(spec[key]) for key, words in _BOUNDS.items() if key in spec),
    ]
