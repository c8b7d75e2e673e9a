"""What `draw_timeline` tells about runs on a real server: which bars, how long, and what it leaves out."""

from typing import Any

import pytest

from tests.prefect_seed import Seed, unique
from tests.waiting import until
from tools import timeline
from tools.prefect_client import PrefectClient
from tools.timeline import Timelines
from tools.toolbox import Toolbox, tool


@pytest.fixture
def toolbox(prefect: PrefectClient) -> Toolbox:
    return Toolbox([tool(Timelines(prefect).draw_timeline)])


async def drawn(toolbox: Toolbox, **arguments: Any) -> Any:
    outcome = await toolbox.call("draw_timeline", arguments)
    assert outcome.ok, outcome.text
    return outcome.data


async def task_run(seed: Seed, run: dict[str, Any], name: str, *states: str, **details: Any) -> None:
    body = {"flow_run_id": run["id"], "task_key": name, "dynamic_key": unique("key"), "name": name}
    row = await seed.post("task_runs/", body)
    for state in states:
        wanted = {"type": state, "name": state.capitalize(), "state_details": details}
        await seed.post(f"task_runs/{row['id']}/set_state", {"state": wanted, "force": True})


async def running(seed: Seed, **deployment: Any) -> dict[str, Any]:
    run = await seed.run(await seed.deployment(**deployment))
    await seed.state(run, "RUNNING")
    return run


async def test_a_run_tells_its_task_runs_in_the_order_of_their_start(toolbox: Toolbox, seed: Seed) -> None:
    run = await running(seed)
    await task_run(seed, run, "extract", "RUNNING", "COMPLETED")
    await task_run(seed, run, "load", "RUNNING", "RUNNING", "FAILED")
    await task_run(seed, run, "notify")
    await seed.state(run, "FAILED", message="load failed")
    found = await drawn(toolbox, flow_run=run["name"])
    assert [(bar["name"], bar["state"], bar["over"]) for bar in found["bars"]] == [
        ("extract", "Completed", True),
        ("load", "Failed", True),
    ]
    assert found["bars"][0]["begins"] <= found["bars"][1]["begins"] <= found["seconds"]
    assert found["not_started"] == ["notify (Pending)"]
    assert (found["task_runs"], found["failures"], found["truncated"]) == (3, 1, False)
    assert (found["run"]["name"], found["over"]) == (run["name"], True)


async def test_what_still_runs_ends_now(toolbox: Toolbox, seed: Seed) -> None:
    run = await running(seed)
    await task_run(seed, run, "slow", "RUNNING")
    first = await drawn(toolbox, flow_run=run["id"])
    assert first["over"] is False

    async def grown() -> bool:
        later = await drawn(toolbox, flow_run=run["id"])
        return bool(
            later["seconds"] > first["seconds"] and later["bars"][0]["seconds"] > first["bars"][0]["seconds"]
        )

    await until(grown)


async def test_what_a_crash_left_running_ends_with_its_run(toolbox: Toolbox, seed: Seed) -> None:
    run = await running(seed)
    await task_run(seed, run, "orphan", "RUNNING")
    await seed.state(run, "CRASHED", message="killed")
    bar = (await drawn(toolbox, flow_run=run["name"]))["bars"][0]
    again = (await drawn(toolbox, flow_run=run["name"]))["bars"][0]
    assert (bar["state"], bar["over"]) == ("Running", False)
    assert bar["seconds"] == again["seconds"]


async def test_a_flow_that_was_called_by_the_run_is_told_from_a_task(toolbox: Toolbox, seed: Seed) -> None:
    run, child = await running(seed), await running(seed)
    await task_run(seed, run, "child-0", "RUNNING", child_flow_run_id=child["id"])
    await task_run(seed, run, "task-0", "RUNNING")
    kinds = {bar["name"]: bar["kind"] for bar in (await drawn(toolbox, flow_run=run["name"]))["bars"]}
    assert kinds == {"child-0": "subflow", "task-0": "task"}


async def test_a_retried_run_tells_each_of_its_attempts(toolbox: Toolbox, seed: Seed) -> None:
    run = await running(seed)
    for state, name in (("FAILED", ""), ("SCHEDULED", "AwaitingRetry"), ("RUNNING", ""), ("COMPLETED", "")):
        await seed.state(run, state, name)
    phases = (await drawn(toolbox, flow_run=run["name"]))["phases"]
    assert [phase["state"] for phase in phases] == ["Running", "Failed", "AwaitingRetry", "Running"]


async def test_a_run_that_never_began_has_no_bars(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment(), late_by=120)
    found = await drawn(toolbox, flow_run=run["name"])
    assert (found["bars"], found["phases"], found["over"]) == ([], [], False)
    assert "seconds" not in found
    assert found["waited_seconds"] >= 120


async def test_of_many_task_runs_those_that_failed_are_kept(toolbox: Toolbox, seed: Seed) -> None:
    run = await running(seed)
    for n in range(timeline.MAX_BARS + 1):
        body = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": str(n), "name": f"task-{n}"}
        # The last one to begin is the one that must not be left out.
        state = "FAILED" if n == timeline.MAX_BARS else "COMPLETED"
        await seed.post("task_runs/", {**body, "state": {"type": state, "name": state.capitalize()}})
    found = await drawn(toolbox, flow_run=run["name"])
    names = [bar["name"] for bar in found["bars"]]
    assert len(names) == timeline.MAX_BARS
    assert f"task-{timeline.MAX_BARS}" in names
    assert (found["task_runs"], found["truncated"]) == (timeline.MAX_BARS + 1, True)
    assert "failed" in found["chosen"]


async def test_a_deployment_tells_its_latest_runs_oldest_first(toolbox: Toolbox, seed: Seed) -> None:
    deployment = await seed.deployment()
    runs = [await seed.run(deployment, late_by=300 - 60 * n) for n in range(4)]
    for run, state in zip(runs, ("COMPLETED", "FAILED", "CRASHED"), strict=False):
        await seed.state(run, "RUNNING")
        await seed.state(run, state)
    await seed.run(deployment, due_in=3600)
    found = await drawn(toolbox, deployment=deployment["full_name"])
    assert {bar["name"] for bar in found["runs"]} == {run["name"] for run in runs}
    assert sorted(found["counts"].values()) == [1, 1, 1, 1]
    assert (found["failures"], found["older_runs_exist"]) == (2, False)
    waiting = next(bar for bar in found["runs"] if bar["name"] == runs[3]["name"])
    assert "began" not in waiting
    assert waiting["waited_seconds"] >= 120


async def test_only_so_many_runs_of_a_deployment_are_told(toolbox: Toolbox, seed: Seed) -> None:
    deployment = await seed.deployment()
    for n in range(3):
        await seed.run(deployment, late_by=100 + n)
    found = await drawn(toolbox, deployment=deployment["id"], runs=2)
    assert (len(found["runs"]), found["older_runs_exist"]) == (2, True)
    assert found["runs"][0]["due"] <= found["runs"][1]["due"]


async def test_a_deployment_that_never_ran_is_told_so(toolbox: Toolbox, seed: Seed) -> None:
    found = await drawn(toolbox, deployment=(await seed.deployment())["full_name"])
    assert (found["runs"], found["counts"], found["failures"]) == ([], {}, 0)


@pytest.mark.parametrize("arguments", [{}, {"deployment": "a/b", "flow_run": "c"}, {"flow_run": "  "}])
async def test_it_is_one_run_or_one_deployment(toolbox: Toolbox, arguments: dict[str, str]) -> None:
    outcome = await toolbox.call("draw_timeline", arguments)
    assert outcome.error is not None
    assert outcome.error.code == "bad_input"


async def test_secrets_in_names_are_masked(toolbox: Toolbox, seed: Seed) -> None:
    run = await running(seed)
    await task_run(seed, run, "load token=hunter2xyz", "RUNNING")
    assert "hunter2" not in str(await drawn(toolbox, flow_run=run["name"]))
