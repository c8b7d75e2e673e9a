"""Pages → chunks."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.chunks import MAX_CHARS, TARGET_CHARS, TINY_CHARS, chunk_page
from knowledge.models import Chunk, Page

SENTENCE = "A worker polls its work pool for scheduled runs and starts each of them. "


def page(markdown: str, **facts: object) -> Page:
    fields: dict[str, object] = {
        "path": "v3/pools",
        "url": "https://docs.example.com/v3/pools",
        "title": "Pools",
    }
    return Page(**{"source": "docs", "markdown": markdown, **fields, **facts})  # type: ignore[arg-type]


def chunks(markdown: str, **facts: object) -> list[Chunk]:
    return chunk_page(page(markdown, **facts))


def fence_is_open_at_end(text: str) -> bool:
    marks = ""
    for line in text.split("\n"):
        found = re.match(r"\s*(`{3,}|~{3,})(.*)$", line)
        if found and not marks:
            marks = found[1]
        elif found and found[1].startswith(marks) and not found[2].strip():
            marks = ""
    return bool(marks)


def test_each_section_is_a_chunk_with_title_path_and_deep_link() -> None:
    first, second = chunks(f"{SENTENCE * 4}\n\n## Types\n\n### Push pools\n\n{SENTENCE * 4}\n")
    assert (first.heading, first.url, first.position) == ("", "https://docs.example.com/v3/pools", 0)
    assert second.heading == "Types > Push pools"
    assert second.url == "https://docs.example.com/v3/pools#push-pools"
    assert (second.page, second.title, second.source, second.position) == ("v3/pools", "Pools", "docs", 1)


def test_the_aliases_of_a_page_are_on_all_its_chunks() -> None:
    assert [chunk.aliases for chunk in chunks("a\n\n## B\n\nb", aliases=("workpool",))] == [("workpool",)] * 2


def test_the_description_stands_before_the_first_words_once() -> None:
    (chunk,) = chunks("Text.", description="Learn about pools.")
    assert chunk.text == "Learn about pools.\n\nText."
    (chunk,) = chunks("Learn about pools. Text.", description="Learn about pools.")
    assert chunk.text.count("Learn about pools.") == 1


def test_a_page_of_nothing_but_a_description_is_still_found() -> None:
    assert [chunk.text for chunk in chunks("\n", description="Creates an artifact.")] == [
        "Creates an artifact."
    ]


def test_a_page_without_words_gives_no_chunk() -> None:
    assert chunks("\n") == []


def test_tiny_neighbours_stand_together_under_their_parent() -> None:
    (chunk,) = chunks("## Classes\n\n### One\n\nSee the code.\n\n### Two\n\nSee the code.\n")
    assert chunk.text == "### One\n\nSee the code.\n\n### Two\n\nSee the code."
    assert (chunk.heading, chunk.url.partition("#")[2]) == ("Classes", "one")


def test_sections_that_say_enough_stay_alone() -> None:
    body = SENTENCE * (TINY_CHARS // len(SENTENCE) + 1)
    assert [chunk.heading for chunk in chunks(f"## One\n\n{body}\n\n## Two\n\n{body}\n")] == ["One", "Two"]


def test_one_sentence_under_a_heading_goes_with_its_first_part() -> None:
    body = SENTENCE * 6
    first, second = chunks(f"## Types\n\nThere are two:\n\n### Push\n\n{body}\n\n### Pull\n\n{body}\n")
    assert first.heading == "Types"
    assert first.text.startswith("There are two:\n\n### Push\n\n")
    assert second.heading == "Types > Pull"


def test_headings_without_text_are_found_by_their_names() -> None:
    (chunk,) = chunks("## Classes\n\n### PoolSettings\n\n### WorkerSettings\n")
    assert chunk.text == "### PoolSettings\n\n### WorkerSettings"


def test_a_long_section_is_cut_between_paragraphs() -> None:
    paragraphs = [f"{number}. " + SENTENCE * 5 for number in range(12)]
    found = chunks("## Long\n\n" + "\n\n".join(f"P{paragraph}" for paragraph in paragraphs))
    assert len(found) > 1
    assert all(chunk.heading == "Long" and chunk.text.startswith("P") for chunk in found)
    assert all(len(chunk.text) <= TARGET_CHARS + len(paragraphs[0]) for chunk in found)


def test_a_fence_is_never_split_across_chunks() -> None:
    code = "\n\n".join(f"value_{number} = {number}" for number in range(60))
    found = chunks(f"## Code\n\n{SENTENCE * 12}\n\n```python\n{code}\n```\n\n{SENTENCE * 12}\n")
    assert sum("```python" in chunk.text for chunk in found) == 1
    assert any(f"```python\n{code}\n```" in chunk.text for chunk in found)


def test_code_stays_with_the_sentence_that_introduces_it() -> None:
    code = "print('x')\n" * 80
    found = chunks(f"{SENTENCE * 14}\n\nRun this command:\n\n```python\n{code}```\n")
    assert found[-1].text.startswith("Run this command:\n\n```python")


def test_the_title_of_a_tab_stays_with_what_it_holds() -> None:
    found = chunks(f"{SENTENCE * 14}\n\n**Kubernetes**\n\n{SENTENCE * 10}\n")
    assert [chunk.text.startswith("**Kubernetes**") for chunk in found] == [False, True]


def test_a_fence_too_long_for_a_chunk_is_cut_between_lines_and_fenced_again() -> None:
    lines = [f"line_{number} = {number}" for number in range(600)]
    found = chunks("```python\n" + "\n".join(lines) + "\n```\n")
    assert len(found) > 1
    assert all(chunk.text.startswith("```python\n") and chunk.text.endswith("\n```") for chunk in found)
    assert [line for chunk in found for line in chunk.text.split("\n")[1:-1]] == lines


def test_a_table_that_fits_is_whole() -> None:
    table = "| a | b |\n| --- | --- |\n" + "\n".join(f"| {n} | {SENTENCE}|" for n in range(20))
    assert len(table) > TARGET_CHARS
    assert table in [chunk.text for chunk in chunks(f"{table}\n")]


def test_a_long_table_is_cut_between_rows_and_repeats_its_header() -> None:
    rows = [f"| {number} | {SENTENCE}|" for number in range(100)]
    found = chunks("| n | what |\n| --- | --- |\n" + "\n".join(rows))
    assert len(found) > 2
    assert all(chunk.text.startswith("| n | what |\n| --- | --- |\n") for chunk in found)
    assert [row for chunk in found for row in chunk.text.split("\n")[2:]] == rows


def test_a_long_list_is_cut_between_items() -> None:
    found = chunks("**Args:**\n" + "\n".join(f"- `name_{number}`: {SENTENCE}" for number in range(60)))
    assert len(found) > 2
    assert all(chunk.text.startswith(("**Args:**", "- `name_")) for chunk in found)


def test_a_line_without_spaces_longer_than_a_chunk_is_cut() -> None:
    found = chunks("```json\n" + "x" * (3 * MAX_CHARS) + "\n```\n")
    assert sum(chunk.text.count("x") for chunk in found) == 3 * MAX_CHARS
    assert all(len(chunk.text) <= MAX_CHARS for chunk in found)


def test_sections_with_their_own_source_are_cited_by_it_and_not_joined() -> None:
    urls = {"": "https://docs.example.com/a", "Two": "https://docs.example.com/b"}
    found = chunks(
        "Intro.\n\n## Two\n\nShort.\n\n### Detail\n\nShort.\n\n## Three\n\nShort.\n",
        metadata={"section_urls": urls},
    )
    assert [chunk.url.rpartition("/")[2] for chunk in found] == ["a", "b", "b", "a"]
    assert [chunk.heading for chunk in found] == ["", "Two", "Two > Detail", "Three"]


PIECES = st.sampled_from(
    [
        "word ",
        "\n",
        "\n\n",
        "```",
        "~~~~",
        "    ",
        "- ",
        "1. ",
        "> ",
        "## ",
        "| a | b |\n",
        "|---|---|\n",
        "`",
        "é",
        "x" * 900,
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_whatever_the_markdown_no_chunk_is_too_long_or_leaves_a_fence_open(markdown: str) -> None:
    for chunk in chunks(markdown):
        assert chunk.text.strip()
        assert len(chunk.text) <= MAX_CHARS


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["text\n\n", "```py\n" + "a = 1\n" * 300 + "```\n\n", "- item\n", "# head\n\n"]),
        max_size=8,
    )
)
def test_every_fence_that_is_opened_in_a_chunk_is_closed_in_it(parts: list[str]) -> None:
    found = chunks("".join(parts))
    assert not any(fence_is_open_at_end(chunk.text) for chunk in found)
    assert sum(chunk.text.count("a = 1") for chunk in found) == "".join(parts).count("a = 1")
