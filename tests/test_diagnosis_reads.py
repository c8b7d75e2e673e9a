"""How a diagnosis reads: few calls, none that counts as a poll, and no failing endpoint sinks it."""

from collections.abc import AsyncIterator

import pytest

from tests.diagnosing import LATE, a_pool_at_work, holding, kinds, late, propose, why
from tests.fakes.prefect_between import Between
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to
from tools.diagnosis.facts import Unread
from tools.diagnosis.reads import attempt
from tools.prefect_client import PrefectClient

MOST_CALLS = 15
POLLS = ("get_scheduled_flow_runs", "get_runs")


@pytest.fixture
async def client(between: Between) -> AsyncIterator[PrefectClient]:
    async with PrefectClient(connection_to(between.url)) as client:
        yield client


def polls(between: Between) -> list[str]:
    """Requests that the server would take for a worker's."""
    return [path for path in between.paths if any(poll in path for poll in POLLS)]


async def stuck_behind_everything(seed: Seed) -> dict[str, str]:
    """A run for which every kind of read is needed: paused, full, limited, and asked for by deployment."""
    pool = await a_pool_at_work(seed, concurrency_limit=1)
    deployment = await seed.deployment(pool=pool, concurrency_limit=1)
    await holding(seed, deployment)
    run = await seed.run(deployment, late_by=LATE)
    await propose(seed, run, "PENDING")
    await seed.patch(f"work_pools/{pool}", {"is_paused": True})
    return {"run": run["id"], "name": run["name"], "deployment": deployment["full_name"], "pool": pool}


async def test_a_run_takes_at_most_fifteen_calls_and_never_polls(
    between: Between, client: PrefectClient, seed: Seed
) -> None:
    made = await stuck_behind_everything(seed)
    for text in (made["run"], made["name"], made["deployment"], made["deployment"].partition("/")[2]):
        between.requests.clear()
        found = await why(client, text)
        assert kinds(found)[:2] == ["pool_paused", "pool_concurrency_full"]
        assert len(between.paths) <= MOST_CALLS, between.paths
        assert not polls(between)


async def test_a_running_run_takes_at_most_fifteen_calls(
    between: Between, client: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    run = await holding(seed, await seed.deployment(pool=pool))
    await why(client, run["name"])
    assert len(between.paths) <= MOST_CALLS, between.paths


@pytest.mark.parametrize("status", [500, 403, 429])
async def test_an_endpoint_that_fails_is_told_and_the_rest_is_diagnosed(
    between: Between, client: PrefectClient, seed: Seed, status: int
) -> None:
    made = await stuck_behind_everything(seed)
    between.fails["workers/filter"] = status
    found = await why(client, made["run"])
    assert kinds(found)[0] == "pool_paused"
    assert len(found.could_not_look) == 1
    assert found.could_not_look[0].startswith(f"the workers of work pool '{made['pool']}': Prefect at ")
    # Not looked at is not "none there".
    assert "no_worker_ever" not in kinds(found)
    assert not any("ONLINE" in text for text in found.fine)


@pytest.mark.parametrize(
    "part", ["work_pools/", "deployments/", "events/filter", "flows/filter", "queues/filter"]
)
async def test_no_single_endpoint_sinks_the_diagnosis(
    between: Between, client: PrefectClient, seed: Seed, part: str
) -> None:
    made = await stuck_behind_everything(seed)
    between.fails[part] = 500
    found = await why(client, made["run"])
    assert found.could_not_look
    assert made["name"] in found.verdict
    assert "late" in found.verdict


async def test_nothing_found_says_when_not_all_was_looked_at(
    between: Between, client: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    run = await seed.run(await seed.deployment(pool=pool), late_by=LATE)
    between.fails["workers/filter"] = 500
    found = await why(client, run)
    assert kinds(found) == []
    assert "Not everything could be looked at (1 part)" in found.verdict


async def test_a_server_that_hangs_on_one_read_is_not_waited_for(
    between: Between, client: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    between.hang("workers/filter")
    part = await attempt("the workers", client.workers(pool), seconds=0.2)
    assert part == Unread("the workers", "no answer within 0.2 s")


async def test_a_workspace_survey_goes_on_without_what_fails(
    between: Between, client: PrefectClient, seed: Seed
) -> None:
    made = await stuck_behind_everything(seed)
    between.fails |= {"events/filter": 500, "v2/": 500}
    found = await late(client, work_pool=made["pool"])
    assert [group.cause.kind for group in found.groups] == ["pool_paused"]
    assert found.could_not_look
    assert "could not be looked at" in found.verdict


async def test_a_survey_of_what_cannot_be_read_does_not_say_that_all_is_well(
    between: Between, client: PrefectClient, seed: Seed
) -> None:
    made = await stuck_behind_everything(seed)
    between.fails["flow_runs/filter"] = 500
    found = await late(client, work_pool=made["pool"])
    assert found.groups == []
    assert "No run is late" not in found.verdict
    assert "could not be looked at" in found.verdict


async def test_a_survey_asks_once_for_all_runs_of_a_pool(
    between: Between, client: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool)
    for _ in range(3):
        await seed.run(deployment, late_by=LATE)
    found = await late(client, work_pool=pool)
    assert found.groups[0].runs_count == 3
    assert between.paths.count(f"work_pools/{pool}/workers/filter") == 1
    assert not polls(between)
