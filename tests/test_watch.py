"""Following runs: what is asked of Prefect and when, what is kept, and which replica does it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import open_store, sqlite_url
from bot.follow.lease import Lease
from bot.follow.watch import (
    AHEAD_EVERY,
    AWAY_AFTER,
    FIRST_PAUSE,
    GIVE_UP_AFTER,
    LOOK_EVERY,
    Poller,
    is_given_up,
    next_look,
    trouble,
)
from bot.follow.watch_table import DELETED, Watch, WatchedRun, WatchTable, seen
from bot.store import leases, now, watched_runs
from bot.workspaces import Workspace, Workspaces
from tests.fakes.prefect_between import Between
from tests.following import WORKSPACE, Clock, card_that_did
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to
from tests.waiting import until
from tools.models import FlowRun
from tools.prefect_client import PrefectClient
from tools.toolbox import Toolbox

FILTER = "flow_runs/filter"
AT = now()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(engine: AsyncEngine) -> WatchTable:
    return WatchTable(engine)


@asynccontextmanager
async def poller_on(table: WatchTable, clock: Clock, **urls: str) -> AsyncIterator[Poller]:
    """A poller that is connected to these workspaces."""
    async with AsyncExitStack() as stack:
        members = []
        for name, url in urls.items():
            prefect = await stack.enter_async_context(PrefectClient(connection_to(url)))
            members.append(Workspace(name, prefect.connection, prefect, Toolbox([])))
        yield Poller(Workspaces(members, default=next(iter(urls))), table, clock=clock)


@pytest.fixture
async def poller(table: WatchTable, clock: Clock, between: Between) -> AsyncIterator[Poller]:
    async with poller_on(table, clock, **{WORKSPACE: between.url}) as poller:
        yield poller


async def followed(table: WatchTable, *runs: dict[str, Any], **more: str) -> Watch:
    card = card_that_did(**more)
    await table.add(card, [run["id"] for run in runs])
    return await kept(table, card.id)


async def kept(table: WatchTable, card_id: str) -> Watch:
    found = await table.of(card_id)
    assert found
    return found


async def started(seed: Seed, **more: Any) -> dict[str, Any]:
    return await seed.run(await seed.deployment(), **more)


# -- what is kept


async def test_a_run_is_kept_as_it_was_last_seen(
    table: WatchTable, poller: Poller, seed: Seed, replica: AsyncEngine
) -> None:
    run = await started(seed)
    watch = await followed(table, run)
    await seed.state(run, "RUNNING")
    (looked,) = await poller.look([watch])
    assert looked.runs[0].state_type == "RUNNING"
    await seed.state(run, "FAILED", message="ValueError: boom, password=hunter2hunter2")
    (looked,) = await poller.look([looked])
    # As another process reads it, after a restart.
    read = await kept(WatchTable(replica), watch.card_id)
    assert read.runs == looked.runs
    (kept_run,) = read.runs
    assert (kept_run.name, kept_run.state_name, read.is_over) == (run["name"], "Failed", True)
    assert "boom" in kept_run.message
    assert "hunter2" not in kept_run.message


async def test_runs_keep_their_order_and_a_card_is_followed_once(table: WatchTable) -> None:
    card = card_that_did()
    ids = [f"00000000-0000-0000-0000-00000000000{n}" for n in (3, 1, 2, 3)]
    await table.add(card, ids)
    await table.add(card, ids[:1])
    assert [run.id for run in (await kept(table, card.id)).runs] == ids[:3]


async def test_without_runs_nothing_is_followed(table: WatchTable) -> None:
    await table.add(card := card_that_did(), [])
    assert await table.of(card.id) is None


async def test_only_what_is_due_is_looked_at(table: WatchTable) -> None:
    one, other, over = [await followed(table, {"id": str(n)}) for n in range(3)]
    await table.look_again([one.card_id], now() + timedelta(minutes=1))
    await table.end(over, "ended")
    await table.look_again([over.card_id], now())
    assert [watch.card_id for watch in await table.due(now())] == [other.card_id]


async def test_old_watches_are_deleted_with_their_runs(table: WatchTable, engine: AsyncEngine) -> None:
    watch = await followed(table, {"id": "1"}, {"id": "2"})
    await table.purge(timedelta(hours=1))
    assert await table.of(watch.card_id)
    await table.purge(timedelta(seconds=-1))
    assert await table.of(watch.card_id) is None
    async with engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(watched_runs))).scalar_one() == 0


# -- what is asked of Prefect


async def many_runs(seed: Seed, deployment: dict[str, Any], count: int) -> list[str]:
    """Their ids. A busy SQLite server refuses some of them now and then."""
    runs: list[str] = []
    # Far ahead, where no service of the server looks at them.
    later = {"scheduled_time": (now() + timedelta(days=30)).isoformat()}
    run = {"state": {"type": "SCHEDULED", "state_details": later}}
    while len(runs) < count:
        wanted = [run] * min(count - len(runs), 25)
        made = await seed.post(f"deployments/{deployment['id']}/create_flow_run/bulk", wanted)
        runs += [result["flow_run_id"] for result in made["results"] if result["status"] == "CREATED"]
    return runs


@pytest.mark.parametrize(
    ("count", "requests"), [pytest.param(205, 2), pytest.param(500, 3, marks=pytest.mark.slow)]
)
async def test_two_hundred_followed_runs_cost_one_request(
    tmp_path: Path, clock: Clock, between: Between, seed: Seed, count: int, requests: int
) -> None:
    deployment = await seed.deployment()
    runs = await many_runs(seed, deployment, count)
    async with open_store(sqlite_url(tmp_path / "marvin.sqlite3")) as engine:
        table = WatchTable(engine)
        for start in range(0, count, 5):
            await table.add(card_that_did(), runs[start : start + 5])
        async with poller_on(table, clock, **{WORKSPACE: between.url}) as poller:
            looked = await poller.look(await table.due(now()))
        again = await table.due(now())
    assert between.paths == [FILTER] * requests
    assert len(looked) == count / 5
    assert {run.state_type for watch in looked for run in watch.runs} == {"SCHEDULED"}
    assert {run.id for watch in again for run in watch.runs if run.name} == set(runs)
    await seed.delete(f"deployments/{deployment['id']}")


async def test_with_nothing_to_follow_nothing_is_asked(
    table: WatchTable, poller: Poller, between: Between, seed: Seed
) -> None:
    assert await poller.look(await table.due(now())) == []
    watch = await followed(table, run := await started(seed))
    await seed.state(run, "COMPLETED")
    (over,) = await poller.look([watch])
    asked = len(between.requests)
    await poller.look([over])
    assert len(between.requests) == asked == 1


async def test_a_deleted_run_is_told_from_one_that_an_answer_left_out(
    table: WatchTable, poller: Poller, between: Between, seed: Seed
) -> None:
    run, other = await started(seed), await started(seed)
    watch = await followed(table, run, other)
    await seed.delete(f"flow_runs/{run['id']}")
    (looked,) = await poller.look([watch])
    assert [one.state_type for one in looked.runs] == [DELETED, "SCHEDULED"]
    assert between.paths == [FILTER, f"flow_runs/{run['id']}"]
    assert not looked.is_over


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        pytest.param({"state_type": "RUNNING"}, LOOK_EVERY, id="just now"),
        pytest.param({"state_type": "RUNNING", "since": 900}, LOOK_EVERY * 2, id="unchanged for minutes"),
        pytest.param({"state_type": "RUNNING", "since": 9000}, LOOK_EVERY * 5, id="unchanged for hours"),
        pytest.param({"state_type": "SCHEDULED", "due": -40}, timedelta(seconds=10), id="starts soon"),
        pytest.param({"state_type": "SCHEDULED", "due": -7 * 86400}, AHEAD_EVERY, id="starts next week"),
        pytest.param({"state_type": "SCHEDULED", "due": 60}, LOOK_EVERY, id="late"),
    ],
)
def test_what_is_not_about_to_change_is_looked_at_less_often(
    run: dict[str, Any], expected: timedelta
) -> None:
    at = now()
    ago: dict[str, Any] = {
        key: at - timedelta(seconds=value) for key, value in run.items() if key in ("since", "due")
    }
    watch = Watch("c", "T1", WORKSPACE, "trigger_run", at, (WatchedRun("1", **{"since": at, **run, **ago}),))
    assert next_look(watch, at) - at == expected


# -- a server that is away


async def test_a_server_that_is_away_is_left_alone_for_longer_and_longer(
    table: WatchTable, poller: Poller, between: Between, clock: Clock, seed: Seed
) -> None:
    watch = await followed(table, run := await started(seed))
    between.away = True
    assert await poller.look([watch]) == [watch]
    tries = len(between.requests)
    await poller.look([watch])
    assert len(between.requests) == tries
    clock.skip(FIRST_PAUSE.total_seconds())
    await poller.look([watch])
    assert len(between.requests) == 2 * tries
    clock.skip(FIRST_PAUSE.total_seconds())
    await poller.look([watch])
    assert len(between.requests) == 2 * tries
    assert poller.away(WORKSPACE) is None
    clock.skip(AWAY_AFTER.total_seconds())
    await poller.look([watch])
    away = poller.away(WORKSPACE)
    assert away
    assert "cannot be reached" in away.why

    between.away = False
    await seed.state(run, "RUNNING")
    clock.skip(60)
    (looked,) = await poller.look([watch])
    assert looked.runs[0].state_type == "RUNNING"
    assert poller.away(WORKSPACE) is None
    assert poller.answers(WORKSPACE)


async def test_one_workspace_that_is_away_does_not_keep_the_others_waiting(
    table: WatchTable, clock: Clock, between: Between, prefect_url: str, seed: Seed
) -> None:
    run = await started(seed)
    between.away = True
    async with poller_on(table, clock, default=between.url, prod=prefect_url) as poller:
        away = await followed(table, run)
        here = await followed(table, run, workspace="prod")
        gone = await followed(table, run, workspace="taken-out-of-the-file")
        looked = {watch.workspace: watch for watch in await poller.look([away, here, gone])}
    assert looked["prod"].runs[0].name == run["name"]
    assert looked["default"] == away
    assert looked["taken-out-of-the-file"] == gone


# -- what somebody has to be told


def watch_of(action: str = "trigger_run", *, began: float = 3600, told: Any = (), **run: Any) -> Watch:
    """A watch with one run; `since` and `due` in seconds ago."""
    ago: dict[str, Any] = {
        key: AT - timedelta(seconds=run.pop(key)) for key in ("since", "due") if key in run
    }
    one = WatchedRun("1", **run, **ago)
    began_at = AT - timedelta(seconds=began)
    return Watch("c", "T1", WORKSPACE, action, began_at, (one,), told=frozenset(told))


@pytest.mark.parametrize(
    ("watch", "expected"),
    [
        pytest.param(watch_of(state_type="SCHEDULED", due=130), "late", id="late"),
        pytest.param(watch_of(state_type="SCHEDULED", due=130, told=["late"]), None, id="said before"),
        pytest.param(watch_of(state_type="SCHEDULED", due=60), None, id="a minute"),
        pytest.param(watch_of(state_type="SCHEDULED", due=9999, began=60), None, id="tried again just now"),
        pytest.param(watch_of(state_type="SCHEDULED", due=-60), None, id="scheduled for later"),
        pytest.param(watch_of(state_type="PENDING", since=200), None, id="an image is pulled"),
        pytest.param(watch_of(state_type="PENDING", since=400), "pending", id="pending"),
        pytest.param(watch_of(state_type="RUNNING", since=90000), None, id="running"),
        pytest.param(watch_of(state_type="PAUSED", since=1), "paused", id="paused"),
        pytest.param(watch_of("cancel_runs", state_type="PAUSED", since=1), None, id="not yet cancelled"),
        pytest.param(watch_of("cancel_runs", state_type="CANCELLING", since=20), None, id="being stopped"),
        pytest.param(
            watch_of("cancel_runs", state_type="CANCELLING", since=40), "stopping", id="not stopping"
        ),
        pytest.param(watch_of(state_type="FAILED", since=400), None, id="over"),
    ],
)
def test_trouble_is_told_when_it_has_lasted_and_once(watch: Watch, expected: str | None) -> None:
    found = trouble(watch, AT)
    assert (found[0] if found else None) == expected


def test_following_ends_a_day_after_the_run_was_due() -> None:
    day = GIVE_UP_AFTER.total_seconds()
    assert is_given_up(watch_of(began=day + 60, state_type="RUNNING", since=30), AT)
    assert not is_given_up(watch_of(began=day - 60, state_type="RUNNING", since=30), AT)
    next_week = watch_of(began=3 * day, state_type="SCHEDULED", due=-7 * day)
    assert not is_given_up(next_week, AT)
    assert is_given_up(replace(next_week, began=AT - timedelta(days=3)), AT + timedelta(days=9))


# -- one of several replicas


async def expire(engine: AsyncEngine) -> None:
    """As if the time that the lease lasts had gone by."""
    async with engine.begin() as connection:
        await connection.execute(update(leases).values(until=now() - timedelta(seconds=1)))


async def is_held(lease: Lease) -> bool:
    return lease.held


async def test_one_replica_holds_the_lease_and_another_takes_it_when_that_one_is_dead(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    first, second = Lease(engine, "follow"), Lease(replica, "follow")
    assert (await first.take(), await second.take()) == (True, False)
    assert (await first.take(), first.held, second.held) == (True, True, False)
    await expire(engine)
    assert (await second.take(), await first.take()) == (True, False)
    assert (first.held, second.held) == (False, True)


async def test_replicas_that_start_together_agree_who_holds_it(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    all_of_them = [Lease(one, "follow") for one in (engine, replica) * 4]
    assert sum(await asyncio.gather(*(lease.take() for lease in all_of_them))) == 1


async def test_a_replica_that_ends_gives_the_lease_back(engine: AsyncEngine, replica: AsyncEngine) -> None:
    first, second = Lease(engine, "follow", every_s=0.01), Lease(replica, "follow")
    keeping = asyncio.create_task(first.keep())
    await until(lambda: is_held(first))
    assert not await second.take()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert (first.held, await second.take()) == (False, True)


async def test_the_lease_of_a_killed_server_does_not_hold_up_the_next_on_sqlite(tmp_path: Path) -> None:
    async with open_store(sqlite_url(tmp_path / "marvin.sqlite3")) as engine:
        assert await Lease(engine, "follow").take()
        next_one = Lease(engine, "follow", every_s=0.01)
        keeping = asyncio.create_task(next_one.keep())
        await until(lambda: is_held(next_one))
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def test_a_secret_in_the_name_of_a_run_is_not_kept() -> None:
    name = "load https://ann:hunter2hunter2@db.example.com/x"
    run = FlowRun.model_validate({"id": "1", "flow_id": "2", "name": name})
    assert "hunter2hunter2" not in seen(run).name
