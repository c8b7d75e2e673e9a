"""Running the same runs again on a real server: what is offered, refused, and done once confirmed."""

from typing import Any

import pytest

from knowledge.errors import BadInput
from tests.acting import facts
from tests.fakes.prefect import SILENCE, Answer, scripted_prefect
from tests.prefect_seed import Seed, unique
from tests.prefect_server import connection_to
from tools.errors import Changed, NotFound
from tools.prefect_client import PrefectClient
from tools.proposal import Affected, Proposal
from tools.retry import RetryRun

ENDED = ("FAILED", "CRASHED", "CANCELLED")


@pytest.fixture
def retry(prefect: PrefectClient) -> RetryRun:
    return RetryRun(prefect)


async def ended_run(
    seed: Seed, row: dict[str, Any], state: str = "FAILED", message: str = "", **more: Any
) -> dict[str, Any]:
    run = await seed.run(row, **more)
    await seed.state(run, state, message=message)
    return run


async def state_of(seed: Seed, run: dict[str, Any]) -> str:
    return str((await seed.get(f"flow_runs/{run['id']}"))["state_name"])


async def confirmed(retry: RetryRun, *runs: dict[str, Any]) -> Proposal:
    proposal = await retry.retry_run(flow_runs=tuple(run["id"] for run in runs))
    await retry.recheck(proposal)
    return proposal


# -- the proposal --


async def test_a_card_says_what_runs_again_and_who_would_take_it(retry: RetryRun, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="box-7")
    await seed.poll(pool, "default")
    row = await seed.deployment(pool=pool, tags=["prod"])
    run = await ended_run(
        seed, row, message="ValueError: no rows", parameters={"rows": 5, "api_token": "hunter2"}
    )
    proposal = await retry.retry_run(run["name"])
    assert proposal.title == f"Retry {run['name']} of {row['full_name']}"
    shown = facts(proposal)
    assert shown[run["name"]].startswith(f"Failed, of {row['full_name']}, ended 20")
    del shown[run["name"]]
    assert shown == {
        "Ended with": "ValueError: no rows",
        "Attempts so far": "0",
        "Code": "the deployment's present code (flows.py:main)",
        "Parameter rows": "5",
        "Parameter api_token": "[secret hidden: token]",
        "Taken by": f"work pool {pool} (process), queue default; workers online: box-7",
    }
    assert proposal.affected == (Affected(deployment=row["full_name"], tags=("prod",), work_pool=pool),)
    assert proposal.target_url.endswith(run["id"])


async def test_proposing_changes_nothing(retry: RetryRun, seed: Seed) -> None:
    run = await ended_run(seed, await seed.deployment())
    await retry.retry_run(run["id"])
    assert await state_of(seed, run) == "Failed"


async def test_that_nobody_is_there_to_take_it_is_warned_of(retry: RetryRun, seed: Seed) -> None:
    run = await ended_run(seed, await seed.deployment(pool=await seed.pool()))
    assert "No worker is known" in facts(await retry.retry_run(run["id"]))["Warning"]
    alone = await ended_run(seed, await seed.deployment())
    assert "no serve process has asked" in facts(await retry.retry_run(alone["id"]))["Warning"]


async def test_a_serve_process_is_named_as_what_takes_it(retry: RetryRun, seed: Seed) -> None:
    row = await seed.deployment()
    await seed.serve(row)
    shown = facts(await retry.retry_run((await ended_run(seed, row))["id"]))
    assert shown["Taken by"] == f"the serve process of {row['full_name']}"
    assert "Warning" not in shown


async def test_it_goes_back_to_the_pool_that_it_had(retry: RetryRun, seed: Seed) -> None:
    old, new = await seed.pool(), await seed.pool()
    await seed.worker(old)
    await seed.poll(old, "default")
    row = await seed.deployment(pool=old)
    run = await ended_run(seed, row)
    await seed.patch(f"deployments/{row['id']}", {"work_pool_name": new})
    proposal = await retry.retry_run(run["id"])
    assert f"back to the work pool {old}, and the deployment is in {new}" in facts(proposal)["Warning"]
    assert proposal.affected[0].work_pool == old


async def test_parameters_that_the_present_code_does_not_take_are_warned_of(
    retry: RetryRun, seed: Seed
) -> None:
    row = await seed.deployment()
    await seed.serve(row)
    run = await ended_run(seed, row, parameters={"old": 1})
    schema = {"type": "object", "properties": {"rows": {"type": "integer"}}}
    await seed.patch(f"deployments/{row['id']}", {"parameter_openapi_schema": schema})
    assert "no parameter 'old'" in facts(await retry.retry_run(run["id"]))["Warning"]


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"])
async def test_what_has_not_ended_is_not_retried(retry: RetryRun, seed: Seed, state: str) -> None:
    run = await ended_run(seed, await seed.deployment(), "RUNNING")
    await seed.state(run, state)
    with pytest.raises(BadInput, match=f"{run['name']} has not ended"):
        await retry.retry_run(run["id"])


async def test_what_waits_to_be_retried_is_said_to(retry: RetryRun, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await seed.state(run, "SCHEDULED", "AwaitingRetry")
    with pytest.raises(BadInput, match="waiting to be run again already"):
        await retry.retry_run(run["id"])


async def test_a_completed_run_is_retried_only_where_no_result_is_kept(retry: RetryRun, seed: Seed) -> None:
    row = await seed.deployment()
    await seed.serve(row)
    without, kept = await ended_run(seed, row, "COMPLETED"), await seed.run(row)
    state = {"type": "COMPLETED", "data": {"type": "reference", "storage_key": "x"}}
    await seed.post(f"flow_runs/{kept['id']}/set_state", {"state": state, "force": True})
    assert "does its work a second time" in facts(await retry.retry_run(without["id"]))["Warning"]
    with pytest.raises(BadInput, match="its result is stored") as caught:
        await retry.retry_run(kept["id"])
    assert f"rerun {kept['name']}" in caught.value.fix


async def test_a_run_without_deployment_is_refused_with_the_way_out(retry: RetryRun, seed: Seed) -> None:
    flow = await seed.flow()
    alone = await seed.post("flow_runs/", {"flow_id": flow["id"], "name": unique("script")})
    await seed.state(alone, "FAILED")
    with pytest.raises(BadInput, match="started without a deployment") as caught:
        await retry.retry_run(alone["id"])
    assert "Call the flow again" in caught.value.fix
    row = await seed.deployment(flow=flow)
    with pytest.raises(BadInput) as caught:
        await retry.retry_run(alone["id"])
    assert row["full_name"] in caught.value.fix
    orphan = await ended_run(seed, row)
    await seed.delete(f"deployments/{row['id']}")
    with pytest.raises(BadInput, match=f"deployment of {orphan['name']} has been deleted"):
        await retry.retry_run(orphan["id"])


async def test_several_are_counted_and_sampled(retry: RetryRun, seed: Seed) -> None:
    row = await seed.deployment(pool=await seed.pool())
    runs = [await ended_run(seed, row) for _ in range(11)]
    crashed, done = await ended_run(seed, row, "CRASHED"), await seed.run(row)
    proposal = await retry.retry_run(
        crashed["name"], flow_runs=tuple(run["id"] for run in (*runs, done, crashed))
    )
    assert proposal.title == "Retry 12 flow runs"
    shown = facts(proposal)
    assert shown["Runs"] == "12: 11 Failed, 1 Crashed"
    assert shown["And"] == "2 more"
    assert shown["Parameters"] == "those that each run had"
    assert shown["Left alone"] == f"{done['name']} has not ended: it is Scheduled"
    assert len(proposal.affected) == 1


async def test_when_none_can_be_retried_each_reason_is_told(retry: RetryRun, seed: Seed) -> None:
    row = await seed.deployment()
    runs = [await seed.run(row), await seed.run(row)]
    with pytest.raises(BadInput, match="None of these 2 runs") as caught:
        await retry.retry_run(flow_runs=tuple(run["id"] for run in runs))
    assert all(run["name"] in caught.value.message for run in runs)


async def test_no_more_than_fifty_are_retried_at_once(retry: RetryRun) -> None:
    with pytest.raises(BadInput, match="51 runs, and no more than 50"):
        await retry.retry_run("one-more", flow_runs=tuple(f"run-{n}" for n in range(50)))


async def test_a_run_has_to_be_named_and_to_be_there(retry: RetryRun) -> None:
    with pytest.raises(BadInput, match="No flow run to retry was named"):
        await retry.retry_run()
    with pytest.raises(NotFound):
        await retry.retry_run(unique("nobody"))


# -- after the confirmation --


@pytest.mark.parametrize("state", ENDED)
async def test_a_confirmed_retry_makes_the_same_run_wait_to_run_again(
    retry: RetryRun, seed: Seed, state: str
) -> None:
    run = await ended_run(seed, await seed.deployment(pool=await seed.pool()), state)
    proposal = await confirmed(retry, run)
    receipt = await retry.perform(proposal, key="card", actor="U42")
    assert (receipt.ok, receipt.text) == (True, f"To be run again: {run['name']}.")
    assert receipt.flow_run_ids == (run["id"],)
    after = await seed.get(f"flow_runs/{run['id']}")
    assert after["state_name"] == "AwaitingRetry"
    assert after["state"]["message"] == "Retried by U42 through ask-marvin."


async def test_performing_twice_retries_once(retry: RetryRun, seed: Seed) -> None:
    run = await ended_run(seed, await seed.deployment())
    proposal = await confirmed(retry, run)
    first = await retry.perform(proposal, key="card", actor="U42")
    second = await retry.perform(proposal, key="card", actor="U42")
    assert first == second
    states = await seed.get(f"flow_run_states/?flow_run_id={run['id']}")
    assert [state["name"] for state in states].count("AwaitingRetry") == 1


async def test_a_second_failure_is_not_retried_by_the_first_card(retry: RetryRun, seed: Seed) -> None:
    run = await ended_run(seed, await seed.deployment())
    proposal = await confirmed(retry, run)
    await retry.perform(proposal, key="card", actor="U42")
    await seed.state(run, "FAILED")
    again = await retry.perform(proposal, key="card", actor="U42")
    assert not again.ok
    assert (
        again.text == f"Left alone, as it has moved on since the card was made: {run['name']} (it is Failed)."
    )
    assert await state_of(seed, run) == "Failed"


async def test_a_run_that_moved_on_refuses_the_click(retry: RetryRun, seed: Seed) -> None:
    row = await seed.deployment()
    steady, moved = await ended_run(seed, row), await ended_run(seed, row)
    proposal = await confirmed(retry, steady, moved)
    await seed.state(moved, "RUNNING")
    with pytest.raises(Changed, match=f"{moved['name']} is now Running") as caught:
        await retry.recheck(proposal)
    assert steady["name"] not in caught.value.message
    await seed.state(moved, "FAILED")
    with pytest.raises(Changed, match=f"{moved['name']} is now Failed"):
        await retry.recheck(proposal)
    await seed.delete(f"flow_runs/{moved['id']}")
    with pytest.raises(Changed, match=f"{moved['name']} has been deleted"):
        await retry.recheck(proposal)


async def test_other_code_than_on_the_card_refuses_the_click(retry: RetryRun, seed: Seed) -> None:
    row = await seed.deployment()
    proposal = await confirmed(retry, await ended_run(seed, row))
    await seed.patch(f"deployments/{row['id']}", {"entrypoint": "other.py:main"})
    with pytest.raises(Changed, match=rf"{row['full_name']} has been changed \(entrypoint\)"):
        await retry.recheck(proposal)
    await seed.delete(f"deployments/{row['id']}")
    with pytest.raises(Changed, match="its deployment has been deleted"):
        await retry.recheck(proposal)


async def test_of_several_the_one_that_moved_on_is_left_alone(retry: RetryRun, seed: Seed) -> None:
    row = await seed.deployment()
    steady, moved = await ended_run(seed, row), await ended_run(seed, row)
    proposal = await confirmed(retry, steady, moved)
    await seed.state(moved, "COMPLETED")
    receipt = await retry.perform(proposal, key="card", actor="U42")
    assert (receipt.ok, receipt.short) == (False, "partly")
    assert receipt.flow_run_ids == (steady["id"],)
    assert f"To be run again: {steady['name']}." in receipt.text
    assert f"{moved['name']} (it is Completed)" in receipt.text


ID = "0b5dd8de-4a3f-4a0e-9f0e-2d6a1f6f3a11"
SINCE = "2026-11-22T10:00:00+00:00"
CONFIRMED = Proposal(
    action="retry_run",
    title="",
    target="",
    arguments={"runs": [{"id": ID, "name": "otter", "deployment_id": "", "since": SINCE}]},
)


def run_in(state: str, since: str = SINCE, message: str = "") -> Answer:
    state_body = {"type": state, "name": state.capitalize(), "timestamp": since, "message": message}
    return Answer(body={"id": ID, "name": "otter", "flow_id": "f", "state": state_body})


async def test_after_an_answer_was_lost_the_run_is_looked_at_again() -> None:
    taken = run_in("PENDING", since="2026-11-22T10:00:09+00:00")
    async with (
        scripted_prefect(run_in("FAILED"), SILENCE, taken) as fake,
        PrefectClient(connection_to(fake.url)) as client,
    ):
        receipt = await RetryRun(client).perform(CONFIRMED, key="card", actor="U42")
    assert (receipt.ok, receipt.text) == (True, "To be run again: otter.")
    assert sum(request.path.endswith("set_state") for request in fake.requests) == 1


async def test_a_lost_request_is_made_again() -> None:
    accepted = Answer(201, {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "status": "ACCEPT"})
    answers = (run_in("FAILED"), SILENCE, run_in("FAILED"), accepted)
    async with scripted_prefect(*answers) as fake, PrefectClient(connection_to(fake.url)) as client:
        receipt = await RetryRun(client).perform(CONFIRMED, key="card", actor="U42")
    assert receipt.ok
    assert sum(request.path.endswith("set_state") for request in fake.requests) == 2


async def test_what_prefect_will_not_retry_is_told_with_the_reason() -> None:
    refused = Answer(
        200, {"state": {"type": "FAILED"}, "status": "ABORT", "details": {"reason": "No deployment."}}
    )
    async with (
        scripted_prefect(run_in("FAILED"), refused) as fake,
        PrefectClient(connection_to(fake.url)) as client,
    ):
        receipt = await RetryRun(client).perform(CONFIRMED, key="card", actor="U42")
    assert (receipt.ok, receipt.text) == (False, "Not to be run again: otter (No deployment.).")
