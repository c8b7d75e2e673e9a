"""What of a passage is quoted."""

from bot.excerpt import excerpt, is_pointer
from bot.telling import telling_stems

ASKED = telling_stems("how do I remove a schedule")
LONG = "Schedules say when a deployment runs, in one of several ways. " * 4


def test_a_passage_that_fits_is_quoted_as_it_stands() -> None:
    text = "# Title\n\nRemove it:\n\n```bash\nprefect x\n```\n\n- one\n- two"
    assert excerpt(text, 1000, ASKED) == text


def test_the_command_that_a_sentence_announces_is_never_cut_off() -> None:
    text = f"{LONG}\n\nTo remove it, use the CLI:\n\n```bash\nprefect deployment schedule clear a/b\n```"
    quoted = excerpt(text, len(LONG) + 40, ASKED)
    assert quoted.count("```") == 2
    assert quoted.endswith("schedule clear a/b\n```")


def test_an_announcement_of_nothing_is_left_out() -> None:
    assert excerpt("It is done.\n\n**Warning:**\n\nFor example:", 1000, ASKED) == "It is done."
    assert excerpt("It is done.\n\nBelow are some examples.", 1000, ASKED) == "It is done."


def test_of_a_long_passage_the_stretch_about_the_question_is_shown() -> None:
    filler = "\n\n".join(f"Paragraph {n} tells about workers and their queues." for n in range(20))
    quoted = excerpt(f"{filler}\n\nRemove a schedule with `clear`.\n\n{filler}", 200, ASKED)
    assert "Remove a schedule" in quoted
    assert quoted.startswith("…")
    assert quoted.endswith("…")
    assert len(quoted) < 260


def test_a_stretch_does_not_begin_inside_a_list_item() -> None:
    text = f"1. First.\n\n    {LONG}\n\n    Remove the schedule.\n\n2. Then more of it."
    assert not excerpt(text, 300, ASKED).removeprefix("…\n\n").startswith(" ")


def test_diagrams_tags_and_pointers_to_other_pages_are_left_out() -> None:
    text = (
        "<Note>\nRuns are [late](/late).\n</Note>\n\n```mermaid\nflowchart TD\n```\n\n"
        "For more information, see [states](/states).\n\n## Further reading\n\n- [Workers](/workers)"
    )
    assert excerpt(text, 1000, ASKED) == "Runs are late."
    assert excerpt("```mermaid\nflowchart TD\n```", 1000, ASKED) == ""


def test_a_link_inside_a_fence_is_code() -> None:
    fence = "```python\nd['a'](x) # [b](c)\n```"
    assert excerpt(fence, 1000, ASKED) == fence


def test_of_a_long_table_the_rows_that_the_question_names_are_kept() -> None:
    rows = [f"| setting {n} | nothing |" for n in range(30)]
    table = "\n".join(["| name | what |", "| --- | --- |", *rows[:20], "| schedule | this |", *rows[20:]])
    quoted = excerpt(table, 5000, ASKED)
    assert quoted == "| name | what |\n| --- | --- |\n| schedule | this |\n\n…"


def test_of_a_list_without_end_the_items_about_the_question_are_kept_in_their_order() -> None:
    items = [f"- `argument_{n}`: something else\n  on two lines" for n in range(40)]
    items[30] = "- `schedule`: what is removed"
    quoted = excerpt("**Args:**\n\n" + "\n".join(items), 200, ASKED)
    assert "`schedule`" in quoted
    assert quoted.index("argument_0") < quoted.index("`schedule`")
    assert quoted.endswith("…")
    assert len(quoted) < 300


def test_a_fence_without_end_is_cut_and_closed() -> None:
    lines = "\n".join(f"x = {n}" for n in range(500))
    quoted = excerpt(f"```python\n{lines}\n```", 200, ASKED)
    assert quoted.startswith("```python\nx = 0\n")
    assert quoted.endswith("\n```\n\n…")
    assert len(quoted) < 300


def test_a_section_that_only_says_where_to_read_on_is_known_by_its_heading() -> None:
    assert is_pointer("Work pools > Further reading")
    assert is_pointer("Next steps")
    assert not is_pointer("Reading logs")
