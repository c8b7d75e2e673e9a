"""What the message of a card shows: the card, and below it the runs that it led to."""

from collections.abc import Callable
from datetime import datetime

from bot.cards.book import CardBook
from bot.cards.table import Card
from bot.follow.run_words import Tasks
from bot.follow.watch import Away
from bot.follow.watch_table import Watch, WatchTable
from bot.slack.blocks import Message
from bot.slack.card_blocks import card_message
from bot.slack.follow_blocks import Followed
from bot.store import now
from bot.workspaces import Workspaces
from knowledge.errors import BadInput
from tools.links import Links


class CardView:
    """Makes the message from what is stored, so that it is the same whoever paints it."""

    def __init__(
        self,
        cards: CardBook,
        watches: WatchTable,
        prefects: Workspaces,
        *,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._cards = cards
        self._watches = watches
        self._prefects = prefects
        self._clock = clock

    async def message(
        self, card: Card, watch: Watch | None = None, *, tasks: Tasks | None = None, away: Away | None = None
    ) -> Message:
        """The card's message; a caller that knows more than is stored gives the watch as it is now."""
        watch = watch or await self._watches.of(card.id)
        shown = await self._cards.in_message(card)
        return card_message(shown, self.followed(watch, tasks=tasks, away=away) if watch else None)

    def followed(self, watch: Watch, *, tasks: Tasks | None = None, away: Away | None = None) -> Followed:
        at = away.since if away else self._clock()
        return Followed(watch, self._links(watch.workspace), at, tasks, away)

    def _links(self, workspace: str) -> Links:
        """Without links where the workspace has been taken out of the file."""
        try:
            return self._prefects.get(workspace).prefect.links
        except BadInput:
            return Links("")
