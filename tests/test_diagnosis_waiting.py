"""Why runs wait for their start: each cause as a real server shows it, with the names and figures told."""

from typing import Any

from tests.diagnosing import (
    LATE,
    a_pool_at_work,
    holding,
    kinds,
    proof,
    said,
    taken_by,
    why,
)
from tests.prefect_seed import Seed, unique
from tests.waiting import until
from tools.prefect_client import PrefectClient


async def late_run(seed: Seed, pool: str | None = None, **more: Any) -> dict[str, Any]:
    """A run that should have started a minute and a half ago; `full_name` is its deployment's."""
    deployment = await seed.deployment(pool=pool, **more)
    return {**await seed.run(deployment, late_by=LATE), "full_name": deployment["full_name"]}


# -- where it would run --


async def test_a_run_without_a_work_pool_waits_for_nobody(prefect: PrefectClient, seed: Seed) -> None:
    run = await late_run(seed)
    found = await why(prefect, run)
    assert kinds(found) == ["no_work_pool"]
    assert f"{run['full_name']} has no work pool" in found.verdict
    assert found.verdict.startswith(f"'{run['name']}' ({run['full_name']}) is 90 s late")
    assert proof(found.causes[0])[f"last_polled of deployment {run['full_name']}"] == "never polled"
    assert "prefect deploy" in found.causes[0].fix


async def test_a_deleted_work_pool_leaves_its_runs_without_one(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await late_run(seed, pool)
    await seed.delete(f"work_pools/{pool}")
    found = await why(prefect, run)
    assert kinds(found) == ["no_work_pool"]
    assert "it was deleted" in found.verdict


async def test_a_run_from_before_its_deployment_had_a_pool_stays_behind(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment()
    run = await seed.run(deployment, late_by=LATE)
    pool = await a_pool_at_work(seed)
    await seed.patch(f"deployments/{deployment['id']}", {"work_pool_name": pool})
    found = await why(prefect, run)
    assert kinds(found) == ["no_work_pool"]
    assert f"now uses work pool '{pool}'" in found.verdict
    assert found.causes[0].action is not None
    assert found.causes[0].action.command == f"run {deployment['full_name']}"


async def test_a_served_deployment_whose_process_is_gone(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await seed.deployment()
    await seed.serve(deployment)
    found = await why(prefect, await seed.run(deployment, late_by=LATE), minutes=3)
    assert kinds(found) == ["serve_stopped"]
    assert (
        f"{deployment['full_name']} has no work pool, and its `flow.serve()` process is gone" in found.verdict
    )


async def test_a_serve_process_that_asks_and_does_not_start_is_likely_full(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment()
    await seed.serve(deployment)
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("serve_limit", "likely")]
    assert "most likely its `limit` is reached" in found.verdict


async def test_a_legacy_agent_pool_can_run_nothing(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(type="prefect-agent")
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["legacy_agent_pool"]
    assert f"'{pool}' is of type prefect-agent" in found.verdict


async def test_a_push_pool_is_not_blamed_for_its_want_of_workers_but_for_this_server(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool(type="ecs:push")
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["cloud_only_pool"]
    assert f"Work pool '{pool}' is of type ecs:push" in found.verdict
    assert "this server is not Prefect Cloud" in found.verdict


async def test_a_paused_pool_is_named_with_the_time_and_resumed_by_an_action(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    run = await late_run(seed, pool)
    await seed.patch(f"work_pools/{pool}", {"is_paused": True})

    async def told() -> bool:
        return "since 20" in (await why(prefect, run)).verdict

    await until(told)
    found = await why(prefect, run)
    assert kinds(found) == ["pool_paused"]
    assert f"Work pool '{pool}' is PAUSED since" in found.verdict
    assert proof(found.causes[0])[f"is_paused of work pool {pool}"] == "true"
    assert f"`prefect work-pool resume {pool}`" in found.causes[0].fix
    action = found.causes[0].action
    assert action is not None
    assert (action.tool, action.command) == ("resume_work_pool", f"resume pool {pool}")


async def test_a_paused_pool_without_a_worker_is_two_causes_in_the_order_of_mending(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool(is_paused=True)
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["pool_paused", "no_worker_ever"]
    assert "Once that is mended: Work pool" in found.verdict


async def test_a_paused_queue_is_named_although_the_pool_is_well(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, "frozen")
    queue = (await seed.get(f"work_pools/{pool}/queues/frozen"))["id"]
    await seed.patch(f"work_pools/{pool}/queues/frozen", {"is_paused": True})
    found = await why(prefect, await late_run(seed, pool, work_queue_name="frozen"))
    assert queue
    assert kinds(found) == ["queue_paused"]
    assert f"Queue 'frozen' of work pool '{pool}' is paused" in found.verdict
    assert found.causes[0].action is not None
    assert found.causes[0].action.command == f"resume queue {pool}/frozen"


# -- who would take it --


async def test_a_pool_that_never_had_a_worker(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(type="docker")

    async def not_ready() -> bool:
        return bool((await seed.get(f"work_pools/{pool}"))["status"] == "NOT_READY")

    await until(not_ready)
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["no_worker_ever"]
    assert f"Work pool '{pool}' has no worker (the pool is NOT_READY)" in found.verdict
    assert f"prefect worker start --pool {pool} --type docker" in found.causes[0].fix
    assert proof(found.causes[0])[f"last_polled of queue default of work pool {pool}"] == "never polled"


async def test_a_worker_that_is_silent_is_offline_whatever_prefect_shows(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="sleepy", interval=0)
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["worker_offline"]
    assert f"The worker 'sleepy' of work pool '{pool}' is OFFLINE" in found.verdict
    assert "--name sleepy" in found.causes[0].fix


async def test_a_worker_that_asks_another_queue_is_not_the_right_one(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    await seed.post(f"work_pools/{pool}/queues", {"name": "special"})
    await seed.worker(pool, name="picky")
    await seed.poll(pool, "special")
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["wrong_queue"]
    assert f"In work pool '{pool}', queue 'default' is never polled" in found.verdict
    assert "worker 'picky' is ONLINE but asks only queue 'special'" in found.verdict
    assert f"--pool {pool} --type process --work-queue default" in found.causes[0].fix


async def test_a_worker_that_asks_no_queue_at_all(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="dazed")
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == ["queue_not_polled"]
    assert "'dazed' is ONLINE but asks none of the pool's queues" in found.verdict


async def test_a_busy_worker_is_likely_at_its_own_limit(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool)
    busy = await holding(seed, deployment)
    await taken_by(seed, busy, "worker-1")
    found = await why(prefect, await seed.run(deployment, late_by=LATE))
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("worker_limit", "likely")]
    assert f"worker 'worker-1' already has 1 run ('{busy['name']}')" in found.verdict
    assert "`--limit`" in found.verdict


async def test_nothing_found_is_said_as_such(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == []
    assert "Nothing that the API shows holds it up" in found.verdict
    assert f"work pool '{pool}' is not paused" in found.fine
    assert f"worker 'worker-1' of work pool '{pool}' is ONLINE" in found.fine
    assert found.could_not_look == []


# -- what is well, and what is elsewhere --


async def test_a_run_for_later_is_not_late(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await seed.run(await seed.deployment(pool=pool), due_in=7200)
    found = await why(prefect, run)
    assert kinds(found) == []
    assert "is not late: it is Scheduled and due 20" in found.verdict
    assert found.worth_knowing == []


async def test_what_would_hold_up_a_run_for_later_is_worth_knowing_and_no_cause(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool(is_paused=True)
    found = await why(prefect, await seed.run(await seed.deployment(pool=pool), due_in=7200))
    assert kinds(found) == []
    assert "is not late" in found.verdict
    assert f"Work pool '{pool}' is PAUSED" in found.worth_knowing[0]


async def test_trouble_elsewhere_is_not_blamed(prefect: PrefectClient, seed: Seed) -> None:
    elsewhere = await seed.pool(is_paused=True, stem="elsewhere", concurrency_limit=0)
    pool = await a_pool_at_work(seed, "frozen", "narrow")
    await seed.patch(f"work_pools/{pool}/queues/frozen", {"is_paused": True})
    await seed.patch(f"work_pools/{pool}/queues/narrow", {"concurrency_limit": 0})
    stopped = unique("stopped")
    await seed.worker(pool, name=stopped, interval=0)
    await seed.deployment(pool=pool, paused=True)
    found = await why(prefect, await late_run(seed, pool))
    assert kinds(found) == []
    for noise in (elsewhere, "frozen", "narrow", stopped):
        assert noise not in said(found)


async def test_the_answer_is_the_same_each_time(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(is_paused=True, concurrency_limit=0)
    run = await late_run(seed, pool)
    first, second = await why(prefect, run), await why(prefect, run)
    assert kinds(first) == kinds(second) == ["pool_paused", "no_worker_ever", "pool_concurrency_full"]
    assert [cause.fix for cause in first.causes] == [cause.fix for cause in second.causes]
