"""The inbox: what arrived is stored before it is acknowledged, done once, and taken up again after a crash.

Two keys keep anything from being answered twice: the delivery (`event_id`, constant over Slack's
retries) and the work (team, channel and ts of the message), which also joins the `app_mention` and the
`message` event that Slack sends for one post.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import DATABASE_ERRORS
from bot.store import inbox, now

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
# What was refused for a while is not asked again before this.
PAUSE = timedelta(seconds=30)
HEARTBEAT_S = 20
# Another replica's item is noticed by polling; our own wakes a worker at once.
POLL_S = 2.0
# An item that has ended the process this often would do it for ever.
MAX_ATTEMPTS = 3
DRAIN_S = 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing that arrived: an event, a typed command or a pressed button."""

    delivery_key: str
    conversation: str
    """Team, channel and thread; items of one conversation are done one after the other."""
    kind: str
    payload: dict[str, Any]
    work_key: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    id: int
    conversation: str
    kind: str
    payload: dict[str, Any]
    attempt: int
    """1 the first time; more after a crash."""
    key: str = ""
    """The delivery's: no other item ever has it, and the same one at each attempt."""


class TryLater(Exception):
    """Raised by a handler that has done nothing a person could see, and may succeed in a while."""


class Inbox:
    """The table, and the signal that something new is in it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._arrived = asyncio.Event()

    async def put(self, delivery: Delivery) -> bool:
        """Store it; False when it, or another copy of the same message, is already there."""
        row = {
            "delivery_key": delivery.delivery_key,
            "work_key": delivery.work_key,
            "conversation": delivery.conversation,
            "kind": delivery.kind,
            "payload": delivery.payload,
            "state": "new",
            "received_at": now(),
        }
        try:
            async with self._engine.begin() as connection:
                await connection.execute(inbox.insert().values(row))
        except IntegrityError:
            return False
        self.wake()
        return True

    async def claim(self) -> Item | None:
        """The oldest item that is free and whose conversation is not being worked on."""
        candidate, other = inbox.alias("candidate"), inbox.alias("other")
        busy = select(other.c.id).where(
            other.c.conversation == candidate.c.conversation,
            or_(
                and_(other.c.state == "claimed", other.c.lease_until > now()),
                and_(other.c.state.in_(("new", "claimed")), other.c.id < candidate.c.id),
            ),
        )
        expired = and_(candidate.c.state == "claimed", candidate.c.lease_until <= now())
        oldest = (
            select(candidate.c.id)
            .where(or_(candidate.c.state == "new", expired), ~busy.exists())
            .order_by(candidate.c.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=candidate)
            .scalar_subquery()
        )
        claimed = (
            update(inbox)
            .where(inbox.c.id == oldest)
            .values(state="claimed", lease_until=now() + LEASE, attempts=inbox.c.attempts + 1)
            .returning(
                inbox.c.id,
                inbox.c.conversation,
                inbox.c.kind,
                inbox.c.payload,
                inbox.c.attempts,
                inbox.c.delivery_key,
            )
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(claimed)).one_or_none()
        return Item(*row) if row else None

    async def extend(self, item: Item) -> None:
        await self._set(item, lease_until=now() + LEASE)

    async def finish(self, item: Item, *, failed: bool = False) -> None:
        """Mark it done and drop its text: what Slack sent is not kept longer than needed."""
        state = "failed" if failed else "done"
        await self._set(item, state=state, payload={}, lease_until=None, finished_at=now())

    async def release(self, item: Item) -> None:
        """Give it back for another worker, as if it had not been tried."""
        await self._set(item, state="new", lease_until=None, attempts=item.attempt - 1)

    async def postpone(self, item: Item) -> None:
        """Have it tried again when a pause is over; the try counts."""
        await self._set(item, lease_until=now() + PAUSE)

    async def recover(self) -> int:
        """At start: free what a process that is gone had claimed. Returns how many items wait.

        A SQLite file belongs to one process, so every claim in it is a dead one; in PostgreSQL
        another replica may be alive, and its leases run out by themselves.
        """
        async with self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                await connection.execute(
                    update(inbox).where(inbox.c.state == "claimed").values(lease_until=now())
                )
            waiting = select(func.count()).where(inbox.c.state.in_(("new", "claimed")))
            return int((await connection.execute(waiting)).scalar_one())

    async def purge(self, older_than: timedelta) -> None:
        """Forget finished items; their keys are needed only as long as Slack may send them again."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(inbox).where(inbox.c.finished_at < now() - older_than))

    def wake(self) -> None:
        """Let a waiting worker look again."""
        self._arrived.set()

    async def arrival(self, timeout_s: float) -> None:
        """Wait until something arrives, or the time is over."""
        try:
            # Not wait_for, which swallows a cancellation that comes together with the arrival on Python 3.11:
            # https://github.com/python/cpython/issues/86296
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return
        self._arrived.clear()

    async def _set(self, item: Item, **values: Any) -> None:
        """Change the row as long as it is still held by this very claim, and not by one that followed it."""
        held = and_(inbox.c.id == item.id, inbox.c.state == "claimed", inbox.c.attempts == item.attempt)
        async with self._engine.begin() as connection:
            await connection.execute(update(inbox).where(held).values(**values))


Handler = Callable[[Item], Awaitable[None]]


class Workers:
    """Claims items and hands each to `handle`; `give_up` gets what failed too often."""

    def __init__(
        self,
        box: Inbox,
        *,
        handle: Handler,
        give_up: Handler,
        count: int = 8,
        heartbeat_s: float = HEARTBEAT_S,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._inbox = box
        self._handle = handle
        self._give_up = give_up
        self._heartbeat_s = heartbeat_s
        self._drain_s = drain_s
        self._free = asyncio.Semaphore(count)
        self._running: set[asyncio.Task[None]] = set()
        self._claimer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Workers":
        waiting = await self._inbox.recover()
        if waiting:
            log.info("%d items wait in the inbox", waiting)
        self._claimer = asyncio.create_task(self._claim_forever())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Claim no more, let what runs end within `drain_s`, give the rest back."""
        assert self._claimer is not None
        self._claimer.cancel()
        await asyncio.gather(self._claimer, return_exceptions=True)
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=self._drain_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _claim_forever(self) -> None:
        while True:
            await self._free.acquire()
            try:
                item = await self._next()
            except BaseException:
                self._free.release()
                raise
            task = asyncio.create_task(self._work(item))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _next(self) -> Item:
        """Wait for an item. A claim is not torn in the middle, where nobody would know what it got."""
        while True:
            claiming = asyncio.create_task(self._claim())
            try:
                item = await asyncio.shield(claiming)
            except asyncio.CancelledError:
                if late := await claiming:
                    await self._inbox.release(late)
                raise
            if item:
                return item
            await self._inbox.arrival(POLL_S)

    async def _claim(self) -> Item | None:
        try:
            return await self._inbox.claim()
        except DATABASE_ERRORS as error:
            log.warning("the inbox cannot be read (%s); looking again", type(error).__name__)
            return None

    async def _work(self, item: Item) -> None:
        heartbeat = asyncio.create_task(self._keep_lease(item))
        try:
            await self._inbox.finish(item, failed=not await self._handled(item))
        except TryLater:
            await self._inbox.postpone(item)
        except asyncio.CancelledError:
            await self._inbox.release(item)
            raise
        except DATABASE_ERRORS:
            log.exception("inbox item %d cannot be closed; it is taken up again after its lease", item.id)
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)
            self._free.release()
            # The next item of the same conversation was held back by this one.
            self._inbox.wake()

    async def _handled(self, item: Item) -> bool:
        exhausted = item.attempt > MAX_ATTEMPTS
        try:
            await (self._give_up if exhausted else self._handle)(item)
        except TryLater:
            raise
        except Exception:
            # The handler reports what people must know; what reaches this line is a bug in it.
            log.exception("inbox item %d failed", item.id)
            return False
        return not exhausted

    async def _keep_lease(self, item: Item) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            try:
                await self._inbox.extend(item)
            except DATABASE_ERRORS as error:
                log.warning("a lease cannot be extended (%s); trying again", type(error).__name__)
