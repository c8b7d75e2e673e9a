"""Limits of pools, queues and deployments that keep runs from starting, and who holds the slots."""

from typing import Any

from tests.diagnosing import (
    LATE,
    a_pool_at_work,
    holding,
    kinds,
    late,
    process_ended,
    propose,
    said,
    taken_by,
    why,
)
from tests.prefect_seed import Seed
from tools.prefect_client import PrefectClient


async def late_run(seed: Seed, pool: str, **more: Any) -> dict[str, Any]:
    """A run of a deployment of its own that should have started a minute and a half ago."""
    return await seed.run(await seed.deployment(pool=pool, **more), late_by=LATE)


async def test_a_full_pool_names_its_limit_and_the_holder(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=1)
    deployment = await seed.deployment(pool=pool)
    holder = await holding(seed, deployment)
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert kinds(found) == ["pool_concurrency_full"]
    assert f"Work pool '{pool}' has concurrency limit 1, with 1 of 1 slots in use" in found.verdict
    assert f"held by '{holder['name']}' (RUNNING for" in found.verdict
    assert "set-concurrency-limit" in found.causes[0].fix
    # What runs is somebody's work.
    assert found.causes[0].action is None


async def test_a_holder_whose_process_has_ended_is_told_as_a_zombie(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=1)
    deployment = await seed.deployment(pool=pool)
    holder = await holding(seed, deployment)
    await process_ended(seed, holder, "worker-1")
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert kinds(found) == ["pool_concurrency_full"]
    assert f"'{holder['name']}' (still RUNNING, but its process ended" in found.verdict
    assert found.causes[0].action is not None
    assert found.causes[0].action.arguments == {"runs": [holder["id"]]}


async def test_a_holder_whose_worker_is_offline_is_told_so(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=1)
    await seed.worker(pool, name="gone", interval=0)
    deployment = await seed.deployment(pool=pool)
    holder = await holding(seed, deployment)
    await taken_by(seed, holder, "gone")
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert f"'{holder['name']}' (RUNNING for" in found.verdict
    assert "but its worker 'gone' is OFFLINE" in found.verdict
    assert "still runs" in found.causes[0].fix


async def test_a_full_queue_blames_the_queue_and_not_the_pool(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, "narrow")
    await seed.patch(f"work_pools/{pool}/queues/narrow", {"concurrency_limit": 1})
    deployment = await seed.deployment(pool=pool, work_queue_name="narrow")
    other = await holding(seed, await seed.deployment(pool=pool))
    holder = await holding(seed, deployment)
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert kinds(found) == ["queue_concurrency_full"]
    assert f"Queue 'narrow' of work pool '{pool}' has concurrency limit 1" in found.verdict
    assert holder["name"] in found.verdict
    assert other["name"] not in said(found)


async def test_low_priority_is_told_with_the_queue_that_goes_first(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed, "low", concurrency_limit=1)
    await seed.patch(f"work_pools/{pool}/queues/low", {"priority": 10})
    first = await seed.deployment(pool=pool)
    await holding(seed, first)
    await seed.run(first, late_by=LATE)
    found = await why(prefect, await late_run(seed, pool, work_queue_name="low"))
    assert kinds(found) == ["pool_concurrency_full", "low_priority"]
    assert "has priority 10; the scarce slots go first to queue 'default' (priority 1, 1 waiting)" in said(
        found
    )


async def test_a_run_that_has_its_slot_is_not_held_up_by_who_waits_before_its_queue(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed, "low", concurrency_limit=1)
    await seed.patch(f"work_pools/{pool}/queues/low", {"priority": 10})
    running = await holding(seed, await seed.deployment(pool=pool, work_queue_name="low"))
    await seed.run(await seed.deployment(pool=pool), late_by=LATE)
    found = await late(prefect, work_pool=pool)
    assert [group.cause.kind for group in found.groups] == ["pool_concurrency_full"]
    assert running["name"] in found.groups[0].cause.summary


async def one_too_many(seed: Seed, strategy: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A deployment that lets one run go at a time, that run, and the one for which there is no slot."""
    pool = await a_pool_at_work(seed)
    options = {"collision_strategy": strategy}
    deployment = await seed.deployment(pool=pool, concurrency_limit=1, concurrency_options=options)
    holder = await holding(seed, deployment)
    extra = await seed.run(deployment, late_by=LATE)
    # What a worker does with it.
    await propose(seed, extra, "PENDING")
    return deployment, holder, extra


async def test_a_deployment_limit_names_strategy_limit_and_holder(prefect: PrefectClient, seed: Seed) -> None:
    deployment, holder, waiting = await one_too_many(seed, "ENQUEUE")
    found = await why(prefect, waiting)
    assert kinds(found) == ["deployment_concurrency"]
    assert "AwaitingConcurrencySlot" in found.verdict
    assert (
        f"Deployment {deployment['full_name']} has concurrency limit 1 (ENQUEUE), with 1 of 1"
        in found.verdict
    )
    assert holder["name"] in found.verdict


async def test_a_deployment_limit_of_zero_lets_nothing_start(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool, concurrency_limit=1)
    await seed.patch(f"v2/concurrency_limits/deployment:{deployment['id']}", {"limit": 0})
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert kinds(found) == ["deployment_limit_zero"]
    assert "has concurrency limit 0" in found.verdict
    assert f"prefect gcl update deployment:{deployment['id']}" in found.causes[0].fix


async def test_a_deployment_limit_that_is_switched_off_gives_no_slot_though_all_are_free(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await a_pool_at_work(seed), concurrency_limit=5)
    await seed.patch(f"v2/concurrency_limits/deployment:{deployment['id']}", {"active": False})
    run = await seed.run(deployment, late_by=LATE)
    await propose(seed, run, "PENDING")
    found = await why(prefect, run)
    assert kinds(found) == ["deployment_limit_inactive"]
    assert "is AwaitingConcurrencySlot" in found.verdict
    assert "is switched off (inactive)" in found.verdict
    assert "0 of 5 slots in use" in found.verdict
    assert f"prefect gcl enable deployment:{deployment['id']}" in found.causes[0].fix


async def test_a_run_too_many_is_cancelled_on_purpose(prefect: PrefectClient, seed: Seed) -> None:
    _, holder, extra = await one_too_many(seed, "CANCEL_NEW")
    found = await why(prefect, extra)
    assert kinds(found) == ["deployment_concurrency_cancel_new"]
    for word in (
        "CANCELLED",
        "Deployment concurrency limit reached",
        "CANCEL_NEW",
        "limit 1",
        holder["name"],
    ):
        assert word in found.verdict


async def test_a_pool_limit_of_zero_has_no_holder_to_wait_for(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, concurrency_limit=0)
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["pool_concurrency_full"]
    assert "has concurrency limit 0, which lets nothing start" in found.verdict
    assert found.causes[0].fix.startswith("Raise the limit: ")
