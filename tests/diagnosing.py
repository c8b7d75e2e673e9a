"""What the tests of the diagnosis ask, and how they look at the answer."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.prefect_seed import Seed
from tests.waiting import until
from tools.diagnosis.diagnosis import Diagnosis
from tools.diagnosis.models import Cause, LateDiagnosis, LateGroup, RunDiagnosis
from tools.prefect_client import PrefectClient

LATE = 90.0
"""Seconds; well past the grace that a run has."""


def diagnosis(prefect: PrefectClient, minutes: float = 0) -> Diagnosis:
    """As it would judge in so many minutes."""
    return Diagnosis(prefect, clock=lambda: datetime.now(UTC) + timedelta(minutes=minutes))


async def why(prefect: PrefectClient, run: dict[str, Any] | str, *, minutes: float = 0) -> RunDiagnosis:
    """Of a run by its id, or of whatever the text names."""
    text = run if isinstance(run, str) else run["id"]
    return await diagnosis(prefect, minutes).diagnose_flow_run(text)


async def late(prefect: PrefectClient, *, minutes: float = 0, **where: str) -> LateDiagnosis:
    return await diagnosis(prefect, minutes).diagnose_late_runs(**where)


def kinds(found: RunDiagnosis) -> list[str]:
    return [cause.kind for cause in found.causes]


def said(found: RunDiagnosis | LateDiagnosis | Cause | LateGroup) -> str:
    """Everything in it as one text."""
    return found.model_dump_json(exclude_none=True)


def proof(cause: Cause) -> dict[str, str]:
    """Evidence by `field of source`."""
    return {f"{line.field} of {line.source}": line.value for line in cause.evidence}


async def a_pool_at_work(seed: Seed, *queues: str, **more: Any) -> str:
    """A pool with a worker that polls the default queue and the ones named."""
    pool = await seed.pool(**more)
    for queue in queues:
        await seed.post(f"work_pools/{pool}/queues", {"name": queue})
    # It is well as long as a test may last, also as seen from half an hour later.
    await seed.worker(pool, interval=3600)
    await seed.poll(pool, "default", *queues)
    return pool


async def holding(seed: Seed, deployment: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A run that is RUNNING and so holds a slot."""
    run = await seed.run(deployment, **more)
    await propose(seed, run, "PENDING")
    await propose(seed, run, "RUNNING")
    return run


async def propose(seed: Seed, run: dict[str, Any], type: str) -> None:
    """A state by the server's rules, which alone count slots of a deployment, or refuse them."""
    state = {"type": type, "name": type.capitalize()}
    await seed.post(f"flow_runs/{run['id']}/set_state", {"state": state})


async def taken_by(seed: Seed, run: dict[str, Any], worker: str) -> None:
    """What a worker writes on a run when it takes it."""
    await seed.patch(f"flow_runs/{run['id']}/labels", {"prefect.worker.name": worker})


async def told(
    seed: Seed, event: str, resource: dict[str, str], *related: dict[str, str], ago: float = 0, **payload: Any
) -> None:
    """An event, as a worker or the server writes it; it can be read when this returns."""
    occurred = datetime.now(UTC) - timedelta(seconds=ago)
    around, id_ = timedelta(minutes=1), str(uuid.uuid4())
    body = {
        "id": id_,
        "occurred": occurred.isoformat(),
        "event": event,
        "resource": resource,
        "related": related,
    }
    await seed.post("events", [{**body, "payload": payload}])

    async def written() -> bool:
        wanted = {
            "id": {"id": [id_]},
            "occurred": {"since": (occurred - around).isoformat(), "until": (occurred + around).isoformat()},
        }
        return bool((await seed.post("events/filter", {"filter": wanted}))["events"])

    await until(written)


def named(role: str, kind: str, row: dict[str, Any]) -> dict[str, str]:
    """A resource as events relate to it."""
    return {
        "prefect.resource.id": f"prefect.{kind}.{row['id']}",
        "prefect.resource.role": role,
        "prefect.resource.name": row.get("name", ""),
    }


async def process_ended(seed: Seed, run: dict[str, Any], worker: str) -> None:
    """A worker tells that the process of a run is over, whatever the run's state says."""
    resource = {"prefect.resource.id": f"prefect.worker.process.{worker}", "prefect.resource.name": worker}
    await told(seed, "prefect.worker.executed-flow-run", resource, named("flow-run", "flow-run", run))
