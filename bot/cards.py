"""Action cards: proposals held on the server until a person confirms or they expire.

Only a card's id travels through Slack. At the press all else is read back from the database, the
person's role is checked again, the live state is compared with the one that the card was made for, and
a single conditional UPDATE decides who was first. What had started is never started again.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit import Audit, Decision
from bot.people import Person
from bot.performer import Performer, Report
from bot.policy import Policy
from bot.store import cards, now
from knowledge.errors import BadInput, ExpectedError, Unreachable
from tools.proposal import Proposal, Receipt

CardState = Literal["open", "running", "done", "failed", "declined", "expired", "refused", "unclear"]
Ended = Literal["done", "failed", "unclear"]

UNCLEAR = "It was started, and it is not known how it ended. Look before you try again."
EXPIRY = timedelta(minutes=10)
# Longer than the longest action, a reindex; one that is still "running" after this was cut off.
CUT_OFF = timedelta(minutes=70)

TOO_LATE: Mapping[CardState, str] = {
    "expired": "This card has expired and nothing was done. Ask again for a new one.",
    "declined": "This was cancelled before; nothing was done.",
    "running": "Somebody has just confirmed this; it is being done.",
}
USED = "This card was used before and works only once; nothing more was done."


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
    team: str = ""
    conversation: str = ""
    message_channel: str = ""
    message_ts: str = ""
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Press:
    """What came of a press. `card` is the card as it is now; `refusal` is for the presser alone."""

    card: Card
    refusal: str = ""
    receipt: Receipt | None = None


class CardBook:
    """All cards, and the only way from a press to a deed."""

    def __init__(
        self, engine: AsyncEngine, *, policy: Policy, performer: Performer, audit: Audit, workspace: str
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._performer = performer
        self._audit = audit
        self._workspace = workspace

    async def propose(self, proposal: Proposal, person: Person, conversation: str) -> Card:
        """Store a proposal as an open card.

        Raises Refused when the person may not do it anyway, BadInput for a value that cannot be stored.
        """
        self._policy.check(person, proposal.action)
        card = Card(
            id=secrets.token_urlsafe(12),
            proposal=proposal,
            asked_by=person.id,
            expires_at=now() + EXPIRY,
            team=person.team,
            conversation=conversation,
        )
        row = {
            "id": card.id,
            "team": card.team,
            "workspace": self._workspace,
            "proposal": _as_json(proposal),
            "asked_by": card.asked_by,
            "conversation": conversation,
            "state": "open",
            "created_at": now(),
            "expires_at": card.expires_at,
        }
        async with self._engine.begin() as connection:
            await connection.execute(cards.insert().values(row))
        await self._record(card, person, "proposed")
        return card

    async def placed(self, card_id: str, *, channel: str, ts: str) -> None:
        """Remember the message that shows the card, so that it can be brought up to date."""
        await self._set(card_id, message_channel=channel, message_ts=ts)

    async def get(self, card_id: str, team: str) -> Card | None:
        query = select(cards).where(cards.c.id == card_id, cards.c.team == team)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _card(row) if row else None

    async def decline(self, card: Card, person: Person) -> Press:
        """Close the card without doing anything; the asker may, and whoever could confirm it."""
        is_asker = person.id == card.asked_by and person.team == card.team
        refusal = None if is_asker else await self._not_allowed(card, person)
        if refusal:
            return refusal
        if not await self._move(card, "open", "declined", **_decided(person)):
            return await self._too_late(card, person)
        await self._record(card, person, "declined")
        return Press(await self._reload(card))

    async def confirm(self, card: Card, person: Person, *, report: Report, resumed: bool = False) -> Press:
        """Do what the card says, once; `report` gets the progress of what takes long.

        `resumed` tells that an earlier try of this very press was cut off.
        """
        refusal = await self._not_allowed(card, person)
        if refusal:
            return refusal
        if card.state == "running" and _was_cut_off(card, person, resumed=resumed):
            return await self._give_up(card, person)
        if card.state != "open" or card.expires_at <= now():
            return await self._too_late(card, person)
        refusal = await self._changed(card, person)
        if refusal:
            return refusal
        if not await self._move(card, "open", "running", **_decided(person)):
            return await self._too_late(card, person)
        await self._record(card, person, "confirmed")
        return await self._perform(card, person, report)

    async def expire_due(self) -> list[Card]:
        """Close the cards that nobody decided in time; gives back those whose message has to say so."""
        due = (
            update(cards)
            .where(cards.c.state == "open", cards.c.expires_at <= now())
            .values(state="expired")
            .returning(*cards.c)
        )
        async with self._engine.begin() as connection:
            rows = (await connection.execute(due)).all()
        return [_card(row) for row in rows if row.message_ts]

    async def purge(self, older_than: timedelta) -> None:
        """Delete cards made so long ago: they hold parameters. What was decided stays in the audit table."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(cards).where(cards.c.created_at < now() - older_than))

    async def _changed(self, card: Card, person: Person) -> Press | None:
        """Compares with the live state, before anything is decided: a press that dies here did nothing."""
        try:
            await self._performer.recheck(card.proposal)
        except Unreachable as error:
            return await self._refuse(card, person, str(error))  # It stays open for another try.
        except ExpectedError as error:
            if not await self._move(card, "open", "refused", **_decided(person), outcome=str(error)):
                return await self._too_late(card, person)
            await self._record(card, person, "refused", str(error))
            return Press(await self._reload(card), receipt=Receipt(ok=False, text=str(error)))
        except Exception:
            await self._record(card, person, "failed", "The check before it broke off; nothing was done.")
            raise
        return None

    async def _perform(self, card: Card, person: Person, report: Report) -> Press:
        try:
            receipt = await self._performer.perform(
                card.proposal, key=f"ask-marvin:{card.id}", actor=person.id, report=report
            )
        except Unreachable as error:
            # The request may have arrived, and only its answer got lost.
            return await self._close(card, person, "unclear", Receipt(ok=False, text=f"{error} {UNCLEAR}"))
        except ExpectedError as error:
            receipt = Receipt(ok=False, text=str(error))
        except BaseException:
            await self._close(card, person, "unclear", Receipt(ok=False, text=UNCLEAR))
            raise
        return await self._close(card, person, "done" if receipt.ok else "failed", receipt)

    async def _give_up(self, card: Card, person: Person) -> Press:
        text = "It was interrupted after it had started, so it is not done again. Look before you try again."
        if not await self._move(card, "running", "unclear", outcome=text):
            return await self._too_late(card, person)
        await self._record(card, person, "unclear", text)
        return Press(await self._reload(card), receipt=Receipt(ok=False, text=text))

    async def _not_allowed(self, card: Card, person: Person) -> Press | None:
        if person.team != card.team:
            return await self._refuse(card, person, "This card belongs to another Slack workspace.")
        try:
            self._policy.check(person, card.proposal.action)
        except ExpectedError as error:
            return await self._refuse(card, person, str(error))
        return None

    async def _too_late(self, card: Card, person: Person) -> Press:
        if card.expires_at <= now():
            await self._move(card, "open", "expired")
        now_is = await self._reload(card)
        return await self._refuse(now_is, person, TOO_LATE.get(now_is.state, USED))

    async def _refuse(self, card: Card, person: Person, reason: str) -> Press:
        await self._record(card, person, "refused", reason)
        return Press(card, refusal=reason)

    async def _close(self, card: Card, person: Person, ended: Ended, receipt: Receipt) -> Press:
        await self._set(card.id, state=ended, outcome=receipt.text, outcome_url=receipt.url)
        await self._record(card, person, ended, receipt.text)
        return Press(await self._reload(card), receipt=receipt)

    async def _move(self, card: Card, before: CardState, after: CardState, **values: Any) -> bool:
        """From one state to the next; False when somebody was quicker. This makes a card single use."""
        statement = (
            update(cards).where(cards.c.id == card.id, cards.c.state == before).values(state=after, **values)
        )
        async with self._engine.begin() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def _set(self, card_id: str, **values: Any) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(update(cards).where(cards.c.id == card_id).values(**values))

    async def _reload(self, card: Card) -> Card:
        return await self.get(card.id, card.team) or card

    async def _record(self, card: Card, person: Person, decision: Decision, detail: str = "") -> None:
        await self._audit.record(
            person,
            decision,
            card_id=card.id,
            action=card.proposal.action,
            target=card.proposal.target,
            workspace=self._workspace,
            detail=detail,
        )


def _as_json(proposal: Proposal) -> dict[str, Any]:
    """A number that JSON does not know would come back as null, and that would be done then."""
    try:
        json.dumps(proposal.arguments, allow_nan=False)
    except ValueError:
        raise BadInput("NaN and infinite numbers cannot be passed on.", "Give another value.") from None
    return proposal.model_dump(mode="json")


def _decided(person: Person) -> dict[str, Any]:
    return {"decided_by": person.id, "decided_at": now()}


def _was_cut_off(card: Card, person: Person, *, resumed: bool) -> bool:
    """Whether nobody is at it any more: this very press was at it and died, or it is far too long ago."""
    too_long = card.decided_at is not None and card.decided_at < now() - CUT_OFF
    return too_long or (resumed and card.decided_by == person.id)


def _card(row: Row[Any]) -> Card:
    return Card(
        id=row.id,
        proposal=Proposal.model_validate(row.proposal),
        asked_by=row.asked_by,
        expires_at=row.expires_at,
        state=row.state,
        decided_by=row.decided_by,
        outcome=row.outcome,
        outcome_url=row.outcome_url,
        team=row.team,
        conversation=row.conversation,
        message_channel=row.message_channel,
        message_ts=row.message_ts,
        decided_at=row.decided_at,
    )
