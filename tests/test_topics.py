"""What a thread has spoken of: stored, found again, and forgotten with the rest."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.cards.table import Card, CardTable
from bot.follow.watch_table import WatchTable
from bot.memory import Memory
from bot.people import Person
from bot.sentences.topic import Thing, Topic
from bot.sentences.topics import Topics
from bot.store import now, topics
from tools.proposal import Proposal

THREAD = "T1:C1:1.0"
ANN = Person(id="U1", team="T1")
RUN = Thing("flow run", "id-1", "happy-otter")
TOPIC = Topic("prod", (RUN,), (Thing("work pool", "k8s", "k8s"),), "why", ("resume pool k8s",))


@pytest.fixture
def spoken(engine: AsyncEngine) -> Topics:
    return Topics(engine)


async def card_in(engine: AsyncEngine, conversation: str, *, ts: str = "", card_id: str = "c1") -> Card:
    card = Card(
        id=card_id,
        proposal=Proposal(action="trigger_run", title="Start a run", target="etl/nightly"),
        asked_by="U1",
        expires_at=now() + timedelta(minutes=5),
        team="T1",
        workspace="prod",
        conversation=conversation,
        message_channel="C1",
        message_ts=ts,
    )
    await CardTable(engine).add(card)
    return card


async def test_the_newest_topic_comes_first_as_it_was_noted(spoken: Topics) -> None:
    later = replace(TOPIC, things=(replace(RUN, key="id-2"),), is_partial=True)
    await spoken.note(THREAD, ANN, TOPIC)
    await spoken.note(THREAD, ANN, later)
    await spoken.note("T1:C1:2.0", ANN, TOPIC)
    assert await spoken.latest(THREAD) == [later, TOPIC]
    assert await spoken.latest("T1:C9:1.0") == []


async def test_an_answer_about_nothing_in_the_workspace_is_no_topic(spoken: Topics) -> None:
    await spoken.note(THREAD, ANN, Topic("prod", ()))
    assert await spoken.latest(THREAD) == []


@pytest.mark.parametrize(
    ("conversation", "ts", "asked_in"),
    [
        pytest.param(THREAD, "1.5", THREAD, id="in-the-thread-of-the-card"),
        pytest.param("T1:C1:command:9", "3.0", "T1:C1:3.0", id="below-the-card"),
    ],
)
async def test_a_followed_run_is_spoken_of_in_its_thread(
    spoken: Topics, engine: AsyncEngine, conversation: str, ts: str, asked_in: str
) -> None:
    card = await card_in(engine, conversation, ts=ts)
    await WatchTable(engine).add(card, ["id-7"])
    (topic,) = await spoken.latest(asked_in)
    assert topic.things == (Thing("flow run", "id-7", ""),)
    assert topic.workspace == "prod"
    assert await spoken.latest("T1:C1:8.0") == []


async def test_news_of_a_followed_run_are_newer_than_what_was_asked_before_them(
    spoken: Topics, engine: AsyncEngine
) -> None:
    table = WatchTable(engine)
    await table.add(await card_in(engine, THREAD), ["id-7"])
    await spoken.note(THREAD, ANN, TOPIC)
    assert (await spoken.latest(THREAD))[0] == TOPIC
    (watch,) = await table.due(now())
    failed = replace(watch.runs[0], state_type="FAILED", since=now() + timedelta(seconds=1))
    await table.keep_runs(watch, [failed])
    await table.told(watch, "end")
    assert (await spoken.latest(THREAD))[0].things[0].key == "id-7"


async def test_topics_are_forgotten_with_what_a_person_asked(spoken: Topics, engine: AsyncEngine) -> None:
    await spoken.note(THREAD, ANN, TOPIC)
    await spoken.note(THREAD, replace(ANN, id="U2"), replace(TOPIC, asked="show"))
    await Memory(engine).forget(ANN)
    assert [topic.asked for topic in await spoken.latest(THREAD)] == ["show"]


async def test_old_topics_are_purged(spoken: Topics, engine: AsyncEngine) -> None:
    await spoken.note(THREAD, ANN, TOPIC)
    async with engine.begin() as connection:
        await connection.execute(update(topics).values(created_at=now() - timedelta(days=31)))
    await spoken.note(THREAD, ANN, replace(TOPIC, asked="show"))
    await Memory(engine).purge(timedelta(days=30))
    async with engine.connect() as connection:
        assert len((await connection.execute(select(topics))).all()) == 1
