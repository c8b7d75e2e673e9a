"""Deploy the sample flows to the demo's server, as a user's own script would.

    python -P deploy.py FLOWS.py RESULT.json       (with PREFECT_API_URL in the environment)

It runs in a process of its own: importing Prefect takes a second and 100 MB, which the bot does without.
RESULT.json becomes the list of the deployments' names.
"""

import datetime
import json
import runpy
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import prefect
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.utilities.callables import parameter_schema

HEALTH_POLL_SECONDS = 0.1
# Where an image that a Kubernetes job runs would hold the code.
CODE_IN_IMAGE = "/opt/flows"
YESTERDAY = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pool:
    """A work pool to create; `package` is where Prefect lists the worker type."""

    name: str
    type: str
    package: str
    description: str


@dataclass(frozen=True)
class Sample:
    """A deployment to create, and the parameters of the run that it has behind it, if any."""

    function: str
    deployment: str
    pool: str
    description: str
    tags: tuple[str, ...]
    cron: str = ""
    job_variables: dict[str, Any] = field(default_factory=dict)
    past_run: dict[str, Any] | None = None


POOLS = (
    Pool("local-process", "process", "prefect", "Runs flows as processes on the machine of its worker."),
    Pool("k8s-prod", "kubernetes", "prefect-kubernetes", "Runs flows as jobs in the production cluster."),
)
SAMPLES = (
    Sample(
        function="daily_report",
        deployment="analytics",
        pool="local-process",
        description="Sums up one day's sales in one region.",
        tags=("sales",),
        past_run={"day": YESTERDAY.isoformat(), "region": "us", "limit": 3},
    ),
    Sample(
        function="load_orders",
        deployment="nightly",
        pool="local-process",
        description="Loads the night's orders into the warehouse.",
        tags=("warehouse",),
        cron="0 2 * * *",
        past_run={"source": f"orders-{YESTERDAY.isoformat()}.csv"},
    ),
    Sample(
        function="train_model",
        deployment="weekly",
        pool="local-process",
        description="Trains the recommendation model; takes two minutes.",
        tags=("ml",),
        cron="0 4 * * 0",
    ),
    Sample(
        function="export_invoices",
        deployment="on-kubernetes",
        pool="k8s-prod",
        description="Writes a month's invoices to the accountants' bucket.",
        tags=("finance",),
        job_variables={"image": "registry.example.com/shop/flows:2026.11", "namespace": "finance"},
        past_run={"month": f"{YESTERDAY:%Y-%m}"},
    ),
)


def wait_until_healthy(client: SyncPrefectClient) -> None:
    """Return as soon as the server answers; who started this script bounds the wait."""
    while client.api_healthcheck() is not None:
        time.sleep(HEALTH_POLL_SECONDS)


def job_template(pool: Pool) -> dict[str, Any]:
    """The base job template that `prefect work-pool create` would give the pool.

    Read from Prefect's package, since the server asks the internet for the list of worker types first.
    """
    views = Path(prefect.__file__).parent / "server" / "api" / "collections_data" / "views"
    metadata = json.loads((views / "aggregate-worker-metadata.json").read_text())
    template: dict[str, Any] = metadata[pool.package][pool.type]["default_base_job_configuration"]
    return template


def create_pool(client: SyncPrefectClient, pool: Pool) -> None:
    """Create the work pool with its type's own template."""
    client.create_work_pool(
        WorkPoolCreate(
            name=pool.name, type=pool.type, description=pool.description, base_job_template=job_template(pool)
        )
    )


def schedules(sample: Sample) -> list[DeploymentScheduleCreate]:
    """The deployment's schedules, in UTC."""
    if not sample.cron:
        return []
    return [DeploymentScheduleCreate(schedule=CronSchedule(cron=sample.cron, timezone="UTC"))]


def deploy(client: SyncPrefectClient, sample: Sample, flow: Flow[..., Any], code: Path) -> str:
    """Create the deployment, and a run of it where one is wanted; returns `flow/deployment`."""
    directory = str(code.parent) if sample.pool == "local-process" else CODE_IN_IMAGE
    deployment_id = client.create_deployment(
        flow_id=client.create_flow(flow),
        name=sample.deployment,
        work_pool_name=sample.pool,
        description=sample.description,
        tags=list(sample.tags),
        schedules=schedules(sample),
        job_variables=sample.job_variables,
        entrypoint=f"{code.name}:{sample.function}",
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": directory}}],
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
    )
    if sample.past_run is not None:
        client.create_flow_run_from_deployment(deployment_id, parameters=sample.past_run)
    return f"{flow.name}/{sample.deployment}"


def main(code: Path, result: Path) -> None:
    """Create the pools, then the deployments, and write down their names."""
    functions = runpy.run_path(str(code))
    with get_client(sync_client=True) as client:
        wait_until_healthy(client)
        for pool in POOLS:
            create_pool(client, pool)
        names = [deploy(client, sample, functions[sample.function], code) for sample in SAMPLES]
    result.write_text(json.dumps(names))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
