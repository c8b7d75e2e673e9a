"""Changing an open card: who may, that it happens at once or not at all, and what a press on the old one does."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.trail import Audit
from bot.cards.book import CardBook
from bot.cards.edits import CardEdits
from bot.cards.expiry import EXPIRY
from bot.cards.table import Card
from bot.store import cards, now
from knowledge.errors import BadInput, Refused
from tests.database import decisions
from tests.test_cards import ANN, BOB, HERE, POLICY, PROPOSAL, STRANGER, THREAD, VERA, Hands, book_on, quiet
from tools.errors import Changed
from tools.parameter_form import ParameterForm, parameter_form
from tools.proposal import Proposal

SCHEMA = {"properties": {"day": {"type": "string"}}}
EDITABLE = PROPOSAL.model_copy(update={"editable": True})


class Editor(Hands):
    """Hands that can also change a run that is proposed."""

    async def form(self, card: Card) -> ParameterForm:
        return parameter_form(SCHEMA, defaults={}, given=card.proposal.arguments["parameters"])

    async def revise(self, card: Card, parameters: Mapping[str, Any]) -> Proposal:
        arguments = {**card.proposal.arguments, "parameters": dict(parameters)}
        return card.proposal.model_copy(update={"arguments": arguments})


@pytest.fixture
def hands() -> Editor:
    return Editor()


@pytest.fixture
def book(engine: AsyncEngine, hands: Editor) -> CardBook:
    return book_on(engine, hands)


@pytest.fixture
def edits(engine: AsyncEngine, hands: Editor) -> CardEdits:
    return CardEdits(engine, policy=POLICY, performer=hands, audit=Audit(engine))  # type: ignore[arg-type]


@pytest.fixture
async def card(book: CardBook) -> Card:
    """Ann's open card."""
    return await book.propose(EDITABLE, ANN, THREAD, HERE)


async def changed(edits: CardEdits, card: Card, day: str = "2026-02-02", *, by: Any = BOB) -> Card:
    return await edits.revise(card, by, await edits.revised(card, {"day": day}))


async def test_a_change_is_kept_with_who_made_it_and_starts_the_time_anew(
    engine: AsyncEngine, edits: CardEdits, card: Card
) -> None:
    soon = now() + timedelta(seconds=30)
    async with engine.begin() as connection:
        await connection.execute(update(cards).values(expires_at=soon))
    revised = await changed(edits, card)
    assert (revised.revision, revised.revised_by, revised.state) == (1, "U2BOB", "open")
    assert revised.proposal.arguments["parameters"] == {"day": "2026-02-02"}
    assert soon < revised.expires_at <= now() + EXPIRY
    assert await decisions(engine) == [("U1ANN", "proposed"), ("U2BOB", "revised")]


async def test_what_is_confirmed_is_what_stood_on_the_screen(
    book: CardBook, edits: CardEdits, hands: Editor, card: Card
) -> None:
    revised = await changed(edits, card)
    press = await book.confirm(revised, ANN, report=quiet, seen=0)
    assert "changed after this was shown" in press.refusal
    assert (press.card.state, press.card.revision, hands.done) == ("open", 1, [])
    done = await book.confirm(revised, ANN, report=quiet, seen=1)
    assert done.card.state == "done"
    assert hands.done[0][0].arguments["parameters"] == {"day": "2026-02-02"}


async def test_a_change_between_the_check_and_the_deed_stops_the_deed(
    book: CardBook, edits: CardEdits, hands: Editor, card: Card
) -> None:
    async def somebody_edits() -> None:
        await changed(edits, card)

    hands.before_check = somebody_edits
    press = await book.confirm(card, ANN, report=quiet, seen=0)
    assert "changed after this was shown" in press.refusal
    assert (press.card.state, press.card.revision, hands.done) == ("open", 1, [])


async def test_of_two_changes_of_the_same_card_one_counts(edits: CardEdits, card: Card) -> None:
    await changed(edits, card)
    with pytest.raises(Changed, match="changed after this was shown"):
        await changed(edits, card, "2026-03-03", by=ANN)


@pytest.mark.parametrize("person", [VERA, STRANGER])
async def test_whoever_may_not_confirm_may_not_change(
    engine: AsyncEngine, edits: CardEdits, card: Card, person: Any
) -> None:
    with pytest.raises(Refused):
        await edits.form(card, person)
    with pytest.raises(Refused):
        await changed(edits, card, by=person)
    assert await decisions(engine) == [("U1ANN", "proposed"), *2 * [(person.id, "refused")]]


async def test_an_asker_whose_right_was_taken_away_may_not_change_the_card_either(
    engine: AsyncEngine, hands: Editor, card: Card
) -> None:
    nobody = type(POLICY)()
    edits = CardEdits(engine, policy=nobody, performer=hands, audit=Audit(engine))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="admin"):
        await edits.form(card, ANN)
    with pytest.raises(Refused, match="admin"):
        await changed(edits, card, by=ANN)
    assert await decisions(engine) == [("U1ANN", "proposed"), *2 * [("U1ANN", "refused")]]


async def test_a_decided_or_expired_card_is_not_changed(
    engine: AsyncEngine, book: CardBook, edits: CardEdits, card: Card
) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(cards).values(expires_at=now() - timedelta(seconds=1)))
    with pytest.raises(Changed, match="has expired"):
        await changed(edits, card)
    declined = (await book.decline(card, ANN)).card
    with pytest.raises(Changed, match="was cancelled before"):
        await edits.form(declined, ANN)


async def test_a_card_without_parameters_has_no_form(book: CardBook, edits: CardEdits) -> None:
    plain = await book.propose(PROPOSAL, ANN, THREAD, HERE)
    with pytest.raises(BadInput, match="no parameters"):
        await edits.form(plain, ANN)
