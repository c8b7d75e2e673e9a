"""The modal in which the parameters of a card are edited: its views, and what was submitted. Pure.

A field is known by its position, as a parameter may have any name. Limits:
https://docs.slack.dev/reference/views/modal-views
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.cards.table import Card
from bot.slack.blocks import Block, plain
from bot.slack.form_elements import ACTION, TEXT_CHARACTERS, element, text_of
from bot.slack.mrkdwn import escape, shorten
from tools.form_fields import FormField
from tools.parameter_form import Filled, ParameterForm

CALLBACK = "card_parameters"
TITLE = "Edit parameters"
SUBMIT = "Update the card"
# Slack takes 100 blocks; nobody fills in that many, and one JSON text is easier to paste into.
MAX_FIELDS = 40
# Slack takes 250 kB.
VIEW_BYTES = 240_000
LABEL_CHARACTERS = 150
HINT_CHARACTERS = 600
# Slack takes longer ones, and shows them in a narrow column.
ERROR_CHARACTERS = 300
SENTENCE_CHARACTERS = 2_900
WHOLE = "parameters"
NAMELESS = "(a parameter without a name)"
# What is typed in, and so can be emptied again; a picker that is set cannot.
TYPED = ("plain_text_input", "number_input")
PICKERS = ("datepicker", "datetimepicker")
NOTHING_STARTS = "Nothing starts yet: this changes the card, and somebody has to confirm it there."
TOO_LONG = "is {length:,} characters long, too many to edit here; it stays as it is."


class Origin(BaseModel):
    """What the form was made of, kept in the view; a submission brings it back."""

    model_config = ConfigDict(frozen=True)

    card: str
    revision: int = 0
    """The state of the card that the form shows."""
    form: str = ""
    """Which fields were shown; positions mean something else in other ones."""
    team: str


def loading_view() -> Block:
    return _view([_section("Loading the parameters…")])


def message_view(sentence: str) -> Block:
    """What there is to say in place of a form."""
    return _view([_section(escape(sentence))])


def form_view(form: ParameterForm, card: Card) -> Block:
    """The form, or where it is too large for a modal, one JSON text of what the run has been given."""
    intro = _section(f"*{escape(card.proposal.target)}*\n{NOTHING_STARTS}")
    origin = Origin(card=card.id, revision=card.revision, form=_digest(form), team=card.team)
    if len(form.fields) <= MAX_FIELDS:
        blocks = [_field_block(field, position) for position, field in enumerate(form.fields)]
        view = _form([intro, *blocks], origin)
        if len(json.dumps(view)) <= VIEW_BYTES:
            return view
    if len(form.as_json) > TEXT_CHARACTERS:
        return message_view(
            "This run has too many parameters to edit them here. Ask again with other values."
        )
    return _form([intro, _whole_block(form)], origin)


def submitted(form: ParameterForm, view: Mapping[str, Any]) -> Filled:
    """The parameters that were typed into the form, and what is wrong with them."""
    states = view["state"]["values"]
    if WHOLE in states:
        return form.read_json(states[WHOLE][ACTION].get("value") or "")
    texts = {
        field.name: text_of(field, states[_block_id(position)][ACTION])
        for position, field in enumerate(form.fields)
        if _block_id(position) in states
    }
    return form.read(texts)


def is_the_same(form: ParameterForm, origin: Origin) -> bool:
    """Whether the form still has the fields that were shown."""
    return _digest(form) == origin.form


def errors_on_blocks(
    form: ParameterForm, view: Mapping[str, Any], errors: Mapping[str, str]
) -> dict[str, str]:
    """Each sentence at its field; what belongs to no field that is in sight stands at the first."""
    blocks = [block["block_id"] for block in view["blocks"] if block["type"] == "input"]
    position_of = {field.name: _block_id(position) for position, field in enumerate(form.fields)}
    told: dict[str, list[str]] = {}
    for name, sentence in errors.items():
        block = position_of.get(name, "")
        if block in blocks:
            told.setdefault(block, []).append(sentence)
        else:
            told.setdefault(blocks[0], []).append(f"{name}: {sentence}" if name else sentence)
    return {block: shorten(" ".join(sentences), ERROR_CHARACTERS) for block, sentences in told.items()}


def first_block(view: Mapping[str, Any], sentence: str) -> dict[str, str]:
    """A problem that is of no field's making, told so that nothing typed is lost."""
    blocks = [block["block_id"] for block in view["blocks"] if block["type"] == "input"]
    return {blocks[0]: shorten(sentence, ERROR_CHARACTERS)}


def _field_block(field: FormField, position: int) -> Block:
    built = element(field)
    label = (field.name.strip() or NAMELESS) if not field.title else f"{field.name} · {field.title}"
    if built is None:
        return _section(f"*{escape(field.name)}* {TOO_LONG.format(length=len(field.shown))}")
    hint = shorten(_hint(field, built["type"]), HINT_CHARACTERS)
    return {
        "type": "input",
        "block_id": _block_id(position),
        "label": plain(shorten(label, LABEL_CHARACTERS)),
        "element": built,
        "optional": not field.must_be_filled,
        **({"hint": plain(hint)} if hint else {}),
    }


def _hint(field: FormField, kind: str) -> str:
    """What the parameter is, what it may be, and what leaving it empty does where that can be done."""
    parts = [field.help.rstrip("."), _may_be(field) if kind in TYPED and field.kind != "secret" else ""]
    can_be_emptied = kind in TYPED or (kind in PICKERS and not field.shown)
    sentences = [f"{part[:1].upper()}{part[1:]}." for part in parts if part]
    return " ".join([*sentences, *([field.when_empty] if can_be_emptied else [])]).strip()


def _may_be(field: FormField) -> str:
    """`a whole number, at least 1`; nothing for what goes without saying."""
    form = f"{field.type}, as JSON" if field.kind in ("json", "multi-choice") else field.type
    chosen = [f"one of {', '.join(choice.text for choice in field.choices)}"] if field.choices else []
    plainly = field.type in ("a text", "any value")
    return ", ".join([*([] if plainly else [form]), *field.constraints, *chosen])


def _whole_block(form: ParameterForm) -> Block:
    names = ", ".join(f"{field.name} ({field.type})" for field in form.fields)
    hint = (
        "What this run is given, as one JSON object; what is left out stays as the deployment has it. "
        f"It takes {names}."
    )
    return {
        "type": "input",
        "block_id": WHOLE,
        "label": plain("Parameters"),
        "element": {
            "type": "plain_text_input",
            "action_id": ACTION,
            "multiline": True,
            "initial_value": form.as_json,
        },
        "optional": True,
        "hint": plain(shorten(hint, HINT_CHARACTERS)),
    }


def _digest(form: ParameterForm) -> str:
    fields = [(field.name, field.kind, [choice.text for choice in field.choices]) for field in form.fields]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:16]


def _block_id(position: int) -> str:
    return f"parameter:{position}"


def _form(blocks: list[Block], origin: Origin) -> Block:
    more = {"submit": plain(SUBMIT), "callback_id": CALLBACK, "private_metadata": origin.model_dump_json()}
    return {**_view(blocks), **more}


def _view(blocks: list[Block]) -> Block:
    return {"type": "modal", "title": plain(TITLE), "close": plain("Close"), "blocks": blocks}


def _section(mrkdwn: str) -> Block:
    text = {"type": "mrkdwn", "text": shorten(mrkdwn, SENTENCE_CHARACTERS), "verbatim": True}
    return {"type": "section", "text": text}
