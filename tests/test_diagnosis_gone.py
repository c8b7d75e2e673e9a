"""Runs and deployments from under which the pool, the queue or the deployment was deleted."""

from tests.diagnosing import LATE, a_pool_at_work, holding, kinds, said, taken_by, why
from tests.prefect_seed import Seed, unique
from tools.prefect_client import PrefectClient


async def test_a_deleted_queue_takes_its_runs_out_of_the_pool(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed, "bulk")
    deployment = await seed.deployment(pool=pool, work_queue_name="bulk")
    run = await seed.run(deployment, late_by=LATE)
    await seed.delete(f"work_pools/{pool}/queues/bulk")
    found = await why(prefect, run)
    assert kinds(found) == ["no_work_pool"]
    assert f"{deployment['full_name']} has no work pool any more" in found.verdict
    assert "or its queue 'bulk' was" in found.verdict
    assert "serve" not in said(found)


async def test_no_serve_process_is_blamed_for_a_deployment_whose_pool_was_deleted(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool, work_queue_name="default")
    good = await holding(seed, deployment)
    await seed.state(good, "COMPLETED")
    await seed.delete(f"work_pools/{pool}")
    # As if a worker had asked for its runs.
    await seed.serve(deployment)
    found = await why(prefect, deployment["full_name"], minutes=10)
    assert "no_work_pool" in kinds(found)
    assert "serve" not in said(found)


async def test_a_running_run_whose_pool_was_deleted_names_its_worker(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    run = await holding(seed, await seed.deployment(pool=pool))
    await taken_by(seed, run, "worker-1")
    await seed.delete(f"work_pools/{pool}")
    found = await why(prefect, run, minutes=10)
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("zombie", "likely")]
    assert "of its worker 'worker-1' has been deleted" in found.verdict


async def test_a_pending_run_whose_deployment_was_deleted_will_not_start(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await a_pool_at_work(seed))
    run = await seed.run(deployment)
    await seed.state(run, "PENDING")
    await seed.delete(f"deployments/{deployment['id']}")
    found = await why(prefect, run, minutes=10)
    assert kinds(found) == ["deployment_deleted"]
    assert "Its deployment has been deleted" in found.verdict


async def test_of_a_run_without_a_deployment_nobody_tells_the_end(prefect: PrefectClient, seed: Seed) -> None:
    flow = await seed.flow()
    run = await seed.post("flow_runs/", {"flow_id": flow["id"], "state": {"type": "RUNNING"}})
    early, late = await why(prefect, run), await why(prefect, run, minutes=30)
    assert not early.worth_knowing
    assert kinds(late) == []
    assert "started outside of a deployment" in late.worth_knowing[0]


async def test_a_paused_process_whose_worker_is_gone_cannot_go_on(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    await seed.worker(pool, name="gone", interval=0)
    run = await holding(seed, await seed.deployment(pool=pool))
    await taken_by(seed, run, "gone")
    await seed.state(run, "PAUSED")
    found = await why(prefect, run, minutes=10)
    assert kinds(found) == ["paused", "paused_process_gone"]
    assert "Its worker 'gone'" in found.causes[1].summary


async def test_a_task_of_a_dead_run_waits_for_its_tag_only_after_that(
    prefect: PrefectClient, seed: Seed
) -> None:
    tag, pool = unique("database"), await a_pool_at_work(seed)
    await seed.worker(pool, name="gone", interval=0)
    await seed.post("concurrency_limits/", {"tag": tag, "concurrency_limit": 0})
    run = await holding(seed, await seed.deployment(pool=pool))
    await taken_by(seed, run, "gone")
    task = {"flow_run_id": run["id"], "task_key": "write", "dynamic_key": "0", "tags": [tag]}
    await seed.post("task_runs/", {**task, "state": {"type": "PENDING", "name": "Pending"}})
    found = await why(prefect, run, minutes=10)
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [
        ("zombie", "likely"),
        ("tag_concurrency", "likely"),
    ]


async def test_a_suspended_run_has_no_process_that_could_be_gone(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="gone", interval=0)
    run = await holding(seed, await seed.deployment(pool=pool))
    await taken_by(seed, run, "gone")
    await seed.state(run, "PAUSED", "Suspended")
    assert kinds(await why(prefect, run, minutes=10)) == ["suspended"]


async def test_a_deployment_that_has_lost_its_pool_says_so_though_its_last_run_passed(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool)
    await seed.state(await holding(seed, deployment), "COMPLETED")
    await seed.delete(f"work_pools/{pool}")
    found = await why(prefect, deployment["full_name"])
    assert kinds(found) == ["no_work_pool"]
    assert "COMPLETED" in found.verdict
