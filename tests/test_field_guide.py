"""The field guide: its format, and the pages that come with the package."""

import os
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from knowledge.chunks import chunk_page
from knowledge.models import Page
from knowledge.sources.config import FIELD_GUIDE
from knowledge.sources.fetch import Total, fetch
from knowledge.sources.field_guide import GuidePageError, guide_page, read_field_guide

TEXT = """---
title: Work pools
aliases: [workpool, work-pool]
versions: "3.x"
---
A work pool is a bridge.

Source: [Work pools](https://docs.prefect.io/v3/concepts/work-pools), [Workers](https://docs.prefect.io/v3/concepts/workers)

## What `type` means
It names the infrastructure.

Source: [Workers](https://docs.prefect.io/v3/concepts/workers)
"""


def test_a_page_is_cited_by_its_first_official_link() -> None:
    page = guide_page("work-pools", TEXT)
    assert (page.path, page.title, page.source) == ("field-guide/work-pools", "Work pools", "field-guide")
    assert page.url == "https://docs.prefect.io/v3/concepts/work-pools"
    assert (page.aliases, page.versions) == (("workpool", "work-pool"), "3.x")
    assert page.metadata["links"] == [
        "https://docs.prefect.io/v3/concepts/work-pools",
        "https://docs.prefect.io/v3/concepts/workers",
    ]


def test_each_section_is_cited_by_its_own_source_and_does_not_show_the_line() -> None:
    intro, section = chunk_page(guide_page("work-pools", TEXT))
    assert (intro.text, intro.url.rpartition("/")[2]) == ("A work pool is a bridge.", "work-pools")
    assert (section.heading, section.text) == ("What type means", "It names the infrastructure.")
    assert section.url == "https://docs.prefect.io/v3/concepts/workers"
    assert section.aliases == ("workpool", "work-pool")


@pytest.mark.parametrize(
    ("changed", "to", "said"),
    [
        pytest.param("aliases: [workpool, work-pool]", "aliases: []", "aliases", id="no aliases"),
        pytest.param('versions: "3.x"\n', "", "versions", id="no versions"),
        pytest.param("title: Work pools\n", "", "title", id="no title"),
        pytest.param(
            "infrastructure.\n\nSource: [Workers]",
            "infrastructure.\n\nSee [Workers]",
            "What type means",
            id="no source",
        ),
    ],
)
def test_a_page_that_breaks_the_format_is_named(changed: str, to: str, said: str) -> None:
    assert changed in TEXT
    with pytest.raises(GuidePageError, match=said):
        guide_page("work-pools", TEXT.replace(changed, to))


def test_pages_are_read_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "notes.txt"):
        (tmp_path / name).write_text(TEXT)
    total, *pages = read_field_guide(tmp_path)
    assert total == Total(2)
    assert [page.path for page in pages if isinstance(page, Page)] == ["field-guide/a", "field-guide/b"]


async def real_pages() -> list[Page]:
    return [outcome async for outcome in fetch(FIELD_GUIDE, {}) if isinstance(outcome, Page)]


async def test_the_guide_that_comes_with_the_package_is_in_order() -> None:
    pages = await real_pages()
    assert len(pages) >= 40
    for page in pages:
        assert all(chunk.text and chunk.page == page.path for chunk in chunk_page(page))
        assert "Source:" not in page.markdown


async def test_every_section_of_the_guide_names_an_official_page() -> None:
    for page in await real_pages():
        chunks = chunk_page(page)
        assert {chunk.heading for chunk in chunks} == set(page.metadata["section_urls"]), page.path
        for link in page.metadata["links"]:
            assert urlsplit(link)[:2] == ("https", "docs.prefect.io"), (page.path, link)


async def test_an_alias_leads_to_one_page_of_the_guide() -> None:
    counted = Counter(alias.lower() for page in await real_pages() for alias in page.aliases)
    assert [alias for alias, times in counted.items() if times > 1 or not alias.strip()] == []


def official_pages() -> Path:
    """A folder with Prefect's documentation. DOCS_FOLDER names it, as variables of Prefect's are kept away here."""
    if "DOCS_FOLDER" not in os.environ:
        pytest.skip("Prefect's documentation is not at hand; DOCS_FOLDER names a folder that has it")
    return Path(os.environ["DOCS_FOLDER"])


async def test_every_page_that_the_guide_cites_exists() -> None:
    folder = official_pages()
    cited = {urlsplit(link).path.strip("/") for page in await real_pages() for link in page.metadata["links"]}
    missing = [
        path
        for path in sorted(cited)
        if not (folder / f"{path}.mdx").is_file() and not (folder / path / "index.mdx").is_file()
    ]
    assert missing == []
