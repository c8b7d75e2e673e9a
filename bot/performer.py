"""From a confirmed card to the deed: the toolbox changes Prefect, the reindexer has its one action."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from bot.reindex import Reindexer
from knowledge.build import BuildReport, Progress
from tools.proposal import Proposal, Receipt
from tools.toolbox import Toolbox

Report = Callable[[Progress], Awaitable[None]]

REINDEX = "reindex_knowledge"


class Performer:
    def __init__(self, toolbox: Toolbox, reindexer: Reindexer) -> None:
        self._toolbox = toolbox
        self._reindexer = reindexer

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed when the live state is not the one that the card was made for."""
        await self._toolbox.recheck(proposal)

    async def perform(self, proposal: Proposal, *, key: str, actor: str, report: Report) -> Receipt:
        """Do it. `report` is called with the progress of what takes long."""
        if proposal.action != REINDEX:
            return await self._toolbox.perform(proposal, key=key, actor=actor)
        # Closed here and now, because its child process ends with it.
        async with aclosing(self._reindexer.run(proposal.arguments.get("source"))) as steps:
            async for step in steps:
                if isinstance(step, BuildReport):
                    return Receipt(ok=True, text=in_words(step))
                await report(step)
        return Receipt(ok=False, text="Reindexing ended without a report; the old index is still in use.")


def in_words(report: BuildReport) -> str:
    """One sentence for people; a source that failed is named with its reason."""
    pages = report.pages
    counts = ", ".join(f"{number} {what}" for what, number in pages.model_dump().items() if number)
    live = f"Generation {report.generation} is live."
    text = f"Reindexed in {report.seconds:.0f} s. Pages: {counts or 'none'}. {live}"
    broken = [f"{source.name}: {source.error}" for source in report.sources if not source.ok]
    return f"{text} Not brought up to date: {' '.join(broken)}" if broken else text
