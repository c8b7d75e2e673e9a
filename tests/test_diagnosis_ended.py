"""Why runs ended, where the state or the log tells it in words of Prefect's own."""

from typing import Any

from tests.diagnosing import a_pool_at_work, holding, kinds, why
from tests.prefect_seed import Seed
from tools.prefect_client import PrefectClient

RETURNED = """Engine execution exited with unexpected exception
Traceback (most recent call last):
  File "/venv/lib/python3.12/site-packages/prefect/flow_engine.py", line 2268, in run_flow
    ret_val = run_flow_sync(**kwargs)
  File "/venv/lib/python3.12/site-packages/prefect/states.py", line 175, in _get_state_result
    raise await get_state_exception(state)
prefect.exceptions.FailedRun: quality gate: 17 of 420 rows rejected
"""


async def ended(seed: Seed, type: str, message: str) -> dict[str, Any]:
    run = await holding(seed, await seed.deployment(pool=await a_pool_at_work(seed)))
    await seed.state(run, type, message=message)
    return run


async def test_a_flow_that_returned_a_failed_state_raised_nothing(prefect: PrefectClient, seed: Seed) -> None:
    run = await ended(seed, "FAILED", "quality gate: 17 of 420 rows rejected")
    await seed.logs(run, [(40, RETURNED)])
    found = await why(prefect, run)
    assert kinds(found) == ["state_returned"]
    assert "returned a Failed state: quality gate: 17 of 420 rows rejected." in found.verdict
    assert "FailedRun" not in found.verdict


async def test_what_the_runtime_cancelled_was_stopped_from_outside(
    prefect: PrefectClient, seed: Seed
) -> None:
    run = await ended(seed, "CRASHED", "Execution was cancelled by the runtime environment.")
    found = await why(prefect, run)
    assert kinds(found) == ["terminated"]
    assert "cancelled by the runtime environment" in found.verdict


async def test_the_reason_of_a_cancellation_is_told_once(prefect: PrefectClient, seed: Seed) -> None:
    run = await ended(seed, "CANCELLED", "stopped by ops (ticket 4711)")
    found = await why(prefect, run)
    assert kinds(found) == ["cancelled"]
    assert found.verdict.count("ticket 4711") == 1


async def test_a_run_of_a_process_pool_has_its_output_on_the_worker(
    prefect: PrefectClient, seed: Seed
) -> None:
    run = await ended(seed, "CRASHED", "Flow run could not start: no such user")
    found = await why(prefect, run)
    assert kinds(found) == ["could_not_start"]
    assert "container" not in found.causes[0].fix.partition("The whole error")[2]


async def test_more_slots_than_a_limit_has_are_a_matter_of_the_limit_and_not_of_the_code(
    prefect: PrefectClient, seed: Seed
) -> None:
    refused = (
        "Flow run encountered an exception: ConcurrencySlotAcquisitionError: Unable to acquire concurrency slots "
        "on ['tag:night shift']: 422 Unprocessable Entity: Slots requested is greater than the limit"
    )
    found = await why(prefect, await ended(seed, "FAILED", refused))
    assert kinds(found) == ["limit_too_small"]
    assert "than the concurrency limit of tag 'night shift' has" in found.verdict
    assert "prefect gcl update 'tag:night shift' --limit N" in found.causes[0].fix


async def test_a_memory_error_is_told_with_the_memory_that_the_run_was_given(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await a_pool_at_work(seed), job_variables={"mem_limit": "512m"})
    run = await holding(seed, deployment)
    message = "Flow run encountered an exception: _ArrayMemoryError: Unable to allocate 42.0 GiB for an array"
    await seed.state(run, "FAILED", message=message)
    found = await why(prefect, run)
    assert kinds(found) == ["memory_error"]
    assert "Unable to allocate 42.0 GiB" in found.verdict
    assert "mem_limit = 512m" in found.verdict
    assert found.causes[0].fix.startswith("Raise mem_limit")


async def test_a_flow_run_that_it_had_started_and_that_failed_is_named(
    prefect: PrefectClient, seed: Seed
) -> None:
    run, child = [
        await holding(seed, await seed.deployment(pool=await a_pool_at_work(seed))) for _ in range(2)
    ]
    task = {"flow_run_id": run["id"], "task_key": "child", "dynamic_key": "0", "name": "child-0"}
    details = {"flow_run_id": run["id"], "child_flow_run_id": child["id"]}
    await seed.post(
        "task_runs/", {**task, "state": {"type": "FAILED", "name": "Failed", "state_details": details}}
    )
    await seed.state(
        run, "FAILED", message="Flow run encountered an exception: RuntimeError: the child failed"
    )
    found = await why(prefect, run)
    assert f"a flow run that it had started failed: ask `why {child['id']}`" in found.verdict


async def test_a_run_that_was_crashed_for_want_of_heartbeats_ended_without_a_word(
    prefect: PrefectClient, seed: Seed
) -> None:
    run = await ended(seed, "CRASHED", "Flow run marked as crashed due to missing heartbeats.")
    found = await why(prefect, run)
    assert kinds(found) == ["heartbeats_stopped"]
    assert "stopped sending heartbeats" in found.verdict
