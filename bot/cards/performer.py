"""From a confirmed card to the deed: the toolbox changes Prefect, the reindexer the knowledge base."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from bot.cards.table import Card
from bot.indexing.receipt import receipt
from bot.indexing.reindex import Reindexer
from bot.workspaces import Workspaces
from knowledge.errors import ExpectedError, Unreachable
from knowledge.generations import being_built
from knowledge.library import Library
from knowledge.report import BuildReport, Progress
from tools.errors import Changed
from tools.parameter_form import ParameterForm
from tools.proposal import Proposal, Receipt
from tools.rollback import AFTERWARDS, going_back
from tools.toolbox import masked_proposal
from tools.trigger import TriggerRun

log = logging.getLogger(__name__)

Report = Callable[[Progress], Awaitable[None]]

REINDEX = "reindex_knowledge"
ROLLBACK = "rollback_knowledge"
# Of these, one can be done at a time.
KNOWLEDGE = frozenset({REINDEX, ROLLBACK})


class Performer:
    def __init__(self, workspaces: Workspaces, reindexer: Reindexer, library: Library) -> None:
        self._workspaces = workspaces
        self._reindexer = reindexer
        self._library = library

    async def check_free(self, proposal: Proposal) -> None:
        """Raises Busy, naming the process, while the index that the proposal would change is being built."""
        if proposal.action in KNOWLEDGE and (holder := await self._reindexer.holder()):
            raise being_built(holder)

    async def recheck(self, card: Card) -> None:
        """Raises Changed when the live state is not the one that the card was made for."""
        if card.proposal.action == ROLLBACK:
            await self._check_not_moved_on(card.proposal)
        else:
            await self._workspaces.get(card.workspace).toolbox.recheck(card.proposal)

    async def form(self, card: Card) -> ParameterForm:
        """The parameters of a run that is proposed, by the deployment as it is now."""
        return await TriggerRun(self._workspaces.get(card.workspace).prefect).form(card.proposal)

    async def revise(self, card: Card, parameters: Mapping[str, Any]) -> Proposal:
        """The same run with these parameters in place of its own. Raises BadInput where they do not fit."""
        workspace = self._workspaces.get(card.workspace)
        revised = await TriggerRun(workspace.prefect).revise(card.proposal, parameters)
        return workspace.named_on(masked_proposal(revised))

    async def perform(self, card: Card, *, key: str, actor: str, report: Report) -> Receipt:
        """Do it. `report` is called with the progress of what takes long.

        Raises Busy when somebody was quicker to build the index; nothing was done then.
        """
        proposal = card.proposal
        if proposal.action == REINDEX:
            return await self._reindex(proposal, report)
        if proposal.action == ROLLBACK:
            return await self._roll_back(proposal)
        return await self._workspaces.get(card.workspace).toolbox.perform(proposal, key=key, actor=actor)

    async def _reindex(self, proposal: Proposal, report: Report) -> Receipt:
        source, force = proposal.arguments.get("source"), proposal.arguments.get("force", False)
        await report(Progress("fetch", "", 0, 0))
        built: BuildReport | None = None
        try:
            # Closed here and now, because its child process ends with it.
            async with aclosing(self._reindexer.run(source, force=force)) as steps:
                async for step in steps:
                    if isinstance(step, BuildReport):
                        built = step
                    else:
                        await report(step)
        except Unreachable as error:
            # Not a lost answer: the build itself says that it came to nothing.
            return Receipt(ok=False, text=str(error))
        if built is None:
            return Receipt(ok=False, text="Reindexing ended without a report; the old index is still in use.")
        return await self._told(built, source)

    async def _told(self, report: BuildReport, source: str | None) -> Receipt:
        words = ["reindex", *([source] if source else []), "--force"]
        if report.swapped:
            await self._follow()
        return receipt(report, force_with=" ".join(words), undo=await self._undo(report))

    async def _undo(self, report: BuildReport) -> Proposal | None:
        """What leads back to the generation before, where that is there and can be used."""
        if not report.swapped:
            return None
        try:
            infos = {info.generation: info for info in await self._reindexer.generations()}
            return going_back(infos[report.previous], infos[report.generation])
        except KeyError:
            return None
        except ExpectedError as error:
            log.info("no way back from generation %d is offered: %s", report.generation, error.message)
            return None

    async def _roll_back(self, proposal: Proposal) -> Receipt:
        to, left = proposal.arguments["to"], proposal.arguments["left"]
        await self._reindexer.rollback(to, left=left)
        await self._follow()
        more = f" {AFTERWARDS}" if to < left else ""
        return Receipt(ok=True, text=f"Generation {to} is live, in place of {left}.{more}")

    async def _check_not_moved_on(self, proposal: Proposal) -> None:
        to, left = proposal.arguments["to"], proposal.arguments["left"]
        live = next((info for info in await self._reindexer.generations() if info.live), None)
        if live is None or live.generation == left:
            return
        if live.generation == to:
            raise Changed(f"Generation {to} is live already; somebody went there before.")
        built = f", built {live.built_at:%Y-%m-%d %H:%M} UTC" if live.built_at else ""
        raise Changed(
            f"The index has moved on: generation {live.generation} is live by now{built}, and no longer "
            f"{left}. Nothing was changed.",
            "Type `rollback` to see where that would lead from there.",
        )

    async def _follow(self) -> None:
        """Have the next answer come from what is live now; a server would find out within seconds."""
        try:
            await asyncio.to_thread(self._library.refresh)
        except ExpectedError as error:
            log.warning("the new index is not in use here: %s", error.message)
