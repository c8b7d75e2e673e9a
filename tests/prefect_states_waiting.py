"""Runs that nothing picks up."""

from datetime import UTC, datetime, timedelta

from tests.prefect_seed import unique
from tests.prefect_states import Labelled, Row, World, eventually, every


async def scheduled_later(world: World) -> Labelled:
    deployment = await world.deploy("count_stock", world.pool, stem="next-year")
    due = datetime.now(UTC) + timedelta(days=3)
    run = await world.seed.run(deployment, due_in=timedelta(days=3).total_seconds())
    return Labelled(
        question=f"why does {run['name']} not start?",
        kind="",
        expected=("not late", due.strftime("%Y-%m-%d")),
        not_expected=("work pool is paused", "no worker"),
        flow_run=run["id"],
        seen=world.run_is(run, "Scheduled"),
    )


async def no_work_pool(world: World) -> Labelled:
    deployment = await world.deploy("count_stock", "", stem="poolless")
    run = await world.late(deployment)
    return Labelled(
        question=f"I started {deployment['full_name']} and nothing happens",
        kind="no_work_pool",
        expected=("no work pool", deployment["full_name"]),
        flow_run=run["id"],
        seen=world.run_is(run, "Late"),
    )


async def legacy_agent_pool(world: World) -> Labelled:
    pool = await world.seed.pool(type="prefect-agent", stem="attic")
    deployment = await world.deploy("count_stock", pool, stem="from-2023")
    run = await world.late(deployment)
    return Labelled(
        question=f"{run['name']} has been late for ages, why?",
        kind="legacy_agent_pool",
        expected=(pool, "prefect-agent"),
        not_expected=(f"prefect worker start --pool {pool}", "resume"),
        trouble=(pool,),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.pool_is(pool, None)),
    )


async def no_worker_ever(world: World) -> Labelled:
    pool = await world.seed.pool(stem="vacant")
    deployment = await world.deploy("count_stock", pool, stem="waits-for-anybody")
    run = await world.late(deployment)
    return Labelled(
        question=f"why has {deployment['full_name']} not started?",
        kind="no_worker_ever",
        expected=(pool, "NOT_READY", "no worker", "prefect worker start", "process"),
        not_expected=("OFFLINE",),
        trouble=(pool,),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.pool_is(pool, "NOT_READY")),
    )


async def worker_killed(world: World) -> Labelled:
    pool = await world.seed.pool(stem="cellar")
    worker, process = await world.start_worker(pool)
    world.processes.lose(process)
    run = await world.late(await world.deploy("count_stock", pool, stem="cellar-count"))
    return Labelled(
        question=f"run {run['name']} is late, what is wrong?",
        kind="worker_offline",
        expected=(pool, worker, "OFFLINE", "NOT_READY"),
        trouble=(pool, worker),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.pool_is(pool, "NOT_READY", "OFFLINE")),
    )


async def pool_paused(world: World) -> Labelled:
    pool = await world.seed.pool(stem="frozen-dock")
    deployment = await world.deploy("count_stock", pool, stem="dock-count")
    await world.seed.patch(f"work_pools/{pool}", {"is_paused": True})
    run = await world.late(deployment)
    return Labelled(
        question=f"{deployment['full_name']} does not run any more, why?",
        kind="pool_paused",
        expected=(pool, "PAUSED", "resume the work pool"),
        trouble=(pool,),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.pool_is(pool, "PAUSED")),
    )


async def queue_paused(world: World) -> Labelled:
    """Its worker goes on polling, so the status says READY."""
    queue = unique("snoozing")
    await world.seed.post(f"work_pools/{world.pool}/queues", {"name": queue, "is_paused": True})
    run = await world.late(
        await world.deploy("count_stock", world.pool, stem="snooze-count", work_queue_name=queue)
    )
    return Labelled(
        question=f"why is {run['name']} stuck?",
        kind="queue_paused",
        expected=(queue, "paused", world.pool, "resume"),
        trouble=(queue,),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "Late"),
            world.pool_is(world.pool, "READY", "ONLINE"),
            world.queue_is(world.pool, queue, is_paused=True, status="READY"),
        ),
    )


async def queue_paused_later(world: World) -> Labelled:
    """A queue that worked and was then paused by somebody says PAUSED."""
    queue = unique("drowsy")
    path = f"work_pools/{world.pool}/queues"
    await world.seed.post(path, {"name": queue})
    await eventually(world.queue_is(world.pool, queue, status="READY"))
    await world.seed.patch(f"{path}/{queue}", {"is_paused": True})
    run = await world.late(
        await world.deploy("count_stock", world.pool, stem="drowsy-count", work_queue_name=queue)
    )
    return Labelled(
        question=f"what holds up {run['name']}?",
        kind="queue_paused",
        expected=(queue, "paused", world.pool),
        trouble=(queue,),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.queue_is(world.pool, queue, is_paused=True)),
    )


async def one_queue_worker(world: World) -> Row:
    """A pool whose only worker polls one queue, one run at a time."""
    pool, queue = await world.seed.pool(stem="pier"), unique("express")
    await world.seed.post(f"work_pools/{pool}/queues", {"name": queue})
    worker, _process = await world.start_worker(pool, "--work-queue", queue, "--limit", "1")
    await eventually(world.queue_is(pool, queue, status="READY"))
    return {"pool": pool, "queue": queue, "worker": worker}


async def queue_never_polled(world: World) -> Labelled:
    pier = await world.once(one_queue_worker)
    run = await world.late(await world.deploy("count_stock", pier["pool"], stem="pier-count"))
    return Labelled(
        question=f"a worker is online for {pier['pool']}, so why is {run['name']} late?",
        kind="wrong_queue",
        expected=("queue 'default'", "never polled", pier["pool"], "ONLINE", pier["queue"]),
        not_expected=("OFFLINE", "--limit"),
        trouble=(pier["pool"],),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "Late"),
            world.pool_is(pier["pool"], "READY", "ONLINE"),
            world.queue_is(pier["pool"], "default", last_polled=None),
        ),
    )


async def worker_limit_reached(world: World) -> Labelled:
    pier = await world.once(one_queue_worker)
    deployment = await world.deploy("hold", pier["pool"], stem="pier-watch", work_queue_name=pier["queue"])
    holder = await world.perform(deployment, "RUNNING")
    run = await world.late(deployment)
    return Labelled(
        question=f"what keeps {run['name']} waiting?",
        kind="worker_limit",
        expected=("likely", pier["worker"], "--limit", holder["name"]),
        not_expected=("OFFLINE", "never polled"),
        trouble=(pier["pool"],),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "Late"),
            world.run_is(holder, "RUNNING"),
            world.queue_is(pier["pool"], pier["queue"], status="READY", is_paused=False),
        ),
    )


STATES = (
    scheduled_later,
    no_work_pool,
    legacy_agent_pool,
    no_worker_ever,
    worker_killed,
    pool_paused,
    queue_paused,
    queue_paused_later,
    queue_never_polled,
    worker_limit_reached,
)
