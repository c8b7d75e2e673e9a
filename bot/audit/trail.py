"""Who pressed what, where, and what came of it. Rows are only ever added."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.people import Person
from bot.question import Place
from bot.store import audit, now
from tools.proposal import Proposal

Decision = Literal[
    "proposed",
    "revised",
    "confirmed",
    "declined",
    "refused",
    "done",
    "partly",
    "held_back",
    "failed",
    "unclear",
]
MAX_DETAIL = 1000
# The names of what a bulk action touches; some hundred of them.
MAX_AFFECTED = 8000
MAX_ENTRIES = 1000
LATEST = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as it was written."""

    at: datetime
    team: str
    user_id: str
    decision: str
    action: str
    target: str
    workspace: str
    channel: str
    """Empty in the terminal, and in rows of versions that did not keep it."""
    card_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows; what is empty is not looked at."""

    limit: int = LATEST
    team: str = ""
    user_id: str = ""
    about: str = ""
    """A part of the name of what it was about."""
    since: datetime | None = None


class Audit:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(
        self,
        person: Person,
        decision: Decision,
        proposal: Proposal,
        *,
        place: Place,
        card_id: str = "",
        detail: str = "",
    ) -> None:
        """Add a row; without a card where the proposal did not even become one."""
        row = {
            "at": now(),
            "team": person.team,
            "workspace": place.workspace,
            "user_id": person.id,
            "card_id": card_id,
            "action": proposal.action,
            "target": proposal.target,
            "decision": decision,
            "detail": detail[:MAX_DETAIL],
            "channel": place.channel,
            "affected": _affected(proposal)[:MAX_AFFECTED],
        }
        async with self._engine.begin() as connection:
            await connection.execute(audit.insert().values(row))

    async def latest(self, wanted: Wanted) -> tuple[list[Entry], bool]:
        """The newest rows first, at most 1000, and whether there are more."""
        limit = min(wanted.limit, MAX_ENTRIES)
        query = select(audit).where(*_conditions(wanted)).order_by(audit.c.id.desc()).limit(limit + 1)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        entries = [
            Entry(
                at=row.at,
                team=row.team,
                user_id=row.user_id,
                decision=row.decision,
                action=row.action,
                target=row.target,
                workspace=row.workspace,
                channel=row.channel or "",
                card_id=row.card_id,
                detail=row.detail,
            )
            for row in rows[:limit]
        ]
        return entries, len(rows) > limit


def _affected(proposal: Proposal) -> str:
    """One name a line: what is found by a deployment's name may be the cancelling of its runs."""
    names = (name for thing in proposal.affected for name in (thing.deployment, thing.work_pool) if name)
    return "\n".join(dict.fromkeys(names))


def _conditions(wanted: Wanted) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.team:
        conditions.append(audit.c.team == wanted.team)
    if wanted.user_id:
        conditions.append(audit.c.user_id == wanted.user_id)
    if wanted.about:
        columns = (audit.c.target, audit.c.affected)
        conditions.append(or_(*(column.icontains(wanted.about, autoescape=True) for column in columns)))
    if wanted.since:
        conditions.append(audit.c.at >= wanted.since)
    return conditions
