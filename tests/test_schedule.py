"""Sources that are read again by themselves: real builds in child processes, a clock that is set by hand."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import make_library
from bot.indexing.reindex import Reindexer
from bot.indexing.schedule import Schedule
from bot.settings import Settings
from knowledge.generations import Generations
from knowledge.library import Library
from knowledge.sources.config import load_sources
from tests.fakes.website import FakeWebsite, Reply
from tests.waiting import until

SOURCES = """
field_guide = false
prefect = "nowhere"
[[source]]
name = "often"
kind = "files"
path = "often"
base_url = "https://often.example.com"
every = "1h"
[[source]]
name = "never"
kind = "files"
path = "never"
base_url = "https://never.example.com"
"""
DAY = timedelta(days=1)


class World:
    """Two sources and an index of them; `later` moves the clock of the schedule."""

    def __init__(self, folder: Path) -> None:
        for name in ("often", "never"):
            (folder / name).mkdir()
            (folder / name / "page.md").write_text(f"About {name}.")
        file = folder / "sources.toml"
        file.write_text(SOURCES)
        self.folder = folder
        self.settings = Settings.from_env(
            {"ASK_MARVIN_HOME": str(folder / "home"), "ASK_MARVIN_SOURCES": str(file)}
        )
        self.library: Library = make_library(self.settings)
        self.ahead = timedelta(0)
        self.schedule = Schedule(load_sources(file), self.library, Reindexer(self.settings), now=self._now)

    def _now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def write(self, text: str) -> None:
        (self.folder / "often" / "page.md").write_text(text)

    async def build(self) -> None:
        async for _step in Reindexer(self.settings).run():
            pass
        await asyncio.to_thread(self.library.refresh)

    def page(self, name: str) -> str:
        return self.library.search(f"about {name}", 5)[0].text


@pytest.fixture
async def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    await world.build()
    return world


async def test_only_what_is_due_is_read_and_it_is_served_at_once(world: World) -> None:
    world.write("About often, in new words.")
    (world.folder / "never" / "page.md").write_text("About never, in new words.")
    assert await world.schedule.check() == []
    world.ahead = DAY
    assert await world.schedule.check() == ["often"]
    texts = {world.page("often"), world.page("never")}
    assert texts == {"About often, in new words.", "About never."}
    world.library.close()


async def test_without_an_index_nothing_is_begun(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert await world.schedule.check() == []
    assert not world.settings.index_folder.exists()


async def test_a_build_of_somebody_else_is_waited_for_without_a_word(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.ahead = DAY
    with caplog.at_level(logging.WARNING), Generations(world.settings.index_folder).lock():
        assert await world.schedule.check() == []
    assert caplog.records == []
    assert await world.schedule.check() == ["often"]
    world.library.close()


async def test_a_source_that_fails_is_told_once_and_left_alone_for_a_while(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    (world.folder / "often").rename(world.folder / "away")
    caplog.set_level(logging.INFO, logger="bot.indexing.schedule")
    for days in (1, 2):
        world.ahead = DAY * days
        assert await world.schedule.check() == ["often"]
    world.ahead = timedelta(minutes=1)
    assert await world.schedule.check() == []
    (world.folder / "away").rename(world.folder / "often")
    world.ahead = DAY * 3
    assert await world.schedule.check() == ["often"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("source often is not up to date: Source 'often' has no folder")
    assert said[1] == "source often is up to date again"
    world.library.close()


async def test_stopping_ends_the_build_that_is_under_way(world: World) -> None:
    world.ahead = DAY
    async with FakeWebsite() as site:
        site.always("/robots.txt", Reply(stalls=True))
        moved = SOURCES.replace('kind = "files"\npath = "often"', 'kind = "website"')
        (world.folder / "sources.toml").write_text(moved.replace("https://often.example.com", site.url))
        task = asyncio.create_task(world.schedule.run())

        async def reading() -> bool:
            return bool(site.paths)

        await until(reading)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with Generations(world.settings.index_folder).lock():
            """Free again: the child has gone."""
    world.library.close()
