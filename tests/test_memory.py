"""The memory of a thread: what was said in it, by whom, until somebody wants it forgotten."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.memory import Memory, Turn
from bot.people import Person
from bot.store import now, threads, turns

THREAD = "T1:C1:1.0"
ANN = Person(id="U1", team="T1")
BOB = Person(id="U2", team="T1")
ANN_ELSEWHERE = Person(id="U1", team="T2")


@pytest.fixture
def memory(engine: AsyncEngine) -> Memory:
    return Memory(engine)


async def count(engine: AsyncEngine) -> tuple[int, int]:
    """Threads and turns that are stored."""
    async with engine.connect() as connection:
        rows = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (threads, turns)
        ]
    return rows[0], rows[1]


async def grow_old(engine: AsyncEngine, key: str, days: int) -> None:
    async with engine.begin() as connection:
        moment = now() - timedelta(days=days)
        await connection.execute(update(threads).where(threads.c.key == key).values(updated_at=moment))
        here = select(threads.c.id).where(threads.c.key == key).scalar_subquery()
        await connection.execute(update(turns).where(turns.c.thread_id == here).values(created_at=moment))


async def test_a_thread_is_engaged_once_it_was_engaged(memory: Memory) -> None:
    assert not await memory.engaged(THREAD)
    await memory.engage(THREAD, "T1")
    assert await memory.engaged(THREAD)
    assert not await memory.engaged("T1:C1:2.0")


async def test_engaging_again_changes_nothing(memory: Memory, engine: AsyncEngine) -> None:
    await memory.remember(THREAD, ANN, Turn("q", "a"))
    await memory.engage(THREAD, "T1")
    assert await count(engine) == (1, 1)
    assert await memory.recall(THREAD, 5) == [Turn("q", "a")]


async def test_replicas_that_engage_at_the_same_moment_make_one_thread(
    engine: AsyncEngine, replica: AsyncEngine
) -> None:
    memories = [Memory(engine), Memory(replica)] * 3
    await asyncio.gather(*(memory.engage(THREAD, "T1") for memory in memories))
    assert await count(engine) == (1, 0)


async def test_the_newest_turns_come_back_in_the_order_they_were_said(memory: Memory) -> None:
    for number in range(5):
        await memory.remember(THREAD, ANN if number % 2 else BOB, Turn(f"q{number}", f"a{number}"))
    await memory.remember("T1:C1:2.0", ANN, Turn("elsewhere", "elsewhere"))
    assert await memory.recall(THREAD, 3) == [Turn("q2", "a2"), Turn("q3", "a3"), Turn("q4", "a4")]
    assert len(await memory.recall(THREAD, 50)) == 5


async def test_a_thread_that_nobody_knows_recalls_nothing(memory: Memory) -> None:
    assert await memory.recall(THREAD, 5) == []


async def test_who_is_remembered_in_a_thread_is_engaged_in_it(memory: Memory) -> None:
    await memory.remember(THREAD, ANN, Turn("q", "a"))
    assert await memory.engaged(THREAD)


async def test_text_that_no_database_can_hold_loses_only_what_cannot_be_held(memory: Memory) -> None:
    await memory.remember(THREAD, ANN, Turn("a null \0 in it", "half a pair \ud83e and a whole 🤖"))
    kept = (await memory.recall(THREAD, 1))[0]
    assert kept == Turn("a null \N{REPLACEMENT CHARACTER} in it", "half a pair ? and a whole 🤖")


async def test_a_long_stack_trace_is_kept_whole(memory: Memory) -> None:
    trace = Turn("Traceback\n" * 6_000, "Oh dear.")
    await memory.remember(THREAD, ANN, trace)
    assert await memory.recall(THREAD, 1) == [trace]


async def test_forgetting_takes_one_person_of_one_team_alone(memory: Memory) -> None:
    for person in (ANN, BOB, ANN):
        await memory.remember(THREAD, person, Turn(f"of {person.id}", "a"))
    await memory.remember("T1:C1:2.0", ANN, Turn("in another thread", "a"))
    await memory.remember("T2:C1:1.0", ANN_ELSEWHERE, Turn("in another team", "a"))
    assert await memory.forget(ANN) == 3
    assert await memory.recall(THREAD, 9) == [Turn("of U2", "a")]
    assert await memory.recall("T1:C1:2.0", 9) == []
    assert await memory.recall("T2:C1:1.0", 9) == [Turn("in another team", "a")]
    assert await memory.forget(ANN) == 0


async def test_a_thread_stays_engaged_when_somebody_is_forgotten(memory: Memory) -> None:
    await memory.remember(THREAD, ANN, Turn("q", "a"))
    await memory.forget(ANN)
    assert await memory.engaged(THREAD)


async def test_threads_nobody_writes_in_are_purged_with_their_turns(
    memory: Memory, engine: AsyncEngine
) -> None:
    await memory.remember(THREAD, ANN, Turn("old", "a"))
    await memory.remember("T1:C1:2.0", ANN, Turn("young", "a"))
    await grow_old(engine, THREAD, days=31)
    await memory.purge(timedelta(days=30))
    assert not await memory.engaged(THREAD)
    assert await count(engine) == (1, 1)


async def test_a_new_turn_keeps_an_old_thread_but_not_what_was_said_long_ago(
    memory: Memory, engine: AsyncEngine
) -> None:
    await memory.remember(THREAD, ANN, Turn("old", "a"))
    await grow_old(engine, THREAD, days=31)
    await memory.remember(THREAD, BOB, Turn("new", "a"))
    await memory.purge(timedelta(days=30))
    assert await memory.recall(THREAD, 9) == [Turn("new", "a")]
