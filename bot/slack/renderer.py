"""Turns the agent's events into Slack messages in one thread: status, answer, sources, cards."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.table import Card
from bot.events import (
    AlreadyRunning,
    Answer,
    CardProposed,
    Done,
    Event,
    PictureDrawn,
    Status,
    TextDelta,
    ToolStarted,
)
from bot.pictures import Picture
from bot.slack.blocks import answer_extras, footer, mrkdwn_message
from bot.slack.card_blocks import card_message, running_message
from bot.slack.conversation import Conversation, Target, permalink
from bot.slack.errors import CONNECTION, CannotDeliver
from bot.slack.mrkdwn import link
from bot.slack.pace import Pace, Workspaces
from bot.slack.status import StatusLine
from bot.slack.uploads import show_picture
from bot.slack.writer import Stopped, Writer

AT_FIRST = "is thinking…"
NOTHING_TO_SAY = "I have nothing to say to that."
STANDS_ELSEWHERE = "The card for this stands here already."
# The agent may be this far ahead of what Slack has taken.
EVENTS_AHEAD = 1_000
# How long to wait for the next event before looking whether the agent has failed.
IDLE = 0.25
# Time for a last word when the agent has failed, or the process is about to end.
LAST_WORD = 5.0


class Placed(Protocol):
    """Notes which message shows a card."""

    def __call__(self, card_id: str, *, channel: str, ts: str) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What stands in Slack now."""

    channel: str
    """The channel asked in, or the direct conversation when the bot may not write there."""
    thread_ts: str
    messages: tuple[str, ...]
    """The ts of each message, cards included."""
    stopped: bool = False
    """The person pressed Slack's stop button; the run was cancelled."""


class SlackRenderer:
    """Renders answers, any number at once; it knows what each workspace has refused for now.

    `placed` is told of each card as soon as it stands in Slack, so that nobody posts it a second time.
    `model` is named in the footer, empty when none is configured. Give it a client without handlers
    that repeat requests (`retry_handlers=[]`): one that was cut off may have been carried out.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        placed: Placed,
        model: str = "",
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._placed = placed
        self._model = model
        self.workspaces = Workspaces(pace or Pace(), clock)
        """What all that is written shares: progress of builds as well."""

    async def render(self, events: AsyncIterator[Event], target: Target) -> Delivered:
        """Show an answer while it is made. Raises CannotDeliver, and whatever `events` raises.

        The iterator is read in a task of its own and is closed at the end, also when the person stops
        the answer or Slack refuses it.
        """
        with self.workspaces.writing(target.team):
            conversation = Conversation(self._client, target)
            rendering = _Rendering(
                conversation, placed=self._placed, workspaces=self.workspaces, model=self._model
            )
            return await rendering.run(events)


class _Rendering:
    """One answer on its way."""

    def __init__(
        self, conversation: Conversation, *, placed: Placed, workspaces: Workspaces, model: str
    ) -> None:
        self._conversation = conversation
        self._placed = placed
        self._workspaces = workspaces
        self._clock = workspaces.clock
        self._model = model
        self._status = StatusLine(conversation, workspaces)
        self._writer = Writer(conversation, workspaces)
        self._pictures: list[Picture] = []
        self._cards: list[Card] = []
        self._running: list[Card] = []
        self._has_text = False

    async def run(self, events: AsyncIterator[Event]) -> Delivered:
        queue: asyncio.Queue[Event] = asyncio.Queue(EVENTS_AHEAD)
        reader = asyncio.create_task(_read(events, queue))
        self._status.wanted = AT_FIRST
        try:
            return await self._follow(queue, reader)
        except Stopped:
            return self._delivered(stopped=True)
        except CannotDeliver as error:
            error.nothing_posted = not self._conversation.posted
            raise
        except BaseException:
            await self._last_word()
            raise
        finally:
            await _end(reader)
            await self._status.clear()

    async def _follow(self, queue: asyncio.Queue[Event], reader: asyncio.Task[None]) -> Delivered:
        while True:
            await self._step()
            event = await _next(queue, self._until_next_step())
            if isinstance(event, Done):
                return await self._finish(event.answer)
            if event is not None:
                self._take(event)
            elif reader.done() and queue.empty():
                await reader
                raise RuntimeError("The agent's events ended without Done.")

    def _take(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._has_text = self._has_text or bool(event.text.strip())
            self._writer.add(event.text)
        elif isinstance(event, Status):
            self._status.wanted = event.text
        elif isinstance(event, ToolStarted):
            self._status.wanted = f"is {event.title[:1].lower()}{event.title[1:]}…"
        elif isinstance(event, PictureDrawn):
            self._pictures.append(event.picture)
        elif isinstance(event, CardProposed):
            self._cards.append(event.card)
        elif isinstance(event, AlreadyRunning):
            self._running.append(event.card)

    async def _step(self) -> None:
        if self._clock() >= self._status.due:
            await self._status.step()
        if self._clock() >= self._writer.due:
            await self._writer.flush()

    def _until_next_step(self) -> float:
        return min(max(min(self._status.due, self._writer.due) - self._clock(), 0.0), IDLE)

    async def _finish(self, answer: Answer) -> Delivered:
        follows = bool(self._cards or self._running)
        if not self._has_text:
            self._writer.add(answer.text or ("" if follows else NOTHING_TO_SAY))
        if self._has_text or answer.text or not follows:
            await self._writer.finish(
                answer_extras(answer.citations, footer(answer, self._model), answer.offers)
            )
        for picture in self._pictures:
            await show_picture(self._conversation, picture, self._workspaces)
        for card in self._running:
            url = await permalink(self._conversation.client, card.message_channel, card.message_ts)
            await self._conversation.post(running_message(card, url))
        for card in self._cards:
            await self._post(card)
        return self._delivered()

    async def _post(self, card: Card) -> None:
        """One that stands there already was proposed by an earlier try, which died of something."""
        if not card.message_ts:
            ts = await self._conversation.post(card_message(card))
            await self._placed(card.id, channel=self._conversation.target.channel, ts=ts)
        elif card.conversation != self._conversation.target.conversation:
            # A slash command has opened another thread since.
            url = await permalink(self._conversation.client, card.message_channel, card.message_ts)
            await self._conversation.post(mrkdwn_message(link(url, STANDS_ELSEWHERE)))

    async def _last_word(self) -> None:
        """Show what was said until it broke off; a stream that nobody ends looks alive for minutes."""
        try:
            async with asyncio.timeout(LAST_WORD):
                await self._writer.finish()
        except (SlackApiError, CannotDeliver, Stopped, *CONNECTION):
            return

    def _delivered(self, *, stopped: bool = False) -> Delivered:
        target = self._conversation.target
        return Delivered(target.channel, target.thread_ts, tuple(self._conversation.posted), stopped)


async def _read(events: AsyncIterator[Event], queue: asyncio.Queue[Event]) -> None:
    """In one task from the first event to the last: timeouts inside the agent need that."""
    try:
        async for event in events:
            await queue.put(event)
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def _end(reader: asyncio.Task[None]) -> None:
    reader.cancel()
    await asyncio.wait({reader})
    if not reader.cancelled():
        reader.exception()  # Looked at, or asyncio complains; what matters of it has been raised before.


async def _next(queue: asyncio.Queue[Event], timeout: float) -> Event | None:
    if not queue.empty():
        return queue.get_nowait()
    try:
        # Not wait_for: on Python 3.11 it swallows a cancellation that comes together with the result.
        async with asyncio.timeout(timeout):
            return await queue.get()
    except TimeoutError:
        return None
