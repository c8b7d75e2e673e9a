"""Action cards: proposals held on the server until a person confirms or they expire.

Only a card's id travels through Slack. At the press all else is read back from the database, the
person's rights are checked again, the live state is compared with the one that the card was made for, and
a single conditional UPDATE decides who was first. What had started is never started again.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.trail import Audit, Decision
from bot.cards.busy import Builds, StillRunning
from bot.cards.expiry import CHANGED, CUT_OFF, EXPIRY, UNDO_EXPIRY, is_expired, too_late, was_cut_off
from bot.cards.performer import Performer, Report
from bot.cards.table import Card, CardTable
from bot.follow.watch_table import WatchTable
from bot.people import Person
from bot.policy.policy import Policy
from bot.question import Place
from bot.store import now
from knowledge.errors import Busy, ExpectedError, Refused, Unreachable
from tools.proposal import Proposal, Receipt
from tools.redact import redact

Ended = Literal["done", "partly", "held_back", "failed", "unclear"]

UNCLEAR = "It was started, and it is not known how it ended. Look before you try again."
CUT_OFF_TEXT = "It was interrupted after it had started, so it is not done again. Look before you try again."


@dataclass(frozen=True, slots=True)
class Press:
    """What came of a press. `card` is the card as it is now; `refusal` is for the presser alone."""

    card: Card
    refusal: str = ""
    receipt: Receipt | None = None
    running: Card | None = None
    """What has to end first, where that is why it was refused and somebody of the team began it."""


class CardBook:
    """All cards, and the only way from a press to a deed."""

    def __init__(
        self, engine: AsyncEngine, *, policy: Policy, performer: Performer, audit: Audit, watches: WatchTable
    ) -> None:
        self._table = CardTable(engine)
        self._watches = watches
        self._policy = policy
        self._performer = performer
        self._builds = Builds(self._table, performer)
        self._audit = audit

    async def propose(
        self, proposal: Proposal, person: Person, conversation: str, place: Place, *, key: str = ""
    ) -> Card:
        """Store a proposal as an open card.

        `key` is what it is proposed in answer to. When that is answered again, because the process died
        meanwhile, the card that was made the first time is given, unless its time is over; one that nobody
        has seen says what is proposed now.

        Raises Refused when the person may not do it anyway, StillRunning while that would be in the way of
        another, BadInput for a value that cannot be stored.
        """
        try:
            self._policy.check(person, proposal, place)
        except Refused as error:
            await self._audit.record(person, "refused", proposal, place=place, detail=str(error))
            raise
        card = _new(proposal, person, place, conversation)
        if key:
            card = replace(card, id=_id_for(key, card))
            before = await self.get(card.id, card.team)
            if before and not is_expired(before):
                return await self._brought_up_to(proposal, before, person)
            card = replace(card, id=_new_id()) if before else card
        await self._builds.check_free(proposal, person.team)
        await self._table.add(card)
        await self._record(card, person, "proposed")
        return card

    async def placed(self, card_id: str, *, channel: str, ts: str) -> None:
        """Remember the message that shows the card, so that it can be brought up to date."""
        await self._table.set(card_id, message_channel=channel, message_ts=ts)

    async def get(self, card_id: str, team: str) -> Card | None:
        return await self._table.get(card_id, team)

    async def in_message(self, card: Card) -> Card:
        """The card whose message shows this one: the card itself, or the one that it takes back."""
        return (await self.get(card.undoes, card.team) if card.undoes else None) or card

    async def decline(self, card: Card, person: Person) -> Press:
        """Close the card without doing anything; the asker may, and whoever could confirm it."""
        is_asker = person.id == card.asked_by and person.team == card.team
        refusal = None if is_asker else await self._not_allowed(card, person)
        if refusal:
            return refusal
        if not await self._table.move(card, "open", "declined", **_decided(person)):
            return await self._too_late(card, person)
        await self._record(card, person, "declined")
        return Press(await self._reload(card))

    async def confirm(
        self, card: Card, person: Person, *, report: Report, resumed: bool = False, seen: int | None = None
    ) -> Press:
        """Do what the card says, once; `report` gets the progress of what takes long.

        `resumed` tells that an earlier try of this very press was cut off, `seen` which revision of the card
        stood on the person's screen; nothing is done for another one.
        """
        refusal = await self._not_allowed(card, person)
        if refusal:
            return refusal
        if card.state == "open" and seen not in (None, card.revision):
            return await self._refuse(card, person, CHANGED)
        if card.state == "running" and was_cut_off(card, person, resumed=resumed):
            return await self._give_up(card, person)
        if card.state != "open" or card.expires_at <= now():
            return await self._too_late(card, person)
        refusal = await self._changed(card, person)
        if refusal:
            return refusal
        if not await self._table.move(card, "open", "running", **_decided(person)):
            return await self._too_late(card, person)
        await self._record(card, person, "confirmed")
        return await self._perform(card, person, report)

    async def expire_due(self) -> list[Card]:
        """Close the cards that nobody decided in time, and those that were cut off long ago.

        Gives back those whose message has to say so.
        """
        expired = await self._table.expire()
        lost = await self._table.give_up(begun_before=now() - CUT_OFF, outcome=CUT_OFF_TEXT)
        for card in lost:
            await self._record(card, Person(card.decided_by, card.team), "unclear", CUT_OFF_TEXT)
        return [card for card in (*expired, *lost) if card.message_ts]

    async def purge(self, older_than: timedelta) -> None:
        """Delete cards made so long ago: they hold parameters. What was decided stays in the audit table."""
        await self._table.purge(older_than)

    async def _brought_up_to(self, proposal: Proposal, before: Card, person: Person) -> Card:
        """As long as nobody has seen the card, it does what the answer says now.

        A model need not choose the same twice. Should the card stand somewhere all the same, without that
        having been noted, a press on it is one on an older revision.
        """
        is_seen = before.state != "open" or before.message_ts or before.revised_by
        if is_seen or before.proposal == proposal:
            return before
        if await self._table.revise(before, proposal, by="", expires_at=now() + EXPIRY):
            await self._record(replace(before, proposal=proposal), person, "proposed")
        return await self._reload(before)

    async def _changed(self, card: Card, person: Person) -> Press | None:
        """Compares with the live state, before anything is decided: a press that dies here did nothing."""
        try:
            await self._builds.check_free(card.proposal, person.team)
            await self._performer.recheck(card)
        except Unreachable as error:
            return await self._refuse(card, person, str(error))  # It stays open for another try.
        except StillRunning as error:
            return await self._wait(card, person, error)
        except ExpectedError as error:
            why = redact(str(error))
            if not await self._table.move(card, "open", "refused", **_decided(person), outcome=why):
                return await self._too_late(card, person)
            await self._record(card, person, "refused", why)
            return Press(await self._reload(card), receipt=Receipt(ok=False, text=why))
        except Exception:
            await self._record(card, person, "failed", "The check before it broke off; nothing was done.")
            raise
        return None

    async def _perform(self, card: Card, person: Person, report: Report) -> Press:
        try:
            receipt = await self._performer.perform(
                card, key=f"ask-marvin:{card.id}", actor=person.id, report=report
            )
        except Unreachable as error:
            # The request may have arrived, and only its answer got lost.
            return await self._close(card, person, "unclear", Receipt(ok=False, text=f"{error} {UNCLEAR}"))
        except Busy as error:
            # Nothing was begun, so the card is as good as before.
            await self._table.move(card, "running", "open", decided_by="", decided_at=None)
            late = await self._builds.still_running(error, person.team)
            return await self._wait(await self._reload(card), person, late)
        except ExpectedError as error:
            # Prefect names the value that it refuses.
            receipt = Receipt(ok=False, text=redact(str(error)))
        except BaseException:
            await self._close(card, person, "unclear", Receipt(ok=False, text=UNCLEAR))
            raise
        return await self._close(card, person, receipt.short or ("done" if receipt.ok else "failed"), receipt)

    async def _give_up(self, card: Card, person: Person) -> Press:
        if not await self._table.move(card, "running", "unclear", outcome=CUT_OFF_TEXT):
            return await self._too_late(card, person)
        await self._record(card, person, "unclear", CUT_OFF_TEXT)
        return Press(await self._reload(card), receipt=Receipt(ok=False, text=CUT_OFF_TEXT))

    async def _not_allowed(self, card: Card, person: Person) -> Press | None:
        if person.team != card.team:
            return await self._refuse(card, person, "This card belongs to another Slack workspace.")
        try:
            self._policy.check(person, card.proposal, card.place)
        except ExpectedError as error:
            return await self._refuse(card, person, str(error))
        return None

    async def _too_late(self, card: Card, person: Person) -> Press:
        if card.expires_at <= now():
            await self._table.move(card, "open", "expired")
        now_is = await self._reload(card)
        return await self._refuse(now_is, person, too_late(now_is, seen=card.revision))

    async def _refuse(self, card: Card, person: Person, reason: str) -> Press:
        await self._record(card, person, "refused", reason)
        return Press(card, refusal=reason)

    async def _close(self, card: Card, person: Person, ended: Ended, receipt: Receipt) -> Press:
        details = [detail.model_dump(mode="json") for detail in receipt.details]
        # Before the card is closed, so that what a closed card has begun is always followed; whoever dies
        # before this leaves a card that says nobody knows how it ended. The terminal follows by itself.
        if not person.is_local:
            await self._watches.add(card, receipt.flow_run_ids)
        await self._table.set(
            card.id, state=ended, outcome=receipt.text, outcome_url=receipt.url, details=details
        )
        await self._record(card, person, ended, receipt.text)
        # What was taken back is asked for anew: a message shows one card, and the one that takes it back.
        if receipt.undo and not card.undoes:
            await self._offer_undo(await self._reload(card), receipt.undo, person)
        return Press(await self._reload(card), receipt=receipt)

    async def _offer_undo(self, card: Card, undo: Proposal, person: Person) -> None:
        """What takes the card back: a card as well, shown as a button in the same message."""
        fresh = replace(
            _new(undo, person, card.place, card.conversation),
            undoes=card.id,
            expires_at=now() + UNDO_EXPIRY,
            message_ts=card.message_ts,
        )
        await self._table.add(fresh)
        await self._record(fresh, person, "proposed")

    async def _wait(self, card: Card, person: Person, error: StillRunning) -> Press:
        """Somebody else is at it; the card stays open for another try."""
        return replace(await self._refuse(card, person, str(error)), running=error.card)

    async def _reload(self, card: Card) -> Card:
        return await self._table.get(card.id, card.team) or card

    async def _record(self, card: Card, person: Person, decision: Decision, detail: str = "") -> None:
        await self._audit.record(
            person, decision, card.proposal, place=card.place, card_id=card.id, detail=detail
        )


def _new(proposal: Proposal, person: Person, place: Place, conversation: str) -> Card:
    return Card(
        id=_new_id(),
        proposal=proposal,
        asked_by=person.id,
        expires_at=now() + EXPIRY,
        team=person.team,
        workspace=place.workspace,
        conversation=conversation,
        message_channel=place.channel,
    )


def _new_id() -> str:
    return secrets.token_urlsafe(12)


def _id_for(key: str, card: Card) -> str:
    """The same for the same thing: what a model words otherwise the second time is one card all the same."""
    said = "\0".join((key, card.workspace, card.proposal.action, card.proposal.target))
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def _decided(person: Person) -> dict[str, Any]:
    return {"decided_by": person.id, "decided_at": now()}
