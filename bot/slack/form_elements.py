"""One field of a form as an element of a Slack modal, and the text that a person left in it. Pure.

What an element cannot hold becomes a text input, which takes any value as a command would write it.
Limits: https://docs.slack.dev/reference/block-kit/block-elements
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.slack.blocks import Block, plain
from tools.form_fields import Choice, FormField

TEXT_CHARACTERS = 3_000
OPTIONS = 100
OPTION_CHARACTERS = 75
# More than these in sight at once are easier to find in a menu, which has a search.
RADIO_BUTTONS = 5
# A longer text does not fit into one line of a modal.
LINE_CHARACTERS = 80
ACTION = "value"
EMPTY_CHOICE = '""'
TRUTH = (Choice("true", True), Choice("false", False))
NULL = Choice("null", None)

# Slack does not say how long a number may be; a double holds this many digits exactly.
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?")
_WHOLE = re.compile(r"-?\d{1,15}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Slack takes times of ten digits, from 2001 to 2286.
_TEN_DIGITS = range(1_000_000_000, 10_000_000_000)
_MOMENT = TypeAdapter(datetime)


def element(field: FormField) -> Block | None:
    """What a person fills in; None for a text that is too long to be edited in a modal."""
    fitting = _fitting(field)
    if fitting is None and len(field.shown) > TEXT_CHARACTERS:
        return None
    return {"action_id": ACTION, **(fitting or _text_input(field))}


def text_of(field: FormField, state: Mapping[str, Any]) -> str:
    """The text of a submitted element; the field's own where nothing was touched."""
    match state.get("type"):
        case "radio_buttons" | "static_select":
            option = state.get("selected_option")
            return _options_of(field)[int(option["value"])].text if option else ""
        case "multi_static_select":
            return _chosen(field, state.get("selected_options") or [])
        case "datepicker":
            return state.get("selected_date") or ""
        case "datetimepicker":
            return _moment_text(field, state.get("selected_date_time"))
    return state.get("value") or ""


def _fitting(field: FormField) -> Block | None:
    """The element of the field's kind, where it can show the present value."""
    match field.kind:
        case "integer" | "number":
            return _number_input(field)
        case "boolean" | "choice":
            return _one_of(field)
        case "multi-choice":
            return _some_of(field)
        case "date" | "datetime":
            return _picker(field)
    return None


def _text_input(field: FormField) -> Block:
    long = "\n" in field.shown or len(field.shown) > LINE_CHARACTERS
    built: Block = {"type": "plain_text_input", "multiline": long or field.kind == "json"}
    if field.shown:
        built["initial_value"] = field.shown
    if field.kind == "secret" and field.when_empty:
        built["placeholder"] = plain("not shown")
    return built


def _number_input(field: FormField) -> Block | None:
    decimal = field.kind == "number"
    if field.shown and not (_NUMBER if decimal else _WHOLE).fullmatch(field.shown):
        return None
    built: Block = {"type": "number_input", "is_decimal_allowed": decimal}
    return built | ({"initial_value": field.shown} if field.shown else {})


def _one_of(field: FormField) -> Block | None:
    """Buttons or a menu. Once chosen, neither can be emptied, so null is among the options."""
    choices = _options_of(field)
    present = [position for position, choice in enumerate(choices) if choice.text == field.shown]
    if not _can_be_options(choices) or (field.shown and not present):
        return None
    options = _options(choices)
    kind = "radio_buttons" if len(options) <= RADIO_BUTTONS else "static_select"
    chosen = {"initial_option": options[present[0]]} if present else {}
    return {"type": kind, "options": options, **chosen}


def _some_of(field: FormField) -> Block | None:
    """A menu where several can be chosen; not for a value with an item twice, or with one of its own."""
    choices = _options_of(field)
    values = _items(field.shown)
    present = [position for position, choice in enumerate(choices) if choice.value in values]
    if not _can_be_options(choices) or [choices[at].value for at in present] != _in_order(choices, values):
        return None
    options = _options(choices)
    chosen = {"initial_options": [options[at] for at in present]} if present else {}
    return {"type": "multi_static_select", "options": options, **chosen}


def _picker(field: FormField) -> Block | None:
    """Once set, a picker cannot be emptied: where null is a value as well, a text is edited."""
    if field.shown and field.nullable:
        return None
    if field.kind == "date":
        if field.shown and not _DATE.fullmatch(field.shown):
            return None
        return {"type": "datepicker"} | ({"initial_date": field.shown} if field.shown else {})
    seconds = _seconds(field.shown)
    if field.shown and seconds is None:
        return None
    return {"type": "datetimepicker"} | ({"initial_date_time": seconds} if seconds else {})


def _seconds(shown: str) -> int | None:
    """A time that a picker can show: with a zone, whole minutes, ten digits."""
    try:
        moment = _MOMENT.validate_strings(shown)
    except ValidationError:
        return None
    if moment.tzinfo is None or moment.second or moment.microsecond:
        return None
    seconds = int(moment.timestamp())
    return seconds if seconds in _TEN_DIGITS else None


def _moment_text(field: FormField, seconds: int | None) -> str:
    if not seconds:
        return ""
    return (
        field.shown if seconds == _seconds(field.shown) else datetime.fromtimestamp(seconds, UTC).isoformat()
    )


def _chosen(field: FormField, options: Sequence[Mapping[str, Any]]) -> str:
    """The chosen values in the order of the choices; what was there before stays as it was written."""
    choices = _options_of(field)
    values = [choices[at].value for at in sorted(int(option["value"]) for option in options)]
    if values == _in_order(choices, _items(field.shown)):
        return field.shown
    return json.dumps(values, ensure_ascii=False)


def _in_order(choices: Sequence[Choice], values: Sequence[Any]) -> list[Any]:
    """The values as a menu gives them back; one that is no choice stays at the end."""
    known = [choice.value for choice in choices]
    return sorted(values, key=lambda value: known.index(value) if value in known else len(known))


def _items(shown: str) -> list[Any]:
    items = json.loads(shown) if shown else []
    return items if isinstance(items, list) else [items]


def _options_of(field: FormField) -> tuple[Choice, ...]:
    if field.kind != "boolean":
        return field.choices
    return (*TRUTH, NULL) if field.nullable else TRUTH


def _can_be_options(choices: Sequence[Choice]) -> bool:
    return len(choices) <= OPTIONS and all(len(choice.text) <= OPTION_CHARACTERS for choice in choices)


def _options(choices: Sequence[Choice]) -> list[Block]:
    """Known by their position: a value may be longer than Slack takes."""
    return [
        {"text": plain(choice.text.strip() or EMPTY_CHOICE), "value": str(position)}
        for position, choice in enumerate(choices)
    ]
