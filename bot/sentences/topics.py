"""What the answers of a thread were about, as it is stored, and the runs that are followed in it."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.people import Person
from bot.sentences.topic import MAX_THINGS, Thing, Topic, from_json
from bot.store import cards, now, topics, watched_runs, watches

# Who means something older names it.
LATEST = 5


class Topics:
    """Reads and writes topics by the key of their conversation; `Memory` forgets them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def note(self, conversation: str, person: Person, topic: Topic) -> None:
        """Nothing for an answer that was about nothing in the workspace."""
        if not topic.things:
            return
        row = {
            "conversation": conversation,
            "team": person.team,
            "user_id": person.id,
            "workspace": topic.workspace,
            "about": topic.as_json(),
            "created_at": now(),
        }
        async with self._engine.begin() as connection:
            await connection.execute(topics.insert().values(row))

    async def latest(self, conversation: str) -> Sequence[Topic]:
        """The newest first; a followed run counts as spoken of when its state was last told."""
        noted = (
            select(topics)
            .where(topics.c.conversation == conversation)
            .order_by(topics.c.id.desc())
            .limit(LATEST)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(noted)).all()
        found = [from_json(row.workspace, row.about, row.created_at) for row in rows]
        found += await self._followed(conversation)
        return sorted(found, key=lambda topic: topic.at, reverse=True)[:LATEST]

    async def _followed(self, conversation: str) -> list[Topic]:
        """The runs of the cards that stand in the thread, or that the thread stands below."""
        team, _, place = conversation.partition(":")
        channel, _, ts = place.partition(":")
        below = and_(cards.c.team == team, cards.c.message_channel == channel, cards.c.message_ts == ts)
        here = (
            or_(cards.c.conversation == conversation, below) if ts else cards.c.conversation == conversation
        )
        runs = (watched_runs.c.run_id, watched_runs.c.name, watched_runs.c.since)
        query = (
            select(watches.c.card_id, watches.c.workspace, watches.c.began, watches.c.told, *runs)
            .join(cards, cards.c.id == watches.c.card_id)
            .join(watched_runs, watched_runs.c.card_id == watches.c.card_id)
            .where(here)
            .order_by(watches.c.began.desc(), watches.c.card_id, watched_runs.c.position)
            .limit(LATEST * MAX_THINGS)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [_followed(list(some)) for _, some in groupby(rows, key=lambda row: row.card_id)]


def _followed(rows: Sequence[Row[Any]]) -> Topic:
    things = tuple(Thing("flow run", row.run_id, row.name) for row in rows)
    # What was told of them stands in the thread since then.
    news = [row.since for row in rows if row.since and row.told]
    return Topic(rows[0].workspace, things, at=max([rows[0].began, *news]))
