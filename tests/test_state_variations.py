"""Troubles that come together, share names or only look alike."""

import shlex
from datetime import UTC, datetime, timedelta

import pytest

from tests.diagnosing import LATE, a_pool_at_work, holding, kinds, process_ended, said, taken_by, why
from tests.prefect_seed import Seed, unique
from tools.errors import Ambiguous
from tools.prefect_client import PrefectClient

pytestmark = pytest.mark.slow


async def test_a_paused_queue_in_a_full_pool_is_two_causes_and_the_pause_is_first(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=1)
    holder = await holding(seed, await seed.deployment(pool=pool))
    run = await seed.run(await seed.deployment(pool=pool), late_by=LATE)
    await seed.patch(f"work_pools/{pool}/queues/default", {"is_paused": True})
    found = await why(prefect, run)
    assert kinds(found) == ["queue_paused", "pool_concurrency_full"]
    assert holder["name"] in found.causes[1].summary


async def test_a_pool_named_like_a_queue_elsewhere_is_not_taken_for_it(
    prefect: PrefectClient, seed: Seed
) -> None:
    name = unique("express")
    await seed.post("work_pools/", {"name": name, "type": "process", "is_paused": True})
    pool = await a_pool_at_work(seed, name)
    run = await seed.run(await seed.deployment(pool=pool, work_queue_name=name), late_by=LATE)
    paused = await seed.run(await seed.deployment(pool=name), late_by=LATE)
    assert not {"pool_paused", "queue_paused"} & set(kinds(await why(prefect, run)))
    assert kinds(await why(prefect, paused))[0] == "pool_paused"


async def test_the_same_queue_name_in_two_pools_is_kept_apart(prefect: PrefectClient, seed: Seed) -> None:
    queue = unique("nightly")
    healthy, lame = await a_pool_at_work(seed, queue), await a_pool_at_work(seed)
    await seed.post(f"work_pools/{lame}/queues", {"name": queue})
    run = await seed.run(await seed.deployment(pool=lame, work_queue_name=queue), late_by=LATE)
    found = await why(prefect, run)
    assert kinds(found)[0] == "wrong_queue"
    assert healthy not in said(found)


@pytest.mark.parametrize("stem", ["Straße der Söhne", "夜間バッチ", "it's $HOME", "`rm -rf`"])
async def test_names_of_any_kind_are_written_so_that_the_command_works(
    prefect: PrefectClient, seed: Seed, stem: str
) -> None:
    pool = await seed.pool(stem=stem)
    run = await seed.run(await seed.deployment(pool=pool, name=unique(stem)), late_by=LATE)
    cause = (await why(prefect, run)).causes[0]
    assert cause.kind == "no_worker_ever"
    assert pool in cause.summary
    assert shlex.quote(pool) in cause.fix


async def test_runs_of_one_name_are_offered_by_their_ids(prefect: PrefectClient, seed: Seed) -> None:
    name = unique("twin")
    runs = [
        await seed.run(await seed.deployment(pool=await seed.pool()), late_by=LATE, name=name)
        for _ in range(2)
    ]
    with pytest.raises(Ambiguous) as refused:
        await why(prefect, name)
    offered = " ".join(refused.value.choices)
    assert all(run["id"] in offered for run in runs)


async def test_a_deployment_limit_in_a_paused_pool_names_both(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool, concurrency_limit=1)
    await holding(seed, deployment)
    run = await seed.run(deployment, late_by=LATE)
    await seed.patch(f"work_pools/{pool}", {"is_paused": True})
    assert kinds(await why(prefect, run))[:2] == ["pool_paused", "deployment_concurrency"]


async def test_a_paused_deployment_does_not_hold_up_a_run_that_was_started_by_hand(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await seed.pool(), paused=True)
    run = await seed.run(deployment, late_by=LATE)
    assert kinds(await why(prefect, run)) == ["no_worker_ever"]


async def test_a_moment_after_its_time_a_run_is_not_late_yet(prefect: PrefectClient, seed: Seed) -> None:
    run = await seed.run(await seed.deployment(pool=await a_pool_at_work(seed)), late_by=2)
    found = await why(prefect, run)
    assert not found.causes
    assert "not late" in found.verdict


async def test_a_retry_by_hand_without_a_worker_waits_for_one_though_it_is_never_late(
    prefect: PrefectClient, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(pool=await seed.pool()))
    await seed.state(run, "FAILED")
    due = (datetime.now(UTC) - timedelta(seconds=LATE)).isoformat()
    again = {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": {"scheduled_time": due}}
    await seed.post(f"flow_runs/{run['id']}/set_state", {"state": again})
    assert kinds(await why(prefect, run)) == ["no_worker_ever"]


async def test_one_silent_worker_beside_a_living_one_is_no_cause(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=1)
    silent = await seed.worker(pool, name=unique("silent"), interval=1)
    deployment = await seed.deployment(pool=pool)
    holder = await holding(seed, deployment)
    run = await seed.run(deployment, late_by=LATE)
    found = await why(prefect, run)
    assert kinds(found) == ["pool_concurrency_full"]
    assert holder["name"] in found.verdict
    assert silent not in found.verdict


async def test_a_pool_limit_of_zero_is_said_as_such_and_nobody_is_said_to_hold_it(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=0)
    found = await why(prefect, await seed.run(await seed.deployment(pool=pool), late_by=LATE))
    assert kinds(found) == ["pool_concurrency_full"]
    assert "limit 0" in found.verdict
    assert "held by" not in found.verdict
    assert "Wait until" not in found.causes[0].fix


async def test_a_paused_push_pool_is_paused_and_lacks_no_worker(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(type="ecs:push", is_paused=True)
    found = await why(prefect, await seed.run(await seed.deployment(pool=pool), late_by=LATE))
    assert kinds(found) == ["pool_paused", "cloud_only_pool"]
    assert "has no worker" not in said(found)
    assert "prefect worker start" not in said(found)


async def test_one_of_two_schedules_being_off_explains_nothing_while_the_other_makes_runs(
    prefect: PrefectClient, seed: Seed
) -> None:
    daily = {"interval": 86400, "anchor_date": "2026-01-01T04:00:00Z"}
    schedules = [{"schedule": daily, "active": active} for active in (True, False)]
    deployment = await seed.deployment(pool=await a_pool_at_work(seed), schedules=schedules)
    assert "schedule_inactive" not in kinds(await why(prefect, deployment["full_name"]))


async def test_a_failed_run_tells_why_also_when_its_deployment_is_gone(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await a_pool_at_work(seed))
    run = await holding(seed, deployment)
    await seed.state(run, "FAILED", message="Flow run encountered an exception: ValueError: no such tea")
    await seed.delete(f"deployments/{deployment['id']}")
    found = await why(prefect, run)
    assert "ValueError: no such tea" in found.verdict
    assert not found.could_not_look


async def test_a_deployment_whose_latest_run_is_fine_is_asked_for_the_one_in_trouble(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await seed.pool())
    stuck = await seed.run(deployment, late_by=LATE)
    good = await holding(seed, deployment)
    await seed.state(good, "COMPLETED")
    found = await why(prefect, deployment["full_name"])
    assert found.run is not None
    assert found.run.id == stuck["id"]


async def test_two_holders_of_which_one_is_dead_are_told_apart(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=2)
    deployment = await seed.deployment(pool=pool)
    living, dead = await holding(seed, deployment), await holding(seed, deployment)
    for run in (living, dead):
        await taken_by(seed, run, "worker-1")
    await process_ended(seed, dead, "worker-1")
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert kinds(found) == ["pool_concurrency_full"]
    assert dead["name"] in found.causes[0].fix
    assert living["name"] not in found.causes[0].fix
    action = found.causes[0].action
    assert action is not None
    assert dead["id"] in str(action.arguments)
    assert living["id"] not in str(action.arguments)


async def test_a_pool_made_anew_under_its_old_name_does_not_get_the_old_runs(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    run = await seed.run(await seed.deployment(pool=pool), late_by=LATE)
    await seed.delete(f"work_pools/{pool}")
    await seed.post("work_pools/", {"name": pool, "type": "process"})
    assert kinds(await why(prefect, run)) == ["no_work_pool"]


async def test_a_run_that_a_person_cancelled_before_it_began_has_nobody_else_to_blame(
    prefect: PrefectClient, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(pool=await seed.pool(is_paused=True)), late_by=LATE)
    await seed.state(run, "CANCELLED", message="not needed today")
    found = await why(prefect, run)
    assert kinds(found) == ["cancelled"]
    assert "not needed today" in found.verdict
    assert "paused" not in found.verdict
