"""The one command grammar: the same words after a mention, in a DM, after `/ask-marvin` and in the terminal.

A command is recognised only by its exact shape, before any model is asked; `run my flow every day?` is a
question. Each command works without a model, through the same tools.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot import tables
from bot.memory import Memory
from bot.people import Person
from bot.policy import ROLE_FOR_ACTION, Policy, Role
from knowledge.errors import BadInput, ExpectedError, Refused
from knowledge.library import Library
from tools.toolbox import Toolbox, ToolFailure, ToolOutcome

HELP = """\
**Ask me anything about Prefect**, in your own words. I answer from its docs and say where it stands.

| command | what it does |
|---|---|
| `ask QUESTION` | an answer, even if it begins like a command |
| `pools` · `pool NAME` | the work pools · one of them: queues, workers, where its code runs |
| `deployments [TEXT]` | the deployments, or those whose name holds the text |
| `runs [FILTER]` | the latest flow runs; `late`, `failed`, `running`, `scheduled`, or a deployment |
| `run DEPLOYMENT [x=1 …]` | start a run; you confirm it first |
| `cancel RUN …` | cancel runs, by name, id or link; you confirm it first |
| `status` | the workspace and the knowledge base at a glance |
| `reindex [SOURCE]` · `rollback [GENERATION]` | bring the knowledge base up to date · go back (admins) |
| `whoami` · `forget me` | what I may do for you · delete what you asked me |
"""
NAME = r"[\w.%:@/-]+"
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


@dataclass(frozen=True, slots=True)
class Command:
    """A command and its words; `ask` is no command, it only says that the rest is a question."""

    name: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a command says, in Markdown, and the tool call that it rests on."""

    text: str
    outcome: ToolOutcome | None = None


_RUN = re.compile(rf"run\s+({NAME})(\s.*)?", re.IGNORECASE | re.DOTALL)
# One word at a time, so that no text can make the search for a match take long.
_PAIR = re.compile(r"""([A-Za-z_]\w*)=("[^"]*"(?=\s|\Z)|'[^']*'(?=\s|\Z)|\S*)(?:\s+|\Z)""")
MAX_COMMAND = 4_000
USAGE = {
    "run": "Run what? `run DEPLOYMENT x=1`, with the parameters it takes; `deployments` lists them.",
    "cancel": "Cancel what? `cancel RUN`, by name, id or link; `runs running` lists them.",
    "pool": "Which pool? `pool NAME`; `pools` lists them.",
}

# Shape → name. Whatever fits none of them is a question.
_SHAPES: Sequence[tuple[str, re.Pattern[str]]] = [
    (name, re.compile(shape, re.IGNORECASE))
    for name, shape in (
        ("help", r"help[.!?]?"),
        ("pools", r"(?:work[ -]?)?pools"),
        ("pool", rf"(?:work[ -]?)?pool\s+({NAME})"),
        ("deployments", rf"deployments(?:\s+({NAME}))?"),
        ("runs", rf"runs(?:\s+({NAME}))?"),
        # `cancel that please` is a sentence; several words are runs only when all of them look like it.
        ("cancel", rf"cancel(\s+{NAME}|(?:\s+(?=\S*[-/\d]){NAME}){{2,20}})"),
        # Some keyboards make one dash of two.
        ("reindex", rf"reindex(?:\s+(?!--)({NAME}))?(?:\s+((?:--|[—–])force))?"),
        ("rollback", r"roll\s?back(?:\s+(?:to\s+)?(?:generation\s+)?(\d{1,9}))?"),
        ("status", r"status"),
        ("usage", "(" + "|".join(USAGE) + ")"),
        ("whoami", r"who\s?am\s?i\??"),
        ("forget me", r"forget\s+me"),
    )
]


def parse(text: str) -> Command | None:
    """The command that the text is, or None when it is a question."""
    bare = text.strip()
    if len(bare) > MAX_COMMAND:
        return None
    for name, shape in _SHAPES:
        match = shape.fullmatch(bare)
        if match:
            return Command(name, tuple(group.strip() for group in match.groups() if group))
    return _parse_run(bare)


def _parse_run(text: str) -> Command | None:
    """`run` takes a deployment and then only `name=value` words, or one JSON object."""
    match = _RUN.fullmatch(text)
    if match is None:
        return None
    deployment, rest = match[1], (match[2] or "").strip()
    if rest.startswith("{") or _pairs(rest) is not None:
        return Command("run", (deployment, rest) if rest else (deployment,))
    return None


def _pairs(text: str) -> dict[str, str] | None:
    """`x=1 day="a b"` as a dict, quotes around a whole value taken off; None when a word is no pair."""
    pairs, at = {}, 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            return None
        name, value = match[1], match[2]
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        pairs[name] = value[1:-1] if quoted else value
        at = match.end()
    return pairs


def question_in(text: str) -> str:
    """The question itself, without a leading `ask`."""
    return re.sub(r"\A\s*ask(?:\s+|:\s*)(?=\S)", "", text, flags=re.IGNORECASE)


class Commands:
    """Runs commands through the tools and puts their results into words."""

    def __init__(
        self,
        toolbox: Toolbox,
        *,
        policy: Policy,
        memory: Memory,
        library: Library,
        model_name: str,
        read_parameters: Callable[[str, Mapping[str, str]], Awaitable[dict[str, Any]]],
    ) -> None:
        self._toolbox = toolbox
        self._policy = policy
        self._memory = memory
        self._library = library
        self._model_name = model_name
        self._read_parameters = read_parameters

    async def run(self, command: Command, person: Person) -> Result:
        """Raises Refused for somebody who may not look at the workspace, and what a tool cannot mend."""
        match command:
            case Command("help"):
                return Result(HELP)
            case Command("usage", (verb,)):
                return Result(USAGE[verb.lower()])
            case Command("whoami"):
                return Result(self._whoami(person))
            case Command("forget me"):
                return Result(await self._forget(person))
        self._check(person)
        match command:
            case Command("pools"):
                return await self._table("list_work_pools", {}, tables.work_pools)
            case Command("pool", (name,)):
                return await self._table("describe_work_pool", {"work_pool": name}, tables.work_pool)
            case Command("deployments", words):
                return await self._table("list_deployments", {"name": " ".join(words)}, tables.deployments)
            case Command("runs", words):
                return await self._table("list_flow_runs", _run_filter(words), tables.flow_runs)
            case Command("run", (deployment, *rest)):
                return await self._trigger(deployment, " ".join(rest))
            case Command("cancel", (names,)):
                return await self._propose("cancel_runs", {"runs": names.split()})
            case Command("reindex", words):
                return await self._propose("reindex_knowledge", _reindex_arguments(words))
            case Command("rollback", words):
                return await self._propose("rollback_knowledge", {"generation": words[0] if words else 0})
        return await self._status()

    def _check(self, person: Person) -> None:
        if self._policy.role(person) < Role.VIEWER:
            raise Refused(
                "You may have answers from the docs, but not look at the Prefect workspace.",
                "An admin can give you a role in the policy.",
            )

    async def _table(
        self, tool: str, arguments: dict[str, Any], render: Callable[[dict[str, Any]], str]
    ) -> Result:
        outcome = await self._toolbox.call(tool, arguments)
        return Result(render(outcome.data) if outcome.ok else said(outcome.error), outcome)

    async def _propose(self, tool: str, arguments: dict[str, Any]) -> Result:
        outcome = await self._toolbox.call(tool, arguments)
        return Result("" if outcome.ok else said(outcome.error), outcome)

    async def _trigger(self, deployment: str, rest: str) -> Result:
        given = await self._parameters(deployment, rest)
        return await self._propose("trigger_run", {"deployment": deployment, "parameters": given})

    async def _parameters(self, deployment: str, rest: str) -> dict[str, Any]:
        """`{"x": 1}` as it stands; words like `x=1` as the deployment's schema says to read them."""
        if rest.startswith("{"):
            return _json_object(rest)
        pairs = _pairs(rest)
        return await self._read_parameters(deployment, pairs) if pairs else {}

    async def _status(self) -> Result:
        outcome = await self._toolbox.call("workspace_overview", {})
        workspace = tables.workspace(outcome.data) if outcome.ok else said(outcome.error)
        name = self._model_name
        model = f"Answers are worded by `{name}`." if name else "No model: answers are quotes from the docs."
        return Result(f"{workspace}\n\n{await self._index()}\n\n{model}", outcome)

    async def _index(self) -> str:
        try:
            return tables.index(await asyncio.to_thread(self._library.status))
        except ExpectedError as error:
            return str(error)

    def _whoami(self, person: Person) -> str:
        role = self._policy.role(person)
        allowed = [action for action, needed in ROLE_FOR_ACTION.items() if role >= needed]
        actions = ", ".join(f"`{action}`" for action in allowed) or "nothing that changes anything"
        reads = "look at the workspace and " if role >= Role.VIEWER else ""
        return f"You are `{person.id}`, role **{role.label}**: you may ask, {reads}confirm {actions}."

    async def _forget(self, person: Person) -> str:
        count = await self._memory.forget(person)
        return (
            f"Forgotten: {count} of your questions, with their answers. "
            "What you confirmed stays in the audit log."
        )


def said(failure: ToolFailure | None) -> str:
    """A tool's failure as a sentence; its choices as a list."""
    if failure is None:
        return ""
    if failure.choices:
        return f"{failure.message}\n\n" + "\n".join(f"- `{choice}`" for choice in failure.choices)
    return f"{failure.message} {failure.fix}".strip()


def _run_filter(words: Sequence[str]) -> dict[str, Any]:
    if not words:
        return {}
    return RUN_STATES.get(words[0].lower(), {"deployment": words[0]})


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
