"""Pausing and resuming deployments, schedules, work pools and queues on a real server."""

from typing import Any

import pytest

from knowledge.errors import BadInput
from tests.acting import facts, values
from tests.fakes.prefect import SILENCE, Answer, scripted_prefect
from tests.prefect_seed import Seed, unique
from tests.prefect_server import connection_to
from tests.waiting import until
from tools.errors import Ambiguous, Changed, NotFound
from tools.pause_deployment import PauseDeployment
from tools.pause_pool import PauseWorkPool
from tools.prefect_client import PrefectClient
from tools.proposal import Affected, Proposal, Receipt
from tools.schedule_switch import SetScheduleActive

CRON = {"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}, "active": True}
HOURLY = {"schedule": {"interval": 3600}, "active": True}


@pytest.fixture
def deployments(prefect: PrefectClient) -> PauseDeployment:
    return PauseDeployment(prefect)


@pytest.fixture
def schedules(prefect: PrefectClient) -> SetScheduleActive:
    return SetScheduleActive(prefect)


@pytest.fixture
def pools(prefect: PrefectClient) -> PauseWorkPool:
    return PauseWorkPool(prefect)


async def scheduled(seed: Seed, row: dict[str, Any]) -> int:
    return int(await seed.post("flow_runs/count", {"deployments": {"id": {"any_": [row["id"]]}}}))


async def laid_out(seed: Seed, *schedules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A deployment whose schedules have made their runs."""
    row = await seed.deployment(schedules=list(schedules), **more)

    async def all_have_runs() -> bool:
        filters = {"deployments": {"id": {"any_": [row["id"]]}}}
        runs = await seed.post("flow_runs/filter", filters)
        return {run["created_by"]["id"] for run in runs} == {each["id"] for each in row["schedules"]}

    await until(all_have_runs)
    return row


# -- deployments --


async def test_pausing_a_deployment_says_what_it_deletes_and_what_goes_on(
    deployments: PauseDeployment, seed: Seed
) -> None:
    pool = await seed.pool()
    row = await laid_out(seed, CRON, pool=pool, tags=["prod"])
    running, by_hand = await seed.run(row), await seed.run(row, due_in=3600)
    await seed.state(running, "RUNNING")
    before = await scheduled(seed, row)
    proposal = await deployments.pause_deployment(row["full_name"])
    assert proposal.title == f"Pause {row['full_name']}"
    shown = facts(proposal)
    assert shown["Schedule"].startswith("cron 0 6 * * * (Europe/Berlin); next run 20")
    assert " 06:00 Europe/Berlin (" in shown["Schedule"]
    assert shown["Deletes"] == f"{before - 2} scheduled runs"
    assert shown["Stays"] == "1 run, asked for by hand or begun before"
    assert shown["Goes on"] == "1 run under way"
    assert proposal.affected == (Affected(deployment=row["full_name"], tags=("prod",), work_pool=pool),)
    await deployments.recheck(proposal)
    receipt = await deployments.perform(proposal, key="card", actor="U42")
    assert receipt.ok
    assert (await seed.get(f"deployments/{row['id']}"))["paused"]
    assert await scheduled(seed, row) == 2
    assert (await seed.get(f"flow_runs/{by_hand['id']}"))["state_type"] == "SCHEDULED"


async def test_what_was_paused_can_be_taken_back_and_that_again(
    deployments: PauseDeployment, seed: Seed
) -> None:
    row = await laid_out(seed, HOURLY)
    paused = await deployments.perform(await deployments.pause_deployment(row["id"]), key="card", actor="U42")
    assert paused.undo is not None
    assert paused.undo.title == f"Resume {row['full_name']}"
    await deployments.recheck(paused.undo)
    resumed = await deployments.perform(paused.undo, key="undo", actor="U42")
    assert not (await seed.get(f"deployments/{row['id']}"))["paused"]
    assert resumed.undo is not None
    assert resumed.undo.action == "pause_deployment"

    async def has_runs_again() -> bool:
        return await scheduled(seed, row) > 0

    await until(has_runs_again)


async def test_pausing_twice_does_no_harm(deployments: PauseDeployment, seed: Seed) -> None:
    row = await seed.deployment()
    proposal = await deployments.pause_deployment(row["id"])
    receipts = [await deployments.perform(proposal, key="card", actor="U42") for _ in range(2)]
    assert receipts[0].text == receipts[1].text
    assert (await seed.get(f"deployments/{row['id']}"))["paused"]


async def test_resuming_says_what_then_happens_and_what_is_still_missing(
    deployments: PauseDeployment, seed: Seed
) -> None:
    row = await seed.deployment(pool=await seed.pool(), schedules=[HOURLY], paused=True)
    shown = facts(await deployments.resume_deployment(row["full_name"]))
    assert "within a minute" in shown["Then"]
    assert "No worker is known" in shown["Warning"]
    off = await seed.deployment(schedules=[{**HOURLY, "active": False}], paused=True)
    shown = facts(await deployments.resume_deployment(off["full_name"]))
    assert shown["Schedule"] == "every hour, switched off"
    assert shown["Then"] == "No schedule is active, so resuming it makes no runs by itself."


async def test_nothing_to_pause_or_resume_is_one_sentence(deployments: PauseDeployment, seed: Seed) -> None:
    paused, running = await seed.deployment(paused=True), await seed.deployment()
    with pytest.raises(BadInput, match=f"^{paused['full_name']} is paused already"):
        await deployments.pause_deployment(paused["id"])
    with pytest.raises(BadInput, match=f"^{running['full_name']} is not paused"):
        await deployments.resume_deployment(running["id"])
    off = await seed.deployment(schedules=[{**HOURLY, "active": False}])
    with pytest.raises(BadInput) as caught:
        await deployments.resume_deployment(off["id"])
    assert f"resume schedule {off['full_name']}" in caught.value.fix


async def test_a_deployment_that_is_not_there_is_not_found(deployments: PauseDeployment) -> None:
    with pytest.raises(NotFound):
        await deployments.pause_deployment(unique("nobody"))


@pytest.mark.parametrize(("change", "named"), [({"paused": True}, "paused"), ({"tags": ["prod"]}, "tags")])
async def test_a_deployment_that_changed_refuses_the_click(
    deployments: PauseDeployment, seed: Seed, change: dict[str, Any], named: str
) -> None:
    row = await seed.deployment()
    proposal = await deployments.pause_deployment(row["id"])
    await deployments.recheck(proposal)
    await seed.patch(f"deployments/{row['id']}", change)
    with pytest.raises(Changed, match=f"since this card was made: {named}"):
        await deployments.recheck(proposal)


async def test_runs_that_a_schedule_makes_meanwhile_refuse_nothing(
    deployments: PauseDeployment, seed: Seed
) -> None:
    row = await seed.deployment(schedules=[HOURLY])
    proposal = await deployments.pause_deployment(row["id"])
    await seed.run(row)
    await deployments.recheck(proposal)


ID = "0b5dd8de-4a3f-4a0e-9f0e-2d6a1f6f3a11"
PAUSE = Proposal(
    action="pause_deployment", title="Pause etl/a", target="etl/a", arguments={"deployment_id": ID}
)


async def test_what_was_done_is_told_also_when_no_way_back_can_be_made() -> None:
    gone = Answer(404, {"detail": "Deployment not found"})
    async with (
        scripted_prefect(Answer(200), gone) as fake,
        PrefectClient(connection_to(fake.url)) as client,
    ):
        receipt = await PauseDeployment(client).perform(PAUSE, key="card", actor="U42")
    assert (receipt.ok, receipt.undo) == (True, None)


async def test_a_lost_answer_is_asked_for_again_as_pausing_twice_does_no_harm() -> None:
    gone = Answer(404, {"detail": "Deployment not found"})
    async with (
        scripted_prefect(SILENCE, Answer(200), gone) as fake,
        PrefectClient(connection_to(fake.url)) as client,
    ):
        receipt = await PauseDeployment(client).perform(PAUSE, key="card", actor="U42")
    assert receipt.ok
    assert [request.path.rpartition("/")[2] for request in fake.requests[:2]] == ["pause_deployment"] * 2


# -- schedules --


async def switch(schedules: SetScheduleActive, row: dict[str, Any], active: bool, which: str = "") -> Receipt:
    proposal = await schedules.set_schedule_active(row["full_name"], active, which)
    await schedules.recheck(proposal)
    return await schedules.perform(proposal, key="card", actor="U42")


async def active_schedules(seed: Seed, row: dict[str, Any]) -> list[str]:
    rows = (await seed.get(f"deployments/{row['id']}"))["schedules"]
    return [str(each["schedule"].get("cron", "interval")) for each in rows if each["active"]]


async def test_the_only_schedule_is_switched_off_and_on(schedules: SetScheduleActive, seed: Seed) -> None:
    row = await laid_out(seed, CRON)
    proposal = await schedules.set_schedule_active(row["full_name"], False)
    assert proposal.title == (f"Switch a schedule of {row['full_name']} off: cron 0 6 * * * (Europe/Berlin)")
    ahead = await scheduled(seed, row)
    assert facts(proposal)["Deletes"] == f"{ahead} runs scheduled ahead"
    off = await switch(schedules, row, False)
    assert off.text == f"The schedule cron 0 6 * * * (Europe/Berlin) of {row['full_name']} is switched off."
    assert await active_schedules(seed, row) == []
    assert await scheduled(seed, row) == 0
    assert off.undo is not None
    await schedules.recheck(off.undo)
    await schedules.perform(off.undo, key="undo", actor="U42")
    assert await active_schedules(seed, row) == ["0 6 * * *"]


async def test_of_several_schedules_the_named_one_is_switched(
    schedules: SetScheduleActive, seed: Seed
) -> None:
    row = await laid_out(seed, CRON, HOURLY)
    with pytest.raises(Ambiguous) as caught:
        await schedules.set_schedule_active(row["full_name"], False)
    assert set(caught.value.choices) == {"cron 0 6 * * * (Europe/Berlin)", "every hour"}
    hourly = next(each["id"] for each in row["schedules"] if "interval" in each["schedule"])
    for words in ("every hour", "HOUR", hourly):
        proposal = await schedules.set_schedule_active(row["full_name"], False, words)
        assert proposal.arguments["schedule_id"] == hourly
    assert values(proposal, "Other schedule")[0].startswith("cron 0 6 * * * (Europe/Berlin); next run ")
    assert "laid out again" in facts(proposal)["The others"]
    await switch(schedules, row, False, "0 6 * * *")
    assert await active_schedules(seed, row) == ["interval"]
    # Only one is left that can be switched on.
    on = await schedules.set_schedule_active(row["full_name"], True)
    assert on.title.endswith("on: cron 0 6 * * * (Europe/Berlin)")


async def test_schedules_that_read_alike_are_told_apart_by_id(
    schedules: SetScheduleActive, seed: Seed
) -> None:
    row = await seed.deployment(schedules=[CRON, {**CRON, "parameters": {"x": 1}}])
    with pytest.raises(Ambiguous) as caught:
        await schedules.set_schedule_active(row["full_name"], False)
    ids = [each["id"] for each in row["schedules"]]
    assert {choice[-8:] for choice in caught.value.choices} == {id_[:8] for id_ in ids}
    proposal = await schedules.set_schedule_active(row["full_name"], False, ids[0][:8])
    assert proposal.arguments["schedule_id"] == ids[0]


async def test_a_schedule_that_is_not_there_or_is_so_already_is_one_sentence(
    schedules: SetScheduleActive, seed: Seed
) -> None:
    row, bare = await seed.deployment(schedules=[CRON], paused=True), await seed.deployment()
    with pytest.raises(NotFound, match="has no schedule 'weekly'"):
        await schedules.set_schedule_active(row["full_name"], False, "weekly")
    with pytest.raises(BadInput, match="is switched on already"):
        await schedules.set_schedule_active(row["full_name"], True)
    with pytest.raises(BadInput, match=f"{bare['full_name']} has no schedule"):
        await schedules.set_schedule_active(bare["full_name"], False)
    shown = facts(await schedules.set_schedule_active(row["full_name"], False))
    assert "deployment is paused as well" in shown["Warning"]


async def test_a_schedule_that_changed_refuses_the_click(schedules: SetScheduleActive, seed: Seed) -> None:
    row = await seed.deployment(schedules=[CRON])
    proposal = await schedules.set_schedule_active(row["full_name"], False)
    await seed.patch(f"deployments/{row['id']}/schedules/{row['schedules'][0]['id']}", {"active": False})
    with pytest.raises(Changed, match="schedules"):
        await schedules.recheck(proposal)


# -- work pools and queues --


async def test_pausing_a_pool_says_what_waits_and_what_goes_on(pools: PauseWorkPool, seed: Seed) -> None:
    pool = await seed.pool()
    row = await seed.deployment(pool=pool, tags=["prod"])
    running = await seed.run(row)
    await seed.state(running, "RUNNING")
    await seed.run(row, late_by=120)
    proposal = await pools.pause_work_pool(pool)
    assert proposal.title == f"Pause the work pool {pool}"
    assert facts(proposal) == {
        "Work pool": f"{pool} (process)",
        "Waits": "1 run due by now, and all that become due",
        "Goes on": "1 run under way",
        "Deployments": row["full_name"],
    }
    assert proposal.affected == (
        Affected(work_pool=pool),
        Affected(deployment=row["full_name"], tags=("prod",), work_pool=pool),
    )
    await pools.recheck(proposal)
    receipt = await pools.perform(proposal, key="card", actor="U42")
    assert receipt.text == f"The work pool {pool} is paused: its runs wait, and what was under way goes on."
    assert (await seed.get(f"work_pools/{pool}"))["is_paused"]
    assert (await seed.get(f"flow_runs/{running['id']}"))["state_type"] == "RUNNING"


async def test_a_paused_pool_is_resumed_by_the_way_back(pools: PauseWorkPool, seed: Seed) -> None:
    pool = await seed.pool()
    receipt = await pools.perform(await pools.pause_work_pool(pool), key="card", actor="U42")
    assert receipt.undo is not None
    await pools.recheck(receipt.undo)
    resumed = await pools.perform(receipt.undo, key="undo", actor="U42")
    assert resumed.text == f"The work pool {pool} is resumed."
    assert not (await seed.get(f"work_pools/{pool}"))["is_paused"]


async def test_resuming_a_pool_says_what_starts_and_what_still_stands_in_the_way(
    pools: PauseWorkPool, seed: Seed
) -> None:
    pool = await seed.pool(is_paused=True)
    await seed.post(f"work_pools/{pool}/queues", {"name": "slow", "is_paused": True})
    row = await seed.deployment(pool=pool)
    await seed.run(row, late_by=120)
    shown = facts(await pools.resume_work_pool(pool))
    assert shown["Starts"] == "1 run overdue, as soon as there is room"
    assert shown["Stays paused"] == "the queue slow"
    assert "No worker is known" in shown["Warning"]
    assert "paused" not in shown["Warning"]
    await seed.worker(pool)
    assert "Warning" not in facts(await pools.resume_work_pool(pool))


async def test_one_queue_is_paused_and_the_rest_of_the_pool_is_not(pools: PauseWorkPool, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.post(f"work_pools/{pool}/queues", {"name": "slow"})
    slow = await seed.deployment(pool=pool, work_queue_name="slow")
    await seed.deployment(pool=pool)
    proposal = await pools.pause_work_pool(pool, "Slow")
    assert proposal.title == f"Pause the queue slow of the work pool {pool}"
    assert facts(proposal)["Deployments"] == slow["full_name"]
    await pools.recheck(proposal)
    receipt = await pools.perform(proposal, key="card", actor="U42")
    assert (await seed.get(f"work_pools/{pool}/queues/slow"))["is_paused"]
    assert not (await seed.get(f"work_pools/{pool}"))["is_paused"]
    assert receipt.undo is not None
    await pools.recheck(receipt.undo)
    await pools.perform(receipt.undo, key="undo", actor="U42")
    assert not (await seed.get(f"work_pools/{pool}/queues/slow"))["is_paused"]


async def test_nothing_to_do_with_a_pool_is_one_sentence_and_points_to_what_is_paused(
    pools: PauseWorkPool, seed: Seed
) -> None:
    paused, open_pool = await seed.pool(is_paused=True), await seed.pool()
    await seed.post(f"work_pools/{open_pool}/queues", {"name": "slow", "is_paused": True})
    with pytest.raises(BadInput, match=f"^The work pool {paused} is paused already"):
        await pools.pause_work_pool(paused)
    with pytest.raises(BadInput, match="is not paused") as caught:
        await pools.resume_work_pool(open_pool)
    assert f"resume queue {open_pool}/slow" in caught.value.fix
    with pytest.raises(BadInput, match="is not paused") as caught:
        await pools.resume_work_pool(paused, "default")
    assert f"resume pool {paused}" in caught.value.fix


async def test_a_pool_or_queue_that_is_not_there_is_not_found(pools: PauseWorkPool, seed: Seed) -> None:
    with pytest.raises(NotFound):
        await pools.pause_work_pool(unique("nowhere"))
    with pytest.raises(NotFound, match="has no queue 'slow'") as caught:
        await pools.pause_work_pool(await seed.pool(), "slow")
    assert "default" in caught.value.fix


async def test_a_pool_that_somebody_else_paused_refuses_the_click(pools: PauseWorkPool, seed: Seed) -> None:
    pool = await seed.pool()
    proposal = await pools.pause_work_pool(pool)
    await seed.patch(f"work_pools/{pool}", {"is_paused": True})
    with pytest.raises(Changed, match="paused"):
        await pools.recheck(proposal)
    await seed.delete(f"work_pools/{pool}")
    with pytest.raises(NotFound):
        await pools.recheck(proposal)


async def test_a_pool_that_another_deployment_has_come_to_is_asked_about_again(
    pools: PauseWorkPool, seed: Seed
) -> None:
    """Whoever may pause it for those that were there may not be allowed to for the new one."""
    pool = await seed.pool()
    await seed.deployment(pool=pool)
    proposal = await pools.pause_work_pool(pool)
    await pools.recheck(proposal)
    await seed.deployment(pool=pool, tags=["prod"])
    with pytest.raises(Changed, match="deployments"):
        await pools.recheck(proposal)
