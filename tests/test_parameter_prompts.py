"""Editing parameters at the terminal: one question each, as a person answers them."""

import asyncio
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.parameter_prompts import ask_parameters
from tests.prefect_seed import Seed
from tests.prefect_server import is_foreign
from tests.test_parameter_form import NEEDED
from tools.parameter_form import parameter_form

WITHIN_S = 60.0


class Person:
    """Types the lines one after the other, then Ctrl-D; remembers all that was asked and said."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.screen = ""

    async def ask(self, prompt: str) -> str:
        self.screen += prompt
        if not self.lines:
            raise EOFError
        self.screen += f"{self.lines[0]}\n"
        return self.lines.pop(0)

    def say(self, text: str) -> None:
        self.screen += f"{text}\n"


def schema_of(typed_schema: dict[str, Any], *names: str) -> dict[str, Any]:
    properties = {name: typed_schema["properties"][name] for name in names}
    required = [name for name in typed_schema["required"] if name in names]
    return {**typed_schema, "properties": properties, "required": required}


async def answered(person: Person, schema: dict[str, Any], **given: Any) -> dict[str, Any] | None:
    return await ask_parameters(
        parameter_form(schema, defaults={}, given=given), ask=person.ask, say=person.say
    )


async def test_enter_keeps_every_value(typed_schema: dict[str, Any]) -> None:
    form = parameter_form(typed_schema, defaults=NEEDED, given={"text": "z"})
    person = Person(*[""] * len(form.fields))
    assert await ask_parameters(form, ask=person.ask, say=person.say) == {"text": "z"}
    assert "bare (any value)\nbare [x]: \n" in person.screen


async def test_what_does_not_fit_is_told_and_asked_again(typed_schema: dict[str, Any]) -> None:
    schema = schema_of(typed_schema, "rows", "code")
    person = Person("", "many", "7", "ABC", "abcd")
    assert await answered(person, schema) == {"rows": 7, "code": "abcd"}
    assert person.screen.count("rows: ") == 3
    assert "rows (a whole number, required) – how many rows to read.\n" in person.screen
    assert "  It is required and has no value.\n" in person.screen
    assert '  "many" is not a whole number.\n' in person.screen
    assert '  "ABC" does not have the form ^[a-z]+$.\n' in person.screen


@pytest.mark.parametrize(
    ("name", "line", "value"),
    [
        ("mode", "2", "slow"),
        ("mode", "slow", "slow"),
        ("other", "3", None),
        ("level", "2", 2),
        ("modes", "1, 2", ["x", "y"]),
        ("modes", "y", ["y"]),
        ("modes", '["y", "x"]', ["y", "x"]),
        ("limit", "null", None),
        ("dry", "yes", True),
        ("pin", "4711", "4711"),
    ],
)
async def test_a_choice_is_made_by_its_number_or_its_name(
    typed_schema: dict[str, Any], name: str, line: str, value: Any
) -> None:
    given = {} if name != "dry" else {"dry": False}
    assert await answered(Person(line), schema_of(typed_schema, name), **given) == {name: value}


async def test_a_choice_that_is_a_number_itself_is_that_number() -> None:
    schema = {"properties": {"x": {"enum": [2, 1], "default": 1}}}
    person = Person("2")
    assert await answered(person, schema) == {"x": 2}
    assert "[1] 2  [2] 1" in person.screen


async def test_the_end_of_the_input_leaves_all_as_it_was(typed_schema: dict[str, Any]) -> None:
    assert await answered(Person("7"), schema_of(typed_schema, "rows", "text"), rows=1) is None


async def test_a_secret_is_not_shown(typed_schema: dict[str, Any]) -> None:
    person = Person("")
    assert await answered(person, schema_of(typed_schema, "pin"), pin="4711") == {"pin": "4711"}
    assert "pin [set, not shown]: " in person.screen
    assert "4711" not in person.screen


class Pty:
    """A program on a terminal of its own: what is on the screen, and keys."""

    def __init__(self, screen: int) -> None:
        self._screen = screen
        self.seen = ""

    async def answer(self, question: str, keys: str) -> None:
        """Waits for the question, and types."""
        await self.shows(question)
        self.seen = self.seen.split(question, 1)[1]
        os.write(self._screen, keys.encode())

    async def shows(self, words: str) -> None:
        async with asyncio.timeout(WITHIN_S):
            while words not in self.seen:
                self.seen += (await asyncio.to_thread(os.read, self._screen, 65_536)).decode(errors="replace")


@pytest.mark.slow
async def test_a_card_at_a_terminal_is_edited_before_it_is_decided(
    home: Path, prefect_url: str, seed: Seed, typed_schema: dict[str, Any]
) -> None:
    schema = schema_of(typed_schema, "rows", "mode")
    deployment = await seed.deployment(pool=await seed.pool(), parameter_openapi_schema=schema)
    machine = {name: value for name, value in os.environ.items() if not is_foreign(name)}
    screen, keyboard = pty.openpty()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "ask", f"run {deployment['full_name']} rows=1"),
        env={**machine, "ASK_MARVIN_HOME": str(home), "HOME": str(home.parent), "TERM": "xterm"}
        | {"PREFECT_API_URL": prefect_url},
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
    )
    os.close(keyboard)
    terminal = Pty(screen)
    try:
        await terminal.answer("Do it? [y/N/e] ", "e\n")
        await terminal.answer("rows [1]: ", "many\n")
        await terminal.answer('"many" is not a whole number.', "")
        await terminal.answer("rows [1]: ", "7\n")
        await terminal.answer("mode [fast]: ", "2\n")
        await terminal.shows("Parameter rows: 7")
        await terminal.shows("Parameter mode: slow")
        await terminal.answer("Do it? [y/N/e] ", "n\n")
        await terminal.shows("Nothing was done.")
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        os.close(screen)
