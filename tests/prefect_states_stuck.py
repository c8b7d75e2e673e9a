"""Runs that look busy while nobody works at them."""

from tests.prefect_states import Labelled, Row, World, eventually, every

# The worker takes a run this long before its time, and the run is PENDING until then.
PREFETCH_SECONDS = 600


async def lost_worker(world: World) -> Row:
    """A worker whose machine went down while it had a run to start, one to carry out and one to cancel."""
    pool = await world.seed.pool(stem="tug")
    worker, process = await world.start_worker(pool, "--prefetch-seconds", str(PREFETCH_SECONDS))
    deployment = await world.deploy("hold", pool, stem="tow")
    running = await world.perform(deployment, "RUNNING")
    cancelling = await world.perform(deployment, "RUNNING")
    pending = await world.perform(deployment, "PENDING", due_in=PREFETCH_SECONDS / 2)
    world.processes.lose(process)
    await world.seed.post(f"flow_runs/{cancelling['id']}/set_state", {"state": {"type": "CANCELLING"}})
    # One slot less than is taken.
    await world.seed.patch(f"work_pools/{pool}", {"concurrency_limit": 2})
    late = await world.late(deployment)
    await eventually(world.pool_is(pool, "NOT_READY", "OFFLINE"))
    runs = {"running": running, "cancelling": cancelling, "pending": pending, "late": late}
    return {"pool": pool, "worker": worker, **runs}


async def zombie_of_a_lost_worker(world: World) -> Labelled:
    tug = await world.once(lost_worker)
    run = tug["running"]
    return Labelled(
        question=f"{run['name']} has been running for ever, is it alive?",
        kind="zombie",
        expected=("RUNNING", tug["worker"], "OFFLINE"),
        trouble=(tug["pool"], tug["worker"]),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "RUNNING"),
            world.silent(tug["pool"]),
            world.pool_is(tug["pool"], "NOT_READY", "OFFLINE"),
        ),
    )


async def pending_and_worker_lost(world: World) -> Labelled:
    tug = await world.once(lost_worker)
    run = tug["pending"]
    return Labelled(
        question=f"{run['name']} has been pending for long, why?",
        kind="pending_worker_lost",
        expected=("PENDING", tug["worker"], "OFFLINE"),
        trouble=(tug["pool"], tug["worker"]),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "PENDING"),
            world.settled(run),
            world.pool_is(tug["pool"], "NOT_READY", "OFFLINE"),
        ),
    )


async def stuck_cancelling(world: World) -> Labelled:
    """The server gives up waiting after 300 s."""
    tug = await world.once(lost_worker)
    run = tug["cancelling"]
    return Labelled(
        question=f"I cancelled {run['name']} but it does not end",
        kind="stuck_cancelling",
        expected=("Cancelling", tug["worker"], "OFFLINE"),
        trouble=(tug["pool"], tug["worker"]),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "CANCELLING"),
            world.settled(run),
            world.pool_is(tug["pool"], "NOT_READY", "OFFLINE"),
        ),
    )


async def full_of_zombies(world: World) -> Labelled:
    """Two causes: nobody would start it, and if somebody did, dead runs hold the slots."""
    tug = await world.once(lost_worker)
    run = tug["late"]
    return Labelled(
        question=f"why is {run['name']} late?",
        kind="worker_offline",
        expected=(tug["pool"], tug["worker"], "OFFLINE", tug["running"]["name"], "concurrency limit 2"),
        trouble=(tug["pool"], tug["worker"]),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.holds_slot(tug["running"], f"work_pools/{tug['pool']}")),
    )


async def zombie_that_left_silently(world: World) -> Labelled:
    """Its process ended with code 0 and wrote no state; the worker is well."""
    run = await world.perform(
        await world.deploy("leave", world.pool, stem="slips-away"), "RUNNING", parameters={"code": 0}
    )
    return Labelled(
        question=f"{run['name']} runs and runs, what is it doing?",
        kind="zombie",
        expected=("RUNNING", "prefect.worker.executed-flow-run"),
        not_expected=("OFFLINE",),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "RUNNING"),
            world.happened(f"prefect.flow-run.{run['id']}", "prefect.worker.executed-flow-run"),
        ),
    )


STATES = (
    zombie_of_a_lost_worker,
    pending_and_worker_lost,
    stuck_cancelling,
    full_of_zombies,
    zombie_that_left_silently,
)
