"""Runs that are to be cancelled and do not end: who is missing is named."""

from typing import Any

import pytest

from knowledge.errors import BadInput
from tests.acting import values
from tests.fakes.prefect import Answer, scripted_prefect
from tests.prefect_seed import Seed, unique
from tests.prefect_server import connection_to
from tests.waiting import until
from tools.cancel import CancelRuns
from tools.prefect_client import PrefectClient
from tools.proposal import Affected, Proposal
from tools.stopping import still_stopping

GIVES_UP = "and marks it CANCELLED; a process that still lives goes on."


@pytest.fixture
def cancel(prefect: PrefectClient) -> CancelRuns:
    return CancelRuns(prefect)


async def running(seed: Seed, row: dict[str, Any], worker: str = "") -> dict[str, Any]:
    run = await seed.run(row, labels={"prefect.worker.name": worker} if worker else {})
    await seed.state(run, "RUNNING")
    return run


async def stopping(seed: Seed, row: dict[str, Any], worker: str = "") -> dict[str, Any]:
    run = await running(seed, row, worker)
    await seed.state(run, "CANCELLING")
    return run


async def test_a_worker_that_is_gone_is_named_with_since_when(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="box-7", interval=0)
    await seed.worker(pool, name="box-8")
    run = await stopping(seed, await seed.deployment(pool=pool), "box-7")
    (sentence,) = await still_stopping(prefect, [run["id"]])
    assert sentence.startswith(f"{run['name']} has been CANCELLING for ")
    assert ": its worker box-7 is OFFLINE since 20" in sentence
    assert "Prefect gives up after 300 s, at 20" in sentence
    assert sentence.endswith(GIVES_UP)


async def test_a_worker_that_is_there_is_named_as_what_stops_it(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="box-8")
    row = await seed.deployment(pool=pool)
    mine, somebodys = await stopping(seed, row, "box-8"), await stopping(seed, row)
    told = await still_stopping(prefect, [mine["id"], somebodys["id"]])
    assert sum("its worker box-8 is online" in sentence for sentence in told) == 1
    assert sum("a worker of" in sentence and "box-8 online" in sentence for sentence in told) == 1
    assert await still_stopping(prefect, [mine["id"]], only_lonely=True) == []


async def test_a_pool_without_workers_and_an_unknown_worker_are_told(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    row = await seed.deployment(pool=pool)
    nobodys, lost = await stopping(seed, row), await stopping(seed, row, "box-9")
    told = " ".join(await still_stopping(prefect, [nobodys["id"], lost["id"]], only_lonely=True))
    assert f"no worker of {pool} is online to stop it" in told
    assert "its worker box-9 is unknown to Prefect" in told


async def test_a_process_outside_of_any_worker_is_told(prefect: PrefectClient, seed: Seed) -> None:
    row = await seed.deployment()
    run = await stopping(seed, row)
    (sentence,) = await still_stopping(prefect, [run["id"]])
    assert (
        f"in a process outside of any worker, and the serve process of {row['name']} was never seen"
        in sentence
    )
    await seed.serve(row)
    (sentence,) = await still_stopping(prefect, [run["id"]])
    assert f"the serve process of {row['name']}, which has to stop it" in sentence
    script = await seed.post("flow_runs/", {"flow_id": (await seed.flow())["id"], "name": unique("script")})
    for state in ("RUNNING", "CANCELLING"):
        await seed.state(script, state)
    (sentence,) = await still_stopping(prefect, [script["id"]])
    assert "outside of any worker, where nothing listens for a cancellation" in sentence


async def test_what_has_ended_is_told_no_more(prefect: PrefectClient, seed: Seed) -> None:
    run = await stopping(seed, await seed.deployment())
    await seed.state(run, "CANCELLED")
    assert await still_stopping(prefect, [run["id"]]) == []
    assert await still_stopping(prefect, []) == []


async def test_a_card_and_its_receipt_name_the_worker_that_is_missing(cancel: CancelRuns, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="box-7", interval=0)
    row = await seed.deployment(pool=pool, tags=["prod"])
    runs = [await running(seed, row, "box-7") for _ in range(2)]
    proposal = await cancel.cancel_runs(runs=tuple(run["id"] for run in runs))
    (warning,) = values(proposal, "Warning")
    assert "its worker box-7 is OFFLINE since" in warning
    assert all(run["name"] in warning for run in runs)
    assert proposal.affected == (Affected(deployment=row["full_name"], tags=("prod",), work_pool=pool),)
    receipt = await cancel.perform(proposal, key="card", actor="U42")
    assert receipt.ok
    assert len(receipt.details) == 2
    assert all("box-7 is OFFLINE" in detail.text for detail in receipt.details)


async def test_runs_are_cancelled_by_work_pool_and_state(cancel: CancelRuns, seed: Seed) -> None:
    pool = await seed.pool()
    one, other = await seed.deployment(pool=pool), await seed.deployment(pool=pool)
    await seed.run(await seed.deployment(pool=await seed.pool()), late_by=60)
    busy, late, later = (
        await running(seed, one),
        await seed.run(other, late_by=60),
        await seed.run(one, due_in=3600),
    )
    proposal = await cancel.cancel_runs(work_pool=pool)
    assert {run["name"] for run in proposal.arguments["runs"]} == {busy["name"], late["name"]}
    assert {each.deployment for each in proposal.affected} == {one["full_name"], other["full_name"]}
    both = await cancel.cancel_runs(work_pool=pool, deployment=one["full_name"], states=("SCHEDULED",))
    assert [run["name"] for run in both.arguments["runs"]] == [later["name"]]
    with pytest.raises(BadInput, match=f"No run of the work pool {pool} is PAUSED"):
        await cancel.cancel_runs(work_pool=pool, states=("PAUSED",))


async def test_too_many_runs_are_refused_with_their_number(cancel: CancelRuns, seed: Seed) -> None:
    pool = await seed.pool()
    row = await seed.deployment(pool=pool)

    async def all_are_there() -> bool:
        # A busy server makes only some of them.
        count = await seed.post("flow_runs/count", {"deployments": {"id": {"any_": [row["id"]]}}})
        if count < 53:
            await seed.post(f"deployments/{row['id']}/create_flow_run/bulk", [{}] * (53 - count))
        return bool(count == 53)

    await until(all_are_there)
    with pytest.raises(
        BadInput, match=f"There are 53 such runs of the work pool {pool}, and no more than 50"
    ):
        await cancel.cancel_runs(work_pool=pool, states=("SCHEDULED",))


ID = "0b5dd8de-4a3f-4a0e-9f0e-2d6a1f6f3a11"
CONFIRMED = Proposal(
    action="cancel_runs", title="", target="", arguments={"runs": [{"id": ID, "name": "otter"}]}
)


async def test_what_was_asked_for_counts_also_when_more_cannot_be_said() -> None:
    def run(state: str) -> Answer:
        return Answer(body={"id": ID, "name": "otter", "flow_id": "f", "state": {"type": state}})

    written = Answer(201, {"state": {"type": "CANCELLING"}, "status": "ACCEPT"})
    broken = Answer(500, {"exception_message": "Internal Server Error"})
    async with (
        scripted_prefect(run("RUNNING"), written, broken) as fake,
        PrefectClient(connection_to(fake.url)) as client,
    ):
        receipt = await CancelRuns(client).perform(CONFIRMED, key="card", actor="U42")
    assert (receipt.ok, receipt.text) == (True, "Being stopped by what runs it: otter.")
    assert receipt.details == ()
