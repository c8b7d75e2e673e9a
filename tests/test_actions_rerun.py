"""Making a new run after another one, at a time in the asker's zone, and changing what a card proposes."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from knowledge.errors import BadInput
from tests.acting import SCHEMA, facts, typed
from tests.prefect_seed import Seed, unique
from tools.errors import Changed, NotFound
from tools.lateness import utc_now
from tools.prefect_client import PrefectClient
from tools.proposal import Affected
from tools.trigger import TriggerRun, typed_parameters_of_run
from tools.when import in_zone

TEMPLATE = {
    "variables": {"type": "object", "properties": {"image": {"type": "string"}, "cpu": {"type": "integer"}}},
    "job_configuration": {"image": "{{ image }}"},
}


@pytest.fixture
def trigger(prefect: PrefectClient) -> TriggerRun:
    return TriggerRun(prefect)


async def test_a_rerun_takes_everything_over_and_tells_what_differs(trigger: TriggerRun, seed: Seed) -> None:
    pool = await seed.pool(base_job_template=TEMPLATE)
    row = await typed(seed, pool=pool, tags=["own"])
    before = await seed.run(
        row,
        parameters={"rows": 5, "api_token": "hunter2-abc"},
        tags=["backfill", "auto-scheduled"],
        job_variables={"image": "etl:1"},
    )
    await seed.state(before, "FAILED")
    proposal = await trigger.trigger_run(
        rerun_of=before["name"], parameters={"rows": 7}, tags=("again",), job_variables={"cpu": 2}
    )
    assert proposal.title == f"Start a new run of {row['full_name']} like {before['name']}"
    shown = facts(proposal)
    assert shown["Made after"] == f"{before['name']} (Failed)"
    assert shown["Differs in"] == "rows: 5 → 7; tag again: new; job variable cpu: 2, not given before"
    assert shown["Code"] == "the deployment's present code (flows.py:main)"
    assert shown["Parameter api_token"] == "[secret hidden: token]"
    assert "hunter2" not in str(shown)
    receipt = await trigger.perform(proposal, key=unique("card"), actor="U42")
    run = await seed.get(f"flow_runs/{receipt.flow_run_ids[0]}")
    assert run["parameters"] == {"rows": 7, "api_token": "hunter2-abc"}
    assert set(run["tags"]) == {"own", "backfill", "again"}
    assert run["job_variables"] == {"image": "etl:1", "cpu": 2}


async def test_a_rerun_of_the_same_says_that_nothing_differs(trigger: TriggerRun, seed: Seed) -> None:
    row = await typed(seed)
    before = await seed.run(row, parameters={"rows": 5})
    proposal = await trigger.trigger_run(row["full_name"], rerun_of=before["id"])
    assert facts(proposal)["Differs in"] == "nothing: the same parameters, tags and job variables"
    assert proposal.arguments["parameters"] == {"rows": 5}


async def test_a_parameter_that_is_no_more_is_left_out_and_told(trigger: TriggerRun, seed: Seed) -> None:
    row = await seed.deployment()
    before = await seed.run(row, parameters={"rows": 5, "old": 1})
    await seed.patch(f"deployments/{row['id']}", {"parameter_openapi_schema": SCHEMA})
    proposal = await trigger.trigger_run(rerun_of=before["id"])
    assert facts(proposal)["Differs in"] == "old: left out"
    assert proposal.arguments["parameters"] == {"rows": 5}


async def test_a_run_of_another_deployment_than_named_is_refused(trigger: TriggerRun, seed: Seed) -> None:
    row, other = await typed(seed), await typed(seed)
    before = await seed.run(row)
    with pytest.raises(BadInput, match=f"is a run of {row['full_name']}, not of {other['full_name']}"):
        await trigger.trigger_run(other["full_name"], rerun_of=before["id"])


async def test_something_to_start_has_to_be_named(trigger: TriggerRun) -> None:
    with pytest.raises(BadInput, match="Nothing to start was named"):
        await trigger.trigger_run()


async def test_a_rerun_of_a_run_without_deployment_names_what_can_be_started(
    trigger: TriggerRun, seed: Seed
) -> None:
    flow = await seed.flow()
    row = await typed(seed, flow=flow)
    run = await seed.post("flow_runs/", {"flow_id": flow["id"], "name": unique("script")})
    with pytest.raises(BadInput, match="without a deployment") as caught:
        await trigger.trigger_run(rerun_of=run["id"])
    assert row["full_name"] in caught.value.fix


async def test_what_a_chat_gives_may_not_be_looked_up_on_the_server(trigger: TriggerRun, seed: Seed) -> None:
    before = await seed.run(await typed(seed))
    looked_up = {"__prefect_kind": "workspace_variable", "variable_name": "secret"}
    with pytest.raises(BadInput, match="__prefect_kind"):
        await trigger.trigger_run(rerun_of=before["id"], parameters={"mode": looked_up})


async def test_typed_words_are_read_by_the_schema_of_the_runs_deployment(
    prefect: PrefectClient, seed: Seed
) -> None:
    before = await seed.run(await typed(seed))
    words = {"rows": "5", "mode": "5"}
    assert await typed_parameters_of_run(prefect, before["name"], words) == {"rows": 5, "mode": "5"}


async def test_a_time_is_meant_in_the_askers_zone_and_shown_in_it_and_in_utc(
    trigger: TriggerRun, seed: Seed
) -> None:
    row, zone = await typed(seed), ZoneInfo("Pacific/Auckland")
    proposal = await trigger.trigger_run(row["full_name"], scheduled_time="tomorrow 8:00", time_zone=zone.key)
    due = datetime.fromisoformat(proposal.arguments["scheduled_time"])
    local = due.astimezone(zone)
    assert (local.hour, local.minute) == (8, 0)
    assert local.date() == (utc_now().astimezone(zone) + timedelta(days=1)).date()
    assert facts(proposal)["When"] == in_zone(due, zone)
    assert " Pacific/Auckland (" in proposal.title
    receipt = await trigger.perform(proposal, key=unique("card"), actor="U42")
    assert f"for {in_zone(due, zone)} as run" in receipt.text
    run = await seed.get(f"flow_runs/{receipt.flow_run_ids[0]}")
    assert datetime.fromisoformat(run["expected_start_time"]) == due


async def test_an_unknown_zone_is_refused(trigger: TriggerRun, seed: Seed) -> None:
    row = await typed(seed)
    with pytest.raises(BadInput, match="no time zone 'Mars/Base'"):
        await trigger.trigger_run(row["full_name"], scheduled_time="8:00", time_zone="Mars/Base")


async def test_a_card_names_whom_it_affects(trigger: TriggerRun, seed: Seed) -> None:
    pool = await seed.pool()
    row = await typed(seed, pool=pool, tags=["prod"])
    proposal = await trigger.trigger_run(row["full_name"])
    assert proposal.affected == (Affected(deployment=row["full_name"], tags=("prod",), work_pool=pool),)


async def test_a_revised_card_keeps_all_but_the_values_that_were_changed(
    trigger: TriggerRun, seed: Seed
) -> None:
    row = await typed(seed)
    before = await seed.run(row, parameters={"rows": 5, "mode": "slow"})
    first = await trigger.trigger_run(
        rerun_of=before["id"], run_name="mine", scheduled_time="in 2 h", tags=("x",)
    )
    revised = await trigger.revise(first, {"rows": 9})
    assert revised.arguments == {**first.arguments, "parameters": {"rows": 9}}
    assert facts(revised)["Differs in"] == "rows: 5 → 9; mode: left out; tag x: new"
    assert facts(revised)["When"] == facts(first)["When"]
    assert revised.fingerprint == first.fingerprint


async def test_a_revision_is_checked_like_a_first_card(trigger: TriggerRun, seed: Seed) -> None:
    row = await typed(seed)
    first = await trigger.trigger_run(row["full_name"])
    with pytest.raises(BadInput, match="is not a whole number"):
        await trigger.revise(first, {"rows": "many"})
    with pytest.raises(BadInput, match="__prefect_kind"):
        await trigger.revise(first, {"mode": {"__prefect_kind": "json", "value": "1"}})


async def test_a_revision_rests_on_the_deployment_as_it_is_then(trigger: TriggerRun, seed: Seed) -> None:
    row = await typed(seed)
    first = await trigger.trigger_run(row["full_name"])
    await seed.patch(f"deployments/{row['id']}", {"entrypoint": "other.py:main"})
    with pytest.raises(Changed):
        await trigger.recheck(first)
    await trigger.recheck(await trigger.revise(first, {"rows": 2}))


async def test_a_rerun_of_a_run_that_is_not_there_is_not_found(trigger: TriggerRun) -> None:
    with pytest.raises(NotFound):
        await trigger.trigger_run(rerun_of=unique("nobody"))
