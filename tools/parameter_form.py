"""A deployment's parameters as a form, and what was typed into it as values. Pure.

Values travel as texts, the same that a command takes (`x=1`), so every surface reads them by one rule. A
text that nobody touched leaves its parameter as it was, also where the text does not show all of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knowledge.errors import BadInput
from tools.form_fields import NOTHING, FormField, form_field
from tools.parameter_secrets import hide_secrets
from tools.parameter_types import parse_value, types_of
from tools.parameters import problems_by_name, refuse_server_side_values

EMPTY_TEXT = '""'
NO_SUCH = "There is no such parameter."


@dataclass(frozen=True, slots=True)
class Filled:
    """What was read out of a form: the run's own parameters, or what is wrong, by parameter."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    """Under the empty name: what is wrong with all of them together."""


@dataclass(frozen=True, slots=True)
class ParameterForm:
    schema: Mapping[str, Any]
    defaults: Mapping[str, Any]
    """The deployment's own parameters, which stand over those of the flow's signature."""
    given: Mapping[str, Any]
    """The run's, which stand over both."""
    fields: tuple[FormField, ...]

    def read(self, texts: Mapping[str, str]) -> Filled:
        """The values that were typed, one text a field; a field that is left out stays as it is."""
        known = {each.name for each in self.fields}
        values = {name: value for name, value in self.given.items() if name not in known}
        errors: dict[str, str] = {}
        for each in self.fields:
            try:
                value = _read(each, texts.get(each.name, each.shown))
            except BadInput as error:
                errors[each.name] = error.message
            else:
                values |= {} if value is NOTHING else {each.name: value}
        return Filled(values, {**self._problems(values), **errors})

    def read_json(self, text: str) -> Filled:
        """The run's own parameters as one JSON object, as `as_json` gives them."""
        shown = hide_secrets(self.schema, self.given)
        try:
            typed = _object(text)
            kept = {name for name in self.given if name in typed and typed[name] == shown[name]}
            refuse_server_side_values({n: v for n, v in typed.items() if n not in kept}, "parameter")
        except BadInput as error:
            return Filled(errors={"": error.message})
        values = {name: self.given[name] if name in kept else value for name, value in typed.items()}
        unknown = set(values) - {each.name for each in self.fields}
        return Filled(values, {**self._problems(values), **dict.fromkeys(sorted(unknown), NO_SUCH)})

    @property
    def as_json(self) -> str:
        """What the run has been given, without secrets."""
        return json.dumps(hide_secrets(self.schema, self.given), ensure_ascii=False, indent=2)

    def _problems(self, values: Mapping[str, Any]) -> dict[str, str]:
        return problems_by_name(self.schema, {**self.defaults, **values})


def parameter_form(
    schema: Mapping[str, Any], *, defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> ParameterForm:
    """The form for a run of a deployment that has this `parameter_openapi_schema` and these parameters.

    In the order of the flow's signature. Without a schema there are no fields.
    """
    properties: Mapping[str, Any] = schema.get("properties") or {}
    # `true` is a schema as well, of which there is nothing to show.
    shown = [name for name, spec in properties.items() if isinstance(spec, Mapping)]
    names = sorted(shown, key=lambda name: _position(properties[name]))
    fields = tuple(form_field(schema, name, defaults=defaults, given=given) for name in names)
    return ParameterForm(schema, defaults, given, fields)


def _position(spec: Mapping[str, Any]) -> int:
    position = spec.get("position")
    return position if isinstance(position, int) else 0


def _read(each: FormField, text: str) -> Any:
    """The value that the run is given by this text, NOTHING to leave it to the deployment.

    Raises BadInput for a text that is no value at all; whether it fits is asked of the schema.
    """
    if _same(text, each.shown) and not (each.value is NOTHING and each.empty_is_null):
        return each.value if each.given else NOTHING
    if not text.strip():
        return None if each.empty_is_null else NOTHING
    value = _typed(each, text)
    refuse_server_side_values({each.name: value}, "parameter")
    return value


def _same(text: str, shown: str) -> bool:
    """Line ends and blanks around it may be another editor's."""
    return text.strip().splitlines() == shown.strip().splitlines()


def _typed(each: FormField, text: str) -> Any:
    if each.kind == "text" and text.strip() == EMPTY_TEXT:
        return ""
    if each.kind in ("text", "secret"):
        return parse_value(text, each.spec)
    bare = text.strip()
    if each.kind == "choice":
        chosen = [choice.value for choice in each.choices if choice.text == bare]
        return chosen[0] if chosen else parse_value(bare, each.spec)
    value = parse_value(bare, each.spec)
    if each.kind in ("json", "multi-choice") and isinstance(value, str) and bare[:1] in '[{"':
        raise BadInput(f"{_json_problem(bare)} {_json_example(each)}".strip())
    return value


def _json_problem(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"This is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}."
    except RecursionError:
        return "This JSON is nested too deeply."
    return ""


def _json_example(each: FormField) -> str:
    return 'Write it like ["a", "b"].' if "array" in types_of(each.spec) else 'Write it like {"a": 1}.'


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise BadInput(_json_problem(text), 'Write it like {"a": 1}.') from None
    if not isinstance(value, dict):
        raise BadInput("This is no JSON object.", 'Write it like {"a": 1}.')
    return value
