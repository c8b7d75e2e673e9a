"""Who pressed what, and what came of it. Rows are only ever added."""

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.people import Person
from bot.store import audit, now

Decision = Literal[
    "proposed", "confirmed", "declined", "refused", "done", "partly", "held_back", "failed", "unclear"
]
MAX_DETAIL = 1000


class Audit:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(
        self,
        person: Person,
        decision: Decision,
        *,
        card_id: str,
        action: str,
        target: str,
        workspace: str,
        detail: str = "",
    ) -> None:
        row = {
            "at": now(),
            "team": person.team,
            "workspace": workspace,
            "user_id": person.id,
            "card_id": card_id,
            "action": action,
            "target": target,
            "decision": decision,
            "detail": detail[:MAX_DETAIL],
        }
        async with self._engine.begin() as connection:
            await connection.execute(audit.insert().values(row))
