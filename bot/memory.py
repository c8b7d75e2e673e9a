"""What a thread remembers: the questions and answers, so that a follow-up keeps its context."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.people import Person
from bot.store import now, threads, topics, turns


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    answer: str


class Memory:
    """Threads and their turns. A thread that is known here is one that the bot is engaged in."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def engaged(self, conversation: str) -> bool:
        query = select(threads.c.id).where(threads.c.key == conversation)
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).first() is not None

    async def engage(self, conversation: str, team: str) -> None:
        """From now on replies in the thread are for the bot, without a second mention."""
        row = {"key": conversation, "team": team, "updated_at": now()}
        try:
            async with self._engine.begin() as connection:
                await connection.execute(threads.insert().values(row))
        except IntegrityError:
            pass  # It is engaged already.

    async def recall(self, conversation: str, limit: int) -> Sequence[Turn]:
        """The newest `limit` turns, oldest first."""
        query = (
            select(turns.c.question, turns.c.answer)
            .join(threads)
            .where(threads.c.key == conversation)
            .order_by(turns.c.id.desc())
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [Turn(*row) for row in reversed(rows)]

    async def remember(self, conversation: str, person: Person, turn: Turn) -> None:
        await self.engage(conversation, person.team)
        thread_id = select(threads.c.id).where(threads.c.key == conversation).scalar_subquery()
        async with self._engine.begin() as connection:
            await connection.execute(
                turns.insert().values(
                    thread_id=thread_id,
                    team=person.team,
                    user_id=person.id,
                    question=turn.question,
                    answer=turn.answer,
                    created_at=now(),
                )
            )
            await connection.execute(
                update(threads).where(threads.c.key == conversation).values(updated_at=now())
            )

    async def forget(self, person: Person) -> int:
        """Delete all that this person asked and was answered. Returns the number of turns."""
        async with self._engine.begin() as connection:
            result = await connection.execute(
                delete(turns).where(turns.c.team == person.team, turns.c.user_id == person.id)
            )
            mine = (topics.c.team == person.team, topics.c.user_id == person.id)
            await connection.execute(delete(topics).where(*mine))
        return int(result.rowcount)

    async def purge(self, older_than: timedelta) -> None:
        """Delete turns and topics that are so old, and threads that nobody has written in for so long."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(turns).where(turns.c.created_at < now() - older_than))
            await connection.execute(delete(topics).where(topics.c.created_at < now() - older_than))
            await connection.execute(delete(threads).where(threads.c.updated_at < now() - older_than))
