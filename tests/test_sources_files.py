"""A folder of documents as a source, and sources.toml."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from knowledge.errors import BadInput
from knowledge.models import Page
from knowledge.sources.config import FIELD_GUIDE, SourceConfig, load_sources
from knowledge.sources.fetch import FailedPage, Total, fetch
from knowledge.sources.rst import markdown_from_rst

BASE = "https://docs.example.com"


def write(folder: Path, documents: Mapping[str, str | bytes]) -> None:
    for name, text in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


async def read(folder: Path, **options: Any) -> tuple[dict[str, Page], list[FailedPage]]:
    config = SourceConfig(name="docs", kind="files", path=folder, base_url=BASE, **options)
    outcomes = [outcome async for outcome in fetch(config, {})]
    pages = {outcome.path: outcome for outcome in outcomes if isinstance(outcome, Page)}
    return pages, [outcome for outcome in outcomes if isinstance(outcome, FailedPage)]


async def test_a_page_is_its_path_address_and_front_matter(tmp_path: Path) -> None:
    write(tmp_path, {"v3/pools.mdx": "---\ntitle: Work pools\ndescription: About pools.\n---\n\nText.\n"})
    pages, failed = await read(tmp_path)
    assert pages == {
        "v3/pools": Page(
            path="v3/pools",
            url=f"{BASE}/v3/pools",
            title="Work pools",
            source="docs",
            markdown="Text.\n",
            description="About pools.",
        )
    }
    assert failed == []


async def test_the_number_of_pages_is_told_first(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "a", "b.md": "b"})
    config = SourceConfig(name="docs", kind="files", path=tmp_path, base_url=BASE)
    outcomes = [outcome async for outcome in fetch(config, {})]
    assert outcomes[0] == Total(2)


async def test_an_index_page_keeps_its_name_and_is_cited_by_its_folder(tmp_path: Path) -> None:
    write(tmp_path, {"index.mdx": "Home.", "v3/start/index.mdx": "Start."})
    pages, _ = await read(tmp_path)
    assert {path: page.url for path, page in pages.items()} == {
        "index": BASE,
        "v3/start/index": f"{BASE}/v3/start",
    }


@pytest.mark.parametrize(
    ("text", "title"),
    [
        pytest.param(
            "---\ntitle: tasks\n---\n\n# `prefect.tasks`\n\nText",
            "prefect.tasks",
            id="heading before front matter",
        ),
        pytest.param(
            '---\ntitle: " "\nsidebarTitle: prefect worker\n---\n\nText', "prefect worker", id="blank title"
        ),
        pytest.param("#\n\n# Real one\n\nText", "Real one", id="an empty heading first"),
        pytest.param("Text", "Manage work pools", id="from the file's name"),
        pytest.param(
            "---\ntitle: [broken\n---\nText", "Manage work pools", id="front matter that is not YAML"
        ),
    ],
)
async def test_a_page_always_has_a_title(tmp_path: Path, text: str, title: str) -> None:
    write(tmp_path, {"manage-work_pools.md": text})
    pages, _ = await read(tmp_path)
    page = pages["manage-work_pools"]
    assert (page.title, page.markdown.strip()) == (title, "Text")


async def test_the_page_of_a_rest_endpoint_says_which_one_it_is(tmp_path: Path) -> None:
    write(
        tmp_path, {"api/create-flow-run.mdx": "---\nopenapi: post /deployments/{id}/create_flow_run\n---\n"}
    )
    pages, _ = await read(tmp_path)
    page = pages["api/create-flow-run"]
    assert page.title == "Create flow run"
    assert page.markdown == "REST API endpoint: `POST /deployments/{id}/create_flow_run`\n"


async def test_invalid_utf8_is_replaced_and_the_page_kept(tmp_path: Path) -> None:
    write(tmp_path, {"bad.md": b"caf\xe9 and more words", "good.md": "fine"})
    pages, failed = await read(tmp_path)
    assert pages["bad"].markdown == "caf\ufffd and more words\n"
    assert (sorted(pages), failed) == (["bad", "good"], [])


async def test_a_file_that_is_not_text_fails_alone(tmp_path: Path) -> None:
    write(tmp_path, {"picture.md": b"\x89PNG\r\n\x1a\n\x00\x00", "good.md": "fine"})
    pages, failed = await read(tmp_path)
    assert list(pages) == ["good"]
    assert failed == [FailedPage("picture", "is not text")]


async def test_a_huge_file_fails_with_its_size(tmp_path: Path) -> None:
    write(tmp_path, {"huge.md": "x" * 2_000, "good.md": "fine"})
    pages, (failed,) = await read(tmp_path, max_page_bytes=1_000)
    assert list(pages) == ["good"]
    assert failed == FailedPage("huge", "is 2000 bytes; at most 1000 are read (`max_page_bytes`)")


async def test_too_many_files_are_cut_off_and_it_is_said(tmp_path: Path) -> None:
    write(tmp_path, {f"page-{number}.md": "text" for number in range(5)})
    pages, (failed,) = await read(tmp_path, max_pages=3)
    assert len(pages) == 3
    assert "has 5 documents; only the first 3 are read" in failed.reason


async def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"secret/key.md": "hidden", "docs/page.md": "text", "docs/sub/more.md": "more"})
    docs = tmp_path / "docs"
    (docs / "leak.md").symlink_to(tmp_path / "secret" / "key.md")
    (docs / "folder").symlink_to(tmp_path / "secret")
    (docs / "same.md").symlink_to(docs / "page.md")
    (docs / "sub" / "circle").symlink_to(docs)
    pages, failed = await read(docs)
    assert sorted(pages) == ["page", "same", "sub/more"]
    assert failed == [FailedPage("leak", "is a link that leaves the folder")]


async def test_a_link_to_nothing_fails_alone(tmp_path: Path) -> None:
    write(tmp_path, {"page.md": "text"})
    (tmp_path / "gone.md").symlink_to(tmp_path / "nothing.md")
    pages, (failed,) = await read(tmp_path)
    assert (list(pages), failed.path_or_url) == (["page"], "gone")


async def test_snippets_hidden_files_and_other_kinds_are_no_pages(tmp_path: Path) -> None:
    names = [
        "snippets/a.mdx",
        ".git/b.md",
        "node_modules/c/README.md",
        ".hidden.md",
        "d.json",
        "e.py",
        "page.TXT",
    ]
    write(tmp_path, dict.fromkeys(names, "text"))
    pages, failed = await read(tmp_path)
    assert (list(pages), failed) == (["page"], [])


async def test_an_imported_snippet_becomes_part_of_the_page(tmp_path: Path) -> None:
    page = "import A from '/snippets/install.mdx'\nimport B from '/../key.mdx'\n\nSo:\n\n<A />\n\n<B />\n"
    write(
        tmp_path,
        {
            "docs/page.mdx": page,
            "docs/snippets/install.mdx": "```bash\npip install x\n```\n",
            "key.mdx": "hidden",
        },
    )
    pages, _ = await read(tmp_path / "docs")
    assert pages["page"].markdown == "So:\n\n```bash\npip install x\n```\n"


async def test_patterns_choose_the_pages(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(["v3/a.md", "v3/api/deep/b.md", "v2/c.md"], "text"))
    pages, _ = await read(tmp_path, include=("v3/*",), exclude=("v3/api/*",))
    assert list(pages) == ["v3/a"]


@pytest.mark.parametrize("name", ["missing", "empty"])
async def test_a_folder_without_documents_is_one_clear_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput) as failure:
        await read(tmp_path / name)
    assert name in failure.value.message
    assert "path" in failure.value.fix


def test_rst_becomes_markdown() -> None:
    rst = """
.. _top:

===========
Work pools
===========

See :ref:`workers <workers-label>`, ``flow.serve`` and `the site <https://example.com>`_::

    prefect worker start

Types
-----

.. code-block:: python
   :caption: x

   import prefect

   prefect.flow

.. note:: Read this.

Again
=====

- a list
"""
    text = "\n".join(line for line in markdown_from_rst(rst).splitlines() if line.strip())
    assert text == (
        "# Work pools\n"
        "See `workers`, `flow.serve` and [the site](https://example.com):\n"
        "```\nprefect worker start\n```\n"
        "## Types\n"
        "```python\nimport prefect\nprefect.flow\n```\n"
        "Read this.\n"
        "### Again\n"
        "- a list"
    )


async def test_an_rst_document_has_its_heading_as_title(tmp_path: Path) -> None:
    write(tmp_path, {"pools.rst": "Work pools\n==========\n\nText.\n", "notes.txt": "# not a heading\n"})
    pages, _ = await read(tmp_path)
    assert (pages["pools"].title, pages["pools"].markdown) == ("Work pools", "Text.\n")
    assert (pages["notes"].title, pages["notes"].markdown) == ("Notes", "# not a heading\n")


def test_without_a_file_the_field_guide_and_the_official_docs_are_read() -> None:
    guide, docs = load_sources(None)
    assert guide == FIELD_GUIDE
    assert (docs.kind, docs.base_url) == ("website", "https://docs.prefect.io")


def test_sources_are_read_from_a_file_with_folders_relative_to_it(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(
        '[[source]]\nname = "docs"\nkind = "files"\npath = "docs"\nbase_url = "https://a.example/"\n'
        '[[source]]\nname = "site"\nkind = "website"\nbase_url = "https://b.example"\nexclude = ["old/*"]\n'
    )
    guide, docs, site = load_sources(file)
    assert guide == FIELD_GUIDE
    assert (docs.path, docs.base_url) == (tmp_path / "docs", "https://a.example")
    assert site.exclude == ("old/*",)


def test_a_file_may_leave_the_field_guide_out(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(
        'field_guide = false\n[[source]]\nname = "a"\nkind = "website"\nbase_url = "https://a.example"\n'
    )
    assert [source.name for source in load_sources(file)] == ["a"]


def _site(more: str) -> str:
    return f'[[source]]\nname = "a"\nkind = "website"\nbase_url = "https://a.example"\n{more}\n'


def _github(more: str, name: str = "a") -> str:
    return f'[[source]]\nname = "{name}"\nkind = "github"\n{more}\n'


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("30m", timedelta(minutes=30)),
        ("6h", timedelta(hours=6)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(14)),
    ],
)
def test_each_source_has_an_interval_of_its_own(tmp_path: Path, said: str, means: timedelta) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(_site(f'every = "{said}"') + _github('repo = "acme/flow"', "b"))
    assert [source.every for source in load_sources(file)] == [None, means, None]


def test_the_token_is_for_github_sources_that_use_it(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    public = 'repo = "a/b"\nuse_token = false\napi_url = "http://github.example/api/v3"'
    file.write_text(_site("") + _github('repo = "acme/flow"', "b") + _github(public, "c"))
    tokens = [source.token for source in load_sources(file, github_token=SecretStr("ghp_1"))]
    assert tokens == [None, None, SecretStr("ghp_1"), None]


@pytest.mark.parametrize(
    ("api_url", "said"),
    [
        ("https://github.example.com/api/v3", "GITHUB_TOKEN would go to all of them"),
        ("http://api.github.com", "GITHUB_TOKEN would go to all of them"),
    ],
)
def test_a_token_is_not_sent_to_two_servers(tmp_path: Path, api_url: str, said: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(_github('repo = "a/b"') + _github(f'repo = "a/b"\napi_url = "{api_url}"', "b"))
    assert len(load_sources(file)) == 3
    with pytest.raises(BadInput, match=said) as failure:
        load_sources(file, github_token=SecretStr("ghp_1"))
    assert "use_token = false" in failure.value.fix


def test_a_token_is_not_sent_in_clear(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(_github('repo = "a/b"\napi_url = "http://github.example.com/api/v3"'))
    with pytest.raises(BadInput, match="unencrypted to http://github"):
        load_sources(file, github_token=SecretStr("ghp_1"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[[source]", "not valid TOML", id="no TOML"),
        pytest.param('[[source]]\nname = "a"\nkind = "wiki"\n', "source 1, kind: ", id="unknown kind"),
        pytest.param(
            '[[source]]\nname = "a"\nkind = "website"\n', "needs `base_url`", id="website without address"
        ),
        pytest.param(
            '[[source]]\nname = "a"\nkind = "files"\nbase_url = "https://a"\n',
            "needs `path`",
            id="files without folder",
        ),
        pytest.param(
            '[[source]]\nname = "a"\nkind = "website"\nbase_url = "docs.example.com"\n',
            "https://",
            id="no scheme",
        ),
        pytest.param(
            '[[source]]\nname = "a"\nkind = "website"\nbase_url = "https://a"\ntoken = "s3cret"\n',
            "holds a token",
            id="token in the file",
        ),
        pytest.param(_site('every = "often"'), "30m, 6h or 1d", id="interval in words"),
        pytest.param(_site('every = "1m"'), "has to be from 5m to 365d", id="too often"),
        pytest.param(_site("every = 6"), "has to be from 5m to 365d", id="interval without unit"),
        pytest.param(_site('repo = "acme/flow"'), "and no other, needs `repo`", id="repo of a website"),
        pytest.param('[[source]]\nname = "a"\nkind = "github"\n', "needs `repo`", id="github without repo"),
        pytest.param(_github('repo = "flow"'), "source 1, repo", id="repo without owner"),
        pytest.param(_github('repo = "a/b"\nwhat = ["pulls"]'), "source 1, what.0", id="unknown part"),
        pytest.param(_github('repo = "a/b"\nwhat = []'), "source 1, what", id="no part"),
        pytest.param(
            _github('repo = "a/b"\napi_url = "github.example.com"'), "https://", id="no API address"
        ),
        pytest.param("[[source]]\nname = 'A b'\nkind = 'field_guide'\n", "name", id="name with a space"),
        pytest.param("sources = []\n", "may hold only", id="misspelt table"),
        pytest.param("source = ['a']\n", "not a table", id="source is no table"),
        pytest.param("field_guide = false\n", "names no source", id="nothing at all"),
        pytest.param(
            '[[source]]\nname = "field-guide"\nkind = "website"\nbase_url = "https://a"\n',
            "2 sources named 'field-guide'",
            id="same name twice",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(text)
    with pytest.raises(BadInput) as failure:
        load_sources(file)
    assert said in failure.value.message
    assert failure.value.message.count("\n") == 0
    assert "s3cret" not in str(failure.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml.*ASK_MARVIN_SOURCES"):
        load_sources(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("line", [f"`a{' ' * 200_000}<x", ":a" * 100_000, f":a:`{' ' * 200_000}x"])
def test_a_line_of_any_length_is_read_in_restructured_text(line: str) -> None:
    assert markdown_from_rst(f"{line}\n\nSee :ref:`pools <x>`.").endswith("\n\nSee `pools`.\n")


@pytest.mark.parametrize(
    "address",
    [
        "http://[",
        "https://",
        "https://host:abc",
        "https://host:99999",
        "http://a b",
        "https://me:hunter2@host",
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused(tmp_path: Path, address: str) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(f'[[source]]\nname = "docs"\nkind = "website"\nbase_url = "{address}"\n')
    with pytest.raises(BadInput, match=r"sources\.toml: source 1, base_url: ") as refused:
        load_sources(path)
    assert "hunter2" not in str(refused.value)
