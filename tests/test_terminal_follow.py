"""Following runs in a terminal: each state is said once, Ctrl-C ends only the following."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from rich.console import Console

from bot.app import App
from bot.follow.terminal import WITHIN, Foreground, as_wanted, one_line
from bot.follow.watch_table import WatchedRun
from tests.fakes.prefect_between import Between
from tests.following import Clock
from tests.house import AppFactory
from tests.prefect_seed import Seed
from tests.waiting import until

PATIENCE_S = 60


class Said:
    """The lines that were printed; does something at the first that holds a word."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._acts: list[tuple[str, Callable[[], Awaitable[Any]]]] = []
        self._going_on: set[asyncio.Task[Any]] = set()

    def at(self, word: str, act: Callable[[], Awaitable[Any]]) -> None:
        self._acts.append((word, act))

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        for word, act in [pair for pair in self._acts if pair[0] in line]:
            self._acts.remove((word, act))
            self._going_on.add(asyncio.ensure_future(act()))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
async def app(app_for: AppFactory, between: Between) -> AsyncIterator[App]:
    async with app_for(PREFECT_API_URL=between.url) as app:
        yield app


def foreground(app: App, said: Said, clock: Clock | None = None) -> Foreground:
    console = Console(quiet=True)
    return Foreground(app.workspaces.default, said, console, every_s=0.05, clock=clock or Clock())


async def followed(front: Foreground, *runs: dict[str, Any], action: str = "trigger_run") -> list[str]:
    async with asyncio.timeout(PATIENCE_S):
        found = await front.follow(action, tuple(run["id"] for run in runs))
    return [run.state_type for run in found]


async def test_each_state_is_said_once_until_the_run_has_completed(app: App, seed: Seed) -> None:
    run, said = await seed.run(await seed.deployment()), Said()
    said.at("Scheduled", lambda: seed.state(run, "RUNNING"))
    said.at("Running", lambda: seed.state(run, "COMPLETED"))
    assert await followed(foreground(app, said), run) == ["COMPLETED"]
    states = [line.removeprefix(f"  {run['name']}: ").split()[0].strip(",") for line in said.lines]
    assert states == ["Scheduled", "Running", "Completed"]


async def test_a_failed_run_is_explained_with_what_to_type_next(app: App, seed: Seed) -> None:
    run, said = await seed.run(await seed.deployment()), Said()
    why = "Flow run encountered an exception: ValueError: customer_id is missing"
    said.at("Scheduled", lambda: seed.state(run, "FAILED", message=why))
    assert await followed(foreground(app, said), run) == ["FAILED"]
    assert "customer_id is missing" in said.text
    assert f"→ retry {run['id']}  (Retry)" in said.text
    assert f"→ why {run['id']}  (Explain)" in said.text


async def test_a_run_that_does_not_start_is_explained_once(app: App, seed: Seed) -> None:
    pool = await seed.pool(is_paused=True)
    run = await seed.run(await seed.deployment(pool=pool), late_by=300)
    said, clock = Said(), Clock()

    async def wait_longer() -> None:
        clock.skip(130)

    said.at(run["name"], wait_longer)
    said.at("(Explain)", lambda: seed.state(run, "COMPLETED"))
    assert await followed(foreground(app, said, clock), run) == ["COMPLETED"]
    assert pool in said.text
    assert said.text.count("(Explain)") == 1


async def test_ctrl_c_ends_the_following_and_not_the_run(app: App, seed: Seed) -> None:
    run, said = await seed.run(await seed.deployment()), Said()
    await seed.state(run, "RUNNING")
    before = signal.getsignal(signal.SIGINT)

    async def press() -> None:
        signal.raise_signal(signal.SIGINT)

    said.at("Running", press)
    assert await followed(foreground(app, said), run) == ["RUNNING"]
    assert "Not followed any longer: 1 Running. It goes on in Prefect." in said.text
    assert (await seed.get(f"flow_runs/{run['id']}"))["state"]["type"] == "RUNNING"
    assert signal.getsignal(signal.SIGINT) == before


async def test_following_has_an_end(app: App, seed: Seed) -> None:
    run, said, clock = await seed.run(await seed.deployment()), Said(), Clock()
    await seed.state(run, "RUNNING")

    async def wait_long() -> None:
        clock.skip(WITHIN.total_seconds())

    said.at("Running", wait_long)
    assert await followed(foreground(app, said, clock), run) == ["RUNNING"]
    assert "Not followed any longer" in said.text


async def test_a_prefect_that_is_away_for_a_while_is_waited_for(
    app: App, seed: Seed, between: Between
) -> None:
    run, said = await seed.run(await seed.deployment()), Said()

    async def go_away_and_return() -> None:
        between.away = True
        asked = len(between.requests)
        await seed.state(run, "COMPLETED")
        await until(lambda: len(between.requests) > asked)
        between.away = False

    said.at("Scheduled", go_away_and_return)
    assert await followed(foreground(app, said), run) == ["COMPLETED"]


async def test_what_is_wanted_of_a_cancellation_is_that_the_runs_are_cancelled() -> None:
    cancelled, completed = WatchedRun("1", state_type="CANCELLED"), WatchedRun("2", state_type="COMPLETED")
    assert as_wanted("cancel_runs", [cancelled])
    assert not as_wanted("cancel_runs", [cancelled, completed])
    assert as_wanted("retry_run", [completed])
    assert not as_wanted("retry_run", [WatchedRun("3", state_type="RUNNING")])


def test_a_name_cannot_move_the_cursor() -> None:
    assert one_line("etl\x1b[2J\x9b1A\nnightly\u202e\r") == "etl[2J1A nightly"
