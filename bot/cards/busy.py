"""Why a card on the knowledge base has to wait: the index is being built, by whom and since when."""

from datetime import timedelta

from bot.cards.expiry import CUT_OFF
from bot.cards.performer import KNOWLEDGE, Performer
from bot.cards.table import Card, CardTable
from bot.store import now
from knowledge.errors import Busy
from tools.proposal import Proposal

# From the press until the process that builds has taken its lock.
START_UP = timedelta(seconds=30)
WAIT = "Wait until it is done, then try again."


class StillRunning(Busy):
    """The index is being built; `card` is what somebody of the same team confirmed for that."""

    def __init__(self, busy: Busy, card: Card | None) -> None:
        super().__init__(_who(card) if card else busy.message, busy.fix)
        self.card = card


class Builds:
    """What is being done to the knowledge base, as its lock and the cards tell."""

    def __init__(self, table: CardTable, performer: Performer) -> None:
        self._table = table
        self._performer = performer

    async def check_free(self, proposal: Proposal, team: str) -> None:
        """Raises StillRunning while the index is being built, or is just about to be."""
        try:
            await self._performer.check_free(proposal)
        except Busy as error:
            raise await self.still_running(error, team) from error
        if proposal.action in KNOWLEDGE and (begun := await self._running(team, START_UP)):
            raise StillRunning(Busy("", WAIT), begun)

    async def still_running(self, busy: Busy, team: str) -> StillRunning:
        """The same, with who of the team began it."""
        return StillRunning(busy, await self._running(team, CUT_OFF))

    async def _running(self, team: str, within: timedelta) -> Card | None:
        return await self._table.running(KNOWLEDGE, team, since=now() - within)


def _who(card: Card) -> str:
    since = f"{card.decided_at:%H:%M} UTC" if card.decided_at else "a while ago"
    return f"{card.decided_by} confirmed at {since}, and it is still being done: {card.proposal.title}."
