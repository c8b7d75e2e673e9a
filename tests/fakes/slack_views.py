"""What Slack refuses in a modal, and what a person does in one: its limits, and filling its fields in."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.slack_blocks import (
    Block,
    SlackError,
    check_text,
    check_view_blocks,
    invalid,
    length,
    only,
)

VIEW_CHARACTERS = 250_000
OPTIONS = 100
FEW_OPTIONS = 10
TEXT_CHARACTERS = 3_000
# A rule of the client: a number field takes nothing else.
NUMBER = re.compile(r"-?\d+(\.\d+)?")

COMMON = {"type", "action_id", "focus_on_load"}
KNOWN = {
    "plain_text_input": {"placeholder", "initial_value", "multiline", "min_length", "max_length"},
    "number_input": {"placeholder", "initial_value", "is_decimal_allowed", "min_value", "max_value"},
    "radio_buttons": {"options", "initial_option"},
    "checkboxes": {"options", "initial_options"},
    "static_select": {"placeholder", "options", "initial_option"},
    "multi_static_select": {"placeholder", "options", "initial_options", "max_selected_items"},
    "datepicker": {"placeholder", "initial_date"},
    "datetimepicker": {"initial_date_time"},
}


def check_view(view: Mapping[str, Any]) -> None:
    """Raises `SlackError` for a view that Slack would not show."""
    limits = {"callback_id": 255, "private_metadata": 3_000}
    if view.get("type") not in ("modal", "home") or "blocks" not in view:
        raise SlackError("invalid_arguments")
    if any(len(view.get(key) or "") > most for key, most in limits.items()):
        raise SlackError("invalid_arguments")
    for key in ("title", "submit", "close"):
        if key in view and view["type"] == "home":
            raise SlackError("invalid_arguments")
        if key in view:
            check_text(view[key], f"/view/{key}", most=24, plain=True)
    if view["type"] == "modal" and "title" not in view:
        raise SlackError("invalid_arguments")
    if any(block["type"] == "input" for block in view["blocks"]) and "submit" not in view:
        raise SlackError("invalid_arguments")
    if len(json.dumps(view)) > VIEW_CHARACTERS:
        raise SlackError("view_too_large")
    check_view_blocks(view["blocks"])
    for position, block in enumerate(view["blocks"]):
        if block["type"] == "input":
            check_input(block, f"/view/blocks/{position}")


def check_input(block: Block, pointer: str) -> None:
    check_text(block.get("label"), f"{pointer}/label", most=2_000, plain=True)
    if "hint" in block:
        check_text(block["hint"], f"{pointer}/hint", most=2_000, plain=True)
    if not isinstance(block.get("optional", False), bool):
        raise invalid(f"{pointer}/optional", "must be a boolean")
    element = block.get("element") or {}
    kind = element.get("type")
    if kind not in KNOWN:
        raise invalid(f"{pointer}/element", f"unsupported type: {kind}")
    only(element, COMMON | KNOWN[kind], f"{pointer}/element")
    length(element, "action_id", 255, f"{pointer}/element", least=1)
    if "placeholder" in element:
        check_text(element["placeholder"], f"{pointer}/element/placeholder", most=150, plain=True)
    if "options" in KNOWN[kind]:
        check_options(element, f"{pointer}/element")
    check_initial(element, f"{pointer}/element")


def check_options(element: Block, pointer: str) -> None:
    most = FEW_OPTIONS if element["type"] in ("radio_buttons", "checkboxes") else OPTIONS
    options = element.get("options") or []
    if not 1 <= len(options) <= most:
        raise invalid(f"{pointer}/options", f"must have 1 to {most} items")
    for position, option in enumerate(options):
        only(option, {"text", "value", "description"}, f"{pointer}/options/{position}")
        check_text(option.get("text"), f"{pointer}/options/{position}/text", most=75)
        length(option, "value", 150, f"{pointer}/options/{position}", least=1)
    chosen = element.get("initial_options", [element.get("initial_option", options[0])])
    if not chosen or any(option not in options for option in chosen):
        raise invalid(f"{pointer}/initial_option", "must match one of the options")


def check_initial(element: Block, pointer: str) -> None:
    match element["type"]:
        case "plain_text_input":
            length(element, "initial_value", TEXT_CHARACTERS, pointer)
        case "number_input":
            check_number(element, pointer)
        case "datepicker":
            if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", element.get("initial_date", "2026-11-23")):
                raise invalid(f"{pointer}/initial_date", "must be YYYY-MM-DD")
        case "datetimepicker":
            seconds = element.get("initial_date_time", 1_628_633_820)
            if type(seconds) is not int or len(str(seconds)) != 10:
                raise invalid(f"{pointer}/initial_date_time", "must be a UNIX timestamp of 10 digits")


def check_number(element: Block, pointer: str) -> None:
    if not isinstance(element.get("is_decimal_allowed"), bool):
        raise invalid(f"{pointer}/is_decimal_allowed", "missing required field")
    value = element.get("initial_value", "0")
    whole = "." not in str(value) or element["is_decimal_allowed"]
    if not isinstance(value, str) or not NUMBER.fullmatch(value) or not whole:
        raise invalid(f"{pointer}/initial_value", "must be a number")


def inputs(view: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields that a person sees, by their labels."""
    return {block["label"]["text"]: block for block in view["blocks"] if block["type"] == "input"}


def state_of(view: Mapping[str, Any], filled: Mapping[str, Any]) -> dict[str, Any]:
    """`state.values` of a view that was filled in: what is not named stays as the view showed it.

    Raises AssertionError for what the client would not let a person do.
    """
    fields = inputs(view)
    assert set(filled) <= set(fields), f"There are the fields {list(fields)}"
    values: dict[str, Any] = {}
    for label, block in fields.items():
        element = block["element"]
        state = touched(element, filled[label]) if label in filled else untouched(element)
        empty = all(not value for key, value in state.items() if key != "type")
        assert block.get("optional") or not empty, f"Slack wants {label} to be filled in"
        values[block["block_id"]] = {element["action_id"]: state}
    return values


def untouched(element: Block) -> dict[str, Any]:
    match element["type"]:
        case "radio_buttons" | "static_select":
            left: Any = ("selected_option", element.get("initial_option"))
        case "multi_static_select":
            left = ("selected_options", element.get("initial_options", []))
        case "datepicker":
            left = ("selected_date", element.get("initial_date"))
        case "datetimepicker":
            left = ("selected_date_time", element.get("initial_date_time"))
        case _:
            left = ("value", element.get("initial_value"))
    return {"type": element["type"], left[0]: left[1]}


def touched(element: Block, value: Any) -> dict[str, Any]:
    """A text typed, an option chosen by its text, several by a list of texts, a day, or seconds."""
    kind = element["type"]
    match kind:
        case "radio_buttons" | "static_select":
            return {"type": kind, "selected_option": option(element, value)}
        case "multi_static_select":
            return {"type": kind, "selected_options": [option(element, each) for each in value]}
        case "datepicker":
            return {"type": kind, "selected_date": value}
        case "datetimepicker":
            return {"type": kind, "selected_date_time": value}
        case "number_input":
            assert not value or NUMBER.fullmatch(value), f"{value!r} cannot be typed into a number field"
    # The client sends null for a field that was emptied.
    return {"type": kind, "value": value or None}


def option(element: Block, text: str) -> dict[str, Any]:
    found = [each for each in element["options"] if each["text"]["text"] == text]
    assert found, f"There is no option {text!r} among {[each['text']['text'] for each in element['options']]}"
    return dict(found[0])


def check_errors(view: Mapping[str, Any], errors: Mapping[str, Any]) -> None:
    """Slack shows an error at the block of an input, and a failure of the app for any other id."""
    known: Sequence[str] = [block["block_id"] for block in inputs(view).values()]
    assert errors, "errors without an error"
    assert set(errors) <= set(known), f"no input has the block_id of {set(errors) - set(known)}"
    assert all(isinstance(text, str) and text for text in errors.values())
