"""What is late in the workspace, a pool or a deployment: told by cause, with counts, and nothing else blamed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from knowledge.errors import BadInput
from tests.diagnosing import LATE, a_pool_at_work, holding, late, process_ended, said, taken_by
from tests.prefect_seed import Seed, unique
from tools.diagnosis.facts import Unread
from tools.diagnosis.grouping import group_runs
from tools.diagnosis.models import LateDiagnosis, LateGroup
from tools.diagnosis.survey import Survey
from tools.links import Links
from tools.models import FlowRun, Worker, WorkPool
from tools.prefect_client import PrefectClient

pytestmark = pytest.mark.slow


def group(found: LateDiagnosis, kind: str, about: str = "") -> LateGroup:
    return next(row for row in found.groups if row.cause.kind == kind and about in row.cause.about)


async def test_runs_with_one_cause_are_one_group_with_count_and_oldest(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool(is_paused=True)
    deployment = await seed.deployment(pool=pool)
    runs = [await seed.run(deployment, late_by=LATE * number) for number in (1, 2, 3, 40)]
    found = await late(prefect, work_pool=pool)
    assert found.runs_held_up == 4
    assert [(row.cause.kind, row.runs_count) for row in found.groups] == [("pool_paused", 4)]
    assert [cause.kind for cause in found.groups[0].also] == ["no_worker_ever"]
    assert found.groups[0].oldest_late_seconds is not None
    assert found.groups[0].oldest_late_seconds >= LATE * 40
    assert [row.name for row in found.groups[0].sample] == [run["name"] for run in runs[:3]]
    assert found.verdict.startswith(
        f"4 runs held up in work pool '{pool}', for 1 cause, the longest late for 60 min"
    )
    assert found.truncated is False


def pool_of_many(number: int, *, paused: bool) -> WorkPool:
    return WorkPool(id=f"p{number}", name=f"pool-{number}", type="process", is_paused=paused)


def overdue_in(pool: str, number: int) -> FlowRun:
    due = datetime.now(UTC) - timedelta(minutes=number + 1)
    late_ = {"type": "SCHEDULED", "name": "Late"}
    row = {
        "id": f"r{number}",
        "name": f"run-{number}",
        "flow_id": "f",
        "state": late_,
        "expected_start_time": due,
    }
    return FlowRun.model_validate({**row, "work_pool_name": pool, "work_queue_name": "default"})


def survey_of(pools: int) -> Survey:
    """A run in each pool and one more in the first; every second pool is paused, the others have no worker."""
    places = {f"pool-{number}": pool_of_many(number, paused=number % 2 == 0) for number in range(pools)}
    runs = [overdue_in(name, number) for number, name in enumerate(["pool-0", *places])]
    workers = {name: [Worker(name="w", last_heartbeat_time=datetime.now(UTC))] for name in places}
    return Survey(
        now=datetime.now(UTC),
        links=Links("http://ui"),
        overdue=tuple(runs),
        active=(),
        pools=places,
        workers={name: tuple(rows) if places[name].is_paused else () for name, rows in workers.items()},
    )


def test_each_cause_of_a_workspace_is_its_own_group_and_most_runs_come_first() -> None:
    groups = group_runs(survey_of(pools=4))
    assert [(row.cause.kind, row.cause.about, row.runs_count) for row in groups] == [
        ("pool_paused", "work pool pool-0", 2),
        ("no_worker_ever", "work pool pool-3", 1),
        ("pool_paused", "work pool pool-2", 1),
        ("no_worker_ever", "work pool pool-1", 1),
    ]


def test_very_many_places_at_fault_are_told_together_by_kind() -> None:
    groups = group_runs(survey_of(pools=60))
    assert [(row.cause.kind, row.runs_count) for row in groups] == [
        ("pool_paused", 31),
        ("no_worker_ever", 30),
    ]
    assert "The same in 30 places ('work pool pool-0'," in groups[0].cause.summary
    assert groups[0].cause.action is None


def test_runs_of_places_that_could_not_be_read_are_not_explained_by_guesses() -> None:
    unread = Unread("the work pools", "Prefect failed inside (500).")
    survey = replace(survey_of(pools=1), pools=unread, workers={"pool-0": unread})
    groups = group_runs(survey)
    assert [row.cause.kind for row in groups] == ["not_known"]
    assert "not everything could be looked at" in groups[0].cause.summary


async def test_the_whole_workspace_is_looked_at_without_a_scope(prefect: PrefectClient, seed: Seed) -> None:
    await seed.run(await seed.deployment(pool=await seed.pool(is_paused=True)), late_by=LATE)
    found = await late(prefect)
    assert found.scope == "the workspace"
    assert found.runs_held_up >= 1
    assert group(found, "pool_paused").runs_count >= 1


async def test_only_what_was_asked_about_is_told(prefect: PrefectClient, seed: Seed) -> None:
    other = await seed.pool(is_paused=True)
    await seed.run(await seed.deployment(pool=other), late_by=LATE)
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool)
    in_pool = await late(prefect, work_pool=pool)
    of_deployment = await late(prefect, deployment=deployment["full_name"])
    for found in (in_pool, of_deployment):
        assert found.groups == []
        assert found.verdict.startswith("No run is late or stuck in ")
        assert other not in said(found)


async def test_stuck_runs_that_are_not_late_are_found_too(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    await seed.worker(pool, name="gone", interval=0)
    deployment = await seed.deployment(pool=pool)
    zombie, cancelling = await holding(seed, deployment), await holding(seed, deployment)
    pending = await seed.run(deployment)
    await seed.state(pending, "PENDING")
    for run in (pending, cancelling):
        await taken_by(seed, run, "gone")
    await seed.state(cancelling, "CANCELLING")
    await taken_by(seed, zombie, "worker-1")
    await process_ended(seed, zombie, "worker-1")
    found = await late(prefect, work_pool=pool, minutes=3)
    for kind, run in (("zombie", zombie), ("stuck_cancelling", cancelling), ("pending_worker_lost", pending)):
        assert [row.name for row in group(found, kind).sample] == [run["name"]]
    assert found.runs_held_up == 3


async def test_deployments_that_make_no_runs_are_told_apart_from_late_runs(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await a_pool_at_work(seed)
    daily = {"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}}
    ended = {"schedule": {"rrule": "DTSTART:20240101T000000Z\nFREQ=DAILY;COUNT=3", "timezone": "UTC"}}
    off = [await seed.deployment(pool=pool, schedules=[{**daily, "active": False}]) for _ in range(2)]
    paused = await seed.deployment(pool=pool, paused=True, schedules=[{**daily, "active": True}])
    over = await seed.deployment(pool=pool, schedules=[{**ended, "active": True}])
    well = await seed.deployment(pool=pool, schedules=[{**daily, "active": True}])
    found = await late(prefect, work_pool=pool)
    assert found.runs_held_up == 0
    assert group(found, "schedule_inactive").deployments_count == 2
    assert set(group(found, "schedule_inactive").deployments) == {row["full_name"] for row in off}
    assert group(found, "deployment_paused").deployments == [paused["full_name"]]
    assert group(found, "schedule_ended").deployments == [over["full_name"]]
    assert well["full_name"] not in said(found)
    assert "which may be meant" in found.verdict


async def test_a_retry_that_comes_by_itself_is_no_trouble(prefect: PrefectClient, seed: Seed) -> None:
    pool = await a_pool_at_work(seed)
    run = await seed.run(await seed.deployment(pool=pool), due_in=600)
    await seed.state(run, "SCHEDULED", "AwaitingRetry")
    await seed.patch(
        f"flow_runs/{run['id']}", {"empirical_policy": {"retries": 2, "retry_type": "in_process"}}
    )
    found = await late(prefect, work_pool=pool)
    assert "retry" not in said(found)


async def test_one_run_has_the_shape_of_many(prefect: PrefectClient, seed: Seed) -> None:
    run = await seed.run(await seed.deployment(pool=await seed.pool()), late_by=LATE)
    found = await late(prefect, flow_run=run["name"])
    assert [(row.cause.kind, row.runs_count) for row in found.groups] == [("no_worker_ever", 1)]
    assert found.runs_held_up == 1


async def test_two_scopes_at_once_are_refused(prefect: PrefectClient) -> None:
    with pytest.raises(BadInput, match="at most one of"):
        await late(prefect, deployment=unique("a"), work_pool=unique("b"))
