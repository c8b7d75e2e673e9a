"""Analysis of failed runs on a real server: the first bad task, the log's end, how often it was seen."""

import uuid
from typing import Any

from tests import tracebacks
from tests.prefect_seed import Seed
from tools.diagnosis.diagnosis import Diagnosis
from tools.diagnosis.models import RunDiagnosis
from tools.failure.analysis import analyse
from tools.failure.models import FailureAnalysis
from tools.prefect_client import PrefectClient

INFO, WARNING, ERROR = 20, 30, 40
MISSING = "column 'customer_id' is missing in orders for 2026-03-0{}"
EXIT_1 = "Process exited with status code: 1. Process exited with a general error."


async def failed(
    seed: Seed,
    deployment: dict[str, Any],
    message: str,
    *,
    type: str = "FAILED",
    begun: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """A run in that state; `begun`: its flow was running before."""
    run = await seed.run(deployment, **more)
    if begun:
        await seed.state(run, "RUNNING")
    await seed.state(run, type, message=message)
    return run


async def bad_task(
    seed: Seed,
    run: dict[str, Any],
    name: str,
    message: str,
    *,
    type: str = "FAILED",
    state: str = "",
    **more: Any,
) -> dict[str, Any]:
    body = {
        "flow_run_id": run["id"],
        "name": name,
        "task_key": name.rpartition("-")[0],
        "dynamic_key": uuid.uuid4().hex,
        "state": {"type": type, "name": state or type.capitalize(), "message": message},
        **more,
    }
    task: dict[str, Any] = await seed.post("task_runs/", body)
    return task


def word() -> str:
    """Of letters alone: digits do not tell failures apart."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:12])


async def analysis_of(prefect: PrefectClient, run: dict[str, Any]) -> FailureAnalysis:
    return await analyse(prefect, await prefect.flow_run(run["id"]))


async def diagnosis_of(prefect: PrefectClient, run: dict[str, Any]) -> RunDiagnosis:
    return await Diagnosis(prefect).diagnose_flow_run(run["id"])


async def test_the_first_bad_task_is_named_with_its_error_and_what_it_held_back(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    run = await failed(
        seed,
        await seed.deployment(pool=pool),
        "Flow run encountered an exception: UnfinishedRun: Run is in PENDING state, its result is not available.",
    )
    told = f"Task run encountered an exception ValueError: {MISSING.format(1)}"
    first = await bad_task(seed, run, "load_orders-048", told, empirical_policy={"retries": 1})
    await bad_task(seed, run, "load_orders-0aa", told.replace("-01", "-02"))
    await bad_task(seed, run, "clean-1f2", "Upstream task run did not …", type="PENDING", state="NotReady")
    await seed.logs(run, [(ERROR, tracebacks.TASK_FAILED)], task=first)
    found = await analysis_of(prefect, run)
    assert found.task is not None
    assert (found.task.task, found.task.attempts_allowed) == ("load_orders", 2)
    assert found.error is not None
    assert (found.error.type, found.error.message) == ("ValueError", MISSING.format(1))
    assert str(found.error.user_frame) == "/opt/prefect/flows/etl.py:25 in load_orders"
    assert found.tasks is not None
    assert (found.tasks.failed, found.tasks.held_back) == (2, 1)
    assert "Task load_orders failed: ValueError: column 'customer_id'" in found.summary
    assert "After it, 1 task run never ran (NotReady)" in found.summary


async def test_a_task_that_the_flow_went_on_after_is_not_blamed(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    run = await failed(
        seed, await seed.deployment(pool=pool), "Flow run encountered an exception: OrderError: not complete"
    )
    await bad_task(seed, run, "probe-048", "Task run encountered an exception TimeoutError: no answer")
    found = await analysis_of(prefect, run)
    assert found.task is None
    assert found.summary.startswith("The run failed: OrderError: not complete.")
    assert "1 of its task runs failed, and the flow went on" in found.summary


async def test_an_exception_that_was_dealt_with_is_not_taken_for_the_cause(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    message = "Process exited with status code: -9. Process exited due to a SIGKILL signal."
    run = await failed(seed, await seed.deployment(pool=pool), message, type="CRASHED")
    handled = "could not read a, going on\nTraceback (most recent call last):\n  File \"/app/etl.py\", line 1, in f\n    x\nKeyError: 'a'"
    await seed.logs(
        run, [(ERROR, handled), (INFO, "loading 3,000,000 rows"), (WARNING, tracebacks.HOOK_NOISE)]
    )
    found = await analysis_of(prefect, run)
    assert found.error is None
    assert found.exit_code == -9
    assert found.last_lines[-1].message == "loading 3,000,000 rows"
    diagnosis = await diagnosis_of(prefect, run)
    assert diagnosis.causes[0].kind == "killed"
    assert "workspace.json" not in diagnosis.model_dump_json()


async def test_noise_after_the_error_does_not_hide_it(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    run = await failed(
        seed,
        await seed.deployment(pool=pool),
        f"Flow run encountered an exception: ValueError: {MISSING.format(1)}",
    )
    error = tracebacks.TASK_FAILED.replace(
        "Task run failed with exception", "Encountered exception during execution"
    )
    noise = [(ERROR, f"cleanup: file {number} left") for number in range(8)]
    await seed.logs(run, [(INFO, "reading orders"), (ERROR, error), *noise])
    found = await analysis_of(prefect, run)
    assert found.error is not None
    assert found.error.user_frame is not None
    assert found.error.user_frame.function == "load_orders"


async def test_secrets_in_what_was_raised_are_masked(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    secret = "hunter2-correct-horse"
    text = f"login failed: postgresql://etl:{secret}@db.internal/orders"
    run = await failed(
        seed, await seed.deployment(pool=pool), f"Flow run encountered an exception: OSError: {text}"
    )
    await seed.logs(
        run, [(INFO, f"DB_PASSWORD={secret}"), (ERROR, f"Encountered exception during execution: {text}")]
    )
    diagnosis = await diagnosis_of(prefect, run)
    assert "OSError" in diagnosis.verdict
    assert secret not in diagnosis.model_dump_json()


async def test_a_failure_is_counted_over_runs_and_deployments(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    here, there = await seed.deployment(pool=pool), await seed.deployment(pool=pool)
    passed = await failed(seed, here, "", type="COMPLETED")
    odd = word()
    said = f"Flow run encountered an exception: ValueError: {odd} is wrong in row {{}}"
    await failed(seed, there, said.format(12))
    for row in (7, 123_456):
        await failed(seed, here, said.format(row))
    await failed(seed, here, "Flow run encountered an exception: ValueError: something else")
    last = await failed(seed, here, said.format(9))
    found = (await analysis_of(prefect, last)).history
    assert found is not None
    assert (found.times, found.here) == (4, 3)
    assert [(row.name, row.times) for row in found.elsewhere] == [(there["full_name"], 1)]
    assert found.last_passed_run == passed["name"]
    # On a server with more failures than are compared it is `At least the 4th time`.
    assert "4th time in 7 days (first seen " in found.words
    assert f"also on {there['full_name']}; last passed " in found.words


async def test_the_first_failure_after_a_good_run_says_so(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool)
    run = await failed(seed, deployment, f"Flow run encountered an exception: ValueError: {word()}")
    later = await failed(seed, deployment, "", type="COMPLETED")
    found = (await analysis_of(prefect, run)).history
    assert found is not None
    assert found.words.startswith("First time in 7 days; it has passed since: ")
    assert later["name"] in found.words


async def test_runs_with_exit_code_1_are_told_apart_by_their_logs(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool)
    lines = {"import": tracebacks.IMPORT_FAILED, "parameter": tracebacks.UNKNOWN_PARAMETER}
    for kind in ("import", "parameter", "import"):
        run = await failed(seed, deployment, EXIT_1, type="CRASHED", begun=False)
        await seed.logs(run, [(ERROR, lines[kind]), (WARNING, tracebacks.HOOK_NOISE)])
    found = (await analysis_of(prefect, run)).history
    assert found is not None
    assert found.here == 2


async def test_the_same_words_from_another_function_are_another_failure(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    here, there = await seed.deployment(pool=pool), await seed.deployment(pool=pool)
    key = word()
    said = f"Flow run encountered an exception: KeyError: '{key}'"
    for deployment, function in ((there, "other"), (here, "load"), (here, "load")):
        run = await failed(seed, deployment, said)
        await seed.logs(run, [(ERROR, _key_error(key, function))])
    found = (await analysis_of(prefect, run)).history
    assert found is not None
    assert (found.times, found.elsewhere) == (2, [])


def _key_error(key: str, function: str) -> str:
    return (
        f"Encountered exception during execution: KeyError('{key}')\nTraceback (most recent call last):\n"
        f"  File \"/app/flows/etl.py\", line 3, in {function}\n    row[key]\nKeyError: '{key}'"
    )


async def test_a_reading_within_a_limit_gives_whole_rows_and_says_what_is_missing(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    run = await seed.run(await seed.deployment(pool=pool))
    await seed.logs(run, [(ERROR, f"{number} {'x' * 20_000}") for number in range(10)])
    wanted = {"flow_run_id": {"any_": [run["id"]]}}
    lines, cut = await prefect.last_logs(wanted, limit=10, max_bytes=50_000)
    assert cut
    assert [line.message.partition(" ")[0] for line in lines] == ["9", "8"]
    lines, cut = await prefect.last_logs(wanted, limit=3, max_bytes=500_000)
    assert not cut
    assert len(lines) == 3


async def test_a_line_too_large_to_read_is_said_and_the_state_still_tells(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    run = await failed(
        seed, await seed.deployment(pool=pool), "Flow run encountered an exception: ValueError: too long"
    )
    await seed.logs(run, [(ERROR, f"Encountered exception during execution: {'x' * 900_000}")])
    found = await analysis_of(prefect, run)
    assert found.summary.startswith("The run failed: ValueError: too long.")
    assert "so large" in " ".join(found.notes)


async def test_a_bad_value_is_told_with_parameter_value_and_expected_type(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool, enforce_parameter_schema=False)
    message = (
        "Validation of flow parameters failed with error: ParameterTypeError: Flow run received invalid parameters:\n"
        " - size: Input should be a valid integer, unable to parse string as an integer\n"
        " - when.day: Input should be a valid date"
    )
    parameters = {"size": "huge", "when": {"day": "someday"}}
    run = await failed(seed, deployment, message, begun=False, parameters=parameters)
    cause = (await diagnosis_of(prefect, run)).causes[0]
    assert cause.kind == "parameter_type"
    assert "parameter size is 'huge': Input should be a valid integer" in cause.summary
    assert "parameter when.day is 'someday'" in cause.summary


async def test_what_crashed_with_code_1_is_told_by_kind(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool, entrypoint="not_here.py:main")
    expected = {
        tracebacks.IMPORT_FAILED: ("flow_file_missing", "No such file or directory"),
        tracebacks.SYNTAX_ERROR: ("import_failed", "SyntaxError: invalid syntax (flows/bad.py:3"),
        tracebacks.UNKNOWN_PARAMETER: ("unknown_parameter", "'y'; it takes 'x'"),
    }
    for line, (kind, words) in expected.items():
        run = await failed(seed, deployment, EXIT_1, type="CRASHED", begun=False)
        await seed.logs(run, [(ERROR, line), (WARNING, tracebacks.HOOK_NOISE)])
        diagnosis = await diagnosis_of(prefect, run)
        assert [cause.kind for cause in diagnosis.causes] == [kind]
        assert words in diagnosis.verdict


async def test_a_crash_that_has_logged_nothing_yet_is_to_be_looked_at_again(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool, entrypoint="etl.py:main")
    run = await failed(seed, deployment, EXIT_1, type="CRASHED", begun=False)
    diagnosis = await diagnosis_of(prefect, run)
    assert diagnosis.causes[0].kind == "exit_code"
    assert "its last log lines may still be on their way" in " ".join(diagnosis.worth_knowing)


async def test_a_killed_run_is_told_how_much_memory_it_had(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(type="docker")
    deployment = await seed.deployment(pool=pool, job_variables={"mem_limit": "512m"})
    message = "Flow run infrastructure exited with non-zero status code 137. Process was killed, likely due to an out-of-memory (OOM) condition."
    run = await failed(seed, deployment, message, type="CRASHED")
    cause = (await diagnosis_of(prefect, run)).causes[0]
    assert cause.kind == "out_of_memory"
    assert "mem_limit = 512m (deployment)" in cause.summary
    assert "137 (SIGKILL)" in cause.summary


async def test_an_image_that_could_not_be_pulled_is_named(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(type="docker")
    deployment = await seed.deployment(pool=pool)
    message = "Failed to submit flow run to infrastructure: NotFound: 404 Client Error: pull access denied for acme/etl"
    run = await failed(
        seed, deployment, message, type="CRASHED", begun=False, job_variables={"image": "acme/etl:9"}
    )
    cause = (await diagnosis_of(prefect, run)).causes[0]
    assert cause.kind == "image_pull_failed"
    assert "pull access denied for acme/etl" in cause.summary
    assert "image = acme/etl:9 (run)" in cause.summary


async def test_a_cancelled_run_tells_what_was_said_when_it_was_cancelled(
    prefect: PrefectClient, seed: Seed
) -> None:
    pool = await seed.pool()
    run = await seed.run(await seed.deployment(pool=pool))
    await seed.state(run, "RUNNING")
    await seed.state(run, "CANCELLING", message="cancelled by Ann from Slack")
    await seed.state(run, "CANCELLED", message="Flow run was cancelled successfully.")
    diagnosis = await diagnosis_of(prefect, run)
    assert [cause.kind for cause in diagnosis.causes] == ["cancelled"]
    assert "“cancelled by Ann from Slack”" in diagnosis.verdict
