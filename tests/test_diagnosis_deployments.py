"""Why a deployment makes no runs, and which of its runs is looked at."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.diagnosing import LATE, a_pool_at_work, holding, kinds, named, proof, said, told, why
from tests.prefect_seed import Seed, unique
from tests.waiting import until
from tools.diagnosis.choice import in_trouble
from tools.errors import NotFound
from tools.models import FlowRun
from tools.prefect_client import PrefectClient

DAILY = {"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}, "active": True}


async def scheduled(seed: Seed, **more: Any) -> dict[str, Any]:
    return await seed.deployment(pool=await a_pool_at_work(seed), **{"schedules": [DAILY], **more})


# -- what keeps it from making runs --


async def test_an_inactive_schedule_is_told_with_its_times(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await scheduled(seed, schedules=[{**DAILY, "active": False}])
    found = await why(prefect, deployment["full_name"])
    assert kinds(found) == ["schedule_inactive"]
    assert "its schedule is inactive: cron 0 6 * * * (UTC)" in found.verdict
    assert found.run is None
    assert found.causes[0].action is not None
    assert found.causes[0].action.command == f"resume schedule {deployment['full_name']}"


async def test_a_paused_deployment_is_told_although_its_schedule_is_active(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await scheduled(seed, paused=True)
    found = await why(prefect, deployment["full_name"])
    assert kinds(found) == ["deployment_paused"]
    assert "The deployment is paused" in found.verdict
    assert "cron 0 6 * * * (UTC)" in found.verdict
    assert "Prefect does not tell who" in found.verdict
    assert proof(found.causes[0])[f"paused of deployment {deployment['full_name']}"] == "true"


async def test_an_automation_that_paused_a_deployment_is_named(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await scheduled(seed, paused=True)
    resource = {
        "prefect.resource.id": f"prefect.automation.{deployment['id']}",
        "prefect.resource.name": "brake",
    }
    related = named("target", "deployment", deployment)
    await told(seed, "prefect.automation.action.executed", resource, related, action_type="pause-deployment")
    found = await why(prefect, deployment["full_name"])
    assert "was paused by the automation 'brake' at" in found.verdict
    assert "will do so again" in found.causes[0].fix


async def test_a_stopped_serve_process_is_the_likely_one_to_have_paused(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(schedules=[DAILY])
    await seed.serve(deployment)
    await seed.patch(f"deployments/{deployment['id']}", {"paused": True})
    found = await why(prefect, deployment["full_name"])
    assert kinds(found)[0] == "deployment_paused"
    assert "most likely by its `flow.serve()` process when that was stopped" in found.verdict


async def test_a_schedule_that_has_ended(prefect: PrefectClient, seed: Seed) -> None:
    rule = "DTSTART:20240101T000000Z\nFREQ=DAILY;UNTIL=20240105T000000Z"
    deployment = await scheduled(seed, schedules=[{"schedule": {"rrule": rule}, "active": True}])
    found = await why(prefect, deployment["full_name"])
    assert kinds(found) == ["schedule_ended"]
    assert "ended at 2024-01-05T00:00:00Z (UNTIL=20240105T000000Z)" in found.verdict


async def test_a_deployment_without_runs_or_schedule_is_only_started_by_hand(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await scheduled(seed, schedules=[])
    found = await why(prefect, deployment["full_name"])
    assert kinds(found) == []
    assert "has no runs" in found.verdict
    assert "it only runs when it is started" in found.worth_knowing[0]


async def test_what_would_hold_up_its_runs_comes_after_what_keeps_it_from_making_them(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await seed.pool(), paused=True, schedules=[DAILY])
    assert kinds(await why(prefect, deployment["full_name"])) == ["deployment_paused", "no_worker_ever"]


async def test_a_healthy_deployment_tells_its_next_run(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await scheduled(seed)

    async def due() -> bool:
        return "is not late" in (await why(prefect, deployment["full_name"])).verdict

    await until(due)
    found = await why(prefect, deployment["full_name"])
    assert kinds(found) == []
    assert found.note is not None
    assert "next scheduled run" in found.note


# -- which run --


async def test_of_a_deployment_the_latest_run_in_trouble_is_looked_at(
    prefect: PrefectClient, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await seed.pool())
    await seed.run(deployment, late_by=LATE * 3)
    newer = await seed.run(deployment, late_by=LATE)
    await seed.run(deployment, due_in=600)
    found = await why(prefect, deployment["full_name"])
    assert found.subject == newer["name"]
    assert found.note == (
        f"'{newer['name']}' is the latest run of {deployment['full_name']} that is in trouble. "
        "2 runs of it are late in all."
    )


async def test_a_deployment_that_works_again_is_well(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await seed.deployment(pool=await a_pool_at_work(seed))
    await seed.state(await holding(seed, deployment), "FAILED")
    good = await holding(seed, deployment)
    await seed.state(good, "COMPLETED")
    found = await why(prefect, deployment["full_name"])
    assert found.subject == good["name"]
    assert "COMPLETED" in found.verdict


def run(state: str, *, late: bool = False) -> FlowRun:
    due = datetime(2020 if late else 2099, 1, 1, tzinfo=UTC)
    state_ = {"type": state, "name": state.capitalize()}
    row = {"id": "1", "name": state, "flow_id": "1", "state": state_, "expected_start_time": due}
    return FlowRun.model_validate(row)


@pytest.mark.parametrize(
    ("newest_first", "chosen"),
    [
        ([run("COMPLETED"), run("FAILED")], None),
        ([run("FAILED"), run("COMPLETED")], "FAILED"),
        ([run("RUNNING"), run("FAILED")], None),
        ([run("RUNNING"), run("SCHEDULED", late=True)], "SCHEDULED"),
        ([run("COMPLETED"), run("PAUSED")], "PAUSED"),
        ([], None),
    ],
)
def test_trouble_that_was_overtaken_is_no_trouble(newest_first: list[FlowRun], chosen: str | None) -> None:
    found = in_trouble(newest_first, datetime.now(UTC))
    assert (found.name if found else None) == chosen


async def test_a_run_is_found_by_name_id_and_link(prefect: PrefectClient, seed: Seed) -> None:
    row = await seed.run(await seed.deployment(pool=await seed.pool()), late_by=LATE)
    link = prefect.links.flow_run(row["id"])
    for text in (row["name"], row["id"], link, f"`{row['name']}`"):
        found = await why(prefect, text)
        assert (found.subject, found.subject_url) == (row["name"], link)


async def test_a_run_of_that_very_name_beats_a_deployment_of_that_name(
    prefect: PrefectClient, seed: Seed
) -> None:
    name = unique("etl")
    deployment = await seed.deployment(pool=await seed.pool(), name=name)
    row = await seed.run(deployment, late_by=LATE, name=name)
    assert (await why(prefect, name)).run is not None
    assert (await why(prefect, name)).subject == row["name"]


async def test_a_deployment_is_found_by_its_own_name_id_and_link(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await seed.deployment(pool=await seed.pool(), paused=True)
    link = prefect.links.deployment(deployment["id"])
    for text in (deployment["name"], deployment["id"], link, deployment["full_name"]):
        found = await why(prefect, text)
        assert (found.subject, found.subject_url) == (deployment["full_name"], link)


async def test_what_does_not_exist_is_said_with_what_is_near(prefect: PrefectClient, seed: Seed) -> None:
    await seed.run(await seed.deployment(), late_by=LATE, name=unique("nightly-report"))
    with pytest.raises(NotFound, match="There is no flow run"):
        await why(prefect, unique("never-heard-of"))


async def test_noise_of_other_deployments_is_left_out(prefect: PrefectClient, seed: Seed) -> None:
    noise = await seed.deployment(pool=await seed.pool(is_paused=True), paused=True, schedules=[DAILY])
    await seed.run(noise, late_by=LATE)
    deployment = await scheduled(seed, schedules=[])
    assert noise["name"] not in said(await why(prefect, deployment["full_name"]))
