"""Changing the parameters of an open card: the proposal in it is replaced, and nothing is done.

Whoever presses Confirm confirms the revision that stood on their screen, or is told that there is another.
A change starts the card's time anew, as reading it again takes time too.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.trail import Audit, Decision
from bot.cards.expiry import EXPIRY, is_expired, too_late
from bot.cards.performer import Performer
from bot.cards.table import Card, CardTable
from bot.people import Person
from bot.policy.policy import Policy
from bot.store import now
from knowledge.errors import BadInput, ExpectedError, Refused
from tools.errors import Changed
from tools.parameter_form import ParameterForm
from tools.proposal import Proposal


class CardEdits:
    def __init__(self, engine: AsyncEngine, *, policy: Policy, performer: Performer, audit: Audit) -> None:
        self._table = CardTable(engine)
        self._policy = policy
        self._performer = performer
        self._audit = audit

    async def form(self, card: Card, person: Person) -> ParameterForm:
        """The card's parameters as a form.

        Raises Refused for somebody who may not confirm it, also who asked for it and may no longer, Changed
        when it is decided, and what asking Prefect raises.
        """
        await self._check(card, person)
        return await self._performer.form(card)

    async def revised(self, card: Card, parameters: Mapping[str, Any]) -> Proposal:
        """The card's proposal with these parameters in place of its own; the card itself stays as it is.

        Raises BadInput where they do not fit, and what asking Prefect raises.
        """
        return await self._performer.revise(card, parameters)

    async def revise(self, card: Card, person: Person, proposal: Proposal) -> Card:
        """Put what `revised` gave in place of the card's proposal, and give the card as it is then.

        Raises as `form`, BadInput for a value that cannot be stored, Changed when somebody was quicker.
        """
        await self._check(card, person)
        expires_at = now() + EXPIRY
        if not await self._table.revise(card, proposal, by=person.id, expires_at=expires_at):
            raise Changed(too_late(await self._reload(card), seen=card.revision))
        revised = await self._reload(card)
        await self._record(revised, person, "revised")
        return revised

    async def _check(self, card: Card, person: Person) -> None:
        try:
            self._check_person(card, person)
        except ExpectedError as error:
            await self._record(card, person, "refused", str(error))
            raise
        if not card.proposal.editable:
            raise BadInput("This card has no parameters that could be edited.")
        if card.state != "open" or is_expired(card):
            raise Changed(too_late(card, seen=card.revision))

    def _check_person(self, card: Card, person: Person) -> None:
        if person.team != card.team:
            raise Refused("This card belongs to another Slack workspace.")
        self._policy.check(person, card.proposal, card.place)

    async def _reload(self, card: Card) -> Card:
        return await self._table.get(card.id, card.team) or card

    async def _record(self, card: Card, person: Person, decision: Decision, detail: str = "") -> None:
        await self._audit.record(
            person, decision, card.proposal, place=card.place, card_id=card.id, detail=detail
        )
