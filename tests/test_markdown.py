"""MDX → plain Markdown → sections of blocks."""

import pytest

from knowledge.markdown import MAX_HEADING, plain, sections, slug, without_targets
from knowledge.mdx import clean
from knowledge.sources.documents import read_document


def kinds(markdown: str) -> list[str]:
    return [block.kind for section in sections(markdown) for block in section.blocks]


def fences(markdown: str) -> list[str]:
    found = []
    for section in sections(markdown):
        for block in section.blocks:
            found += [part.text for part in (block, *block.parts) if part.kind == "fence"]
    return found


SHAPES = {
    "in a tab": '<Tabs>\n  <Tab title="A">\n    ```bash\n    ls\n    ```\n  </Tab>\n</Tabs>',
    "in nested tags": "<Steps>\n  <Step>\n      <Note>\n          ```py\n          1\n          ```\n"
    "      </Note>\n  </Step>\n</Steps>",
    "right below a paragraph, indented": "Examples:\n    Load it:\n    ```python\n    load()\n    ```\n",
    "in a list item": "1. Do this:\n\n   ```bash\n   ls\n   ```\n\n2. Then that.",
    "right behind a tag": "<CodeGroup>\n```bash pip\npip install x\n```\n</CodeGroup>",
    "in a quote": "> Note\n>\n> ```bash\n> ls\n> ```\n",
    "with tildes": "~~~yaml\na: 1\n~~~",
    "with a longer mark at its end": "```mermaid\nA --> B\n````",
    "never closed": "text\n\n```bash\nls",
}


@pytest.mark.parametrize("mdx", SHAPES.values(), ids=SHAPES.keys())
def test_a_fence_is_found_wherever_mdx_puts_it(mdx: str) -> None:
    assert len(fences(clean(mdx))) == 1


def test_fences_that_follow_each_other_stay_apart() -> None:
    mdx = "<Tab>\n\n    ```bash\n    one\n    ```\n\n    text\n    ```bash\n    two\n    ```\n</Tab>\n"
    assert fences(clean(mdx)) == ["```bash\none\n```", "```bash\ntwo\n```"]


def test_code_in_a_fence_is_not_touched() -> None:
    code = "```jsx\nimport X from '/x.mdx'\n<Tab title='a'>{/* kept */}</Tab>\n\n\n\n[a](/b) \\{ \\$\n```"
    assert code in clean(f"before\n\n{code}\n\nafter")


def test_a_code_span_is_not_touched() -> None:
    line = 'Use `<Tab title="a">`, `{/* x */}` and ``<br/> ` \\$`` here.'
    assert clean(line) == line + "\n"


def test_the_words_that_tags_show_are_kept() -> None:
    mdx = """<CardGroup cols={2}>
  <Card title="Install" icon="download" href="/v3/install">
    Get Prefect.
  </Card>
</CardGroup>
<Accordion title="Options" defaultOpen>
<ResponseField name="--bucket" type="string" required>
    The bucket.
</ResponseField>
<ResponseField name="--key">
    The key.
</ResponseField>
</Accordion>
<Warning>Do not.</Warning>
<Tree.Folder name="flows" defaultOpen>
  <Tree.File name="etl.py" />
</Tree.Folder>
"""
    text = clean(mdx)
    assert "**[Install](/v3/install)**" in text
    assert "**Options**" in text
    assert "- `--bucket` (string, required): The bucket." in text
    assert "- `--key`: The key." in text
    assert "**Warning:**\n\nDo not." in text
    assert "- flows/" in text
    assert "- etl.py" in text
    assert "<" not in text


def test_placeholders_in_angle_brackets_are_words() -> None:
    text = "Replace <your-account> and <HOST> in the address <https://example.com>.\n"
    assert clean(text) == text


def test_a_tag_inside_a_table_row_does_not_break_the_table() -> None:
    text = clean("| a | b |\n|---|---|\n| one<br/>two | <ul><li>x</li></ul> |\n")
    assert kinds(text) == ["table"]


def test_imports_exports_and_comments_are_dropped() -> None:
    mdx = """import { TF } from "/snippets/terraform.mdx"
import Install from '/snippets/install.mdx';
export const links = {
  api: "https://example.com",
}

{/* generated
   by a script */}
Text.
<!-- hidden -->
<TF name="events" href={links.api} />
<Install />
"""
    assert clean(mdx).split() == ["Text."]


def test_a_snippet_is_put_where_it_is_used() -> None:
    mdx = "import Install from '/snippets/install.mdx'\n\nFirst:\n\n<Install />\n\nThen run it.\n"
    asked: list[str] = []

    def read_snippet(target: str) -> str:
        asked.append(target)
        return "```bash\npip install prefect\n```"

    assert "First:\n\n```bash\npip install prefect\n```\n\nThen run it." in clean(
        mdx, read_snippet=read_snippet
    )
    assert asked == ["/snippets/install.mdx"]


def test_instructions_addressed_to_programs_are_dropped() -> None:
    text = clean(
        "<AgentInstructions>\n  IMPORTANT: include this.\n\n  ## Feedback\n</AgentInstructions>\n\nReal text."
    )
    assert text == "Real text.\n"


def test_callouts_in_githubs_form_lose_their_sign_but_not_their_warning() -> None:
    text = clean("> [!NOTE]\n>\n> Read this.\n\n> [!WARNING]\n> Careful.\n")
    assert text == "> Read this.\n\n> **Warning:**\n> Careful.\n"


def test_escapes_that_only_mdx_needs_are_undone() -> None:
    assert clean(r"Set \$HOME to \{name\} but keep `\$x`.") == "Set $HOME to {name} but keep `\\$x`.\n"


def test_sections_carry_the_path_of_their_headings() -> None:
    found = sections("intro\n\n## A\n\n### B\n\ntext\n\n#### C\n\n## D\n\ntext\n")
    assert [section.headings for section in found] == [(), ("A",), ("A", "B"), ("A", "B", "C"), ("D",)]


def test_a_heading_inside_a_list_or_quote_opens_no_section() -> None:
    assert len(sections("- # not one\n\n> ## nor this\n\ntext")) == 1


def test_a_comment_in_code_is_no_heading() -> None:
    assert len(sections("```python\n# comment\n```\n")) == 1


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Work pools", "work-pools"),
        ("What is a flow?", "what-is-a-flow"),
        ("`prefect.toml` file", "prefecttoml-file"),
        ("Calling a task directly (`__call__`)", "calling-a-task-directly-__call__"),
        ("Deployment & CI/CD Changes", "deployment--cicd-changes"),
    ],
)
def test_anchors_are_those_that_documentation_sites_make(heading: str, anchor: str) -> None:
    assert slug(plain(heading)) == anchor
    assert sections(f"## {heading}\n")[1].anchor == anchor


def test_headings_of_the_same_text_get_numbered_anchors() -> None:
    assert [section.anchor for section in sections("## A\n\n## A\n\n## A\n")][1:] == ["a", "a-2", "a-3"]


def test_an_anchor_that_the_author_gave_is_used() -> None:
    section = sections("## Long heading {#short}\n")[1]
    assert (section.headings, section.anchor) == (("Long heading",), "short")


def test_links_inside_the_site_become_their_words() -> None:
    text = "See [work pools](/v3/pools#types), ![a picture](/a.png) and [@me](https://github.com/me)."
    assert without_targets(text) == "See work pools, a picture and @me."


def test_links_to_other_sites_and_what_looks_like_links_in_code_are_kept() -> None:
    text = "[Helm](https://example.com/a_(b)) and `x[0](1)`\n\n```py\nf[0](/a)\n```\n"
    assert without_targets(text) == text


def test_every_item_of_a_list_is_a_block_with_its_own_code() -> None:
    (section,) = sections("1. one\n\n   ```bash\n   ls\n   ```\n2. two\n")
    assert [block.kind for block in section.blocks] == ["item", "item"]
    assert section.blocks[0].text == "1. one\n\n   ```bash\n   ls\n   ```"
    assert [part.kind for part in section.blocks[0].parts] == ["text", "fence"]


def test_a_fence_keeps_its_language_and_title_only() -> None:
    assert fences("```bash uv theme={null} {1,3}\nls\n```") == ["```bash uv\nls\n```"]


def test_padding_of_tables_is_taken_out() -> None:
    (section,) = sections(
        "| Name      | Meaning    |\n| --------- | ---------- |\n| a         | b          |\n"
    )
    assert section.blocks[0].text == "| Name | Meaning |\n| --- | --- |\n| a | b |"


@pytest.mark.parametrize(
    "opening", ["<script>", "{/*", "<!--", "<Tab ", '<Tab a="', "[a](", "`", "<", "[", "~~~ "]
)
def test_many_beginnings_without_an_end_are_only_text(opening: str) -> None:
    # Each was looked for to the end of the page once, which took minutes; the suite's timeout would tell.
    assert sections(without_targets(clean(opening * (400_000 // len(opening)))))


BLANKS = " " * 200_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"# a{BLANKS}b\n\nText.", "Text."),
        (f"## {'*a ' * 60_000}\n\nText.", "Text."),
        (f"## {'***a ' * 60_000}\n\nText.", "Text."),
        (f"## a{BLANKS}{{#b\n\nText.", "Text."),
        (f"import{BLANKS}x\n\nText.", "Text."),
        (f"import a{BLANKS}b\n\nText.", "Text."),
        ("# a\n" * 5_000 + "\nText.", "Text."),
    ],
    ids=["a gap in a heading", "stars", "triple stars", "an anchor", "an import", "names", "headings"],
)
def test_a_line_of_any_length_is_read_in_no_time(text: str, shown: str) -> None:
    document = read_document(text, fallback_title="Page")
    assert sections(document.markdown)[-1].blocks[-1].text.endswith(shown)


def test_a_heading_is_cut_before_it_becomes_a_page_of_its_own() -> None:
    assert len(plain("word " * 100_000)) <= MAX_HEADING


@pytest.mark.parametrize(
    "value",
    [
        "date: 2024-13-45",
        f"a: {'9' * 5_000}",
        "a: !!int x",
        "a: !!bool x",
        "a: !!timestamp x",
        f"a: {'[' * 200_000}",
        "a: &a [x, x]\nb: &b [*a, *a]\nopenapi: *b",
        "a: [",
    ],
    ids=["no date", "a huge number", "no number", "no boolean", "no time", "depth", "repetition", "no yaml"],
)
def test_front_matter_that_makes_no_sense_leaves_the_page_its_text(value: str) -> None:
    document = read_document(f"---\n{value}\n---\n\nText.", fallback_title="Page")
    assert (document.title, document.markdown) == ("Page", "Text.\n")


@pytest.mark.parametrize(
    ("written", "title"), [("3.10", "3.10"), ("null", "Page"), ("", "Page"), ("~", "Page")]
)
def test_a_title_in_the_front_matter_is_read_as_it_stands_there(written: str, title: str) -> None:
    assert read_document(f"---\ntitle: {written}\n---\n\nText.", fallback_title="Page").title == title


def test_a_heading_may_be_closed_by_the_sign_that_opens_it() -> None:
    assert read_document("# Work pools ##  \n\nText.", fallback_title="Page").title == "Work pools"
