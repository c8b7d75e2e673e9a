"""The inbox: what arrives is done once, in order within its conversation, and never lost with a process."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import open_store
from bot.inbox import LEASE, MAX_ATTEMPTS, Delivery, Inbox, Item, Workers
from bot.store import inbox, now
from tests.database import Postgres
from tests.waiting import until

# Far more than anything here takes; reached only when something is broken.
PATIENCE_S = 20
_serial = itertools.count()


def delivery(name: str = "hello", *, conversation: str = "", **more: Any) -> Delivery:
    """A message; each in a conversation of its own unless one is named."""
    number = next(_serial)
    return Delivery(
        delivery_key=more.pop("delivery_key", f"T1:event:Ev{number}"),
        conversation=conversation or f"T1:C1:{number}",
        kind="message",
        payload={"text": name},
        **more,
    )


async def rows(engine: AsyncEngine) -> list[Row[Any]]:
    async with engine.connect() as connection:
        return list((await connection.execute(select(inbox).order_by(inbox.c.id))).all())


async def states(engine: AsyncEngine) -> list[str]:
    return [row.state for row in await rows(engine)]


async def set_lease(engine: AsyncEngine, until: datetime) -> None:
    """Move the lease of all that is claimed, instead of waiting for it."""
    async with engine.begin() as connection:
        await connection.execute(update(inbox).where(inbox.c.state == "claimed").values(lease_until=until))


async def claim(box: Inbox) -> Item:
    item = await box.claim()
    assert item is not None
    return item


async def lose(box: Inbox, engine: AsyncEngine) -> Item:
    """Claim as a process does that dies: its lease runs out."""
    item = await claim(box)
    await set_lease(engine, now())
    return item


class Desk:
    """A handler that notes what it is given, and holds what it was told to hold until it is let go."""

    def __init__(self, *hold: str) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.most_at_once: defaultdict[str, int] = defaultdict(int)
        self._at_once: defaultdict[str, int] = defaultdict(int)
        self._gates = {name: asyncio.Event() for name in hold}
        self._news = asyncio.Condition()

    async def handle(self, item: Item) -> None:
        name, where = item.payload["text"], item.conversation
        self._at_once[where] += 1
        self.most_at_once[where] = max(self.most_at_once[where], self._at_once[where])
        try:
            await self._note(self.started, name)
            if name in self._gates:
                await self._gates[name].wait()
            await self._note(self.finished, name)
        finally:
            self._at_once[where] -= 1

    def let_go(self, name: str) -> None:
        self._gates[name].set()

    async def has_started(self, *names: str) -> None:
        await self._until(lambda: set(names) <= set(self.started))

    async def has_finished(self, *names: str) -> None:
        await self._until(lambda: set(names) <= set(self.finished))

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(reached)

    async def _note(self, where: list[str], name: str) -> None:
        async with self._news:
            where.append(name)
            self._news.notify_all()


class Unpolled(Inbox):
    """An inbox that is looked into when it says so, and never because some time has passed."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.empty = asyncio.Event()

    async def arrival(self, timeout_s: float) -> None:
        self.empty.set()
        await super().arrival(timeout_s + 2 * PATIENCE_S)


class FarAway(Inbox):
    """An inbox in a database whose answer to a claim takes a while."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.claimed = asyncio.Event()
        self.answer = asyncio.Event()

    async def claim(self) -> Item | None:
        item = await super().claim()
        self.claimed.set()
        await self.answer.wait()
        return item


async def unexpected(item: Item) -> None:
    raise AssertionError(f"{item} should not have come here")


def workers(box: Inbox, desk: Desk, **more: Any) -> Workers:
    return Workers(box, handle=desk.handle, give_up=unexpected, **more)


# -- stored once


async def test_the_same_delivery_sent_again_is_stored_once(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    first = delivery("hello", delivery_key="T1:event:Ev1")
    assert await box.put(first)
    assert not await box.put(first)
    assert len(await rows(engine)) == 1


async def test_the_mention_and_the_message_of_one_post_are_one_item(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    assert await box.put(delivery("mention", work_key="T1:C1:1.0"))
    assert not await box.put(delivery("message", work_key="T1:C1:1.0"))
    assert [row.payload for row in await rows(engine)] == [{"text": "mention"}]


async def test_copies_that_arrive_at_the_same_moment_at_two_replicas_are_one_item(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    boxes = [Inbox(engine), Inbox(replica)] * 5
    stored = await asyncio.gather(*(box.put(delivery(work_key="T1:C1:1.0")) for box in boxes))
    assert stored.count(True) == 1
    assert len(await rows(engine)) == 1


async def test_what_has_no_work_key_is_told_apart_by_its_delivery_alone(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    assert [await box.put(delivery()), await box.put(delivery())] == [True, True]


async def test_a_copy_that_comes_after_the_work_was_done_is_not_done_again(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    first = delivery(work_key="T1:C1:1.0")
    await box.put(first)
    await box.finish(await claim(box))
    assert not await box.put(first)
    assert not await box.put(delivery(work_key="T1:C1:1.0"))
    assert await box.claim() is None


async def test_any_text_comes_back_as_it_was_sent(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    odd = "null \0, half a pair \ud83e, whole 🤖, \u2028 and 'quotes\""
    await box.put(delivery(odd))
    assert (await claim(box)).payload == {"text": odd}


# -- claimed once


async def test_claims_at_the_same_moment_never_hand_one_item_out_twice(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    boxes = [Inbox(engine), Inbox(replica)] * 4
    for _ in range(24):
        await boxes[0].put(delivery())

    async def claim_all(box: Inbox) -> list[int]:
        return [item.id for item in [await box.claim() for _ in range(8)] if item]

    handed_out = list(itertools.chain(*await asyncio.gather(*map(claim_all, boxes))))
    assert sorted(handed_out) == [row.id for row in await rows(engine)]


async def test_only_one_item_of_a_conversation_is_out_at_a_time(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    boxes = [Inbox(engine), Inbox(replica)] * 4
    for name in "abc":
        await boxes[0].put(delivery(name, conversation="T1:C1:1.0"))
    claimed = [item for item in await asyncio.gather(*(box.claim() for box in boxes)) if item]
    assert [item.payload["text"] for item in claimed] == ["a"]
    await boxes[1].finish(claimed[0])
    assert (await claim(boxes[1])).payload == {"text": "b"}


async def test_a_claim_whose_lease_ran_out_is_taken_up_again(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    await box.put(delivery("first", conversation="T1:C1:1.0"))
    await box.put(delivery("second", conversation="T1:C1:1.0"))
    lost = await lose(box, engine)
    again = await claim(box)
    assert (again.id, again.attempt) == (lost.id, 2)
    assert await box.claim() is None


async def test_a_worker_that_lost_its_claim_cannot_touch_the_item_any_more(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    slow, quick = Inbox(engine), Inbox(replica)
    await slow.put(delivery("hello"))
    stale = await lose(slow, engine)
    held = await claim(quick)
    await slow.extend(stale)
    await slow.release(stale)
    await slow.finish(stale)
    row = (await rows(engine))[0]
    assert (row.state, row.attempts, row.payload) == ("claimed", 2, {"text": "hello"})
    await quick.finish(held)
    await slow.release(stale)
    assert await states(engine) == ["done"]


async def test_an_item_given_back_is_as_good_as_new(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    await box.put(delivery("hello"))
    await box.release(await claim(box))
    again = await claim(box)
    assert (again.attempt, again.payload) == (1, {"text": "hello"})


async def test_a_finished_item_keeps_nothing_of_what_was_said(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    await box.put(delivery("a secret"))
    await box.put(delivery("another secret"))
    await box.finish(await claim(box))
    await box.finish(await claim(box), failed=True)
    found = await rows(engine)
    assert [(row.state, row.payload, row.lease_until) for row in found] == [
        ("done", {}, None),
        ("failed", {}, None),
    ]


async def test_after_a_crash_a_file_is_free_at_once_and_a_server_keeps_its_leases(
    engine: AsyncEngine,
) -> None:
    box = Inbox(engine)
    await box.put(delivery())
    await box.put(delivery())
    lost = await claim(box)
    assert await Inbox(engine).recover() == 2
    first = await claim(box)
    # In PostgreSQL the one that claimed may be another replica, alive and well.
    assert (first.id == lost.id) == (engine.dialect.name == "sqlite")


async def test_only_what_was_finished_long_ago_is_purged(engine: AsyncEngine) -> None:
    box = Inbox(engine)
    for name in ("old", "young", "waiting"):
        await box.put(delivery(name))
    for _ in range(2):
        await box.finish(await claim(box))
    old = (await rows(engine))[0].id
    async with engine.begin() as connection:
        long_ago = now() - timedelta(days=2)
        await connection.execute(update(inbox).where(inbox.c.id == old).values(finished_at=long_ago))
    await box.purge(timedelta(days=1))
    assert await states(engine) == ["done", "new"]


# -- the workers


async def test_everything_is_done_once_and_in_order_by_two_replicas(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    boxes, desk = [Inbox(engine), Inbox(replica)], Desk()
    conversations = {f"T1:C1:{number}": [f"{number}.{turn}" for turn in range(6)] for number in range(5)}
    async with workers(boxes[0], desk), workers(boxes[1], desk):
        for turn in range(6):
            for number, conversation in enumerate(conversations):
                name = conversations[conversation][turn]
                await boxes[(number + turn) % 2].put(delivery(name, conversation=conversation))
        await desk.has_finished(*itertools.chain(*conversations.values()))
    for conversation, names in conversations.items():
        assert [name for name in desk.finished if name in names] == names
        assert desk.most_at_once[conversation] == 1
    assert set(await states(engine)) == {"done"}


async def test_other_conversations_go_on_beside_a_slow_one(engine: AsyncEngine) -> None:
    box, desk = Unpolled(engine), Desk("slow")
    async with workers(box, desk):
        await box.put(delivery("slow", conversation="T1:C1:1.0"))
        await desk.has_started("slow")
        await box.put(delivery("after the slow one", conversation="T1:C1:1.0"))
        await box.put(delivery("elsewhere"))
        await desk.has_finished("elsewhere")
        assert "after the slow one" not in desk.started
        desk.let_go("slow")
        await desk.has_finished("after the slow one")
    assert desk.finished == ["elsewhere", "slow", "after the slow one"]


async def test_no_more_is_done_at_once_than_there_are_workers(engine: AsyncEngine) -> None:
    box, desk = Inbox(engine), Desk("a", "b")
    for name in "abc":
        await box.put(delivery(name))
    async with workers(box, desk, count=2):
        await desk.has_started("a", "b")
        assert await states(engine) == ["claimed", "claimed", "new"]
        desk.let_go("b")
        await desk.has_finished("c")
        desk.let_go("a")
    assert desk.finished == ["b", "c", "a"]


async def test_what_waited_through_a_restart_is_done_at_the_start(engine: AsyncEngine) -> None:
    box, desk = Inbox(engine), Desk()
    await box.put(delivery("claimed by the one that died"))
    await box.put(delivery("never claimed"))
    await lose(box, engine)
    async with workers(Inbox(engine), desk):
        await desk.has_finished("claimed by the one that died", "never claimed")
    assert await states(engine) == ["done", "done"]


async def test_an_error_in_the_handler_stops_neither_the_conversation_nor_the_workers(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    box, desk = Inbox(engine), Desk()

    async def handle(item: Item) -> None:
        if item.payload["text"] == "broken":
            raise ZeroDivisionError
        await desk.handle(item)

    async with Workers(box, handle=handle, give_up=unexpected, count=1):
        for name in ("broken", "fine"):
            await box.put(delivery(name, conversation="T1:C1:1.0"))
        await desk.has_finished("fine")
    assert await states(engine) == ["failed", "done"]
    assert "ZeroDivisionError" in caplog.text


async def test_what_ends_the_process_again_and_again_is_given_up(engine: AsyncEngine) -> None:
    box, hopeless, desk = Inbox(engine), Desk(), Desk()
    await box.put(delivery("deadly"))
    attempts = [(await lose(box, engine)).attempt for _ in range(MAX_ATTEMPTS)]
    assert attempts == [1, 2, 3]
    async with Workers(box, handle=desk.handle, give_up=hopeless.handle):
        await hopeless.has_finished("deadly")
    assert desk.started == []
    assert await states(engine) == ["failed"]


async def test_the_last_attempt_is_still_an_attempt(engine: AsyncEngine) -> None:
    box, desk = Inbox(engine), Desk()
    await box.put(delivery("deadly"))
    for _ in range(MAX_ATTEMPTS - 1):
        await lose(box, engine)
    async with workers(box, desk):
        await desk.has_finished("deadly")
    assert await states(engine) == ["done"]


async def test_shut_down_in_the_middle_a_worker_gives_its_item_back(engine: AsyncEngine) -> None:
    box, desk = Inbox(engine), Desk("half done")
    await box.put(delivery("half done"))
    async with workers(box, desk, drain_s=0):
        await desk.has_started("half done")
    row = (await rows(engine))[0]
    assert (row.state, row.attempts, row.lease_until) == ("new", 0, None)
    assert (await claim(box)).payload == {"text": "half done"}


async def test_shutting_down_lets_what_runs_end_and_begins_nothing_new(engine: AsyncEngine) -> None:
    box, desk = Inbox(engine), Desk("running")
    crew = workers(box, desk, drain_s=PATIENCE_S)
    await crew.__aenter__()
    await box.put(delivery("running", conversation="T1:C1:1.0"))
    await desk.has_started("running")
    await box.put(delivery("next", conversation="T1:C1:1.0"))
    closing = asyncio.create_task(crew.__aexit__())
    await asyncio.sleep(0)  # The closing has begun.
    desk.let_go("running")
    async with asyncio.timeout(PATIENCE_S):
        await closing
    assert await states(engine) == ["done", "new"]


async def test_shut_down_in_the_very_moment_when_something_arrives_they_still_end(
    engine: AsyncEngine,
) -> None:
    box = Unpolled(engine)
    crew = workers(box, Desk())
    await crew.__aenter__()
    async with asyncio.timeout(PATIENCE_S):
        await box.empty.wait()
        box.wake()
        await crew.__aexit__()
    assert await box.put(delivery())
    assert await states(engine) == ["new"]


async def test_shut_down_in_the_middle_of_a_claim_the_item_is_given_back(engine: AsyncEngine) -> None:
    box, desk = FarAway(engine), Desk()
    await box.put(delivery())
    crew = workers(box, desk)
    await crew.__aenter__()
    async with asyncio.timeout(PATIENCE_S):
        await box.claimed.wait()
        closing = asyncio.create_task(crew.__aexit__())
        await asyncio.sleep(0)  # The closing has begun.
        box.answer.set()
        await closing
    assert desk.started == []
    assert await states(engine) == ["new"]


async def test_a_long_piece_of_work_keeps_its_lease(engine: AsyncEngine, replica: AsyncEngine) -> None:
    box, desk = Inbox(engine), Desk("long")
    await box.put(delivery("long"))
    async with workers(box, desk, heartbeat_s=0.01):
        await desk.has_started("long")
        await set_lease(engine, now() + LEASE / 10)

        async def extended() -> bool:
            return (await rows(engine))[0].lease_until > now() + LEASE / 2

        await until(extended)
        assert await Inbox(replica).claim() is None
        desk.let_go("long")
    assert await states(engine) == ["done"]


async def rename(engine: AsyncEngine, before: str, after: str) -> None:
    """Without its table every query fails, as when the database is away for a moment."""
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))


async def test_a_database_that_was_away_does_not_leave_the_bot_deaf(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    box, desk = Inbox(engine), Desk()
    async with workers(box, desk):
        await rename(engine, "inbox", "away")
        box.wake()
        await until(lambda: "cannot be read" in caplog.text)
        await rename(engine, "away", "inbox")
        await box.put(delivery("after that"))
        await desk.has_finished("after that")
    assert await states(engine) == ["done"]


async def test_a_server_that_lets_nobody_in_for_a_while_does_not_leave_the_bot_deaf(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    await postgres.execute("CREATE DATABASE shaky")
    async with open_store(postgres.url("shaky")) as engine:
        box, desk = Inbox(engine), Desk()
        async with workers(box, desk):
            await postgres.execute("ALTER DATABASE shaky ALLOW_CONNECTIONS false")
            await postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shaky'"
            )
            box.wake()
            await until(lambda: "cannot be read" in caplog.text)
            await postgres.execute("ALTER DATABASE shaky ALLOW_CONNECTIONS true")
            await box.put(delivery("after that"))
            await desk.has_finished("after that")
        assert await states(engine) == ["done"]
    await postgres.execute("DROP DATABASE shaky WITH (FORCE)")


async def test_a_database_that_was_away_does_not_end_the_heartbeat(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    box, desk = Inbox(engine), Desk("long")
    await box.put(delivery("long"))
    async with workers(box, desk, heartbeat_s=0.01):
        await desk.has_started("long")
        await rename(engine, "inbox", "away")
        await until(lambda: "cannot be extended" in caplog.text)
        await rename(engine, "away", "inbox")
        await set_lease(engine, now())

        async def extended() -> bool:
            return (await rows(engine))[0].lease_until > now() + LEASE / 2

        await until(extended)
        desk.let_go("long")
    assert await states(engine) == ["done"]


async def test_work_that_cannot_be_marked_as_done_is_said_in_the_log_and_taken_up_again(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    box, desk = Inbox(engine), Desk("unlucky")
    await box.put(delivery("unlucky"))
    async with workers(box, desk):
        await desk.has_started("unlucky")
        await rename(engine, "inbox", "away")
        desk.let_go("unlucky")
        await until(lambda: "cannot be closed" in caplog.text)
        await rename(engine, "away", "inbox")
    await set_lease(engine, now())
    assert (await claim(box)).attempt == 2
