"""Runs that ended badly, each for a reason of its own, and one that did not."""

from typing import Any

from tests.prefect_seed import unique
from tests.prefect_states import Labelled, Row, World, every

NOBODY_LISTENS = "https://127.0.0.1:1/shop/stock.git"


async def task_failed(world: World) -> Labelled:
    """The second task never started, which is all that the state says; the first is to blame."""
    deployment, run = await _ended(world, "update_prices", "FAILED", stem="prices")
    return Labelled(
        question=f"why did the last run of {deployment['full_name']} fail?",
        kind="task_failed",
        expected=("FAILED", "KeyError", "towels of magrathea", "read_prices", "state_flows.py"),
        not_expected=("reprice failed",),
        trouble=(deployment["name"],),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "FAILED", message="UnfinishedRun"), world.logged(run, "Retries are exhausted")
        ),
    )


async def retries_pending(world: World) -> Labelled:
    deployment, run = await _ended(world, "call_supplier", "AwaitingRetry", stem="supplier")
    return Labelled(
        question=f"{run['name']} has been waiting for long, is it stuck?",
        kind="retry_pending",
        expected=("AwaitingRetry", "supplier answered 503", "4 retries"),
        trouble=(deployment["name"],),
        flow_run=run["id"],
        seen=world.run_is(run, "AwaitingRetry"),
    )


async def parameter_refused(world: World) -> Labelled:
    number = {"type": "integer", "title": "shelves", "position": 0}
    schema = {"type": "object", "properties": {"shelves": number}, "required": ["shelves"]}
    deployment = await world.deploy(
        "count_stock",
        world.pool,
        stem="strict-count",
        enforce_parameter_schema=True,
        parameter_openapi_schema=schema,
    )

    async def no_run() -> bool:
        wanted = {"deployments": {"id": {"any_": [deployment["id"]]}}}
        return bool(await world.seed.post("flow_runs/count", wanted) == 0)

    return Labelled(
        question=f"start {deployment['full_name']} with shelves = plenty",
        kind="parameter_refused",
        expected=("shelves", "plenty", "no run was created"),
        arguments={"deployment": deployment["full_name"], "parameters": {"shelves": "plenty"}},
        seen=no_run,
    )


async def parameter_of_wrong_type(world: World) -> Labelled:
    _deployment, run = await _ended(
        world, "count_stock", "FAILED", stem="loose-count", parameters={"shelves": "plenty"}
    )
    return Labelled(
        question=f"{run['name']} failed at once, why?",
        kind="parameter_type",
        expected=("shelves", "valid integer", "plenty"),
        flow_run=run["id"],
        seen=world.run_is(run, "FAILED", message="ParameterTypeError"),
    )


async def unknown_parameter(world: World) -> Labelled:
    _deployment, run = await _ended(
        world, "count_stock", "CRASHED", stem="typo-count", parameters={"shelfs": 3}
    )
    return Labelled(
        question=f"why did {run['name']} crash?",
        kind="unknown_parameter",
        expected=("CRASHED", "shelfs", "shelves"),
        not_expected=("on_crashed", "memory"),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "CRASHED", message="status code: 1"),
            world.logged(run, "SignatureMismatchError"),
        ),
    )


async def pull_failed(world: World) -> Labelled:
    clone = {"prefect.deployments.steps.git_clone": {"repository": NOBODY_LISTENS, "branch": "release-9"}}
    _deployment, run = await _ended(world, "count_stock", "CRASHED", stem="cloned-count", pull_steps=[clone])
    return Labelled(
        question=f"{run['name']} crashed before my code ran, what happened?",
        kind="pull_failed",
        expected=("git_clone", "127.0.0.1:1/shop/stock.git", "release-9", "worker"),
        not_expected=("on_crashed", "workspace.json", "memory"),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "CRASHED"),
            world.happened(f"prefect.flow-run.{run['id']}", "prefect.flow-run.pull-step.failed"),
        ),
    )


async def script_missing(world: World) -> Labelled:
    _deployment, run = await _ended(
        world, "count_stock", "CRASHED", stem="lost-count", entrypoint="flows/lost.py:count_stock"
    )
    return Labelled(
        question=f"{run['name']} crashed, what is wrong with it?",
        kind="flow_file_missing",
        expected=("flows/lost.py", "No such file", "entrypoint"),
        not_expected=("on_crashed", "memory"),
        flow_run=run["id"],
        seen=every(world.run_is(run, "CRASHED"), world.logged(run, "lost.py")),
    )


async def function_missing(world: World) -> Labelled:
    _deployment, run = await _ended(
        world, "count_stock", "CRASHED", stem="renamed-count", entrypoint="state_flows.py:count_shelves"
    )
    return Labelled(
        question=f"what happened to {run['name']}?",
        kind="flow_function_missing",
        expected=("count_shelves", "state_flows.py", "entrypoint"),
        not_expected=("on_crashed", "memory"),
        flow_run=run["id"],
        seen=every(world.run_is(run, "CRASHED"), world.logged(run, "count_shelves")),
    )


async def no_entrypoint(world: World) -> Labelled:
    deployment, run = await _ended(world, "count_stock", "CRASHED", stem="pointless", entrypoint=None)
    return Labelled(
        question=f"why does {run['name']} crash?",
        kind="no_entrypoint",
        expected=("CRASHED", "entrypoint", deployment["full_name"]),
        not_expected=("on_crashed", "memory"),
        flow_run=run["id"],
        seen=world.run_is(run, "CRASHED", message="status code: 1"),
    )


async def storage_block_missing(world: World) -> Labelled:
    block = unique("bucket")
    step = {"block_type_slug": "local-file-system", "block_document_name": block}
    _deployment, run = await _ended(
        world,
        "count_stock",
        "CRASHED",
        stem="stored-count",
        pull_steps=[{"prefect.deployments.steps.pull_with_block": step}],
    )
    return Labelled(
        question=f"{run['name']} crashed without a word, why?",
        kind="pull_failed",
        expected=("pull_with_block", block, "local-file-system"),
        not_expected=("on_crashed", "memory"),
        trouble=(block,),
        flow_run=run["id"],
        seen=world.run_is(run, "CRASHED", message="status code: 1"),
    )


async def block_missing(world: World) -> Labelled:
    secret = unique("supplier-key")
    _deployment, run = await _ended(world, "log_in", "FAILED", stem="login", parameters={"secret": secret})
    return Labelled(
        question=f"why did {run['name']} fail?",
        kind="block_missing",
        expected=(secret, "secret", "block"),
        trouble=(secret,),
        flow_run=run["id"],
        seen=world.run_is(run, "FAILED", message="Unable to find block document"),
    )


async def killed_by_kernel(world: World) -> Labelled:
    _deployment, run = await _ended(world, "eat_memory", "CRASHED", stem="all-in-memory")
    return Labelled(
        question=f"what killed {run['name']}?",
        kind="killed",
        expected=("CRASHED", "-9", "SIGKILL", "memory"),
        flow_run=run["id"],
        seen=world.run_is(run, "CRASHED", message="SIGKILL"),
    )


async def left_with_a_code(world: World) -> Labelled:
    _deployment, run = await _ended(world, "leave", "CRASHED", stem="exits", parameters={"code": 3})
    return Labelled(
        question=f"why did {run['name']} crash?",
        kind="exit_code",
        expected=("CRASHED", "status code: 3"),
        not_expected=("memory",),
        flow_run=run["id"],
        seen=world.run_is(run, "CRASHED", message="status code: 3"),
    )


async def job_variable_refused(world: World) -> Labelled:
    _deployment, run = await _ended(
        world, "count_stock", "CRASHED", stem="elsewhere", job_variables={"working_dir": "/shop/not/mounted"}
    )
    return Labelled(
        question=f"{run['name']} could not start, why?",
        kind="could_not_start",
        expected=("CRASHED", "/shop/not/mounted", "working_dir"),
        flow_run=run["id"],
        seen=every(
            world.run_is(run, "CRASHED", message="could not start"), world.logged(run, "Failed to submit")
        ),
    )


async def all_well(world: World) -> Labelled:
    deployment, run = await _ended(world, "count_stock", "COMPLETED", stem="good-count")
    return Labelled(
        question=f"did {deployment['full_name']} work?",
        kind="",
        expected=("COMPLETED",),
        flow_run=run["id"],
        seen=world.run_is(run, "COMPLETED"),
    )


async def _ended(
    world: World, function: str, state: str, *, stem: str, parameters: Row | None = None, **more: Any
) -> tuple[Row, Row]:
    deployment = await world.deploy(function, world.pool, stem=stem, **more)
    return deployment, await world.perform(deployment, state, parameters=parameters or {})


STATES = (
    task_failed,
    retries_pending,
    parameter_refused,
    parameter_of_wrong_type,
    unknown_parameter,
    pull_failed,
    script_missing,
    function_missing,
    no_entrypoint,
    storage_block_missing,
    block_missing,
    killed_by_kernel,
    left_with_a_code,
    job_variable_refused,
    all_well,
)
