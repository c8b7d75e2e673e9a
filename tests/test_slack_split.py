"""Markdown is cut into parts that Slack takes, and nothing of it changes but at the cuts."""

import itertools
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.slack.split import PART_CHARACTERS, Splitter, continue_from, safe_end, split_markdown

LIMIT = 800

words = st.text(st.sampled_from("abcdefg ,.&<>*_"), min_size=1, max_size=60).map(
    lambda text: f"w{text.strip()}"
)
links = st.builds(
    "[{}](https://docs.example/{})".format, st.text("xyz ", max_size=9), st.text("abc/-", max_size=80)
)
tokens = st.sampled_from(["[1]", "<https://a.example/b c>", "`code span`", "[12]"])
paragraphs = st.lists(words | links | tokens, min_size=1, max_size=40).map(" ".join)
code_lines = st.lists(st.text("abc =()<>|#", max_size=120), max_size=60).map("\n".join)
fences = st.builds("```{}\n{}\n```".format, st.sampled_from(["", "python", "bash"]), code_lines)
rows = st.lists(st.text(string.ascii_letters + " ", min_size=1, max_size=20), min_size=0, max_size=120)
tables = rows.map(lambda cells: "\n".join(["| name | more |", "|---|---|", *(f"| {c} | x |" for c in cells)]))
headings = st.builds(
    "{} {}".format, st.sampled_from(["#", "##", "###"]), st.text("abc", min_size=1, max_size=30)
)
lists = st.lists(words, min_size=1, max_size=30).map(lambda items: "\n".join(f"- {item}" for item in items))
documents = st.lists(paragraphs | fences | tables | headings | lists, max_size=25).map("\n\n".join)
anything = st.text(st.sampled_from("a `~|-\n>#[](<)*1.x"), max_size=4_000)
limits = st.sampled_from([LIMIT, 2_000, PART_CHARACTERS])


@settings(deadline=None, max_examples=60)
@given(documents | anything, limits)
def test_the_parts_join_to_the_whole_and_each_is_within_the_limit(markdown: str, limit: int) -> None:
    parts = split_markdown(markdown, limit)
    assert "".join(part.source for part in parts) == markdown
    assert all(len(part.text) <= limit for part in parts)


@settings(deadline=None, max_examples=60)
@given(documents | anything, st.lists(st.integers(0, 4_000)))
def test_it_does_not_matter_in_which_pieces_the_text_comes(markdown: str, cuts: list[int]) -> None:
    splitter, last = Splitter(LIMIT), 0
    for cut in sorted(cuts):
        splitter.feed(markdown[last:cut])
        last = max(last, cut)
    splitter.feed(markdown[last:])
    splitter.finish()
    whole = [part.text for part in split_markdown(markdown, LIMIT)]
    assert [part.text for part in splitter.parts if part.source] == whole


@settings(deadline=None, max_examples=60)
@given(documents)
def test_what_a_part_shows_is_never_taken_back(markdown: str) -> None:
    splitter = Splitter(LIMIT)
    shown: list[str] = []
    for character in markdown:
        splitter.feed(character)
        now = [part.text for part in splitter.parts]
        assert all(after.startswith(before) for before, after in zip(shown, now, strict=False))
        shown = now


def code_in(markdown: str) -> str:
    return "".join(
        token.content for token in MarkdownIt("commonmark").parse(markdown) if token.type == "fence"
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(paragraphs | fences | headings, max_size=25).map("\n\n".join))
def test_code_is_code_in_every_part(markdown: str) -> None:
    parts = split_markdown(markdown, LIMIT)
    assert "".join(code_in(part.text) for part in parts) == code_in(markdown)


def rows_in(markdown: str) -> list[str]:
    parsed = MarkdownIt("commonmark").enable("table").parse(markdown)
    inline = [after.content for before, after in itertools.pairwise(parsed) if before.type == "td_open"]
    return [cell.strip() for cell in inline]


@settings(deadline=None, max_examples=60)
@given(st.lists(tables | headings | lists, max_size=10).map("\n\n".join))
def test_every_row_of_a_table_is_a_row_in_its_part(markdown: str) -> None:
    parts = split_markdown(markdown, LIMIT)
    assert [cell for part in parts for cell in rows_in(part.text)] == rows_in(markdown)


@settings(deadline=None, max_examples=60)
@given(documents)
def test_a_link_is_never_cut(markdown: str) -> None:
    link = re.compile(r"\[[xyz ]*\]\(https://docs\.example/[abc/-]*\)")
    parts = split_markdown(markdown, LIMIT)
    assert sum(len(link.findall(part.source)) for part in parts) == len(link.findall(markdown))


@settings(deadline=None, max_examples=60)
@given(documents, st.integers(0, 200))
def test_a_text_can_go_on_in_another_message_after_any_line(markdown: str, line: int) -> None:
    lines = markdown.splitlines(keepends=True)
    shown = len("".join(lines[:line]))
    rest = continue_from(markdown, shown)
    assert rest.endswith(markdown[shown:])


def test_a_fence_is_closed_and_reopened_with_its_language() -> None:
    first, *_, last = split_markdown("```python\n" + "x = 1\n" * 300 + "```\nafter\n", LIMIT)
    assert first.text.endswith("x = 1\n```\n")
    assert last.text.startswith("```python\nx = 1\n")
    assert last.text.endswith("```\nafter\n")


def test_a_fence_inside_a_list_stays_a_fence_in_the_next_part() -> None:
    indented = "     "
    code = (
        f"1. item\n   - nested\n\n{indented}```yaml\n"
        + f"{indented}key: 1\n" * 100
        + f"{indented}```\n\nafter\n"
    )
    parts = split_markdown(code, LIMIT)
    assert len(parts) > 1
    kinds = [[token.type for token in MarkdownIt("commonmark").parse(part.text)] for part in parts]
    assert all(kind.count("fence") == 1 for kind in kinds)
    assert kinds[-1][-3:] == ["paragraph_open", "inline", "paragraph_close"]


def test_a_table_gets_its_head_again() -> None:
    table = "| pool | type |\n|---|---|\n" + "| kubernetes-pool | kubernetes |\n" * 60
    parts = split_markdown(table, LIMIT)
    assert all(part.text.startswith("| pool | type |\n|---|---|\n") for part in parts)


def test_a_table_of_many_rows_is_cut_though_it_is_short() -> None:
    parts = split_markdown("| a |\n|---|\n" + "| 1 |\n" * 200)
    assert all(len(part.text.splitlines()) <= 100 for part in parts)


def test_many_headings_are_spread_over_parts() -> None:
    parts = split_markdown("# a\n\nb\n\n" * 60)
    assert all(part.text.count("# a") <= 20 for part in parts)


def test_a_cut_falls_between_paragraphs_where_it_can() -> None:
    parts = split_markdown(("word " * 30 + "\n\n") * 12, LIMIT)
    assert all(part.source.endswith("\n\n") for part in parts)


@pytest.mark.parametrize(
    ("line", "most", "kept"),
    [
        pytest.param("one two three", 9, "one two ", id="after a blank"),
        pytest.param("see [a b](https://x.y/z) now", 12, "see ", id="before a link"),
        pytest.param("see <https://x.y/z q> now", 12, "see ", id="before a token"),
        pytest.param("run `prefect worker start` now", 15, "run ", id="before a code span"),
        pytest.param("[a](b)[c](d)", 8, "[a](b)", id="between tokens without a blank"),
        pytest.param("xxxxxxxxxx", 4, "xxxx", id="inside where there is no other place"),
    ],
)
def test_a_line_that_is_too_long_breaks_outside_of_tokens(line: str, most: int, kept: str) -> None:
    assert line[: safe_end(line, most)] == kept


def test_a_huge_line_is_broken_quickly_enough_to_be_used() -> None:
    parts = split_markdown("[" * 60_000 + " `" * 60_000)
    assert "".join(part.source for part in parts) == "[" * 60_000 + " `" * 60_000


def test_closing_a_part_by_hand_keeps_code_code() -> None:
    splitter = Splitter()
    splitter.feed("```sh\none\n")
    splitter.close_part()
    splitter.close_part()
    splitter.feed("two\n```\n")
    assert [part.text for part in splitter.parts] == ["```sh\none\n```\n", "```sh\ntwo\n```\n"]


def test_closing_a_part_by_hand_does_not_behead_a_table() -> None:
    splitter = Splitter()
    splitter.feed("| a | b |\n")
    splitter.close_part()
    splitter.feed("|---|---|\n| 1 | 2 |\n")
    assert len(splitter.parts) == 1


def test_an_empty_text_has_no_parts() -> None:
    assert split_markdown("") == []
