"""Follows what was begun from Slack to its end, and keeps the message of each card current.

One replica does it for all, by a lease in the database. A tick costs Prefect what `bot/watch.py` says, one
`ui/task_runs/count` for each message that is repainted while its run is running (two a tick and Slack team),
and for each of at most two people who have to be told something, one diagnosis.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.cards import CardBook
from bot.database import DATABASE_ERRORS
from bot.followup import LOGS_ARE_LATE_S
from bot.lease import Lease
from bot.run_words import Tasks
from bot.slack.card_view import CardView
from bot.slack.errors import (
    CONNECTION,
    DEAD,
    cannot_speak,
    code_of,
    is_rate_limit,
    is_transient,
    retry_after,
)
from bot.slack.follow_blocks import digest
from bot.slack.follow_news import News
from bot.slack.followed_card import MessageGone, card_of, conversation_of
from bot.slack.pace import Workspaces
from bot.store import now
from bot.watch import CANCEL, LOOK_EVERY, Poller, count_tasks, is_given_up, next_look, trouble
from bot.watch_table import Watch, WatchedRun, WatchTable
from bot.workspaces import Workspaces as Prefects
from knowledge.errors import ExpectedError
from tools.errors import NotFound

log = logging.getLogger(__name__)

TICK_S = LOOK_EVERY.total_seconds()
# How often the time that goes by is brought up to date, by how long the run has been as it is.
REFRESH_S = ((60, 5.0), (600, 15.0), (float("inf"), 60.0))
DEAD_PAUSE_S = 60.0


class Follower:
    """Looks at what is followed, every few seconds, and tells what has become of it."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        lease: Lease,
        watches: WatchTable,
        poller: Poller,
        cards: CardBook,
        view: CardView,
        prefects: Prefects,
        paces: Workspaces,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._client = client
        self._news = News(client, watches=watches, cards=cards, view=view, prefects=prefects, clock=clock)
        self._lease = lease
        self._watches = watches
        self._poller = poller
        self._cards = cards
        self._view = view
        self._prefects = prefects
        self._paces = paces
        self._clock = clock
        self._quiet_until: dict[str, float] = {}
        self._no_task_counts: set[str] = set()
        self._paints: defaultdict[str, int] = defaultdict(int)
        self._current: set[str] = set()
        """The cards that have been painted in this tick."""

    async def run(self) -> None:
        """For ever; only while no other replica does."""
        keeper = asyncio.create_task(self._lease.keep())
        try:
            while True:
                if self._lease.held:
                    await self._tick_safely()
                await asyncio.sleep(TICK_S)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def tick(self) -> None:
        """Look once at all that is due, and tell what there is to tell, the most urgent first."""
        at = self._clock()
        due = await self._watches.due(at)
        if not due:
            return
        self._paints.clear()
        self._current.clear()
        self._news.begin_tick()
        watches = await self._poller.look(due)
        for watch in sorted(watches, key=lambda watch: self._urgency(watch, at)):
            if not self._lease.held:
                return
            await self._attend_safely(watch, at)
        await self._look_again(watches, at)

    async def _tick_safely(self) -> None:
        try:
            await self.tick()
        except DATABASE_ERRORS as error:
            log.warning("runs cannot be followed for now: the database (%s)", type(error).__name__)

    async def _look_again(self, watches: list[Watch], at: datetime) -> None:
        """What is still to be told, or could not be looked at, has its turn at the next tick."""
        times: defaultdict[datetime, list[str]] = defaultdict(list)
        for watch in watches:
            is_current = watch.card_id in self._current or self._digest(watch) == watch.shown
            is_known = self._poller.answers(watch.workspace)
            waits = is_current and is_known and not watch.is_over
            times[next_look(watch, at) if waits else at + LOOK_EVERY].append(watch.card_id)
        for when, card_ids in times.items():
            await self._watches.look_again(card_ids, when)

    def _urgency(self, watch: Watch, at: datetime) -> tuple[int, datetime]:
        rank = 3 if self._digest(watch) == watch.shown else 2
        if watch.is_over:
            rank = 0
        elif trouble(watch, at):
            rank = 1
        return rank, watch.shown_at or watch.began

    async def _attend_safely(self, watch: Watch, at: datetime) -> None:
        try:
            await self._attend(watch, at)
        except MessageGone as error:
            log.info("the runs of card %s are not followed any more: %s", watch.card_id, error)
            await self._watches.end(watch, "gone")
        except DATABASE_ERRORS:
            raise
        except Exception:
            # A bug that one watch brings to light must not end the others, nor come back every tick.
            log.exception("the runs of card %s cannot be followed", watch.card_id)
            await self._watches.end(watch, "gone")

    async def _attend(self, watch: Watch, at: datetime) -> None:
        if watch.is_over or is_given_up(watch, at):
            await self._finish(watch, at)
            return
        if self._is_to_be_painted(watch, at):
            await self._paint(watch, at)
        if found := trouble(watch, at):
            kind, run = found
            alike = [run, *(other for other in watch.open_runs if other.state_type == run.state_type)]
            await self._news.tell(watch, kind, list(dict.fromkeys(alike)))

    async def _finish(self, watch: Watch, at: datetime) -> None:
        """The last state of the message first, then the news; what cannot be done now is done next time."""
        if any(0 < run.in_state(at) < LOGS_ARE_LATE_S for run in watch.runs):
            return
        last = replace(watch, ended="ended" if watch.is_over else "gave_up")
        if self._digest(last) != watch.shown and not await self._paint(last, at):
            return
        if not watch.is_over or "end" in watch.told or await self._news.tell_end(last):
            await self._watches.end(last, last.ended)

    # -- the card's own message

    def _digest(self, watch: Watch) -> str:
        return digest(watch, self._poller.away(watch.workspace))

    def _is_to_be_painted(self, watch: Watch, at: datetime) -> bool:
        """The press itself has just shown what is known at first."""
        seconds = (at - (watch.shown_at or watch.began)).total_seconds()
        if seconds < self._paces.pace.update:
            return False
        if self._digest(watch) != watch.shown:
            return True
        is_timed = any(_is_timed(run, at) for run in watch.open_runs)
        is_known = self._poller.answers(watch.workspace)
        return is_timed and is_known and seconds >= _refreshed_every(watch, at)

    async def _paint(self, watch: Watch, at: datetime) -> bool:
        """Rewrite the card's message; False where that has to wait. Raises MessageGone."""
        card = await card_of(self._cards, watch)
        team = watch.team
        spare = self._paces.spare_updates(team, TICK_S)
        if self._paints[team] >= spare or time.monotonic() < self._quiet_until.get(team, 0.0):
            return False
        self._paints[team] += 1
        away = self._poller.away(watch.workspace)
        message = await self._view.message(card, watch, tasks=await self._tasks(watch), away=away)
        try:
            await conversation_of(self._client, card).update(card.message_ts, message)
        except SlackApiError as error:
            if not self._is_final(team, error):
                return False
        except CONNECTION as error:
            log.info("card %s could not be rewritten: %s", card.id, type(error).__name__)
            return False
        await self._watches.shown(watch, self._digest(watch), at)
        self._current.add(watch.card_id)
        return True

    def _is_final(self, team: str, error: SlackApiError) -> bool:
        """Whether painting it again is of no use, although the message is still there."""
        code = code_of(error)
        if code == "message_not_found" or cannot_speak(code):
            raise MessageGone(code) from error
        if is_rate_limit(code) or is_transient(code) or code in DEAD:
            pause = DEAD_PAUSE_S if code in DEAD else retry_after(error)
            self._quiet_until[team] = time.monotonic() + pause
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
