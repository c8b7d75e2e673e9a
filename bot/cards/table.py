"""Action cards as they are stored: one row each, moved from state to state by conditional updates."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.question import Place
from bot.store import cards, now
from knowledge.errors import BadInput
from tools.proposal import Detail, Proposal

CardState = Literal[
    "open", "running", "done", "partly", "held_back", "failed", "declined", "expired", "refused", "unclear"
]


@dataclass(frozen=True, slots=True)
class Card:
    """One stored proposal."""

    id: str
    proposal: Proposal
    asked_by: str
    """Slack user id of the person whose words led to the card."""
    expires_at: datetime
    state: CardState = "open"
    decided_by: str = ""
    outcome: str = ""
    """The receipt's or the refusal's sentence, once there is one."""
    outcome_url: str = ""
    details: tuple[Detail, ...] = ()
    """The receipt's, once there is one."""
    team: str = ""
    workspace: str = ""
    """The Prefect workspace's name."""
    conversation: str = ""
    message_channel: str = ""
    """Where it was asked for, and from `message_ts` on where the message with the buttons stands."""
    message_ts: str = ""
    decided_at: datetime | None = None
    undoes: str = ""
    """The id of the card that this one takes back; it is shown in that one's message."""
    revision: int = 0
    """How often it was changed while it was open; a press says which one stood on the screen."""
    revised_by: str = ""
    """Slack user id of who changed it last."""
    undo: "Card | None" = None
    """The card that takes this one back."""

    @property
    def place(self) -> Place:
        """Where a press on it happens, as the rules of a policy see it."""
        return Place(self.message_channel, self.workspace)


class CardTable:
    """Reads and writes cards; knows no rules about who may do what."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, card: Card) -> None:
        """Store a new card. Raises BadInput for a value that cannot be stored."""
        row = {
            "id": card.id,
            "team": card.team,
            "workspace": card.workspace,
            "proposal": _as_json(card.proposal),
            "asked_by": card.asked_by,
            "conversation": card.conversation,
            "message_channel": card.message_channel,
            "message_ts": card.message_ts,
            "state": card.state,
            "created_at": now(),
            "expires_at": card.expires_at,
            "undoes": card.undoes or None,
        }
        async with self._engine.begin() as connection:
            await connection.execute(cards.insert().values(row))

    async def get(self, card_id: str, team: str) -> Card | None:
        """A card with the one that takes it back, if there is one."""
        query = select(cards).where(
            cards.c.team == team, or_(cards.c.id == card_id, cards.c.undoes == card_id)
        )
        async with self._engine.connect() as connection:
            rows = {row.id: row for row in (await connection.execute(query)).all()}
        if card_id not in rows:
            return None
        undo = next((_card(row) for row in rows.values() if row.undoes == card_id), None)
        return _card(rows[card_id], undo)

    async def running(self, actions: Collection[str], team: str, *, since: datetime) -> Card | None:
        """The card with one of these actions that is being done in that team, begun at `since` or later."""
        query = (
            select(cards)
            .where(cards.c.team == team, cards.c.state == "running", cards.c.decided_at >= since)
            .order_by(cards.c.decided_at.desc())
        )
        async with self._engine.connect() as connection:
            found = [_card(row) for row in (await connection.execute(query)).all()]
        return next((card for card in found if card.proposal.action in actions), None)

    async def move(self, card: Card, before: CardState, after: CardState, **values: Any) -> bool:
        """From one state to the next; False when somebody was quicker, also to change what it says.

        This makes a card single use.
        """
        statement = update(cards).where(_unchanged(card, before)).values(state=after, **values)
        async with self._engine.begin() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def revise(self, card: Card, proposal: Proposal, *, by: str, expires_at: datetime) -> bool:
        """Put another proposal into an open card; False when somebody was quicker.

        Raises BadInput for a value that cannot be stored.
        """
        values = {
            "proposal": _as_json(proposal),
            "revision": card.revision + 1,
            "revised_by": by,
            "expires_at": expires_at,
        }
        in_time = cards.c.expires_at > now()
        statement = update(cards).where(_unchanged(card, "open"), in_time).values(values)
        async with self._engine.begin() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def set(self, card_id: str, **values: Any) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(update(cards).where(cards.c.id == card_id).values(**values))

    async def expire(self) -> list[Card]:
        """Close the open cards whose time is over, and give them."""
        due = and_(cards.c.state == "open", cards.c.expires_at <= now())
        return await self._move_all(due, state="expired")

    async def give_up(self, *, begun_before: datetime, outcome: str) -> list[Card]:
        """Close the cards that have been running since then as unclear, and give them."""
        lost = and_(cards.c.state == "running", cards.c.decided_at < begun_before)
        return await self._move_all(lost, state="unclear", outcome=outcome)

    async def purge(self, older_than: timedelta) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(cards).where(cards.c.created_at < now() - older_than))

    async def _move_all(self, which: Any, **values: Any) -> list[Card]:
        async with self._engine.begin() as connection:
            moved = await connection.execute(update(cards).where(which).values(**values).returning(*cards.c))
            return [_card(row) for row in moved.all()]


def _unchanged(card: Card, state: CardState) -> ColumnElement[bool]:
    """Still in that state, and still as it was read."""
    return and_(cards.c.id == card.id, cards.c.state == state, cards.c.revision == card.revision)


def _as_json(proposal: Proposal) -> dict[str, Any]:
    """A number that JSON does not know would come back as null, and that would be done then."""
    try:
        json.dumps(proposal.arguments, allow_nan=False)
    except ValueError:
        raise BadInput("NaN and infinite numbers cannot be passed on.", "Give another value.") from None
    return proposal.model_dump(mode="json")


def _card(row: Row[Any], undo: Card | None = None) -> Card:
    return Card(
        id=row.id,
        proposal=Proposal.model_validate(row.proposal),
        asked_by=row.asked_by,
        expires_at=row.expires_at,
        state=row.state,
        decided_by=row.decided_by,
        outcome=row.outcome,
        outcome_url=row.outcome_url,
        details=tuple(Detail.model_validate(detail) for detail in row.details or ()),
        team=row.team,
        workspace=row.workspace,
        conversation=row.conversation,
        message_channel=row.message_channel,
        message_ts=row.message_ts,
        decided_at=row.decided_at,
        undoes=row.undoes or "",
        revision=row.revision,
        revised_by=row.revised_by or "",
        undo=undo,
    )
