"""Follows what was begun from Slack to its end, and keeps the message of each card current.

One replica does it for all, by a lease in the database. A tick costs Prefect what `bot/follow/watch.py` says,
one `ui/task_runs/count` for each message that is repainted while its run is running (two a tick and Slack
team), and for each of at most two people who have to be told something, one diagnosis.
"""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.book import CardBook
from bot.cards.table import Card
from bot.database import DATABASE_ERRORS
from bot.follow.followup import LOGS_ARE_LATE_S
from bot.follow.lease import Lease
from bot.follow.watch import BROKEN_AFTER, LOOK_EVERY, Away, Poller, is_given_up, next_look, trouble
from bot.follow.watch_table import Ending, Watch, WatchTable
from bot.policy.policy import Policy
from bot.slack.card_view import CardView
from bot.slack.follow_blocks import BROKE, HUSHED
from bot.slack.follow_news import News
from bot.slack.follow_paint import Painter
from bot.slack.followed_card import Hushed, MessageGone
from bot.slack.pace import Workspaces
from bot.store import now
from bot.workspaces import Workspaces as Prefects

log = logging.getLogger(__name__)

TICK_S = LOOK_EVERY.total_seconds()
# A bug that comes back at every tick is not logged twenty times a minute.
LONGEST_PAUSE_S = 60.0
# More lead nowhere, and after a day of failures to a number that is too large for a float.
DOUBLINGS = 5
# Before everything about it is deleted, and after the last time that anything else would be said.
FORGOTTEN_BEFORE = timedelta(hours=2)


class Follower:
    """Looks at what is followed, every few seconds, and tells what has become of it.

    `kept` is how long cards and watches are kept; what is followed still by then is let go aloud.
    """

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
        policy: Policy,
        kept: timedelta,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._painter = Painter(
            client,
            watches=watches,
            poller=poller,
            cards=cards,
            view=view,
            prefects=prefects,
            paces=paces,
            policy=policy,
        )
        self._news = News(
            client,
            watches=watches,
            cards=cards,
            view=view,
            prefects=prefects,
            paces=paces,
            policy=policy,
            clock=clock,
        )
        self._lease = lease
        self._watches = watches
        self._poller = poller
        self._kept = kept
        self._clock = clock
        self._begun = asyncio.Event()
        self._allowed_from = clock() - LOOK_EVERY
        self._failures = 0
        self._broken_since = clock()

    @property
    def failures(self) -> int:
        """How often in a row looking, or telling what was seen, has broken off by a bug."""
        return max(self._failures, self._poller.failures)

    async def run(self) -> None:
        """For ever; only while no other replica does."""
        keeper = asyncio.create_task(self._lease.keep())
        try:
            while True:
                if keeper.done():
                    log.error("the lease is taken anew; keeping it broke off", exc_info=keeper.exception())
                    keeper = asyncio.create_task(self._lease.keep())
                if self._lease.held:
                    await self._tick_safely()
                await self._wait()
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def at_once(self, card: Card) -> None:
        """What a press has just begun and shown is looked at now, and not only at the next tick."""
        try:
            watch = await self._watches.of(card.id)
            if watch and watch.shown_at is None:
                await self._watches.shown(watch, "", self._clock())
                self._begun.set()
        except DATABASE_ERRORS as error:
            log.info("what was begun waits for the next tick: the database (%s)", type(error).__name__)

    async def _wait(self) -> None:
        """Until the next tick, or until something is begun; longer when the last ones broke off."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_after(self._failures)):
                await self._begun.wait()
        self._begun.clear()

    async def tick(self) -> None:
        """Look once at all that is due, and tell what there is to tell, the most urgent first."""
        at = self._clock()
        due = await self._watches.due(at)
        if not due:
            return
        self._begin_tick(at)
        watches = await self._poller.look(due)
        for watch in sorted(watches, key=lambda watch: self._urgency(watch, at)):
            if not self._lease.held:
                return
            await self._attend_safely(watch, at)
        await self._look_again(watches, at)

    def _begin_tick(self, at: datetime) -> None:
        """What Slack allows is given for a whole interval; a tick in between has what is left of it."""
        is_early = at < self._allowed_from + LOOK_EVERY
        self._painter.begin_tick(spent=is_early)
        if not is_early:
            self._news.begin_tick()
            self._allowed_from = at

    async def _tick_safely(self) -> None:
        try:
            await self.tick()
        except DATABASE_ERRORS as error:
            log.warning("runs cannot be followed for now: the database (%s)", type(error).__name__)
        except Exception:
            reference = secrets.token_hex(4)
            self._broken_since = self._broken_since if self._failures else self._clock()
            self._failures += 1
            log.exception("following broke off, %d times in a row, reference %s", self._failures, reference)
            if self._failures >= BROKEN_AFTER:
                await self._tell_broken(reference)
        else:
            self._failures = 0

    async def _tell_broken(self, reference: str) -> None:
        """In every message that would otherwise look alive for ever."""
        at = self._clock()
        away = Away.by_bug(reference, since=self._broken_since)
        self._begin_tick(at)
        try:
            for watch in await self._watches.due(at):
                with suppress(MessageGone):
                    await self._painter.paint(watch, at, away=away)
        except Exception:
            log.exception("nor could that be told")

    async def _look_again(self, watches: list[Watch], at: datetime) -> None:
        """What is still to be told, or could not be looked at, has its turn at the next tick."""
        times: defaultdict[datetime, list[str]] = defaultdict(list)
        for watch in watches:
            is_known = self._poller.answers(watch.workspace)
            waits = self._painter.is_current(watch) and is_known and not watch.is_over
            times[next_look(watch, at) if waits else at + LOOK_EVERY].append(watch.card_id)
        for when, card_ids in times.items():
            await self._watches.look_again(card_ids, when)

    def _urgency(self, watch: Watch, at: datetime) -> tuple[int, datetime]:
        rank = 3 if self._painter.is_shown(watch) else 2
        if watch.is_over:
            rank = 0
        elif trouble(watch, at):
            rank = 1
        return rank, watch.shown_at or watch.began

    async def _attend_safely(self, watch: Watch, at: datetime) -> None:
        try:
            await self._attend(watch, at)
        except Hushed:
            if await self._painter.let_go(watch, HUSHED):
                await self._watches.end(watch, "hushed")
        except MessageGone as error:
            log.info("the runs of card %s are not followed any more: %s", watch.card_id, error)
            await self._watches.end(watch, "gone")
        except DATABASE_ERRORS:
            raise
        except Exception:
            # A bug that one watch brings to light must not end the others, nor come back every tick.
            reference = secrets.token_hex(4)
            log.exception("the runs of card %s cannot be followed, reference %s", watch.card_id, reference)
            await self._watches.end(watch, "broke")
            await self._tell_let_go(watch, BROKE.format(reference=reference))

    async def _tell_let_go(self, watch: Watch, sentence: str) -> None:
        """As far as that can be said: what has broken may be the card itself."""
        try:
            await self._painter.let_go(watch, sentence)
        except Exception:
            log.exception("nor could that be told")

    async def _attend(self, watch: Watch, at: datetime) -> None:
        if watch.is_over or self._ending(watch, at) != "ended":
            await self._finish(watch, at)
            return
        if self._painter.is_due(watch, at):
            await self._painter.paint(watch, at)
        if found := trouble(watch, at):
            kind, run = found
            alike = [run, *(other for other in watch.open_runs if other.state_type == run.state_type)]
            await self._news.tell(watch, kind, list(dict.fromkeys(alike)))

    async def _finish(self, watch: Watch, at: datetime) -> None:
        """The last state of the message first, then the news; what cannot be done now is done next time."""
        if any(0 < run.in_state(at) < LOGS_ARE_LATE_S for run in watch.runs if run.is_over):
            return
        last = replace(watch, ended=self._ending(watch, at))
        if not self._painter.is_shown(last) and not await self._painter.paint(last, at):
            return
        if not watch.is_over or "end" in watch.told or await self._news.tell_end(last):
            await self._watches.end(last, last.ended)

    def _ending(self, watch: Watch, at: datetime) -> Ending:
        """As what it would end now; `ended` for what goes on, too."""
        if watch.is_over:
            return "ended"
        if at >= watch.began + self._kept - FORGOTTEN_BEFORE:
            return "forgotten"
        return "gave_up" if is_given_up(watch, at) else "ended"


def pause_after(failures: int) -> float:
    """Seconds until the next tick, after so many in a row that broke off."""
    return min(TICK_S * 2.0 ** min(failures, DOUBLINGS), LONGEST_PAUSE_S)
