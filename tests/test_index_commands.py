"""`reindex`, `generations` and `rollback` as an admin runs them, and an index that was damaged meanwhile."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from bot.indexing.embedding import embedder
from bot.indexing.reindex import Reindexer, Step, open_or_build
from bot.settings import Settings
from knowledge.build import build
from knowledge.golden import load_golden
from knowledge.library import Library
from knowledge.report import BuildReport
from knowledge.sources.config import load_sources
from tests.command_line import Cli
from tests.corpora import change_manifest, write_pages

PAGES = {f"page-{n}": f"# Page {n}\n\nThis is about subject{n}.\n" for n in range(20)}
# Reading the symbols of the one that is installed takes seconds, which are spent elsewhere.
NO_PREFECT = 'prefect = "nowhere"\n'
SIGN_IN = "# Welcome\n\nSign in.\n"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A sources.toml with a folder of pages and golden questions about them."""
    write_pages(tmp_path / "pages", PAGES)
    golden = [{"id": p, "question": f"subject{n}", "gold": [p]} for n, p in enumerate(PAGES)]
    (tmp_path / "golden.jsonl").write_text("\n".join(map(json.dumps, golden)))
    file = tmp_path / "sources.toml"
    file.write_text(
        f'field_guide = false\ngolden = "golden.jsonl"\n{NO_PREFECT}'
        '[[source]]\nname = "ours"\nkind = "files"\npath = "pages"\nbase_url = "https://docs.example.com"\n'
    )
    return file


@pytest.fixture
def cli(tmp_path: Path, sources: Path) -> Cli:
    cli = Cli(tmp_path / "home", tmp_path)
    cli.environ["ASK_MARVIN_SOURCES"] = str(sources)
    return cli


@pytest.fixture
def settings(tmp_path: Path, sources: Path) -> Settings:
    return Settings.from_env({"ASK_MARVIN_HOME": str(tmp_path / "home"), "ASK_MARVIN_SOURCES": str(sources)})


async def generate(settings: Settings) -> BuildReport:
    """Build here, without a child process."""
    return await build(
        settings.index_folder,
        load_sources(settings.sources),
        embedder(settings),
        golden=load_golden(settings.sources),
        report=lambda _step: None,
    )


@pytest.mark.slow
def test_an_admin_is_kept_from_a_worse_index_and_may_insist_and_go_back(
    cli: Cli, settings: Settings, tmp_path: Path
) -> None:
    asyncio.run(generate(settings))
    write_pages(tmp_path / "pages", {f"page-{n}": SIGN_IN for n in range(12)})

    held_back = cli.json("reindex", status=4)
    assert (held_back["generation"], held_back["swapped"]) == (1, False)
    assert "--force" in held_back["held_back"]
    assert held_back["score_after"]["hit@5"] < held_back["score_before"]["hit@5"] == 1.0
    changes = held_back["sources"][0]["changes"]
    assert len(changes) == 12
    assert changes[0] == {
        "change": "changed",
        "page": "page-0",
        "title": "Welcome",
        "url": "https://docs.example.com/page-0",
    }

    assert cli.json("reindex", "--force")["generation"] == 2
    listed = cli.json("generations")
    assert [(info["generation"], info["live"]) for info in listed] == [(1, False), (2, True)]
    assert listed[0]["score"]["hit@5"] == 1.0

    assert cli.json("rollback") == {"generation": 1, "left": 2}
    told = cli.run("reindex")
    assert told.returncode == 4
    assert "rolled back from" in told.stdout
    assert "--force" in told.stdout


@pytest.mark.slow
async def test_going_back_says_what_the_next_reindex_does(
    cli: Cli, settings: Settings, tmp_path: Path
) -> None:
    await generate(settings)
    write_pages(tmp_path / "pages", {"page-3": "# Page 3\n\nThis is about something else.\n"})
    await generate(settings)
    told = cli.run("rollback")
    assert told.returncode == 0
    assert "Generation 1 is live" in told.stdout
    assert "--force" in told.stdout
    forward = cli.run("rollback", "--to", "2")
    assert "Generation 2 is live" in forward.stdout
    assert "--force" not in forward.stdout
    assert "ours 20" in cli.run("generations").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        pytest.param(["rollback"], 2, "index_missing", id="nothing-indexed"),
        pytest.param(["rollback", "--to", "many"], 2, "bad_input", id="no-number"),
    ],
)
def test_going_back_where_it_cannot_be_is_one_sentence(
    cli: Cli, arguments: list[str], status: int, code: str
) -> None:
    assert cli.json(*arguments, status=status)["error"]["code"] == code


def test_where_nothing_is_indexed_the_list_is_empty(cli: Cli) -> None:
    assert "ask-marvin reindex" in cli.run("generations").stdout


def test_golden_questions_that_cannot_be_read_stop_a_reindex_at_once(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text("{")
    assert "golden.jsonl" in cli.json("reindex", status=2)["error"]["message"]


def reports(steps: list[Step]) -> list[BuildReport]:
    return [step for step in steps if isinstance(step, BuildReport)]


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize("rebuild", [False, True])
async def test_a_damaged_index_gives_way_to_an_older_one_and_is_rebuilt(
    settings: Settings, tmp_path: Path, rebuild: bool
) -> None:
    await generate(settings)
    write_pages(tmp_path / "pages", {"new": "# New\n\nThis is about novelties.\n"})
    await generate(settings)
    truncate(settings.index_folder / "2" / "contents.sqlite")
    library = Library(settings.index_folder, embedder(settings))
    found: list[tuple[int, str]] = []
    steps: list[Step] = []
    async for step in open_or_build(library, Reindexer(settings), rebuild=rebuild):
        steps.append(step)
        # It answers while it is rebuilt.
        found.append((library.status().generation, library.search("subject3")[0].page))
    assert len(reports(steps)) == rebuild
    assert set(found[:-1]) == ({(1, "page-3")} if rebuild else set())
    assert library.status().generation == (3 if rebuild else 1)
    assert {passage.page for passage in library.search("novelties")} >= ({"new"} if rebuild else set())
    library.close()


@pytest.mark.slow
async def test_a_damaged_index_with_none_older_is_built_again_from_what_is_left(tmp_path: Path) -> None:
    write_pages(tmp_path / "pages", PAGES)
    file = tmp_path / "sources.toml"
    file.write_text(
        f'{NO_PREFECT}[[source]]\nname = "ours"\nkind = "files"\npath = "pages"\nbase_url = "https://docs.example.com"\n'
    )
    settings = Settings.from_env({"ASK_MARVIN_HOME": str(tmp_path / "home"), "ASK_MARVIN_SOURCES": str(file)})
    await generate(settings)
    (tmp_path / "pages").rename(tmp_path / "away")
    truncate(settings.index_folder / "1" / "lexicon.json")
    library = Library(settings.index_folder, embedder(settings))
    steps = [step async for step in open_or_build(library, Reindexer(settings))]
    assert reports(steps)[0].generation == 2
    assert library.search("subject3")[0].page == "page-3"
    library.close()


@pytest.mark.slow
async def test_an_index_of_another_version_is_built_again_with_all_its_pages(tmp_path: Path) -> None:
    write_pages(tmp_path / "pages", PAGES)
    file = tmp_path / "sources.toml"
    text = 'name = "ours"\nkind = "files"\npath = "pages"\nbase_url = "https://docs.example.com"\n'
    file.write_text(f"{NO_PREFECT}[[source]]\n{text}")
    settings = Settings.from_env({"ASK_MARVIN_HOME": str(tmp_path / "home"), "ASK_MARVIN_SOURCES": str(file)})
    await generate(settings)
    (tmp_path / "pages").rename(tmp_path / "away")
    change_manifest(settings.index_folder, chunker="older-1")
    library = Library(settings.index_folder, embedder(settings))
    steps = [step async for step in open_or_build(library, Reindexer(settings))]
    assert reports(steps)[0].generation == 2
    assert library.search("subject3")[0].page == "page-3"
    library.close()


async def test_the_bot_goes_back_and_lists_what_there_is(settings: Settings, tmp_path: Path) -> None:
    await generate(settings)
    write_pages(tmp_path / "pages", {"new": "# New\n\nNews.\n"})
    await generate(settings)
    reindexer = Reindexer(settings)
    assert await reindexer.rollback() == 1
    assert [info.generation for info in await reindexer.generations() if info.live] == [1]
    assert "rolled back from" in (await generate(settings)).held_back
    steps = [step async for step in reindexer.run(force=True)]
    assert reports(steps)[0].generation == 3
