"""A press on a card: decided by the card book, followed and reported in the card's own message."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.book import CardBook, Press
from bot.cards.table import Card
from bot.inbox import Item
from bot.people import Person
from bot.slack.blocks import Message, plain_message
from bot.slack.card_blocks import changed_message, clock_time, running_message
from bot.slack.card_blocks import person as mention
from bot.slack.card_view import CardView
from bot.slack.conversation import Conversation, Target, permalink
from bot.slack.errors import REFUSALS, CannotDeliver, reason
from bot.slack.pace import Workspaces
from bot.slack.people import People
from bot.slack.progress import ProgressMessage
from bot.slack.targets import target_of
from bot.slack.whisper import whisper
from bot.store import now

log = logging.getLogger(__name__)

GONE = "I do not know this card any more. Ask again for a new one."
MEANWHILE = "until it is done, answers come from the present index"
# Time to say that something broke off, when the process is about to end.
LAST_WORD_S = 5.0


class Presses:
    """Handles the presses of one Slack workspace's people, and keeps the messages of cards up to date.

    `begun` is told of a card whose deed has just been shown, so that what it has begun is looked at.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        cards: CardBook,
        view: CardView,
        people: People,
        workspaces: Workspaces,
        begun: Callable[[Card], Awaitable[None]],
    ) -> None:
        self._client = client
        self._begun = begun
        self._cards = cards
        self._view = view
        self._people = people
        self._workspaces = workspaces

    async def handle(self, item: Item) -> None:
        """Decide one press. Raises CannotDeliver, and what `CardBook.confirm` raises."""
        payload = item.payload
        card = await self._cards.get(payload["card"], payload["team"])
        if card is None:
            await whisper(self._client, payload, plain_message(GONE))
            return
        card = await self._where_it_stands(card, payload)
        person = await self._people.of(payload)
        if payload["confirm"]:
            await self._confirm(card, person, payload, resumed=item.attempt > 1)
        else:
            await self._show_press(await self._cards.decline(card, person), payload)

    async def _where_it_stands(self, card: Card, payload: dict[str, Any]) -> Card:
        """Pressed before it was noted which message shows it, or by a process that died: the press tells."""
        if card.message_ts or not payload["message_ts"]:
            return card
        await self._cards.placed(card.id, channel=payload["channel"], ts=payload["message_ts"])
        return replace(card, message_channel=payload["channel"], message_ts=payload["message_ts"])

    async def show(self, card: Card) -> None:
        """Bring the message that shows a card up to date; a decided card loses its buttons."""
        shown = await self._cards.in_message(card)
        conversation = Conversation(self._client, Target(shown.team, shown.message_channel, shown.asked_by))
        message = await self._view.message(card)
        try:
            await conversation.patiently(
                lambda: conversation.update(shown.message_ts, message), repeatable=True
            )
        except (*REFUSALS, CannotDeliver) as error:
            log.info("card %s could not be rewritten: %s", card.id, reason(error))

    async def _confirm(self, card: Card, person: Person, payload: dict[str, Any], *, resumed: bool) -> None:
        progress = ProgressMessage(
            Conversation(self._client, target_of(payload)),
            payload["message_ts"],
            title=card.proposal.title,
            below=f"Confirmed by {mention(person.id)} at {clock_time(now())} · {MEANWHILE}",
            workspaces=self._workspaces,
        )
        try:
            async with progress:
                press = await self._cards.confirm(
                    card, person, report=progress.report, resumed=resumed, seen=_seen(payload)
                )
        except BaseException:
            await self._show_broken_off(card)
            raise
        await self._show_press(press, payload, painted=progress.painted)

    async def _show_broken_off(self, card: Card) -> None:
        """A bug in the deed, or the end of this process: the card must not go on looking alive."""
        try:
            async with asyncio.timeout(LAST_WORD_S):
                closed = await self._cards.get(card.id, card.team)
                if closed and closed.state != "open":
                    await self.show(closed)
        except TimeoutError:
            log.info("card %s could not be rewritten in time", card.id)

    async def _show_press(self, press: Press, payload: dict[str, Any], *, painted: bool = False) -> None:
        if press.refusal:
            await whisper(self._client, payload, await self._why(press, payload))
        if painted or press.card.state not in ("open", "running") or _is_stale(press, payload):
            await self._rewrite(await self._cards.in_message(press.card), payload)
        if press.receipt and press.receipt.flow_run_ids:
            await self._begun(press.card)

    async def _why(self, press: Press, payload: dict[str, Any]) -> Message:
        if _is_stale(press, payload):
            return changed_message(press.card)
        if press.running is None:
            return plain_message(press.refusal)
        return running_message(press.running, await self._link(press.running))

    async def _link(self, card: Card) -> str:
        return await permalink(self._client, card.message_channel, card.message_ts)

    async def _rewrite(self, card: Card, payload: dict[str, Any]) -> None:
        """Rewrite the card's message; where Slack refuses, say the same in a new one."""
        conversation = Conversation(self._client, target_of(payload))
        message = await self._view.message(card)
        try:
            await conversation.patiently(
                lambda: conversation.update(payload["message_ts"], message), repeatable=True
            )
        except (*REFUSALS, CannotDeliver) as error:
            log.info("a card could not be rewritten (%s); posted again", reason(error))
            ts = await conversation.post(message)
            await self._cards.placed(card.id, channel=conversation.target.channel, ts=ts)


def _seen(payload: dict[str, Any]) -> int:
    """The revision on the presser's screen; a press stored by an older version says none."""
    return int(payload.get("revision", 0))


def _is_stale(press: Press, payload: dict[str, Any]) -> bool:
    """An open card that says something else than the one on the presser's screen."""
    return press.card.state == "open" and press.card.revision != _seen(payload)
