"""Keeps the message of a card current while its runs are followed, at the pace that Slack allows."""

import logging
from collections import defaultdict
from datetime import datetime

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.book import CardBook
from bot.cards.table import Card
from bot.follow.run_words import Tasks
from bot.follow.watch import CANCEL, LOOK_EVERY, Away, Poller, count_tasks
from bot.follow.watch_table import Watch, WatchedRun, WatchTable
from bot.policy.policy import Policy
from bot.slack.blocks import Message
from bot.slack.card_view import CardView
from bot.slack.errors import (
    BLOCKS_REFUSED,
    CONNECTION,
    DEAD,
    cannot_speak,
    code_of,
    is_rate_limit,
    is_transient,
    retry_after,
)
from bot.slack.follow_blocks import digest, let_go_message, short_message
from bot.slack.followed_card import MessageGone, card_of, check_place, conversation_of
from bot.slack.pace import DEAD_PAUSE_S, Workspaces
from bot.workspaces import Workspaces as Prefects
from knowledge.errors import ExpectedError
from tools.errors import NotFound

log = logging.getLogger(__name__)

UPDATE = "chat.update"
# How often the time that goes by is brought up to date, by how long the run has been as it is.
REFRESH_S = ((60, 5.0), (600, 15.0), (float("inf"), 60.0))


class Painter:
    """Rewrites messages; knows which are current."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        watches: WatchTable,
        poller: Poller,
        cards: CardBook,
        view: CardView,
        prefects: Prefects,
        paces: Workspaces,
        policy: Policy,
    ) -> None:
        self._client = client
        self._watches = watches
        self._poller = poller
        self._cards = cards
        self._view = view
        self._prefects = prefects
        self._paces = paces
        self._policy = policy
        self._no_task_counts: set[str] = set()
        self._paints: defaultdict[str, int] = defaultdict(int)
        self._current: set[str] = set()
        """The cards that have been painted in this tick."""

    def begin_tick(self, *, spent: bool) -> None:
        """`spent`: it comes before its time, and has what the last one left of Slack's allowance."""
        self._current.clear()
        if not spent:
            self._paints.clear()

    def is_current(self, watch: Watch) -> bool:
        return watch.card_id in self._current or self.is_shown(watch)

    def is_shown(self, watch: Watch) -> bool:
        """Whether the message says what is known, but for the time that goes by."""
        return digest(watch, self._poller.away(watch.workspace)) == watch.shown

    def is_due(self, watch: Watch, at: datetime) -> bool:
        """Whether there is something to rewrite, and its time has come."""
        seconds = (at - (watch.shown_at or watch.began)).total_seconds()
        is_first = watch.shown_at is not None and not watch.shown
        # Before it has been shown at all, the press itself is about to do so.
        if not is_first and seconds < self._paces.pace.update:
            return False
        if not self.is_shown(watch):
            return True
        is_timed = any(_is_timed(run, at) for run in watch.open_runs)
        is_known = self._poller.answers(watch.workspace)
        return is_timed and is_known and seconds >= _refreshed_every(watch, at)

    async def paint(self, watch: Watch, at: datetime, *, away: Away | None = None) -> bool:
        """Rewrite the card's message; False where that has to wait.

        `away` says why nothing newer is known, where the poller does not. Raises MessageGone, and Hushed.
        """
        card = await card_of(self._cards, watch)
        check_place(self._policy, watch, card)
        if not self._may_paint(watch.team):
            return False
        self._paints[watch.team] += 1
        away = away or self._poller.away(watch.workspace)
        message = await self._view.message(card, watch, tasks=await self._tasks(watch), away=away)
        if not await self._write(card, message, self._brief(card, watch, away)):
            return False
        await self._watches.shown(watch, digest(watch, away), at)
        self._current.add(watch.card_id)
        return True

    async def let_go(self, watch: Watch, sentence: str) -> bool:
        """Say that it is not followed any more, and nothing of its runs; False where that has to wait."""
        if not self._may_paint(watch.team):
            return False
        self._paints[watch.team] += 1
        card = await card_of(self._cards, watch)
        return await self._write(card, let_go_message(card, sentence))

    def _may_paint(self, team: str) -> bool:
        spare = self._paces.spare_updates(team, LOOK_EVERY.total_seconds())
        return self._paints[team] < spare and not self._paces.is_paused(team, UPDATE)

    def _brief(self, card: Card, watch: Watch, away: Away | None) -> Message:
        return short_message(card.proposal.title, self._view.followed(watch, away=away))

    async def _write(self, card: Card, *messages: Message) -> bool:
        """The first of the messages that Slack takes; False where it has to be tried again later."""
        conversation = conversation_of(self._client, card)
        for message in messages:
            try:
                await conversation.update(card.message_ts, message)
            except SlackApiError as error:
                if code_of(error) not in BLOCKS_REFUSED:
                    return self._is_final(card.team, error)
                log.warning("Slack refused blocks (%s) of card %s", code_of(error), card.id)
            except CONNECTION as error:
                log.info("card %s could not be rewritten: %s", card.id, type(error).__name__)
                return False
            else:
                return True
        return True

    def _is_final(self, team: str, error: SlackApiError) -> bool:
        """Whether painting it again is of no use, although the message is still there."""
        code = code_of(error)
        if code == "message_not_found" or cannot_speak(code):
            raise MessageGone(code) from error
        if is_rate_limit(code) or is_transient(code) or code in DEAD:
            pause = DEAD_PAUSE_S if code in DEAD else retry_after(error)
            self._paces.pause(team, UPDATE, pause)
            log.info("messages are not rewritten for %.0f s: %s", pause, code)
            return False
        log.warning("a card's message cannot be rewritten: %s", code)
        return True

    async def _tasks(self, watch: Watch) -> Tasks | None:
        """How far what is running is; None where it is not known or does not matter."""
        runs = [run.id for run in watch.runs if _has_tasks(watch, run)]
        if not runs or watch.workspace in self._no_task_counts or not self._poller.answers(watch.workspace):
            return None
        try:
            return await count_tasks(self._prefects.get(watch.workspace).prefect, runs)
        except NotFound:
            log.info("the workspace %s does not count task runs", watch.workspace)
            self._no_task_counts.add(watch.workspace)
        except ExpectedError as error:
            log.info("task runs could not be counted: %s", error.message)
        return None


def _is_timed(run: WatchedRun, at: datetime) -> bool:
    """Whether its words say for how long something has been going on."""
    return not run.not_started or run.overdue(at) > 0


def _refreshed_every(watch: Watch, at: datetime) -> float:
    newest = min(run.in_state(at) for run in watch.open_runs)
    return next(every for below, every in REFRESH_S if newest < below)


def _has_tasks(watch: Watch, run: WatchedRun) -> bool:
    if watch.action == CANCEL:
        return False
    return run.state_type == "RUNNING" or (len(watch.runs) == 1 and run.is_over and run.attempts > 0)
