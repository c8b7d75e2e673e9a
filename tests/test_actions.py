"""Starting and cancelling runs on a real server: what is proposed, refused, and done once confirmed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from knowledge.errors import BadInput
from tests.acting import facts, typed
from tests.fakes.prefect import SILENCE, Answer, scripted_prefect
from tests.prefect_seed import Seed, unique
from tests.prefect_server import connection_to
from tools.cancel import CancelRuns
from tools.errors import Ambiguous, Changed, NotFound
from tools.prefect_client import PrefectClient
from tools.proposal import Proposal
from tools.trigger import TriggerRun, typed_parameters
from tools.when import in_zone


@pytest.fixture
def trigger(prefect: PrefectClient) -> TriggerRun:
    return TriggerRun(prefect)


@pytest.fixture
def cancel(prefect: PrefectClient) -> CancelRuns:
    return CancelRuns(prefect)


async def test_a_time_that_passed_while_the_card_was_open_starts_nothing(
    trigger: TriggerRun, seed: Seed
) -> None:
    row = await seed.deployment()
    proposal = await trigger.trigger_run(row["full_name"], scheduled_time="in 2 h")
    await trigger.recheck(proposal)
    passed = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    late = proposal.model_copy(update={"arguments": {**proposal.arguments, "scheduled_time": passed}})
    with pytest.raises(Changed, match="has passed"):
        await trigger.recheck(late)


# -- trigger_run: the proposal --


async def test_a_proposal_shows_every_parameter_and_where_it_will_run(
    trigger: TriggerRun, seed: Seed
) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="box-7")
    await seed.poll(pool, "default")
    row = await typed(seed, pool=pool)
    proposal = await trigger.trigger_run(row["name"], parameters={"rows": 5, "api_token": "abc"}, tags=("x",))
    assert proposal.title == f"Start a run of {row['full_name']}"
    assert proposal.target_url.endswith(row["id"])
    assert facts(proposal) == {
        "Deployment": row["full_name"],
        "Parameter rows": "5",
        "Parameter mode": "fast (default)",
        "Parameter api_token": "[secret hidden: token]",
        "When": "now",
        "Tags": "x",
        "Runs in": f"work pool {pool} (process), queue default; workers online: box-7",
    }
    assert proposal.arguments["parameters"] == {"rows": 5, "api_token": "abc"}


async def test_proposing_starts_nothing(trigger: TriggerRun, seed: Seed, prefect: PrefectClient) -> None:
    row = await typed(seed)
    await trigger.trigger_run(row["full_name"])
    assert await prefect.count_flow_runs({"deployments": {"id": {"any_": [row["id"]]}}}) == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param({"parameters": {"rows": "many"}}, "is not a whole number", id="type"),
        pytest.param({"parameters": {"row": 1}}, "no parameter 'row'", id="unknown"),
        pytest.param({"parameters": {"rows": {"__prefect_kind": "json"}}}, "__prefect_kind", id="kind"),
        pytest.param({"scheduled_time": "2030-01-01T08:00:00"}, "no time zone", id="zone"),
        pytest.param({"scheduled_time": "2020-01-01T08:00:00Z"}, "has passed", id="past"),
        pytest.param({"scheduled_time": "soon"}, "is not a time", id="no-time"),
        pytest.param({"job_variables": {"image": "x"}}, "need a work pool", id="no-pool"),
    ],
)
async def test_what_cannot_run_is_refused_before_anybody_is_asked(
    trigger: TriggerRun, seed: Seed, given: dict[str, Any], sentence: str
) -> None:
    row = await typed(seed)
    with pytest.raises(BadInput, match=sentence):
        await trigger.trigger_run(row["full_name"], **given)


async def test_a_name_that_fits_several_is_asked_back(trigger: TriggerRun, seed: Seed) -> None:
    name = unique("both")
    rows = [await seed.deployment(name=name) for _ in range(2)]
    with pytest.raises(Ambiguous) as caught:
        await trigger.trigger_run(name)
    assert set(caught.value.choices) == {row["full_name"] for row in rows}


@pytest.mark.parametrize(
    ("pool", "deployment", "warning"),
    [
        pytest.param({}, {}, "No worker is known", id="no-worker"),
        pytest.param({"is_paused": True}, {}, "pool is paused", id="paused-pool"),
        pytest.param({}, {"paused": True}, "deployment is paused", id="paused-deployment"),
        pytest.param({"type": "prefect-agent"}, {}, "Nothing can run this pool", id="legacy"),
    ],
)
async def test_a_run_that_would_not_start_is_warned_of(
    trigger: TriggerRun, seed: Seed, pool: dict[str, Any], deployment: dict[str, Any], warning: str
) -> None:
    row = await typed(seed, pool=await seed.pool(**pool), **deployment)
    assert warning in facts(await trigger.trigger_run(row["full_name"]))["Warning"]


async def test_words_typed_in_a_command_become_typed_values(prefect: PrefectClient, seed: Seed) -> None:
    row = await typed(seed)
    words = {"rows": "5", "mode": "5"}
    assert await typed_parameters(prefect, row["full_name"], words) == {"rows": 5, "mode": "5"}


# -- trigger_run: after the confirmation --


async def test_a_confirmed_proposal_starts_exactly_the_run_that_was_shown(
    trigger: TriggerRun, seed: Seed
) -> None:
    row = await typed(seed, tags=["own"])
    name = unique("by-hand")
    proposal = await trigger.trigger_run(row["full_name"], parameters={"rows": 5}, run_name=name, tags=("x",))
    await trigger.recheck(proposal)
    receipt = await trigger.perform(proposal, key=unique("card"), actor="U42")
    assert receipt.ok
    assert receipt.text == f"Started {row['full_name']} as run {name}."
    run = await seed.get(f"flow_runs/{receipt.flow_run_ids[0]}")
    assert (run["deployment_id"], run["parameters"]["rows"]) == (row["id"], 5)
    assert set(run["tags"]) == {"own", "x"}
    assert run["labels"]["slack.user"] == "U42"
    assert receipt.url.endswith(run["id"])


async def test_a_run_for_later_keeps_its_time(trigger: TriggerRun, seed: Seed) -> None:
    row = await typed(seed)
    due = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    proposal = await trigger.trigger_run(row["full_name"], scheduled_time=due.isoformat())
    receipt = await trigger.perform(proposal, key=unique("card"), actor="U42")
    when = in_zone(due, None)
    assert proposal.title == f"Start a run of {row['full_name']} at {when}"
    assert receipt.text.startswith(f"Scheduled {row['full_name']} for {when} as run ")
    run = await seed.get(f"flow_runs/{receipt.flow_run_ids[0]}")
    assert datetime.fromisoformat(run["expected_start_time"]) == due


async def test_confirming_twice_starts_one_run(trigger: TriggerRun, seed: Seed) -> None:
    row = await typed(seed)
    proposal, key = await trigger.trigger_run(row["full_name"]), unique("card")
    first = await trigger.perform(proposal, key=key, actor="U42")
    second = await trigger.perform(proposal, key=key, actor="U42")
    assert first.flow_run_ids == second.flow_run_ids
    assert "had already been started" in second.text


async def test_a_key_that_another_deployment_has_used_starts_nothing(trigger: TriggerRun, seed: Seed) -> None:
    flow = await seed.flow()
    one, other = [await typed(seed, flow=flow) for _ in range(2)]
    key = unique("card")
    await trigger.perform(await trigger.trigger_run(one["full_name"]), key=key, actor="U42")
    receipt = await trigger.perform(await trigger.trigger_run(other["full_name"]), key=key, actor="U42")
    assert not receipt.ok
    assert receipt.flow_run_ids == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"parameters": {"rows": 2}}, "parameters"),
        ({"entrypoint": "other.py:main"}, "entrypoint"),
        ({"paused": True}, "paused"),
    ],
)
async def test_a_deployment_that_changed_since_refuses_the_click(
    trigger: TriggerRun, seed: Seed, change: dict[str, Any], named: str
) -> None:
    row = await typed(seed)
    proposal = await trigger.trigger_run(row["full_name"])
    await seed.patch(f"deployments/{row['id']}", change)
    with pytest.raises(Changed, match=f"since this card was made: {named}"):
        await trigger.recheck(proposal)


async def test_what_changes_by_itself_refuses_nothing(trigger: TriggerRun, seed: Seed) -> None:
    pool = await seed.pool()
    row = await typed(seed, pool=pool)
    proposal = await trigger.trigger_run(row["full_name"])
    await seed.worker(pool)
    await seed.poll(pool, "default")
    await seed.run(row)
    await trigger.recheck(proposal)


async def test_a_deployment_that_is_gone_refuses_the_click(trigger: TriggerRun, seed: Seed) -> None:
    row = await typed(seed)
    proposal = await trigger.trigger_run(row["full_name"])
    await seed.delete(f"deployments/{row['id']}")
    with pytest.raises(NotFound):
        await trigger.recheck(proposal)


# -- cancel_runs --


async def state_of(seed: Seed, run: dict[str, Any]) -> str:
    return str((await seed.get(f"flow_runs/{run['id']}"))["state_type"])


async def test_each_run_gets_the_state_that_ends_it(cancel: CancelRuns, seed: Seed) -> None:
    row = await seed.deployment()
    late, pending, running, paused = [await seed.run(row, late_by=60) for _ in range(4)]
    await seed.state(pending, "PENDING")
    await seed.state(running, "RUNNING")
    await seed.state(paused, "PAUSED")
    names = tuple(run["name"] for run in (late, pending, running, paused))
    proposal = await cancel.cancel_runs(runs=names)
    await cancel.recheck(proposal)
    receipt = await cancel.perform(proposal, key="card", actor="U42")
    assert receipt.ok
    assert f"Cancelled: {late['name']}" in receipt.text
    assert f"Being stopped by what runs it: {pending['name']}, {running['name']}" in receipt.text
    assert await state_of(seed, late) == "CANCELLED"
    assert {await state_of(seed, run) for run in (pending, running)} == {"CANCELLING"}
    assert await state_of(seed, paused) in ("CANCELLING", "CANCELLED")
    assert len(receipt.flow_run_ids) == 4


async def test_who_cancelled_is_written_into_the_state(cancel: CancelRuns, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await cancel.perform(await cancel.cancel_runs(runs=(run["id"],)), key="card", actor="U42")
    found = await seed.get(f"flow_runs/{run['id']}")
    assert found["state"]["message"] == "Cancelled by U42 through ask-marvin."


async def test_a_run_whose_process_waits_to_retry_is_not_just_relabelled(
    cancel: CancelRuns, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment())
    await seed.state(run, "RUNNING")
    await seed.patch(
        f"flow_runs/{run['id']}",
        {"infrastructure_pid": "4711", "empirical_policy": {"retry_type": "in_process"}},
    )
    await seed.state(run, "SCHEDULED", "AwaitingRetry")
    await cancel.perform(await cancel.cancel_runs(runs=(run["id"],)), key="card", actor="U42")
    assert await state_of(seed, run) == "CANCELLING"


async def test_a_run_that_has_ended_is_not_offered(cancel: CancelRuns, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await seed.state(run, "COMPLETED")
    with pytest.raises(BadInput, match=rf"{run['name']} has ended \(Completed\)"):
        await cancel.cancel_runs(runs=(run["name"],))


async def test_a_run_that_is_being_cancelled_is_not_offered_again(cancel: CancelRuns, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    for state in ("RUNNING", "CANCELLING"):
        await seed.state(run, state)
    with pytest.raises(BadInput, match="is being cancelled already"):
        await cancel.cancel_runs(runs=(run["name"],))


async def test_ended_runs_among_others_are_left_alone(cancel: CancelRuns, seed: Seed) -> None:
    row = await seed.deployment()
    live, dead = await seed.run(row), await seed.run(row)
    await seed.state(dead, "FAILED")
    proposal = await cancel.cancel_runs(runs=(live["name"], dead["name"], live["id"]))
    assert proposal.title == f"Cancel {live['name']}"
    assert facts(proposal)["Left alone"] == f"{dead['name']} has ended (Failed)"
    await cancel.perform(proposal, key="card", actor="U42")
    assert await state_of(seed, dead) == "FAILED"


async def test_of_a_deployment_what_is_scheduled_for_later_stays(cancel: CancelRuns, seed: Seed) -> None:
    row = await seed.deployment()
    running, late, later = [await seed.run(row, late_by=late_by) for late_by in (0, 60, -3600)]
    await seed.state(running, "RUNNING")
    proposal = await cancel.cancel_runs(deployment=row["full_name"])
    assert {run["name"] for run in proposal.arguments["runs"]} == {running["name"], late["name"]}
    assert proposal.title == "Cancel 2 flow runs"
    only_late = await cancel.cancel_runs(deployment=row["full_name"], states=("LATE",))
    assert [run["name"] for run in only_late.arguments["runs"]] == [late["name"]]
    scheduled = await cancel.cancel_runs(deployment=row["full_name"], states=("SCHEDULED",))
    assert {run["name"] for run in scheduled.arguments["runs"]} == {late["name"], later["name"]}


async def test_more_than_fifty_runs_are_refused(cancel: CancelRuns, seed: Seed) -> None:
    row = await seed.deployment()
    for _ in range(51):  # One by one: the bulk route leaves out, with a 200, what finds the database locked.
        await seed.run(row)
    with pytest.raises(BadInput, match="more than 50"):
        await cancel.cancel_runs(deployment=row["full_name"], states=("SCHEDULED",))


async def test_a_long_list_is_counted_and_sampled(cancel: CancelRuns, seed: Seed) -> None:
    row = await seed.deployment()
    for _ in range(12):
        await seed.run(row, late_by=60)
    shown = facts(await cancel.cancel_runs(deployment=row["full_name"]))
    assert shown["Runs"].startswith("12: ")
    assert shown["And"] == "2 more"


async def test_a_lost_worker_is_warned_of(cancel: CancelRuns, seed: Seed) -> None:
    pool = await seed.pool()
    run = await seed.run(await seed.deployment(pool=pool))
    await seed.state(run, "RUNNING")
    assert f"no worker of {pool} is online" in facts(await cancel.cancel_runs(runs=(run["name"],)))["Warning"]
    await seed.worker(pool)
    assert "Warning" not in facts(await cancel.cancel_runs(runs=(run["name"],)))


async def test_a_run_that_moved_on_refuses_the_click(cancel: CancelRuns, seed: Seed) -> None:
    row = await seed.deployment()
    steady, ending, starting = [await seed.run(row) for _ in range(3)]
    await seed.state(ending, "RUNNING")
    await seed.state(starting, "PENDING")
    proposal = await cancel.cancel_runs(runs=tuple(run["id"] for run in (steady, ending, starting)))
    await seed.state(starting, "RUNNING")
    await cancel.recheck(proposal)
    await seed.state(ending, "COMPLETED")
    with pytest.raises(Changed, match=f"{ending['name']} is now Completed") as caught:
        await cancel.recheck(proposal)
    assert steady["name"] not in caught.value.message
    await seed.delete(f"flow_runs/{steady['id']}")
    with pytest.raises(Changed, match=f"{steady['name']} has been deleted"):
        await cancel.recheck(proposal)


async def test_a_run_that_ended_before_its_turn_keeps_its_end(cancel: CancelRuns, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    proposal = await cancel.cancel_runs(runs=(run["name"],))
    await seed.state(run, "COMPLETED")
    receipt = await cancel.perform(proposal, key="card", actor="U42")
    assert not receipt.ok
    assert receipt.text == f"Had ended before: {run['name']} (COMPLETED)."
    assert await state_of(seed, run) == "COMPLETED"


def run_in(state: str, **more: Any) -> Answer:
    body = {"id": ID, "name": "otter", "flow_id": "f", "state": {"type": state, "name": state.capitalize()}}
    return Answer(body={**body, **more})


ID = "0b5dd8de-4a3f-4a0e-9f0e-2d6a1f6f3a11"
CONFIRMED = Proposal(
    action="cancel_runs", title="", target="", arguments={"runs": [{"id": ID, "name": "otter", "phase": "x"}]}
)


async def test_after_an_answer_was_lost_the_run_is_looked_at_again() -> None:
    answers = (run_in("RUNNING"), SILENCE, run_in("CANCELLING"), Answer(body=[]))
    async with scripted_prefect(*answers) as fake, PrefectClient(connection_to(fake.url)) as client:
        receipt = await CancelRuns(client).perform(CONFIRMED, key="card", actor="U42")
    assert receipt.text == "Being stopped by what runs it: otter."
    assert sum(request.path.endswith("set_state") for request in fake.requests) == 1


async def test_a_run_that_prefect_will_not_cancel_is_told_with_the_reason() -> None:
    refused = Answer(
        200, {"state": {"type": "RUNNING"}, "status": "ABORT", "details": {"reason": "Not now."}}
    )
    answers = (run_in("RUNNING"), refused)
    async with scripted_prefect(*answers) as fake, PrefectClient(connection_to(fake.url)) as client:
        receipt = await CancelRuns(client).perform(CONFIRMED, key="card", actor="U42")
    assert (receipt.ok, receipt.text) == (False, "Not cancelled: otter (Not now.).")


async def test_runs_or_a_deployment_have_to_be_named(cancel: CancelRuns) -> None:
    for arguments in ({}, {"runs": ("a",), "deployment": "b"}):
        with pytest.raises(BadInput, match="either runs or a deployment"):
            await cancel.cancel_runs(**arguments)  # type: ignore[arg-type]
