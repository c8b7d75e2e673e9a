"""What the read tools tell about a real server, as a model or an on-call engineer reads it."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge.embed import static_embedder
from knowledge.library import Library
from knowledge.models import Embedder
from knowledge.sources.config import FIELD_GUIDE
from tests.prefect_seed import Seed, unique
from tests.waiting import until
from tools.catalog import build_toolbox
from tools.docs import Docs
from tools.prefect_client import PrefectClient
from tools.toolbox import Toolbox, ToolOutcome, tool


@pytest.fixture
def toolbox(prefect: PrefectClient, tmp_path: Path) -> Toolbox:
    embedder = Embedder("none", lambda texts: np.zeros((len(texts), 1), dtype=np.float32))
    return build_toolbox(prefect, Library(tmp_path, embedder), [FIELD_GUIDE])


async def read(toolbox: Toolbox, name_of_tool: str, /, **arguments: Any) -> Any:
    outcome = await toolbox.call(name_of_tool, arguments)
    assert outcome.ok, outcome.text
    return outcome.data


async def failure(toolbox: Toolbox, name_of_tool: str, /, **arguments: Any) -> ToolOutcome:
    outcome = await toolbox.call(name_of_tool, arguments)
    assert not outcome.ok
    return outcome


async def pool_row(toolbox: Toolbox, name: str) -> Any:
    return (await read(toolbox, "list_work_pools", name=name))["work_pools"][0]


# -- work pools --


async def test_a_pool_with_a_living_worker_has_no_problem(toolbox: Toolbox, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool)
    row = await pool_row(toolbox, pool)
    assert (row["online_workers"], row["type_in_words"], row["paused"]) == (1, "local processes", False)
    assert "problem" not in row


async def test_a_pool_without_a_worker_says_how_to_start_one(toolbox: Toolbox, seed: Seed) -> None:
    pool = await seed.pool(type="docker")
    problem = (await pool_row(toolbox, pool))["problem"]
    assert "No worker is known" in problem
    assert f"prefect worker start --pool {pool} --type docker" in problem


async def test_a_silent_worker_is_offline_whatever_prefect_shows(toolbox: Toolbox, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool, name="sleepy", interval=0)
    details = await read(toolbox, "describe_work_pool", work_pool=pool)
    assert [(worker["name"], worker["online"]) for worker in details["workers"]] == [("sleepy", False)]
    assert "the last was sleepy" in details["problem"]


async def test_a_legacy_agent_pool_cannot_run_anything(toolbox: Toolbox, seed: Seed) -> None:
    row = await pool_row(toolbox, await seed.pool(type="prefect-agent"))
    assert "Nothing can run this pool" in row["problem"]
    assert "online_workers" not in row


async def test_no_worker_is_missed_where_none_is_needed(toolbox: Toolbox, seed: Seed) -> None:
    pool = await seed.pool(type="ecs:push")
    details = await read(toolbox, "describe_work_pool", work_pool=pool)
    assert "problem" not in details
    assert "workers" not in details
    assert "start_a_worker" not in details


async def test_a_paused_pool_and_a_full_one_say_so(toolbox: Toolbox, seed: Seed) -> None:
    paused = await seed.pool(is_paused=True)
    assert "paused" in (await pool_row(toolbox, paused))["problem"]
    full = await seed.pool(concurrency_limit=1)
    await seed.worker(full)
    holder = await seed.run(await seed.deployment(pool=full))
    await seed.state(holder, "RUNNING")
    row = await pool_row(toolbox, full)
    assert row["concurrency"] == "1 of 1 slots in use"
    assert "limit is reached (1 of 1 slots in use)" in row["problem"]


async def test_a_queue_that_nobody_polls_is_told_from_the_polled_one(toolbox: Toolbox, seed: Seed) -> None:
    pool = await seed.pool()
    await seed.worker(pool)
    await seed.post(f"work_pools/{pool}/queues", {"name": "special"})
    await seed.run(await seed.deployment(pool=pool), late_by=60)
    await seed.poll(pool, "special")
    details = await read(toolbox, "describe_work_pool", work_pool=pool)
    queues = {queue["name"]: queue for queue in details["queues"]}
    assert queues["default"]["overdue_runs"] == 1
    assert "No worker asks this queue" in queues["default"]["problem"]
    assert "problem" not in queues["special"]
    assert "overdue" in (await pool_row(toolbox, pool))["problem"]


async def test_a_pool_tells_its_runs_deployments_and_telling_variables(toolbox: Toolbox, seed: Seed) -> None:
    properties = {
        "image": {"default": "acme/base:1"},
        "env": {"default": {"API_KEY": "x"}},
        "dull": {"default": 1},
    }
    pool = await seed.pool(type="docker", base_job_template=template(properties))
    deployment = await seed.deployment(pool=pool)
    for state in ("RUNNING", "PENDING"):
        await seed.state(await seed.run(deployment), state)
    details = await read(toolbox, "describe_work_pool", work_pool=pool)
    assert (details["running_runs"], details["pending_runs"], details["deployments"]) == (1, 1, 1)
    assert details["some_deployments"] == [deployment["full_name"]]
    shown = {variable["name"]: variable["value"] for variable in details["job_variables"]}
    assert shown == {"image": "acme/base:1", "env": "keys only: API_KEY"}


def template(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in properties},
        "variables": {"type": "object", "properties": properties},
    }


async def test_the_lists_tell_truly_whether_they_are_cut(toolbox: Toolbox, seed: Seed) -> None:
    stem = unique("many")
    for _ in range(3):
        await seed.pool(stem=stem)
    assert (await read(toolbox, "list_work_pools", name=stem, limit=3))["truncated"] is False
    assert (await read(toolbox, "list_work_pools", name=stem, limit=2))["truncated"] is True


# -- deployments --

SCHEMA = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "format": "date-time", "position": 0},
        "mode": {"$ref": "#/definitions/Mode", "default": "fast", "position": 1},
        "api_token": {"type": "string", "position": 2},
    },
    "required": ["day", "mode"],
    "definitions": {"Mode": {"type": "string", "enum": ["fast", "slow"]}},
}


async def test_a_deployment_tells_its_parameters_without_secrets(toolbox: Toolbox, seed: Seed) -> None:
    row = await seed.deployment(
        parameter_openapi_schema=SCHEMA,
        parameters={"mode": "slow", "api_token": "s3cr3t-value"},
        enforce_parameter_schema=True,
        job_variables={"env": {"DB_PASSWORD": "hunter2"}},
    )
    details = await read(toolbox, "describe_deployment", deployment=row["full_name"])
    parameters = {parameter["name"]: parameter for parameter in details["parameters"]}
    assert list(parameters) == ["day", "mode", "api_token"]
    assert parameters["day"] == {"name": "day", "type": "a text (date-time)", "required": True}
    assert parameters["mode"]["choices"] == ["fast", "slow"]
    assert (parameters["mode"]["default"], parameters["mode"]["required"]) == ("slow", False)
    assert "s3cr3t" not in str(details)
    assert details["job_variables"][0]["value"] == "keys only: DB_PASSWORD"


async def test_schedules_are_told_in_words_with_the_next_run(toolbox: Toolbox, seed: Seed) -> None:
    row = await seed.deployment(
        schedules=[
            {"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Lisbon"}, "active": False},
            {"schedule": {"interval": 7200}, "active": False},
            {"schedule": {"rrule": "FREQ=DAILY;COUNT=1"}, "active": False},
        ]
    )
    run = await seed.run(row, due_in=3600)
    details = await read(toolbox, "describe_deployment", deployment=row["full_name"])
    assert sorted(details["schedules"])[:2] == [
        "cron 0 6 * * * (Europe/Lisbon), switched off",
        "every 2 hours, switched off",
    ]
    assert run["name"] in details["next_run"]


async def test_deployments_are_filtered_by_name_pool_tag_and_pause(toolbox: Toolbox, seed: Seed) -> None:
    pool, tag = await seed.pool(), unique("tag")
    plain = await seed.deployment(pool=pool)
    paused = await seed.deployment(pool=pool, tags=[tag], paused=True)

    async def names(**arguments: Any) -> set[str]:
        found = await read(toolbox, "list_deployments", **arguments)
        return {row["name"] for row in found["deployments"]}

    both = {plain["full_name"], paused["full_name"]}
    assert await names(work_pool=pool) == both
    assert await names(name=plain["full_name"]) == {plain["full_name"]}
    assert await names(name=plain["name"].upper()) == {plain["full_name"]}
    assert await names(tag=tag) == await names(work_pool=pool, paused_only=True) == {paused["full_name"]}
    cut = await read(toolbox, "list_deployments", work_pool=pool, limit=1)
    assert (cut["total"], cut["truncated"]) == (2, True)


# -- runs --


async def test_overdue_runs_are_found_whatever_their_state_is_called(toolbox: Toolbox, seed: Seed) -> None:
    row = await seed.deployment()
    late, waiting, retrying, ahead = [
        await seed.run(row, late_by=late_by) for late_by in (300, 200, 100, -3600)
    ]

    async def is_marked() -> bool:
        return bool((await seed.get(f"flow_runs/{retrying['id']}"))["state_name"] == "Late")

    await until(is_marked)  # Or the server's own clock may take our states back.
    await seed.state(waiting, "SCHEDULED", "AwaitingConcurrencySlot")
    soon = {"scheduled_time": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    retry = {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": soon}
    await seed.post(f"flow_runs/{retrying['id']}/set_state", {"state": retry, "force": True})
    found = await read(toolbox, "list_flow_runs", deployment=row["full_name"], late_only=True)
    assert [run["name"] for run in found["flow_runs"]] == [late["name"], waiting["name"]]
    assert found["flow_runs"][0]["late_seconds"] >= 300
    assert ahead["name"] not in str(found)
    cut = await read(toolbox, "list_flow_runs", deployment=row["full_name"], late_only=True, limit=1)
    assert cut["truncated"] is True


async def test_runs_are_filtered_by_state_time_and_name(toolbox: Toolbox, seed: Seed) -> None:
    row = await seed.deployment()
    failed, done, future = await seed.run(row), await seed.run(row), await seed.run(row, due_in=7200)
    await seed.state(failed, "FAILED", message="ValueError: boom")
    await seed.state(done, "COMPLETED")

    async def names(**arguments: Any) -> list[str]:
        found = await read(toolbox, "list_flow_runs", deployment=row["full_name"], **arguments)
        return [run["name"] for run in found["flow_runs"]]

    assert await names(states=["FAILED", "CRASHED"]) == [failed["name"]]
    assert await names(state_names=["Completed"]) == [done["name"]]
    assert sorted(await names()) == sorted([failed["name"], done["name"]])
    assert (await names(until_hours=3))[0] == future["name"]
    assert await names(name=done["name"][:-1]) == [done["name"]]


async def test_a_row_holds_what_one_would_look_up_beside(toolbox: Toolbox, seed: Seed) -> None:
    pool = await seed.pool()
    row = await seed.deployment(pool=pool)
    run = await seed.run(row)
    await seed.state(run, "FAILED", message="ValueError: boom")
    found = await read(toolbox, "list_flow_runs", deployment=row["full_name"])
    shown = found["flow_runs"][0]
    assert (shown["deployment"], shown["work_pool"], shown["work_queue"]) == (
        row["full_name"],
        pool,
        "default",
    )
    assert (shown["state"], shown["message"]) == ("Failed", "ValueError: boom")
    assert shown["url"].endswith(f"/runs/flow-run/{run['id']}")


async def test_a_run_of_a_deleted_deployment_is_still_told(toolbox: Toolbox, seed: Seed) -> None:
    row = await seed.deployment()
    run = await seed.run(row)
    await seed.state(run, "FAILED")
    await seed.delete(f"deployments/{row['id']}")
    details = await read(toolbox, "describe_flow_run", flow_run=run["id"])
    assert details["run"]["deployment"] == "deleted deployment"


async def test_a_run_is_told_with_history_parameters_and_errors(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment(), parameters={"x": 1, "password": "hunter2"})
    await seed.state(run, "RUNNING")
    await seed.state(run, "FAILED", message="ValueError: boom " + "x" * 500)
    traceback = "Traceback:\n  File 'a.py'\nValueError: boom"
    await seed.logs(
        run, [(40, f"Task run failed\n{traceback}"), (40, f"Flow failed\n{traceback}"), (20, "bye")]
    )
    details = await read(toolbox, "describe_flow_run", flow_run=run["name"])
    assert [state["state"] for state in details["states"]] == ["Scheduled", "Running", "Failed"]
    assert details["parameters"] == {"x": 1, "password": "[secret hidden: password]"}
    assert details["last_errors"] == [f"Task run failed\n{traceback}"]
    assert len(details["full_message"]) > 500


async def test_a_parameter_that_is_secret_by_its_type_alone_is_not_shown(
    toolbox: Toolbox, seed: Seed
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "pw": {"type": "string", "format": "password", "writeOnly": True},
            "day": {"type": "string"},
        },
    }
    row = await seed.deployment(parameter_openapi_schema=schema, parameters={"pw": "Tuesday-7", "day": "x"})
    run = await seed.run(row)
    shown = await read(toolbox, "describe_flow_run", flow_run=run["id"])
    assert shown["parameters"] == {"pw": "[secret hidden: secret]", "day": "x"}
    listed = await read(toolbox, "describe_deployment", deployment=row["full_name"])
    assert [(one["name"], one["default"]) for one in listed["parameters"]] == [
        ("pw", "set, not shown"),
        ("day", "x"),
    ]


# -- logs --


async def test_logs_are_read_from_their_end_and_back(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await seed.logs(run, [(20, f"line {n}") for n in range(10)])
    end = await read(toolbox, "read_logs", flow_run=run["name"], limit=3)
    assert [line["message"] for line in end["lines"]] == ["line 7", "line 8", "line 9"]
    assert end["older_lines_exist"] is True
    back = await read(toolbox, "read_logs", flow_run=run["name"], limit=3, before=end["before"])
    assert [line["message"] for line in back["lines"]][-1] in ("line 6", "line 7")
    whole = await read(toolbox, "read_logs", flow_run=run["name"], limit=10)
    assert (len(whole["lines"]), whole["older_lines_exist"]) == (10, False)


async def test_logs_are_filtered_by_level_and_phrase(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await seed.logs(run, [(40, 'key "x" -boom'), (40, "boom"), (30, "hm"), (20, "key here"), (10, "debug")])
    errors = await read(toolbox, "read_logs", flow_run=run["name"], level="ERROR")
    assert len(errors["lines"]) == 2
    phrase = await read(toolbox, "read_logs", flow_run=run["name"], text='key "x" -boom')
    assert [line["message"] for line in phrase["lines"]] == ['key "x" -boom']
    nothing = await read(toolbox, "read_logs", flow_run=run["name"], level="CRITICAL")
    assert nothing["lines"] == []
    assert nothing["note"]


async def test_a_flood_of_log_text_stays_within_the_budget(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await seed.logs(run, [(20, f"{n} " + "x" * 20_000 + " the end") for n in range(8)])
    logs = await read(toolbox, "read_logs", flow_run=run["name"])
    assert sum(len(line["message"]) for line in logs["lines"]) < 20_000
    assert logs["older_lines_exist"] is True
    assert logs["lines"][-1]["message"].startswith("7 ")
    assert logs["lines"][-1]["message"].endswith("the end")


async def test_secrets_in_logs_are_masked(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await seed.logs(run, [(20, "connecting to postgresql://bot:hunter2@db/x")])
    logs = await read(toolbox, "read_logs", flow_run=run["name"])
    assert logs["lines"][0]["message"] == "connecting to postgresql://bot:[secret hidden: password]@db/x"


async def test_a_secret_is_masked_before_a_text_is_cut_through_it(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    await seed.state(run, "FAILED", message="x" * 270 + " postgresql://bot:hunter2xyz@db.internal/x")
    await seed.logs(run, [(40, "x" * 980 + " postgresql://bot:hunter2xyz@db/x " + "y" * 9000)])
    details = await toolbox.call("describe_flow_run", {"flow_run": run["name"]})
    logs = await toolbox.call("read_logs", {"flow_run": run["name"]})
    assert "hunter2" not in details.text + logs.text


async def test_a_time_that_is_none_is_refused(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    outcome = await failure(toolbox, "read_logs", flow_run=run["name"], before="yesterday")
    assert outcome.error is not None
    assert "not a time" in outcome.error.message


# -- the rest --


async def test_the_overview_counts_what_is_there(toolbox: Toolbox, seed: Seed) -> None:
    before = await read(toolbox, "workspace_overview")
    row = await seed.deployment(paused=True)
    await seed.run(row, late_by=60)
    failed = await seed.run(row)
    await seed.state(failed, "CRASHED", message="killed")
    after = await read(toolbox, "workspace_overview")
    for field in ("deployments", "paused_deployments", "failed_last_24_hours"):
        assert after[field] == before[field] + 1, field
    # Runs of earlier tests become overdue meanwhile.
    assert after["overdue_runs"] > before["overdue_runs"]
    assert after["latest_failures"][0]["name"] == failed["name"]
    assert after["prefect_version"].startswith("3.")


async def test_limits_of_every_kind_are_told_by_name(toolbox: Toolbox, seed: Seed) -> None:
    name = unique("limit")
    row = await seed.deployment(name=name, concurrency_limit=2)
    await seed.limit(name, 1, active_slots=1)
    await seed.post("concurrency_limits/", {"tag": name, "concurrency_limit": 3})
    found = await read(toolbox, "list_concurrency_limits", name=name)
    limits = {(limit["kind"], limit["name"]): limit for limit in found["limits"]}
    assert set(limits) == {("deployment", row["full_name"]), ("global", name), ("task tag", name)}
    assert [limit["full"] for key, limit in limits.items() if key[0] == "global"] == [True]
    full = await read(toolbox, "list_concurrency_limits", name=name, full_only=True)
    assert [limit["kind"] for limit in full["limits"]] == ["global"]
    details = await read(toolbox, "describe_deployment", deployment=row["full_name"])
    assert details["concurrency_limit"].startswith("at most 2 at a time")


async def test_automations_are_told_in_words(toolbox: Toolbox, seed: Seed) -> None:
    row = await seed.deployment()
    name = unique("pause-on-failure")
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "expect": ["prefect.flow-run.Failed"],
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.id": f"prefect.deployment.{row['id']}"},
        "threshold": 3,
        "within": 60,
    }
    action = {"type": "pause-deployment", "source": "selected", "deployment_id": row["id"]}
    await seed.post("automations/", {"name": name, "trigger": trigger, "actions": [action]})
    found = (await read(toolbox, "list_automations", name=name))["automations"][0]
    assert found["when"] == (
        "prefect.flow-run.Failed happens 3 times within 60 s, for prefect.flow-run.*, "
        f"related to deployment {row['full_name']}"
    )
    assert found["then"] == [f"pause-deployment (deployment {row['full_name']})"]


async def test_events_of_a_run_are_listed_newest_first(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    now = datetime.now(UTC)
    events = [
        {
            "id": str(uuid.uuid4()),
            "occurred": (now + timedelta(seconds=position)).isoformat(),
            "event": f"acme.step.{position}",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run['id']}"},
            "payload": {"rows": position, "deep": {"a": 1}},
        }
        for position in range(3)
    ]
    await seed.post("events", events)

    async def written() -> bool:
        return bool((await read(toolbox, "list_events", flow_run=run["name"], prefix="acme."))["total"] == 3)

    await until(written)
    found = await read(toolbox, "list_events", flow_run=run["name"], prefix="acme.", limit=2)
    assert [event["event"] for event in found["events"]] == ["acme.step.2", "acme.step.1"]
    assert found["events"][0]["payload"] == "rows=2"
    assert found["truncated"] is True


async def test_links_are_only_those_that_a_tool_has_built(toolbox: Toolbox, seed: Seed) -> None:
    run = await seed.run(await seed.deployment(), parameters={"url": "https://evil.example/x"})
    outcome = await toolbox.call("describe_flow_run", {"flow_run": run["name"]})
    assert outcome.data["parameters"]["url"] == "https://evil.example/x"
    assert "https://evil.example/x" not in outcome.links
    assert outcome.data["run"]["url"] in outcome.links


# -- the documentation --


@pytest.fixture
def docs(guide_index: Path) -> Iterator[Toolbox]:
    library = Library(guide_index, static_embedder())
    library.open()
    tools = Docs(library)
    yield Toolbox([tool(tools.search_docs), tool(tools.read_page)])
    library.close()


async def test_the_docs_are_searched_with_the_words_that_people_use(docs: Toolbox) -> None:
    outcome = await docs.call("search_docs", {"question": "What is a workpool?", "top": 3})
    passages = outcome.data["passages"]
    assert len(passages) == 3
    assert passages[0]["page"].endswith("work-pools")
    assert passages[0]["url"] in outcome.links


async def test_a_page_of_the_docs_is_read_in_slices(docs: Toolbox) -> None:
    found = await docs.call("search_docs", {"question": "work pool", "top": 1})
    page = found.data["passages"][0]["page"]
    whole = await read(docs, "read_page", page=page)
    later = await read(docs, "read_page", page=page, offset=100)
    assert whole["markdown"][100:150] == later["markdown"][:50]
    assert whole["total_chars"] >= len(whole["markdown"])


async def test_an_unknown_page_is_told(docs: Toolbox) -> None:
    outcome = await failure(docs, "read_page", page="v3/nowhere")
    assert outcome.error is not None
    assert "There is no page 'v3/nowhere'" in outcome.error.message
