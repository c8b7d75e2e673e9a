"""Typed commands about one Prefect workspace: a tool call, and its result in words."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot import details, tables
from bot.diagnosis_text import late_diagnosis, offers_of, run_diagnosis
from bot.events import Offer
from bot.grammar import Command, names_in, pairs_in
from bot.people import Person
from bot.sentences.time_back import hours_back
from bot.store import now
from bot.timeline_words import headline
from bot.workspaces import Workspace
from knowledge.errors import BadInput
from tools.references import find_references
from tools.toolbox import ToolFailure, ToolOutcome
from tools.trigger import typed_parameters, typed_parameters_of_run

RUN_STATES: Mapping[str, dict[str, Any]] = {
    "late": {"late_only": True},
    "failed": {"states": ["FAILED", "CRASHED"]},
    "crashed": {"states": ["CRASHED"]},
    "running": {"states": ["RUNNING", "PENDING", "CANCELLING"]},
    "scheduled": {"states": ["SCHEDULED"], "until_hours": 24},
    "pending": {"states": ["PENDING"]},
    "paused": {"states": ["PAUSED"]},
    "completed": {"states": ["COMPLETED"]},
    "cancelled": {"states": ["CANCELLED", "CANCELLING"]},
}


# The runs of one deployment are few.
WEEK = 24 * 7.0
_QUOTED = re.compile(r"[\"“`]|://")


@dataclass(frozen=True, slots=True)
class Result:
    """What a command says, in Markdown, and the tool call that it rests on."""

    text: str
    outcome: ToolOutcome | None = None
    offers: tuple[Offer, ...] = ()


async def run_in(workspace: Workspace, command: Command, person: Person) -> Result:
    """Run a command that looks at the workspace, or proposes a change in it."""
    result = (
        await _listed(workspace, command, person)
        or await _looked(workspace, command, person)
        or await _ordered(workspace, command, person)
    )
    if result is None:
        raise LookupError(f"no command {command.name}")
    return result


async def _listed(workspace: Workspace, command: Command, person: Person) -> Result | None:
    match command:
        case Command("pools"):
            return await _shown(workspace, "list_work_pools", {}, tables.work_pools)
        case Command("pool", (name,)):
            return await _shown(workspace, "describe_work_pool", {"work_pool": name}, tables.work_pool)
        case Command("deployments", words):
            return await _shown(workspace, "list_deployments", {"name": " ".join(words)}, tables.deployments)
        case Command("deployments paused"):
            return await _shown(workspace, "list_deployments", {"paused_only": True}, tables.deployments)
        case Command("limits", words):
            return await _shown(
                workspace, "list_concurrency_limits", {"name": " ".join(words)}, tables.limits
            )
        case Command("automations", words):
            return await _shown(workspace, "list_automations", {"name": " ".join(words)}, tables.automations)
        case Command("runs", words):
            return await _shown(workspace, "list_flow_runs", _run_filter(words, person), tables.flow_runs)
        case Command("runs of", (kind, name, state)):
            wanted = {**RUN_STATES.get(state, {}), kind.replace(" ", "_"): name, "since_hours": WEEK}
            return await _shown(workspace, "list_flow_runs", wanted, tables.flow_runs)
    return None


async def _looked(workspace: Workspace, command: Command, person: Person) -> Result | None:
    """At one thing, or at all that is late."""
    match command:
        case Command("why", ("late",)):
            return await _diagnosed(workspace, "diagnose_late_runs", {})
        case Command("why", (name,)):
            return await _why(workspace, name)
        case Command("where", (name,)):
            argument = await _argument(workspace, name)
            return await _shown(workspace, "explain_infrastructure", argument, details.infrastructure)
        case Command("show", (name,)):
            return await _show(workspace, name)
        case Command("timeline", (name, *runs)):
            return await _timeline(workspace, name, runs, person)
        case Command("logs", (name,)):
            return await _shown(workspace, "read_logs", {"flow_run": name}, details.logs)
    return None


async def _ordered(workspace: Workspace, command: Command, person: Person) -> Result | None:
    """What changes something, as a card."""
    match command:
        case Command("run" | "rerun" as verb, (name, *rest)):
            return await _trigger(workspace, verb, name, rest, person)
        case Command("retry", (names,)):
            return await _proposed(workspace, "retry_run", {"flow_runs": names_in(names)})
        case Command("cancel", (names,)):
            return await _proposed(workspace, "cancel_runs", {"runs": names_in(names)})
        case Command("cancel all", (states, kind, scope)):
            wanted = {"states": states.split(",")} if states else {}
            return await _proposed(
                workspace, "cancel_runs", {**wanted, **await _scope(workspace, kind, scope)}
            )
        case Command("retry all", (states, kind, scope, window)):
            ended = {
                "states": states.split(","),
                "ended_within_hours": hours_back(window, now(), person.zone),
            }
            return await _proposed(workspace, "retry_run", {**ended, **await _scope(workspace, kind, scope)})
        case Command("pause all" | "resume all", (kind, scope)):
            argument = await _scope(workspace, kind, scope)
            tool = f"{command.name.partition(' ')[0]}_{next(iter(argument))}"
            return await _proposed(workspace, tool, argument)
        case Command("pause" | "resume" as verb, (name,)):
            return await _proposed(workspace, f"{verb}_deployment", {"deployment": name})
        case Command("pause pool" | "resume pool", (name,)):
            return await _proposed(workspace, _pool_tool(command), {"work_pool": name})
        case Command("pause queue" | "resume queue", (pool, queue)):
            return await _proposed(workspace, _pool_tool(command), {"work_pool": pool, "work_queue": queue})
        case Command("pause schedule" | "resume schedule", (name, *which)):
            active = command.name == "resume schedule"
            one = {"deployment": name, "active": active, "schedule": " ".join(which)}
            return await _proposed(workspace, "set_schedule_active", one)
        case Command("reindex", words):
            return await _proposed(workspace, "reindex_knowledge", _reindex_arguments(words))
        case Command("rollback", words):
            return await _proposed(workspace, "rollback_knowledge", {"generation": words[0] if words else 0})
    return None


async def _shown(
    workspace: Workspace, tool: str, arguments: dict[str, Any], render: Callable[[dict[str, Any]], str]
) -> Result:
    outcome = await workspace.toolbox.call(tool, arguments)
    return Result(render(outcome.data) if outcome.ok else said(outcome.error), outcome)


async def _why(workspace: Workspace, name: str) -> Result:
    argument = await _argument(workspace, name)
    if "work_pool" in argument:
        return await _diagnosed(workspace, "diagnose_late_runs", argument)
    return await _diagnosed(workspace, "diagnose_flow_run", {"flow_run": name})


async def _diagnosed(workspace: Workspace, tool: str, arguments: dict[str, Any]) -> Result:
    render = run_diagnosis if tool == "diagnose_flow_run" else late_diagnosis
    result = await _shown(workspace, tool, arguments, render)
    data = result.outcome.data if result.outcome and result.outcome.ok else {}
    return replace(result, offers=tuple(offers_of(data)))


async def _show(workspace: Workspace, name: str) -> Result:
    argument = await _argument(workspace, name)
    match argument:
        case {"deployment": _}:
            return await _shown(workspace, "describe_deployment", argument, details.deployment)
        case {"work_pool": _}:
            return await _shown(workspace, "describe_work_pool", argument, tables.work_pool)
    return await _shown(workspace, "describe_flow_run", argument, details.flow_run)


async def _timeline(workspace: Workspace, name: str, runs: Sequence[str], person: Person) -> Result:
    """What the picture below it shows, in a sentence."""
    argument: dict[str, Any] = {**await _argument(workspace, name)}
    if "work_pool" in argument:
        argument = {"deployment": name}
    if runs and "deployment" in argument:
        argument["runs"] = int(runs[0])
    return await _shown(workspace, "draw_timeline", argument, lambda data: headline(data, person.timezone))


async def _argument(workspace: Workspace, name: str) -> dict[str, str]:
    """The name as the argument of its kind; what is no exact name is left for the tool to make sense of."""
    # In quotes it stays one name, however many words it has.
    found = await find_references(workspace.prefect, name if _QUOTED.search(name) else f'"{name}"')
    kind = found[0].kind if found else ("deployment" if "/" in name else "flow run")
    return {kind.replace(" ", "_"): name}


async def _scope(workspace: Workspace, kind: str, name: str) -> dict[str, str]:
    """All runs of a deployment or in a pool: which of the two, where nobody said, its name tells."""
    if not name:
        return {}
    if not kind:
        kinds = [one.kind for one in await find_references(workspace.prefect, f'"{name}"')]
        kind = "work pool" if "work pool" in kinds and "deployment" not in kinds else "deployment"
    return {kind.replace(" ", "_"): name}


async def _proposed(workspace: Workspace, tool: str, arguments: dict[str, Any]) -> Result:
    outcome = await workspace.toolbox.call(tool, arguments)
    return Result("" if outcome.ok else said(outcome.error), outcome)


async def _trigger(workspace: Workspace, verb: str, name: str, rest: Sequence[str], person: Person) -> Result:
    """`rest` is what the run is given, and when it is to start, as far as it was typed."""
    words, when = (*rest, "", "")[:2]
    what = {"deployment": name} if verb == "run" else {"rerun_of": name}
    later = {"scheduled_time": when, "time_zone": person.timezone} if when else {}
    given = await _parameters(workspace, verb, name, words)
    return await _proposed(workspace, "trigger_run", {**what, **later, "parameters": given})


async def _parameters(workspace: Workspace, verb: str, name: str, words: str) -> dict[str, Any]:
    """`{"x": 1}` as it stands; words like `x=1` as the deployment's schema says to read them."""
    if words.startswith("{"):
        return _json_object(words)
    read = typed_parameters if verb == "run" else typed_parameters_of_run
    pairs = pairs_in(words)
    return await read(workspace.prefect, name, pairs) if pairs else {}


def _pool_tool(command: Command) -> str:
    return f"{command.name.partition(' ')[0]}_work_pool"


def said(failure: ToolFailure | None) -> str:
    """A tool's failure as a sentence; its choices as a list."""
    if failure is None:
        return ""
    if failure.choices:
        return f"{failure.message}\n\n" + "\n".join(f"- `{choice}`" for choice in failure.choices)
    return f"{failure.message} {failure.fix}".strip()


def _run_filter(words: Sequence[str], person: Person) -> dict[str, Any]:
    """A state or a deployment, and perhaps the words that tell how far to look back."""
    if not words:
        return {}
    wanted = RUN_STATES.get(words[0].lower(), {"deployment": words[0]})
    back = {"since_hours": hours_back(words[1], now(), person.zone)} if len(words) > 1 else {}
    return {**wanted, **back}


def _reindex_arguments(words: Sequence[str]) -> dict[str, Any]:
    *source, last = words or ("",)
    if last.endswith("force") and last[:1] in "-—–":
        return {"source": " ".join(source), "force": True}
    return {"source": last}


def _json_object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError:
        raise BadInput("The parameters are not valid JSON.", 'Write {"x": 1}, or x=1.') from None
    if not isinstance(given, dict):
        raise BadInput("The parameters are not a JSON object.", 'Write {"x": 1}, or x=1.')
    return given
