"""One thing of the workspace as Markdown for people: a run, its log, a deployment, where its code runs."""

from collections.abc import Mapping
from typing import Any

from bot.durations import lasting
from bot.tables import code, codes, facts_list, flow_runs, link, moment, plain, sentence

MAX_MESSAGE = 1_000
MAX_PARAMETERS = 20
MAX_VARIABLES = 20
MAX_STATES = 6


def flow_run(data: Mapping[str, Any]) -> str:
    """A run: its state, times and parameters, then what it went through."""
    run = data["run"]
    facts = {
        "State": f"{run['state']} ({run['state_type']})",
        "Message": plain(data.get("full_message") or run.get("message", ""), MAX_MESSAGE),
        "Deployment": _linked(run.get("deployment"), data.get("deployment_url")),
        "Due": moment(run.get("due")) if run.get("due") else None,
        "Late": lasting(run["late_seconds"]) if run.get("late_seconds") else None,
        "Started": moment(run.get("started")) if run.get("started") else None,
        "Ran for": lasting(run["run_seconds"]) if run.get("run_seconds") else None,
        "Attempts": data["attempts"] if data["attempts"] > 1 else None,
        "Started by": plain(data.get("started_by") or ""),
        "Work pool": _linked(run.get("work_pool"), data.get("work_pool_url")),
        "Worker": code(data["worker"]) if data.get("worker") else None,
        "Tasks": _tasks(data["task_runs"], data["failed_task_runs"]),
        "Parameters": _pairs(data["parameters"]),
    }
    states = [
        f"{moment(state.get('at'))} {state['state']}"
        + (f": {plain(state['message'])}" if state.get("message") else "")
        for state in data["states"][-MAX_STATES:]
    ]
    history = "**What it went through**\n" + "\n".join(f"- {state}" for state in states)
    return f"**{link(run['name'], run['url'])}**\n{facts_list(facts)}\n\n{history}"


def deployment(data: Mapping[str, Any]) -> str:
    facts = {
        "State": "paused" if data["paused"] else data.get("status"),
        "Schedules": plain("; ".join(data["schedules"])) or "none",
        "Next run": plain(data.get("next_run") or "none"),
        "Runs": code(data["entrypoint"]) if data.get("entrypoint") else None,
        "Work pool": _linked(data.get("work_pool"), data.get("work_pool_url")) or "none",
        "Queue": code(data["work_queue"]) if data.get("work_queue") else None,
        "Concurrency": plain(data.get("concurrency_limit") or ""),
        "Parameters": ", ".join(_parameter(one) for one in data["parameters"][:MAX_PARAMETERS]) or "none",
        "Tags": codes(data["tags"]),
    }
    recent = flow_runs({"flow_runs": data["recent_runs"], "truncated": False}) if data["recent_runs"] else ""
    return f"**{link(data['name'], data['url'])}**\n{facts_list(facts)}\n\n{recent}".strip()


def infrastructure(data: Mapping[str, Any]) -> str:
    """Where code runs: the whole answer in words, then the settings that it rests on."""
    variables = [
        f"{code(one['name'])} = {code(str(one.get('value', '')), MAX_MESSAGE)} ({one['set_by']})"
        for one in data["job_variables"][:MAX_VARIABLES]
    ]
    facts = {
        "Work pool": _linked(data.get("work_pool"), data.get("work_pool_url")),
        "Type": code(data["work_pool_type"]) if data.get("work_pool_type") else None,
        "Each run is": sentence(data["each_run_is"]),
        "On": sentence(data["runs_on"]),
        "Image": code(data["image"]) if data.get("image") else None,
        "Python environment": sentence(data.get("python_environment") or ""),
        "The code comes from": sentence(" ".join(data["code_comes_from"])),
        "Entrypoint": code(data["entrypoint"]) if data.get("entrypoint") else None,
        "Settings": "; ".join(variables),
        "Must be running": sentence(data["must_be_running"]),
        "This run": plain(data.get("this_run") or "", MAX_MESSAGE),
        "⚠️ Problem": sentence(data.get("problem") or ""),
    }
    return f"**{link(data['subject'], data['url'])}**\n{facts_list(facts)}"


def logs(data: Mapping[str, Any]) -> str:
    head = f"**{link(data['flow_run'], data['url'])}** ({data['state']})"
    note = f"\n\n_{plain(data['note'])}_" if data.get("note") else ""
    if not data["lines"]:
        return head + note
    lines = [f"{line['at'][11:19]} {line['level']:<8} {line['message']}" for line in data["lines"]]
    older = "\n\n_There are older lines._" if data["older_lines_exist"] else ""
    # Three backticks in a log would end the block that shows it.
    text = "\n".join(lines).replace("```", "ˋˋˋ")
    return f"{head}, times in UTC\n\n```\n{text}\n```{older}{note}"


def _linked(name: str | None, url: str | None) -> str | None:
    return link(name, url or "") if name else None


def _pairs(values: Mapping[str, Any]) -> str:
    shown = [f"{code(name)} = {code(str(value))}" for name, value in list(values.items())[:MAX_PARAMETERS]]
    return ", ".join(shown) or "none"


def _tasks(count: int, failed: int) -> str | None:
    return f"{count}, of which {failed} failed" if count else None


def _parameter(one: Mapping[str, Any]) -> str:
    needed = "required" if one["required"] else "optional"
    return f"{code(one['name'])} ({plain(one.get('type') or 'anything')}, {needed})"
