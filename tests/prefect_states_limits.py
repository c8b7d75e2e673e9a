"""Runs that wait for a slot which others hold."""

from tests.prefect_seed import unique
from tests.prefect_states import Condition, Labelled, Row, World, eventually, every, no


async def full_pool(world: World) -> Row:
    """A pool with one slot, two queues, and a run that holds the slot."""
    pool, queue = await world.seed.pool(stem="booth", concurrency_limit=1), unique("whenever")
    await world.seed.post(f"work_pools/{pool}/queues", {"name": queue, "priority": 7})
    await world.start_worker(pool)
    deployment = await world.deploy("hold", pool, stem="booth-watch")
    holder = await world.perform(deployment, "RUNNING")
    first = await world.late(deployment)
    return {"pool": pool, "queue": queue, "deployment": deployment, "holder": holder, "first": first}


async def pool_full(world: World) -> Labelled:
    booth = await world.once(full_pool)
    pool, holder, run = booth["pool"], booth["holder"], booth["first"]
    return Labelled(
        question=f"why is {run['name']} late?",
        kind="pool_concurrency_full",
        expected=(pool, "concurrency limit 1", "1 of 1", holder["name"]),
        not_expected=("OFFLINE", "priority 7"),
        trouble=(pool,),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.holds_slot(holder, f"work_pools/{pool}")),
    )


async def low_priority(world: World) -> Labelled:
    booth = await world.once(full_pool)
    pool, queue = booth["pool"], booth["queue"]
    run = await world.late(
        await world.deploy("count_stock", pool, stem="whenever-count", work_queue_name=queue)
    )
    return Labelled(
        question=f"others overtake {run['name']}, why?",
        kind="pool_concurrency_full",
        expected=(pool, queue, "priority 7", "concurrency limit 1", booth["holder"]["name"]),
        trouble=(pool, queue),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.holds_slot(booth["holder"], f"work_pools/{pool}")),
    )


async def booking(world: World) -> Row:
    """A run that holds the only slot of its queue, and in its task the only slot of a tag."""
    queue, tag = unique("narrow"), unique("ledger")
    row = await world.seed.post(
        f"work_pools/{world.pool}/queues", {"name": queue, "concurrency_limit": 1, "priority": 3}
    )
    await world.seed.post("concurrency_limits/", {"tag": tag, "concurrency_limit": 1})
    narrow = await world.deploy("book", world.pool, stem="narrow-books", work_queue_name=queue)
    holder = await world.perform(narrow, "RUNNING", parameters={"tag": tag})
    return {"queue": queue, "queue_id": row["id"], "tag": tag, "deployment": narrow, "holder": holder}


async def queue_full(world: World) -> Labelled:
    books = await world.once(booking)
    run = await world.late(books["deployment"], parameters={"tag": books["tag"]})
    return Labelled(
        question=f"why is {run['name']} late?",
        kind="queue_concurrency_full",
        expected=(books["queue"], "concurrency limit 1", "1 of 1", books["holder"]["name"]),
        not_expected=(books["tag"],),
        trouble=(books["queue"],),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "Late"), world.holds_slot(books["holder"], f"work_queues/{books['queue_id']}")
        ),
    )


async def tag_limit_full(world: World) -> Labelled:
    """The waiting one is a flow run inside another, which has no deployment of its own."""
    books = await world.once(booking)
    deployment = await world.deploy("parent", world.pool, stem="books-of-books")
    outer = await world.perform(deployment, "RUNNING", parameters={"child_tag": books["tag"]})
    inner = await _child(world, outer)
    return Labelled(
        question=f"{inner['name']} is running but makes no progress, why?",
        kind="tag_concurrency",
        expected=(books["tag"], "limit 1", "task run is PENDING", books["holder"]["name"]),
        not_expected=("OFFLINE",),
        trouble=(books["tag"],),
        flow_run=inner["id"],
        seen=every(world.run_is(inner, "RUNNING"), _task_waits(world, inner)),
    )


async def global_limit_full(world: World) -> Labelled:
    crane = await world.once(crane_run)
    deployment = await world.deploy("export", world.pool, stem="export-tea")
    run = await world.perform(deployment, "RUNNING", parameters={"limit": crane["limit"]})
    acquired = "prefect.concurrency-limit.acquired"
    return Labelled(
        question=f"{run['name']} hangs, what is it waiting for?",
        kind="global_concurrency",
        expected=(crane["limit"], "1 of 1", crane["holder"]["name"]),
        not_expected=("OFFLINE",),
        trouble=(crane["limit"],),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "RUNNING"),
            world.settled(run),
            world.logged(run, "asking for a slot"),
            world.happened(f"prefect.flow-run.{crane['holder']['id']}", acquired),
            no(world.happened(f"prefect.flow-run.{run['id']}", acquired)),
        ),
    )


async def crane_run(world: World) -> Row:
    """A run that holds a global limit's only slot, and that of its deployment, which cancels new ones."""
    limit = unique("crane")
    await world.seed.post("v2/concurrency_limits/", {"name": limit, "limit": 1, "active": True})
    deployment = await world.deploy(
        "export",
        world.pool,
        stem="export-once",
        concurrency_limit=1,
        concurrency_options={"collision_strategy": "CANCEL_NEW"},
    )
    holder = await world.perform(deployment, "RUNNING", parameters={"limit": limit})
    return {"limit": limit, "deployment": deployment, "holder": holder}


async def deployment_limit_cancels(world: World) -> Labelled:
    crane = await world.once(crane_run)
    run = await world.perform(crane["deployment"], "CANCELLED", parameters={"limit": crane["limit"]})
    return Labelled(
        question=f"why was {run['name']} cancelled?",
        kind="deployment_concurrency_cancel_new",
        expected=(
            "Deployment concurrency limit reached",
            "CANCEL_NEW",
            "limit 1",
            crane["deployment"]["full_name"],
        ),
        not_expected=(crane["limit"],),
        trouble=(crane["deployment"]["name"],),
        flow_run=run["id"],
        seen=world.run_is(run, "CANCELLED", message="concurrency limit reached"),
    )


async def deployment_limit_enqueues(world: World) -> Labelled:
    deployment = await world.deploy(
        "hold",
        world.pool,
        stem="one-by-one",
        concurrency_limit=1,
        concurrency_options={"collision_strategy": "ENQUEUE"},
    )
    holder = await world.perform(deployment, "RUNNING")
    run = await world.perform(deployment, "AwaitingConcurrencySlot")
    return Labelled(
        question=f"why does {run['name']} not start?",
        kind="deployment_concurrency",
        expected=("AwaitingConcurrencySlot", deployment["full_name"], "limit 1", "ENQUEUE", holder["name"]),
        trouble=(deployment["name"],),
        flow_run=run["id"],
        seen=every(world.run_is(run, "AwaitingConcurrencySlot"), world.run_is(holder, "RUNNING")),
    )


async def deployment_limit_zero(world: World) -> Labelled:
    deployment = await world.deploy("count_stock", world.pool, stem="shut-off", concurrency_limit=1)
    await world.seed.patch(f"v2/concurrency_limits/deployment:{deployment['id']}", {"limit": 0})
    run = await world.late(deployment)
    return Labelled(
        question=f"{run['name']} stays late for ever, why?",
        kind="deployment_limit_zero",
        expected=(deployment["full_name"], "limit", "0"),
        not_expected=("OFFLINE", "worker's own"),
        trouble=(deployment["name"],),
        flow_run=run["id"],
        seen=every(world.run_is(run, "Late"), world.logged(run, "concurrency limit is 0")),
    )


async def _child(world: World, outer: Row) -> Row:
    async def there() -> bool:
        return bool(await _children(world, outer))

    await eventually(there)
    return (await _children(world, outer))[0]


async def _children(world: World, outer: Row) -> list[Row]:
    inside = {"parent_flow_run_id": {"any_": [outer["id"]]}}
    rows: list[Row] = await world.seed.post("flow_runs/filter", {"flow_runs": inside})
    return rows


def _task_waits(world: World, run: Row) -> Condition:
    """Whether its one task run is PENDING."""

    async def look() -> bool:
        rows = await world.seed.post("task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        return [row["state_type"] for row in rows] == ["PENDING"]

    return look


STATES = (
    pool_full,
    low_priority,
    queue_full,
    tag_limit_full,
    global_limit_full,
    deployment_limit_cancels,
    deployment_limit_enqueues,
    deployment_limit_zero,
)
