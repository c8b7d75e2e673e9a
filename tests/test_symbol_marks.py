"""What the filter puts behind a command, a setting or a name that Prefect does not have."""

import pytest

from bot.egress.filter import EgressFilter
from bot.egress.links import Links
from bot.egress.symbol_marks import MAX_NAMED, SymbolMarks
from tests.test_symbol_mentions import SYMBOLS

MARK = "_(not in Prefect 3.8.8)_"


def shown(text: str) -> str:
    egress = EgressFilter(links=Links(), redact=str, passages=2, marks=SymbolMarks(SYMBOLS))
    return egress.feed(text) + egress.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Set `PREFECT_ORION_URL` now.", f"Set `PREFECT_ORION_URL` {MARK} now."),
        ("Set PREFECT_ORION_URL, now.", f"Set PREFECT_ORION_URL, {MARK} now."),
        ("`prefect wroker`", f"`prefect wroker` {MARK}"),
        ("`prefect wroker start`", "`prefect wroker start` _(`wroker`: not in Prefect 3.8.8)_"),
        (
            "`prefect worker start -p x --queue y`",
            "`prefect worker start -p x --queue y` _(`--queue`: not in Prefect 3.8.8)_",
        ),
        ("| `prefect.orion` | b |\n", f"| `prefect.orion` {MARK} | b |"),
        ("**`prefect.orion`**", f"**`prefect.orion` {MARK}**"),
        ("`prefect.flow` and `PREFECT_HOME`", "`prefect.flow` and `PREFECT_HOME`"),
    ],
)
def test_what_does_not_exist_is_marked_after_its_span(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_without_a_table_nothing_is_marked() -> None:
    egress = EgressFilter(links=Links(), redact=str)
    assert egress.feed("`prefect wroker`\n") + egress.close() == "`prefect wroker`"


def test_a_name_is_marked_once_in_a_paragraph_and_again_in_the_next() -> None:
    once = f"`prefect.orion` {MARK} and `prefect.orion`"
    assert (
        shown("`prefect.orion` and `prefect.orion`\n\n`prefect.orion`") == f"{once}\n\n`prefect.orion` {MARK}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "In Prefect 2 you ran `prefect wroker`, and then `prefect wroker2`.",
        "In 2.x it was `PREFECT_ORION_URL`.",
        "It replaces `PREFECT_ORION_URL`.",
        "Use `prefect deploy` instead of `prefect wroker`.",
        "There is no `prefect.orion` any more.",
        "The old `prefect.orion` module is gone.",
        "The legacy setting PREFECT_ORION_URL is gone.",
    ],
)
def test_what_is_said_to_be_old_is_not_marked(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Instead of `prefect deploy`, run `prefect wroker`.",
        "It was removed. Use `prefect wroker`.",
        "The old way is gone; `prefect wroker` does it.",
        "Prefect 3 has `prefect wroker`.",
    ],
)
def test_what_is_recommended_beside_something_old_is_marked(text: str) -> None:
    assert "not in Prefect" in shown(text)


FENCE = "```bash\nprefect wroker\n```"
BELOW = "_(not in Prefect 3.8.8: `prefect wroker`)_"


@pytest.mark.parametrize("following", ["\n\nThen [1].", "\nThen [1]."])
def test_a_fence_is_never_altered_and_the_mark_is_a_paragraph_below_it(following: str) -> None:
    assert shown(f"Run:\n\n{FENCE}{following}") == f"Run:\n\n{FENCE}\n{BELOW}\n\nThen [1]."


def test_a_fence_at_the_end_and_one_that_never_closes_are_marked_too() -> None:
    assert shown(FENCE) == f"{FENCE}\n{BELOW}"
    assert shown("```bash\nprefect wroker") == f"{FENCE}\n{BELOW}"
    assert shown(f"{FENCE}\n{FENCE}\n") == f"{FENCE}\n{BELOW}\n\n{FENCE}\n{BELOW}"


def test_a_fence_that_is_said_to_be_old_is_not_marked() -> None:
    for lead in ("In Prefect 2:", "Before (2.x):", "This was removed:"):
        assert shown(f"{lead}\n\n{FENCE}\n") == f"{lead}\n\n{FENCE}\n"


def test_a_fence_that_is_said_to_be_new_beside_something_old_is_marked() -> None:
    for lead in ("Instead of the old way, run this:", "In Prefect 2 it was other; now it is:"):
        assert shown(f"{lead}\n\n{FENCE}\n").endswith(BELOW)


def test_below_a_fence_only_the_first_few_are_named() -> None:
    lines = "\n".join(f"PREFECT_X{letter}" for letter in "ABCDEFGH")
    out = shown(f"```\n{lines}\n```\n")
    assert out.count("`PREFECT_") == MAX_NAMED
    assert out.endswith(", …)_")


def test_marks_do_not_make_a_paragraph_longer_than_its_words() -> None:
    egress = EgressFilter(links=Links(), redact=str, label_uncited=True, marks=SymbolMarks(SYMBOLS))
    assert (
        egress.feed("Set `PREFECT_ORION_URL` then.") + egress.close()
        == f"Set `PREFECT_ORION_URL` {MARK} then."
    )
