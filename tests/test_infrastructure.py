"""Where code runs, as told for real deployments, pools and runs."""

from typing import Any

import pytest

from knowledge.errors import BadInput
from tests.prefect_seed import Seed
from tools.infrastructure import Infrastructure, InfrastructureReader
from tools.models import Deployment
from tools.prefect_client import PrefectClient
from tools.pull_steps import code_source

GIT = "prefect.deployments.steps.git_clone"


@pytest.fixture
def reader(prefect: PrefectClient) -> InfrastructureReader:
    return InfrastructureReader(prefect)


def template(configuration: dict[str, Any] | None = None, **defaults: Any) -> dict[str, Any]:
    properties = {name: {"default": value} for name, value in defaults.items()}
    placeholders = {name: f"{{{{ {name} }}}}" for name in defaults}
    return {
        "job_configuration": {**placeholders, **(configuration or {})},
        "variables": {"type": "object", "properties": properties},
    }


def layers(told: Infrastructure) -> dict[str, tuple[str, str]]:
    return {variable.name: (variable.value, variable.set_by) for variable in told.job_variables}


async def test_a_process_pool_runs_code_on_the_workers_machine(
    reader: InfrastructureReader, seed: Seed
) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="box-7")
    await seed.poll(pool, "default")
    row = await seed.deployment(
        pool=pool, pull_steps=[{GIT: {"repository": "https://git/x", "branch": "main"}}]
    )
    told = await reader.explain_infrastructure(deployment=row["full_name"])
    assert told.each_run_is == "a subprocess of the worker"
    assert told.runs_on == "the worker's own machine"
    assert (told.started_by, told.online_workers, told.can_start_now) == ("worker", ["box-7"], True)
    assert told.image is None
    for fact in (pool, "box-7", "The git repository https://git/x is cloned, branch main", "flows.py:main"):
        assert fact in told.summary


async def test_without_a_worker_the_summary_says_how_to_start_one(
    reader: InfrastructureReader, seed: Seed
) -> None:
    pool = await seed.pool(type="docker")
    row = await seed.deployment(pool=pool)
    told = await reader.explain_infrastructure(deployment=row["full_name"])
    assert told.can_start_now is False
    assert f"prefect worker start --pool {pool} --type docker" in told.summary


async def test_each_job_variable_names_the_layer_that_sets_it(
    reader: InfrastructureReader, seed: Seed
) -> None:
    defaults = template(image="acme/base:1", namespace="jobs", cpu_limit="1", env={"A": "1"}, dull=3)
    pool = await seed.pool(type="kubernetes", base_job_template=defaults)
    row = await seed.deployment(pool=pool, job_variables={"image": "acme/etl:2", "env": {"TOKEN": "x"}})
    run = await seed.run(row, job_variables={"cpu_limit": "4"})
    told = await reader.explain_infrastructure(flow_run=run["name"])
    assert layers(told) == {
        "image": ("acme/etl:2", "deployment"),
        "namespace": ("jobs", "pool default"),
        "cpu_limit": ("4", "run"),
        "env": ("keys only: TOKEN", "deployment"),
    }
    assert told.image == "acme/etl:2 (deployment)"


async def test_what_the_template_fixes_no_variable_can_change(
    reader: InfrastructureReader, seed: Seed
) -> None:
    fixed = template({"image": "acme/locked:9"}, image="acme/base:1")
    pool = await seed.pool(type="docker", base_job_template=fixed)
    row = await seed.deployment(pool=pool, job_variables={"image": "acme/mine:1"})
    told = await reader.explain_infrastructure(deployment=row["full_name"])
    assert told.image == "acme/locked:9 (pool template, fixed)"


async def test_credentials_in_job_variables_are_never_shown(reader: InfrastructureReader, seed: Seed) -> None:
    variables = {
        "aws_credentials": "AKIAXXXX-plain",
        "registry_password": "hunter2",
        "api_token": "{{ prefect.blocks.secret.api }}",
        "cluster_config": {"$ref": {"block_document_id": "x"}},
    }
    pool = await seed.pool(type="ecs")
    row = await seed.deployment(pool=pool, job_variables=variables)
    shown = {
        name: value
        for name, (value, _) in layers(await reader.explain_infrastructure(deployment=row["id"])).items()
    }
    assert shown == {
        "aws_credentials": "set, not shown",
        "registry_password": "set, not shown",
        "api_token": "{{ prefect.blocks.secret.api }}",
        "cluster_config": "a block, not shown",
    }


async def test_a_push_pool_needs_nobody(reader: InfrastructureReader, seed: Seed) -> None:
    told = await reader.explain_infrastructure(work_pool=await seed.pool(type="cloud-run:push"))
    assert (told.started_by, told.can_start_now, told.problem) == ("nobody", True, None)
    assert "no workers in this pool" in told.summary


async def test_a_legacy_pool_can_start_nothing(reader: InfrastructureReader, seed: Seed) -> None:
    told = await reader.explain_infrastructure(work_pool=await seed.pool(type="prefect-agent"))
    assert (told.started_by, told.can_start_now) == ("impossible", False)
    assert "agents were removed in Prefect 3" in told.summary


async def test_a_deployment_without_a_pool_waits_for_a_serve_process(
    reader: InfrastructureReader, seed: Seed
) -> None:
    row = await seed.deployment()
    told = await reader.explain_infrastructure(deployment=row["full_name"])
    assert (told.started_by, told.can_start_now, told.work_pool) == ("impossible", False, None)
    assert "flow.serve()" in told.summary


async def test_a_served_deployment_runs_in_its_serve_process(
    reader: InfrastructureReader, seed: Seed
) -> None:
    row = await seed.deployment()
    await seed.serve(row)
    told = await reader.explain_infrastructure(deployment=row["full_name"])
    assert (told.started_by, told.can_start_now) == ("serve process", True)
    assert "subprocess of the `flow.serve()` process" in told.each_run_is


async def test_a_queue_that_is_paused_or_unpolled_keeps_a_run_from_starting(
    reader: InfrastructureReader, seed: Seed
) -> None:
    pool = await seed.pool()
    await seed.worker(pool)
    await seed.poll(pool, "default")
    for queue, paused in (("frozen", True), ("lonely", False)):
        await seed.post(f"work_pools/{pool}/queues", {"name": queue, "is_paused": paused})
    frozen = await seed.deployment(pool=pool, work_queue_name="frozen")
    lonely = await seed.deployment(pool=pool, work_queue_name="lonely")
    told = await reader.explain_infrastructure(deployment=frozen["full_name"])
    assert "queue is paused" in (told.problem or "")
    told = await reader.explain_infrastructure(deployment=lonely["full_name"])
    assert "No worker asks this queue" in (told.problem or "")


async def test_a_run_tells_which_worker_took_it(reader: InfrastructureReader, seed: Seed) -> None:
    pool = await seed.pool()
    run = await seed.run(await seed.deployment(pool=pool))
    await seed.patch(f"flow_runs/{run['id']}", {"infrastructure_pid": "box-7:4711"})
    await seed.patch(f"flow_runs/{run['id']}/labels", {"prefect.worker.name": "box-7"})
    told = await reader.explain_infrastructure(flow_run=run["id"])
    assert told.this_run is not None
    assert "The worker box-7 took it (not online now). Its infrastructure is box-7:4711." in told.this_run


async def test_a_run_that_somebody_called_by_hand_has_no_known_machine(
    reader: InfrastructureReader, seed: Seed
) -> None:
    flow = await seed.flow()
    run = await seed.post(
        "flow_runs/", {"flow_id": flow["id"], "state": {"type": "RUNNING", "name": "Running"}}
    )
    told = await reader.explain_infrastructure(flow_run=run["id"])
    assert told.runs_on.startswith("the machine where somebody ran it")
    assert told.problem is None


async def test_a_run_outlives_its_deployment(reader: InfrastructureReader, seed: Seed) -> None:
    row = await seed.deployment()
    run = await seed.run(row)
    await seed.state(run, "COMPLETED")
    await seed.delete(f"deployments/{row['id']}")
    told = await reader.explain_infrastructure(flow_run=run["id"])
    assert "has been deleted" in told.code_comes_from[0]


async def test_exactly_one_thing_is_explained(reader: InfrastructureReader) -> None:
    with pytest.raises(BadInput, match="exactly one"):
        await reader.explain_infrastructure()
    with pytest.raises(BadInput, match="exactly one"):
        await reader.explain_infrastructure(deployment="a", work_pool="b")


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        pytest.param(
            {GIT: {"repository": "https://u:pw@git/x", "access_token": "{{ prefect.blocks.secret.gh }}"}},
            "The git repository https://u:[secret hidden: password]@git/x is cloned, "
            "with credentials from {{ prefect.blocks.secret.gh }}.",
            id="git",
        ),
        pytest.param(
            {GIT: {"repository": "https://git/x", "access_token": "plain"}},
            "The git repository https://git/x is cloned, with credentials that stand in the deployment (not shown).",
            id="git-plain-token",
        ),
        pytest.param(
            {
                "prefect.deployments.steps.pull_with_block": {
                    "block_type_slug": "s3",
                    "block_document_name": "b",
                }
            },
            "The code is downloaded with the block s3/b.",
            id="block",
        ),
        pytest.param(
            {"prefect_aws.deployments.steps.pull_from_s3": {"bucket": "b", "folder": "f"}},
            "The code is downloaded from the S3 bucket b, folder f, without credentials.",
            id="s3",
        ),
        pytest.param(
            {"prefect.deployments.steps.set_working_directory": {"directory": "/srv"}},
            "The working directory is set to /srv, where the code must already be.",
            id="directory",
        ),
        pytest.param(
            {"acme.steps.fetch": {"where": "x", "token": "y"}},
            "The step acme.steps.fetch is run (inputs: where, token).",
            id="own",
        ),
    ],
)
def test_every_pull_step_is_told_in_words(step: dict[str, Any], sentence: str) -> None:
    row = Deployment(id="1", name="d", flow_id="2", pull_steps=(step,))
    assert code_source(row) == [sentence]


def test_code_that_is_not_fetched_has_to_be_there() -> None:
    row = Deployment(id="1", name="d", flow_id="2", path="/opt/flows")
    assert code_source(row) == [
        "Nothing is fetched: the code must already be at /opt/flows where the run starts."
    ]
