"""New messages about followed runs: how they ended, and what keeps them; each is told once."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.book import CardBook
from bot.cards.table import Card
from bot.follow.followup import Explained, explained
from bot.follow.run_words import BAD
from bot.follow.watch import CANCEL
from bot.follow.watch_table import Notice, Watch, WatchedRun, WatchTable
from bot.policy.policy import Policy
from bot.slack.blocks import Message
from bot.slack.card_view import CardView
from bot.slack.errors import CannotDeliver
from bot.slack.follow_blocks import Followed, notice_message, passed_message
from bot.slack.followed_card import card_of, check_place, conversation_of, deployment_of, mentions_of
from bot.slack.pace import DEAD_PAUSE_S
from bot.slack.pace import Workspaces as Paces
from bot.workspaces import Workspaces
from knowledge.errors import ExpectedError
from tools.redact import redact

log = logging.getLogger(__name__)

POST = "chat.postMessage"
# Each takes a message, of which a channel takes about one a second, and most take a diagnosis.
NEWS_A_TICK = 2
# Runs that are cancelled by then were so in the receipt already, or nearly.
AT_ONCE = timedelta(seconds=15)


class News:
    """Posts in the threads of cards. Methods give False for what has to be told later."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        watches: WatchTable,
        cards: CardBook,
        view: CardView,
        prefects: Workspaces,
        paces: Paces,
        policy: Policy,
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._watches = watches
        self._cards = cards
        self._view = view
        self._prefects = prefects
        self._paces = paces
        self._policy = policy
        self._clock = clock
        self._left = NEWS_A_TICK

    def begin_tick(self) -> None:
        self._left = NEWS_A_TICK

    async def tell_end(self, watch: Watch) -> bool:
        """How the runs ended, with a diagnosis where that was badly. Raises MessageGone."""
        if watch.action == CANCEL:
            is_quick = self._clock() - watch.began < AT_ONCE
            return is_quick or await self._tell_passed(watch)
        bad = [run for run in watch.runs if run.state_type in (*BAD, "CANCELLED")]
        return await (self.tell(watch, "end", bad) if bad else self._tell_passed(watch))

    async def tell(self, watch: Watch, kind: Notice, runs: list[WatchedRun]) -> bool:
        """What is the matter with these runs, of which the first is diagnosed. Raises MessageGone."""
        if not self._may_post(watch):
            return False
        card = await self._card(watch)
        told = await self._explained(watch, kind, runs)
        offers = self._prefects.as_typed(told.offers, watch.workspace, card.message_channel)
        message = notice_message(self._apart(watch, card), kind, runs[0], mentions_of(card), told, offers)
        return await self._post(watch, card, kind, message)

    async def _tell_passed(self, watch: Watch) -> bool:
        if not self._may_post(watch):
            return False
        card = await self._card(watch)
        message = passed_message(self._apart(watch, card), mentions_of(card))
        return await self._post(watch, card, "end", message)

    def _may_post(self, watch: Watch) -> bool:
        return self._left > 0 and not self._paces.is_paused(watch.team, POST)

    async def _card(self, watch: Watch) -> Card:
        card = await card_of(self._cards, watch)
        check_place(self._policy, watch, card)
        return card

    def _apart(self, watch: Watch, card: Card) -> Followed:
        """For a message of its own, which has to say what the card says beside."""
        return replace(self._view.followed(watch), deployment=deployment_of(card))

    async def _explained(self, watch: Watch, kind: Notice, runs: list[WatchedRun]) -> Explained:
        try:
            return await explained(self._prefects.get(watch.workspace), kind, runs)
        except ExpectedError as error:
            return Explained((redact(error.message),))

    async def _post(self, watch: Watch, card: Card, kind: Notice, message: Message) -> bool:
        """A process that is killed right after it leads to the same message again, rather than to none."""
        self._left -= 1
        try:
            await conversation_of(self._client, card).post(message)
        except CannotDeliver as error:
            log.warning("what became of card %s could not be told: %s", card.id, error.message)
            if error.may_pass or error.is_dead:
                pause = DEAD_PAUSE_S if error.is_dead else error.retry_after
                self._paces.pause(watch.team, POST, pause)
                return False
        await self._watches.told(watch, kind)
        return True
