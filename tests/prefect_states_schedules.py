"""Deployments of which nothing runs any more."""

from typing import Any

from tests.prefect_seed import unique
from tests.prefect_states import Condition, Labelled, Row, World, eventually, every, no

EACH_MORNING = {"cron": "15 5 * * *", "timezone": "UTC"}
THREE_DAYS_OF_2024 = {"rrule": "DTSTART:20240304T050000Z\nFREQ=DAILY;COUNT=3"}


async def schedule_inactive(world: World) -> Labelled:
    schedule = {"schedule": EACH_MORNING, "active": False}
    deployment = await world.deploy("count_stock", world.pool, stem="mornings", schedules=[schedule])
    return Labelled(
        question=f"{deployment['full_name']} should run every morning but does not, why?",
        kind="schedule_inactive",
        expected=("schedule is inactive", "15 5 * * *", deployment["full_name"]),
        not_expected=("deployment is paused",),
        trouble=(deployment["name"],),
        deployment=deployment["full_name"],
        seen=every(_no_runs(world, deployment), _deployment_is(world, deployment, paused=False)),
    )


async def deployment_paused(world: World) -> Labelled:
    """Its schedule still says active."""
    schedule = {"schedule": EACH_MORNING, "active": True}
    # From the start: a scheduler that is at work while one is paused writes its runs all the same.
    deployment = await world.deploy(
        "count_stock", world.pool, stem="halted", schedules=[schedule], paused=True
    )
    return Labelled(
        question=f"why are there no upcoming runs of {deployment['full_name']}?",
        kind="deployment_paused",
        expected=("deployment is paused", "15 5 * * *", "resume"),
        not_expected=("schedule is inactive",),
        trouble=(deployment["name"],),
        deployment=deployment["full_name"],
        seen=every(_no_runs(world, deployment), _deployment_is(world, deployment, paused=True)),
    )


async def schedule_ended(world: World) -> Labelled:
    schedule = {"schedule": THREE_DAYS_OF_2024, "active": True}
    deployment = await world.deploy("count_stock", world.pool, stem="spring-sale", schedules=[schedule])
    return Labelled(
        question=f"{deployment['full_name']} has stopped running, why?",
        kind="schedule_ended",
        expected=("COUNT=3", deployment["full_name"], "ended"),
        not_expected=("deployment is paused", "schedule is inactive"),
        trouble=(deployment["name"],),
        deployment=deployment["full_name"],
        seen=_no_runs(world, deployment),
    )


async def paused_by_automation(world: World) -> Labelled:
    """A crashed run of it was enough; the crash comes first, as it would only happen again."""
    schedule = {"schedule": EACH_MORNING, "active": True}
    deployment = await world.deploy(
        "leave", world.pool, stem="fragile", schedules=[schedule], parameters={"code": 4}
    )
    automation = await automate(
        world, deployment, "prefect.flow-run.Crashed", {"type": "pause-deployment", "source": "inferred"}
    )
    await world.perform(deployment, "CRASHED")
    return Labelled(
        question=f"who paused {deployment['full_name']}?",
        kind="exit_code",
        expected=("deployment is paused", automation["name"], "resume"),
        trouble=(deployment["name"], automation["name"]),
        deployment=deployment["full_name"],
        seen=every(
            _deployment_is(world, deployment, paused=True),
            world.happened(f"prefect.deployment.{deployment['id']}", "prefect.automation.action.executed"),
        ),
    )


async def suspended_by_automation(world: World) -> Labelled:
    deployment = await world.deploy("pack_boxes", world.pool, stem="packing")
    automation = await automate(world, deployment, "prefect.flow-run.Running", {"type": "suspend-flow-run"})
    run = await world.perform(deployment, "Suspended")
    return Labelled(
        question=f"who suspended {run['name']}?",
        kind="suspended_by_automation",
        expected=(automation["name"], "Suspended", "resume"),
        trouble=(automation["name"],),
        flow_run=run["id"],
        seen=world.run_is(run, "PAUSED", message=f"Suspended by Automation {automation['id']}"),
    )


async def served_process_stopped(world: World) -> Labelled:
    """Stopped in order, it pauses its deployments on its way out."""
    deployment = await _served(world, "served-orderly", stop=True)
    return Labelled(
        question=f"nothing comes of {deployment['full_name']} since yesterday, why?",
        kind="deployment_paused",
        expected=("deployment is paused", "serve", "NOT_READY"),
        not_expected=("prefect worker start",),
        trouble=(deployment["name"],),
        deployment=deployment["full_name"],
        seen=_deployment_is(world, deployment, paused=True, status="NOT_READY"),
    )


async def served_process_killed(world: World) -> Labelled:
    deployment = await _served(world, "served-killed", stop=False)
    run = await world.late(deployment)
    return Labelled(
        question=f"why is {run['name']} late?",
        kind="serve_stopped",
        expected=("serve", "NOT_READY", deployment["full_name"]),
        not_expected=("deployment is paused",),
        trouble=(deployment["name"],),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "Late"), _deployment_is(world, deployment, paused=False, status="NOT_READY")
        ),
    )


async def automate(world: World, deployment: Row, event: str, action: Row) -> Row:
    """An automation that acts on each such event of the deployment's runs, loaded by the server."""
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {
            "prefect.resource.id": f"prefect.deployment.{deployment['id']}",
            "prefect.resource.role": "deployment",
        },
        "for_each": ["prefect.resource.id"],
        "expect": [event],
        "threshold": 1,
        "within": 0,
    }
    body = {"name": unique("caretaker"), "trigger": trigger, "actions": [action]}
    automation: Row = await world.seed.post("automations/", body)
    # The server has it in memory before it says that it was created.
    await eventually(world.happened(f"prefect.automation.{automation['id']}", "prefect.automation.created"))
    return automation


async def _served(world: World, stem: str, *, stop: bool) -> Row:
    """A deployment whose `flow.serve()` was there and is gone."""
    name = unique(stem)
    code = f"from state_flows import count_stock; count_stock.serve(name={name!r})"
    async with world.turn:
        process = world.processes.python("-c", code, log=name)
        await eventually(_served_is_ready(world, name))
    if stop:
        world.processes.stop(process)
    else:
        world.processes.lose(process)
    row: Row = await world.seed.get(f"deployments/name/count-stock/{name}")
    return {**row, "full_name": f"count-stock/{name}"}


def _served_is_ready(world: World, name: str) -> Condition:
    async def look() -> bool:
        wanted = {"deployments": {"name": {"any_": [name]}}}
        rows = await world.seed.post("deployments/filter", wanted)
        return [row["status"] for row in rows] == ["READY"]

    return look


def _deployment_is(world: World, deployment: Row, **values: Any) -> Condition:
    async def look() -> bool:
        row = await world.seed.get(f"deployments/{deployment['id']}")
        return all(row[name] == value for name, value in values.items())

    return look


def _no_runs(world: World, deployment: Row) -> Condition:
    async def runs() -> bool:
        wanted = {"deployments": {"id": {"any_": [deployment["id"]]}}}
        return bool(await world.seed.post("flow_runs/count", wanted))

    return no(runs)


STATES = (
    schedule_inactive,
    deployment_paused,
    schedule_ended,
    paused_by_automation,
    suspended_by_automation,
    served_process_stopped,
    served_process_killed,
)
