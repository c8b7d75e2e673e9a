"""What the README says is so."""

import re
from pathlib import Path

from bot.cli import _parser
from bot.grammar import HELP
from bot.settings import settings_table

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_settings_table_is_the_one_that_the_code_gives() -> None:
    shown = README.split("<!-- settings: checked by tests/test_readme.py -->")[1].split(
        "<!-- end of settings -->"
    )[0]
    assert shown.strip() == settings_table(), f"Put this into README.md:\n{settings_table()}"


def test_every_command_of_the_help_is_in_the_readme() -> None:
    for shape in re.findall(r"^\| (`.*?) \|", HELP, flags=re.MULTILINE):
        assert shape in README


def test_every_command_line_command_in_it_exists() -> None:
    known = _parser().format_help()
    for command in re.findall(r"ask-marvin ([a-z]+)", README):
        assert re.search(rf"\b{command}\b", known), command
