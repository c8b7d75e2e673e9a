"""Why runs that have begun do not get on: PENDING, RUNNING, PAUSED, Cancelling and between two attempts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.diagnosing import (
    a_pool_at_work,
    holding,
    kinds,
    named,
    process_ended,
    proof,
    said,
    taken_by,
    told,
    why,
)
from tests.prefect_seed import Seed, unique
from tests.waiting import until
from tools.prefect_client import PrefectClient

LATER = 10.0
"""Minutes; as much later the diagnosis is asked."""


async def stands(seed: Seed, run: dict[str, Any], type: str, *, name: str = "", **more: Any) -> None:
    state = {"type": type, "name": name or type.capitalize(), **more}
    await seed.post(f"flow_runs/{run['id']}/set_state", {"state": state, "force": True})


# -- PENDING --


async def test_a_pending_run_whose_worker_is_gone(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    await seed.worker(pool, name="gone", interval=0)
    run = await seed.run(await seed.deployment(pool=pool))
    await taken_by(seed, run, "gone")
    await stands(seed, run, "PENDING", name="InfrastructurePending")
    found = await why(prefect, run, minutes=LATER)
    assert kinds(found) == ["pending_worker_lost"]
    assert "is PENDING (InfrastructurePending) for 10 min" in found.verdict
    assert f"Its worker 'gone' in work pool '{pool}' is OFFLINE" in found.verdict
    assert found.causes[0].action is not None
    assert found.causes[0].action.command == f"cancel {run['id']}"


async def test_a_pending_run_in_a_pool_without_any_worker(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    run = await seed.run(await seed.deployment(pool=pool))
    await stands(seed, run, "PENDING")
    found = await why(prefect, run, minutes=LATER)
    assert kinds(found) == ["pending_worker_lost"]
    assert f"Nobody is there to start it: work pool '{pool}' has no worker" in found.verdict


async def test_a_pending_run_of_a_living_worker_likely_waits_for_its_infrastructure(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed, type="kubernetes")
    run = await seed.run(await seed.deployment(pool=pool))
    await taken_by(seed, run, "worker-1")
    await stands(seed, run, "PENDING", name="InfrastructurePending")
    found = await why(prefect, run, minutes=LATER)
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("infrastructure_pending", "likely")]
    assert "image" in found.verdict
    assert "quota" in found.verdict
    assert "kubectl describe" in found.causes[0].fix


async def test_a_run_that_is_just_pending_is_being_started(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await seed.run(await seed.deployment(pool=pool))
    await seed.state(run, "PENDING")
    found = await why(prefect, run)
    assert kinds(found) == []
    assert "It is being started" in found.verdict


# -- RUNNING --


async def test_a_run_whose_process_ended_is_a_zombie(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await holding(seed, await seed.deployment(pool=pool))
    await taken_by(seed, run, "worker-1")
    await process_ended(seed, run, "worker-1")
    found = await why(prefect, run)
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("zombie", "certain")]
    assert "It is a zombie: worker 'worker-1' saw its process end" in found.verdict


async def left_by_its_worker(seed: Seed) -> dict[str, Any]:
    """A run in progress whose worker went away and took nothing with it."""
    pool = await a_pool_at_work(seed)
    await seed.worker(pool, name="gone", interval=0)
    run = await seed.run(await seed.deployment(pool=pool))
    await taken_by(seed, run, "gone")
    await stands(seed, run, "RUNNING")
    return run


async def test_a_run_that_is_silent_since_its_worker_went_offline_is_likely_a_zombie(
    prefect: PrefectClient, seed: Seed
) -> None:
    run = await left_by_its_worker(seed)
    found = await why(prefect, run, minutes=LATER)
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("zombie", "likely")]
    assert "its worker 'gone'" in found.verdict
    assert "OFFLINE" in found.verdict


async def test_a_run_that_still_logs_lives_although_its_worker_is_offline(
    prefect: PrefectClient, seed: Seed
) -> None:
    """A container goes on when the worker that started it is gone."""
    run = await left_by_its_worker(seed)
    line = {"flow_run_id": run["id"], "level": 20, "name": "prefect.flow_runs", "message": "loaded 40 rows"}
    lately = datetime.now(UTC) + timedelta(minutes=LATER)
    await seed.post("logs/", [{**line, "timestamp": lately.isoformat()}])
    found = await why(prefect, run, minutes=LATER)
    assert kinds(found) == []
    assert "Nothing wrong is to be seen" in found.verdict


async def test_heartbeats_that_stop_make_a_likely_zombie(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await seed.run(await seed.deployment(pool=pool))
    await stands(seed, run, "RUNNING")
    resource = {"prefect.resource.id": f"prefect.flow-run.{run['id']}", "prefect.resource.name": run["name"]}
    await told(seed, "prefect.flow-run.heartbeat", resource, ago=-30)
    await told(seed, "prefect.flow-run.heartbeat", resource, ago=-60)
    found = await why(prefect, run, minutes=LATER)
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("zombie", "likely")]
    assert "its heartbeat came every 30 s and stopped at" in found.verdict


async def test_a_task_that_waits_for_its_tag_names_limit_tag_and_holder(
    prefect: PrefectClient, seed: Seed
) -> None:
    tag = unique("database")
    await seed.post("concurrency_limits/", {"tag": tag, "concurrency_limit": 1})
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool)
    holder, waiting = await holding(seed, deployment), await holding(seed, deployment)
    task = {"task_key": "write", "dynamic_key": "0", "tags": [tag]}
    held = await seed.post("task_runs/", {**task, "flow_run_id": holder["id"], "name": "write-a"})
    await seed.post("concurrency_limits/increment", {"names": [tag], "task_run_id": held["id"]})
    pending = {"type": "PENDING", "name": "Pending"}
    more = {"flow_run_id": waiting["id"], "name": "write-b", "state": pending}
    await seed.post("task_runs/", {**task, **more})
    found = await why(prefect, waiting, minutes=3)
    assert kinds(found) == ["tag_concurrency"]
    assert "Its task run is PENDING: 'write-b' has waited" in found.verdict
    assert (
        f"tag '{tag}' has concurrency limit 1, with 1 of 1 slots in use, held by '{holder['name']}'"
        in said(found)
    )
    assert f"tag:{tag}" in found.causes[0].fix


async def test_a_global_limit_is_blamed_where_the_flow_uses_it_and_only_mentioned_elsewhere(
    prefect: PrefectClient, seed: Seed
) -> None:
    name = unique("warehouse")
    limit = await seed.limit(name, 1)
    await seed.post("v2/concurrency_limits/increment", {"names": [name], "slots": 1})
    pool = await a_pool_at_work(seed)
    flow = await seed.flow()
    deployment = await seed.deployment(pool=pool, flow=flow)
    holder, waiting = await holding(seed, deployment), await holding(seed, deployment)
    other = await holding(seed, await seed.deployment(pool=pool))
    resource = {
        "prefect.resource.id": f"prefect.concurrency-limit.{limit['id']}",
        "prefect.resource.name": name,
    }
    of = [named("flow-run", "flow-run", holder), named("flow", "flow", flow)]
    await told(seed, "prefect.concurrency-limit.acquired", resource, *of)
    found = await why(prefect, waiting, minutes=1)
    assert [(cause.kind, cause.certainty) for cause in found.causes] == [("global_concurrency", "likely")]
    assert f"global concurrency limit '{name}': limit 1, 1 of 1 slots in use" in found.verdict
    assert holder["name"] in found.verdict
    elsewhere = await why(prefect, other, minutes=1)
    assert kinds(elsewhere) == []
    assert name in elsewhere.worth_knowing[0]
    assert name not in elsewhere.verdict


async def test_a_run_waits_for_a_subflow_that_is_late_itself(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    parent = await holding(seed, await seed.deployment(pool=pool))
    task = await seed.post(
        "task_runs/", {"task_key": "child", "dynamic_key": "0", "flow_run_id": parent["id"], "name": "child"}
    )
    child = await seed.run(await seed.deployment(), late_by=300, parent_task_run_id=task["id"])
    found = await why(prefect, parent)
    assert kinds(found) == ["waits_for_subflow"]
    assert f"It waits for its subflow run '{child['name']}'" in found.verdict


async def test_a_healthy_running_run_is_said_to_be_so(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await holding(seed, await seed.deployment(pool=pool))
    found = await why(prefect, run)
    assert kinds(found) == []
    assert "is RUNNING for" in found.verdict
    assert "Nothing wrong is to be seen" in found.verdict


# -- between two attempts --


async def test_a_run_that_waits_for_its_retry_is_not_stuck(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await seed.run(await seed.deployment(pool=pool))
    await taken_by(seed, run, "worker-1")
    policy = {"retries": 3, "retry_delay": 1800, "retry_type": "in_process"}
    await seed.patch(f"flow_runs/{run['id']}", {"empirical_policy": policy})
    due = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    message = "Flow run encountered an exception: RuntimeError: upstream API returned 503"
    await stands(
        seed,
        run,
        "SCHEDULED",
        name="AwaitingRetry",
        message=message,
        state_details={"scheduled_time": due},
    )
    found = await why(prefect, run)
    assert kinds(found) == ["retry_pending"]
    for word in ("AwaitingRetry", "RuntimeError: upstream API returned 503", "3 retries", "nothing is stuck"):
        assert word in found.verdict


async def test_a_retry_that_its_dead_process_was_to_do_never_comes(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    await seed.worker(pool, name="gone", interval=0)
    run = await seed.run(await seed.deployment(pool=pool))
    await taken_by(seed, run, "gone")
    await seed.patch(
        f"flow_runs/{run['id']}", {"empirical_policy": {"retries": 1, "retry_type": "in_process"}}
    )
    await stands(seed, run, "SCHEDULED", name="AwaitingRetry")
    found = await why(prefect, run, minutes=LATER)
    assert kinds(found) == ["retry_process_gone"]
    assert "'gone'" in found.verdict


async def test_a_run_that_was_taken_ahead_of_its_time_is_not_stuck(
    prefect: PrefectClient, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(pool=await a_pool_at_work(seed)), due_in=7200)
    await taken_by(seed, run, "worker-1")
    await stands(seed, run, "PENDING")
    found = await why(prefect, run, minutes=LATER)
    assert kinds(found) == []
    assert "took it ahead of its time; it is due 20" in found.verdict


# -- PAUSED and CANCELLING --


async def test_a_suspended_run_names_the_automation_that_did_it(prefect: PrefectClient, seed: Seed) -> None:
    name = unique("brake")
    automation = await seed.post(
        "automations/",
        {
            "name": name,
            "trigger": {
                "type": "event",
                "posture": "Reactive",
                "expect": ["never.happens"],
                "threshold": 1,
                "within": 0,
            },
            "actions": [{"type": "suspend-flow-run"}],
        },
    )
    run = await holding(seed, await seed.deployment(pool=await a_pool_at_work(seed)))
    await stands(
        seed,
        run,
        "PAUSED",
        name="Suspended",
        message=f"Suspended by Automation {automation['id']}",
    )
    found = await why(prefect, run)
    assert kinds(found) == ["suspended_by_automation"]
    assert f"the automation '{name}' suspended it" in found.verdict
    assert f"change the automation '{name}'" in found.causes[0].fix


async def test_a_run_that_waits_for_input_says_who_has_to_act(prefect: PrefectClient, seed: Seed) -> None:
    run = await holding(seed, await seed.deployment(pool=await a_pool_at_work(seed)))
    details = {"run_input_keyset": {"schema": "s", "response": "r", "description": "d"}}
    await stands(seed, run, "PAUSED", name="Paused", state_details=details)
    found = await why(prefect, run)
    assert kinds(found) == ["waits_for_input"]
    assert "waits for a person's input" in found.verdict


async def test_a_paused_run_of_which_nobody_is_known(prefect: PrefectClient, seed: Seed) -> None:
    run = await holding(seed, await seed.deployment(pool=await a_pool_at_work(seed)))
    await stands(seed, run, "PAUSED", name="Suspended")
    found = await why(prefect, run)
    assert kinds(found) == ["suspended"]
    assert "so its code or a person" in found.verdict


async def test_a_cancellation_that_nobody_carries_out(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    await seed.worker(pool, name="gone", interval=0)
    run = await holding(seed, await seed.deployment(pool=pool))
    await taken_by(seed, run, "gone")
    await stands(seed, run, "CANCELLING")
    found = await why(prefect, run, minutes=2)
    assert kinds(found) == ["stuck_cancelling"]
    assert "Its worker 'gone'" in found.verdict
    assert "nobody ends its process" in found.verdict
    assert "The server itself writes Cancelled at about" in found.verdict


async def test_a_cancellation_that_has_just_begun_is_fine(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await holding(seed, await seed.deployment(pool=pool))
    await taken_by(seed, run, "worker-1")
    await seed.state(run, "CANCELLING")
    found = await why(prefect, run)
    assert kinds(found) == []
    assert "Its worker is there" in found.verdict


# -- ended well --


async def test_a_completed_run_tells_when_and_what_it_made(prefect: PrefectClient, seed: Seed) -> None:
    run = await holding(seed, await seed.deployment(pool=await a_pool_at_work(seed)))
    key = unique("report")
    await seed.post(
        "artifacts/", {"key": key, "type": "markdown", "data": "# rows", "flow_run_id": run["id"]}
    )
    await seed.state(run, "COMPLETED")

    async def there() -> bool:
        return key in (await why(prefect, run)).verdict

    await until(there)
    found = await why(prefect, run)
    assert kinds(found) == []
    assert f"'{run['name']}'" in found.verdict
    assert "COMPLETED" in found.verdict
    assert f"It made 1 artifact: {key}." in found.verdict


async def test_messages_are_free_of_secrets(prefect: PrefectClient, seed: Seed) -> None:
    run = await holding(seed, await seed.deployment(pool=await a_pool_at_work(seed)))
    secret = "postgresql://etl:hunter2hunter2@db/prod"
    await stands(seed, run, "PAUSED", name="Suspended", message=f"cannot reach {secret}")
    found = await why(prefect, run)
    assert "cannot reach" in said(found)
    assert "hunter2" not in said(found)
    assert "hunter2" not in str(proof(found.causes[0]))
