"""The cards of an answer for a JSON document: confirmed if wanted, and followed if that is wanted too."""

from typing import Any

from rich.console import Console

from bot.app import App
from bot.cards.table import Card
from bot.follow.terminal import Foreground, as_wanted
from bot.follow.watch_table import WatchedRun
from bot.people import LOCAL


class Decided:
    """Decides cards without asking anybody."""

    def __init__(self, app: App, *, confirm: bool, wait: bool) -> None:
        self._app = app
        self._confirm = confirm
        self._wait = wait
        self.all_well = True
        """Whether all runs that were waited for came to the end that was wanted."""

    async def action(self, card: Card) -> dict[str, Any]:
        """The card as it is after that."""
        if not self._confirm:
            return _document(card, ())
        press = await self._app.cards.confirm(card, LOCAL, report=_silent)
        started = press.receipt.flow_run_ids if press.receipt and self._wait else ()
        runs = await self._follow(card, started) if started else ()
        return _document(press.card, runs)

    async def _follow(self, card: Card, run_ids: tuple[str, ...]) -> tuple[WatchedRun, ...]:
        workspace = self._app.workspaces.get(card.workspace)
        # Without a word, as its place is the document; and without a status, which a log would keep.
        foreground = Foreground(workspace, lambda _line: None, Console(stderr=True, quiet=True))
        runs = await foreground.follow(card.proposal.action, run_ids)
        self.all_well = self.all_well and as_wanted(card.proposal.action, runs)
        return runs


async def _silent(_progress: object) -> None:
    """Progress has no place in a JSON document."""


def _document(card: Card, runs: tuple[WatchedRun, ...]) -> dict[str, Any]:
    return {
        "id": card.id,
        "action": card.proposal.action,
        "title": card.proposal.title,
        "target": card.proposal.target,
        "target_url": card.proposal.target_url,
        "facts": {fact.label: fact.value for fact in card.proposal.facts},
        "state": card.state,
        "outcome": card.outcome,
        "outcome_url": card.outcome_url,
        "runs": [
            {"id": run.id, "name": run.name, "state": run.state_name, "message": run.message} for run in runs
        ],
    }
