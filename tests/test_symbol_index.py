"""The symbol table as a part of the index: built with it, kept while it is right, and used by answers."""

import json
from pathlib import Path

import pytest

from knowledge.library import Library
from knowledge.models import Page
from knowledge.symbols.package import Origin
from knowledge.symbols.since import first_seen
from knowledge.symbols.table import Command, Scope, Symbols
from tests.corpora import WordEmbedder, run_build, write_pages
from tests.fakes.model import FakeModel, Say
from tests.fakes.prefect_wheel import write_wheel
from tests.house import AppFactory, ask, model_variables

NOTES = {
    "release-notes/version-3-8": "# 3.8\n\n### Enhancements\n\n- Add `prefect worker start`\n",
    "release-notes/version-3-9": "# 3.9\n\n### Enhancements\n\n- Add `prefect deploy init` command by someone\n",
}


def table(index: Path, words: WordEmbedder) -> Symbols | None:
    library = Library(index, words.embedder)
    library.open()
    try:
        return library.symbols()
    finally:
        library.close()


def test_a_build_stores_the_table_with_what_the_release_notes_tell(
    tmp_path: Path, words: WordEmbedder
) -> None:
    source = write_pages(tmp_path / "docs", NOTES)
    run_build(tmp_path / "index", [source], words.embedder, prefect=Origin(path=write_wheel(tmp_path)))
    symbols = table(tmp_path / "index", words)
    assert symbols is not None
    assert symbols.version == "3.9.9"
    assert symbols.since("prefect deploy init") == "3.9"
    assert symbols.since("prefect worker start") is None
    manifest = json.loads((tmp_path / "index/1/manifest.json").read_text())
    assert "symbols.json" in manifest["files"]


def test_without_a_prefect_there_is_no_table(tmp_path: Path, words: WordEmbedder) -> None:
    run_build(tmp_path / "index", [write_pages(tmp_path / "docs")], words.embedder)
    assert table(tmp_path / "index", words) is None


def test_the_very_first_index_of_one_source_does_not_wait_for_it(tmp_path: Path, words: WordEmbedder) -> None:
    one, two = write_pages(tmp_path / "one"), write_pages(tmp_path / "two")
    origin = Origin(path=write_wheel(tmp_path))
    run_build(tmp_path / "index", [one, two], words.embedder, only="one", prefect=origin)
    assert table(tmp_path / "index", words) is None
    run_build(tmp_path / "index", [one, two], words.embedder, only="two", prefect=origin)
    assert table(tmp_path / "index", words) is not None


def test_only_another_version_makes_a_new_generation(tmp_path: Path, words: WordEmbedder) -> None:
    source, index = write_pages(tmp_path / "docs"), tmp_path / "index"
    first, second = write_wheel(tmp_path), write_wheel(tmp_path, version="4.0.0")
    assert run_build(index, [source], words.embedder, prefect=Origin(path=first)).swapped
    assert not run_build(index, [source], words.embedder, prefect=Origin(path=first)).swapped
    embedded = len(words.texts)
    report = run_build(index, [source], words.embedder, prefect=Origin(path=second))
    assert report.swapped
    assert report.pages.unchanged == 3
    assert len(words.texts) == embedded
    found = table(index, words)
    assert found is not None
    assert found.version == "4.0.0"


def test_a_prefect_that_cannot_be_read_fails_no_build(tmp_path: Path, words: WordEmbedder) -> None:
    source, index = write_pages(tmp_path / "docs"), tmp_path / "index"
    missing = Origin(path=tmp_path / "missing.whl")
    assert run_build(index, [source], words.embedder, prefect=missing).swapped
    assert table(index, words) is None
    run_build(index, [source], words.embedder, prefect=Origin(path=write_wheel(tmp_path)))
    assert not run_build(index, [source], words.embedder, prefect=missing).swapped
    assert table(index, words) is not None


SYMBOLS = Symbols(
    version="3.9.9",
    cli=Command(
        commands={
            "flow-run": Command(commands={"watch": Command(flags=frozenset({"--all"}), runs=True)}),
            "api": Command(runs=True),
        }
    ),
    settings=frozenset({"PREFECT_NEW", "PREFECT_OLD", "PREFECT_API_KEY"}),
    scopes={
        "prefect": Scope(
            members={"flow": "prefect.flow", "Asset": "", "BlockThing": "", "serve": "", "watch": ""}
        ),
        "prefect.flow": Scope(members={"draw": ""}),
    },
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("* Add `PREFECT_NEW` setting by @a", ["PREFECT_NEW"]),
        ("- Adds new setting `PREFECT_NEW`", ["PREFECT_NEW"]),
        ("* Add `PREFECT_MADE_UP` setting", []),
        ("* Add support for `PREFECT_NEW` by @a", []),
        ("* Add `PREFECT_API_KEY` to the environment of workers", []),
        ("* Add `PREFECT_OLD` setting", []),
        ("* Fix `PREFECT_NEW`", []),
        ("* Introduce `prefect api` command", ["prefect api"]),
        ("* Add `flow-run watch` command", ["prefect flow-run watch"]),
        ("* Add `--all` flag to `prefect flow-run watch`", ["prefect flow-run watch --all"]),
        ("* Add `--none` flag to `prefect flow-run watch`", []),
        ("* Add `flow.draw()`", ["flow.draw()"]),
        ("* Add `BlockThing` class", ["BlockThing"]),
        ("* Add `serve` utility", ["serve"]),
        ("* Add `serve` argument", []),
        ("* Add `watch` docs", []),
    ],
)
def test_only_what_a_note_calls_new_and_what_exists_has_a_version(line: str, found: list[str]) -> None:
    older = Page("v3/release-notes/oss/version-3-3", "", "", "docs", "**Fixes**\n\n* Repair `PREFECT_OLD`\n")
    newer = Page("v3/release-notes/oss/version-3-4", "", "", "docs", f"**Enhancements ➕**\n\n{line}\n")
    seen = first_seen([newer, older], SYMBOLS)
    assert seen == dict.fromkeys([name.removesuffix("()") for name in found], "3.4")
    known = SYMBOLS.model_copy(update={"first_seen": seen})
    assert all(known.since(f"`{name}`") == "3.4" for name in found)


def test_what_is_mended_or_documented_is_not_new() -> None:
    older = Page("release-notes/version-3-3", "", "", "docs", "")
    for heading in ("**Bug Fixes 🐞**", "### Documentation"):
        newer = Page("release-notes/version-3-4", "", "", "docs", f"{heading}\n\n* Add `PREFECT_NEW`\n")
        assert first_seen([older, newer], SYMBOLS) == {}
    elsewhere = Page(
        "release-notes/integrations/prefect-aws", "", "", "docs", "**New**\n\n* Add `PREFECT_NEW`\n"
    )
    assert first_seen([older, elsewhere], SYMBOLS) == {}


async def test_an_answer_marks_what_the_indexed_prefect_does_not_have(
    app_for: AppFactory, model: FakeModel, tmp_path: Path
) -> None:
    write_wheel(tmp_path)
    file = tmp_path / "sources.toml"
    file.write_text('prefect = "prefect-3.9.9-py3-none-any.whl"\n')
    home = tmp_path / "own"
    model.replies.append(
        Say("Run `prefect worker strat` or `prefect worker start` [1].\n\nVERDICT: answered")
    )
    variables = {"ASK_MARVIN_HOME": str(home), "ASK_MARVIN_SOURCES": str(file)}
    async with app_for(**model_variables(model), **variables) as app:
        async for _step in app.reindexer.run():
            pass
        app.library.refresh()
        answer = await ask(app, "how do I start a worker?")
    assert "`prefect worker strat` _(not in Prefect 3.9.9)_ or `prefect worker start` [1]" in answer.text
