"""Runs typed commands: each works without a model, through the same tools and the same cards."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bot import tables
from bot.audit.trail import Audit
from bot.audit.words import decisions, wanted
from bot.grammar import HELP, USAGE, Command
from bot.memory import Memory
from bot.people import Person
from bot.policy.policy import Policy
from bot.policy.rules import Role
from bot.question import Place, Question
from bot.store import now
from bot.workspace_commands import Result, run_in, said
from bot.workspaces import Workspace, Workspaces
from knowledge.errors import ExpectedError, Refused
from knowledge.library import Library


class Commands:
    """Runs commands through the tools and puts their results into words."""

    def __init__(
        self,
        workspaces: Workspaces,
        *,
        policy: Policy,
        audit: Audit,
        memory: Memory,
        library: Library,
        model_name: str,
    ) -> None:
        self._workspaces = workspaces
        self._policy = policy
        self._audit = audit
        self._memory = memory
        self._library = library
        self._model_name = model_name

    async def run(self, command: Command, question: Question, workspace: Workspace) -> Result:
        """Raises Refused for somebody who may not look at the workspace, and what a tool cannot mend."""
        person, place = question.person, question.place(workspace.name)
        match command:
            case Command("help"):
                return Result(HELP)
            case Command("usage", (verb,)):
                return Result(USAGE[verb.lower()])
            case Command("whoami"):
                return Result(self._whoami(person, place))
            case Command("forget me"):
                return Result(await self._forget(person))
        self._policy.check_look(person, place)
        if command.name == "audit":
            return Result(await self._decisions(command.words, question))
        if command.name == "status":
            return await self._status(workspace, person)
        result = await run_in(workspace, command, person)
        offers = self._workspaces.as_typed(result.offers, workspace.name, question.channel)
        return replace(result, offers=tuple(offers))

    async def _status(self, workspace: Workspace, person: Person) -> Result:
        outcome = await workspace.toolbox.call("workspace_overview", {})
        shown = tables.workspace(outcome.data) if outcome.ok else said(outcome.error)
        name = self._model_name
        model = f"Answers are worded by `{name}`." if name else "No model: answers are quotes from the docs."
        parts = [shown, *self._others(workspace), await self._index(), model, *self._trouble(person)]
        return Result("\n\n".join(parts), outcome)

    def _others(self, workspace: Workspace) -> list[str]:
        if not self._workspaces.several:
            return []
        names = ", ".join(f"`{name}`" for name in self._workspaces.names if name != workspace.name)
        return [f"This is the workspace `{workspace.name}`. Others: {names}; say `NAME: status`."]

    def _trouble(self, person: Person) -> list[str]:
        """What only admins can mend, and only they are told: it names a file of the server."""
        problem = self._policy.problem if self._policy.role(person) is Role.ADMIN else ""
        return [f"**Policy**: {problem}"] if problem else []

    async def _index(self) -> str:
        try:
            return tables.index(await asyncio.to_thread(self._library.status))
        except ExpectedError as error:
            return str(error)

    async def _decisions(self, words: Sequence[str], question: Question) -> str:
        person, moment = question.person, now()
        if self._policy.role(person) < Role.ADMIN:
            raise Refused("The audit is for admins.", "`whoami` says what you may do.")
        if question.is_overheard:
            raise Refused(
                "The audit is not shown where others read it.",
                "Ask in a direct message, or type `/ask-marvin audit`.",
            )
        entries, more = await self._audit.latest(wanted(words, person, moment))
        return decisions(entries, person, moment, more=more)

    def _whoami(self, person: Person, place: Place) -> str:
        where = f"In the workspace `{place.workspace}`: " if self._workspaces.several else ""
        return where + self._policy.rights(person, place)

    async def _forget(self, person: Person) -> str:
        count = await self._memory.forget(person)
        return (
            f"Forgotten: {count} of your questions, with their answers. "
            "What you confirmed stays in the audit log."
        )
