"""A form at the terminal: one question a parameter, answered with Enter to leave it as it is."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from tools.form_fields import FormField
from tools.parameter_form import ParameterForm
from tools.run_rows import shorten

Ask = Callable[[str], Awaitable[str]]
Say = Callable[[str], None]

# What stands in brackets beside the question; a longer value is known to whoever asked for it.
MAX_SHOWN = 60
INTRO = "Enter keeps a value, Ctrl-D leaves all of them as they were."
_SEPARATOR = re.compile(r"[,\s]+")


async def ask_parameters(form: ParameterForm, *, ask: Ask, say: Say) -> dict[str, Any] | None:
    """The run's own parameters as the person wants them; None when they stopped before the end.

    `ask` reads one line and raises EOFError at the end of them.
    """
    texts: dict[str, str] = {}
    say(INTRO)
    try:
        for field in form.fields:
            texts[field.name] = await _ask_one(form, field, ask=ask, say=say)
    except EOFError:
        return None
    filled = form.read(texts)
    for name, sentence in filled.errors.items():
        say(f"{name}: {sentence}")
    return None if filled.errors else filled.values


async def _ask_one(form: ParameterForm, field: FormField, *, ask: Ask, say: Say) -> str:
    """A text that fits; what is wrong with any other is told, and it is asked again."""
    say(_introduced(field))
    while True:
        line = await ask(f"{field.name}{_present(field)}: ")
        text = _meant(field, line) if line.strip() else field.shown
        problem = form.read({field.name: text}).errors.get(field.name)
        if problem is None:
            return text
        say(f"  {problem}")


def _introduced(field: FormField) -> str:
    """Its type and what else is to be known of it, then what can be chosen, by number."""
    about = ", ".join([field.type, *field.constraints, *(["required"] if field.must_be_filled else [])])
    helped = f" – {field.help}" if field.help else ""
    numbered = "  ".join(f"[{number}] {choice.text}" for number, choice in enumerate(field.choices, 1))
    return f"\n{field.name} ({about}){helped}" + (f"\n  {numbered}" if numbered else "")


def _present(field: FormField) -> str:
    if field.kind == "secret":
        return " [set, not shown]" if field.when_empty else ""
    if field.kind == "multi-choice" and field.shown:
        return f" [{', '.join(map(str, json.loads(field.shown)))}]"
    return f" [{shorten(' '.join(field.shown.split()), MAX_SHOWN)}]" if field.shown else ""


def _meant(field: FormField, line: str) -> str:
    """The line with the numbers of choices put into words; several become the JSON list that they mean."""
    if field.kind == "choice":
        return _choice(field, line.strip())
    if field.kind != "multi-choice" or line.lstrip().startswith("["):
        return line
    words = [_choice(field, word) for word in _SEPARATOR.split(line.strip()) if word]
    values = {choice.text: choice.value for choice in field.choices}
    return json.dumps([values.get(word, word) for word in words], ensure_ascii=False)


def _choice(field: FormField, word: str) -> str:
    """A choice by its number, unless it is one itself."""
    texts = [choice.text for choice in field.choices]
    is_number = word not in texts and word.isdecimal() and 1 <= int(word) <= len(texts)
    return texts[int(word) - 1] if is_number else word
