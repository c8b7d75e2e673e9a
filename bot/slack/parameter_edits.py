"""Editing a card's parameters in a modal: opened at the press, checked before Slack closes it.

None of this goes through the inbox. A modal can only be opened within three seconds of the press, and what
is wrong with its fields can only be told in answer to the submission, within three seconds as well.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.book import CardBook
from bot.cards.edits import CardEdits
from bot.cards.table import Card
from bot.people import Person
from bot.slack.blocks import Block, plain_message
from bot.slack.errors import REFUSALS, CannotDeliver, reason
from bot.slack.incoming import pressed_where, shown_card
from bot.slack.parameter_modal import (
    Origin,
    errors_on_blocks,
    first_block,
    form_view,
    is_the_same,
    loading_view,
    message_view,
    submitted,
)
from bot.slack.people import People
from bot.slack.presses import GONE, Presses
from bot.slack.whisper import whisper
from bot.workspaces import Workspaces
from knowledge.errors import ExpectedError
from tools.errors import Changed, NotFound
from tools.proposal import Proposal

log = logging.getLogger(__name__)

# The modal is open by then and says that it is loading.
FORM_WITHIN_S = 10.0
# Slack waits three seconds for the answer to a submission; what is left is for the database and the way.
ANSWER_WITHIN_S = 2.0
SLOW = "Prefect did not answer in time. Close this and press the button again."
SLOW_TO_SAVE = "Prefect did not answer in time, and nothing was changed. Press the button again."
OTHER_FORM = "The deployment has been changed since this form was opened. Close it and open it again."
OTHER_CARD = "Somebody has changed the parameters since this form was opened. Close it and look at the card."
NOT_OPENED = "Slack did not open the form ({why}). Press the button again, or type it: `{command}`"
BROKEN = "Something broke on my side; the log has it as {reference}. Nothing was changed."


class ParameterEdits:
    """The modals of one Slack workspace."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        cards: CardBook,
        edits: CardEdits,
        people: People,
        presses: Presses,
        prefect: Workspaces,
    ) -> None:
        self._client = client
        self._cards = cards
        self._edits = edits
        self._people = people
        self._presses = presses
        self._prefect = prefect

    async def open(self, body: Mapping[str, Any]) -> None:
        """Show the form of the card whose button was pressed, or why there is none."""
        where = pressed_where(body)
        card_id, _ = shown_card(body["actions"][0].get("value", ""))
        try:
            opened = await self._client.views_open(trigger_id=body["trigger_id"], view=loading_view())
        except REFUSALS as error:
            await self._not_opened(card_id, where, reason(error))
            return
        view = await self._form_or_reason(card_id, where)
        try:
            await self._client.views_update(view_id=opened["view"]["id"], view=view)
        except REFUSALS as error:
            log.info("a form could not be shown: %s", reason(error))  # Most likely it was closed again.

    async def submit(self, ack: AsyncAck, body: Mapping[str, Any]) -> None:
        """Change the card, or tell at the fields what is wrong with them."""
        view = body["view"]
        origin = Origin.model_validate_json(view["private_metadata"])
        try:
            revised = await self._revised(view, origin, _who(body, origin))
        except TimeoutError:
            revised = first_block(view, SLOW_TO_SAVE)
        except ExpectedError as error:
            revised = first_block(view, str(error))
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("a form could not be read, reference %s", reference)
            revised = first_block(view, BROKEN.format(reference=reference))
        if not isinstance(revised, Card):
            await ack(response_action="errors", errors=revised)
            return
        await ack()
        await self._presses.show(revised)

    async def _form_or_reason(self, card_id: str, where: Mapping[str, Any]) -> Block:
        try:
            async with asyncio.timeout(FORM_WITHIN_S):
                return await self._form(card_id, where)
        except TimeoutError:
            return message_view(SLOW)
        except ExpectedError as error:
            return message_view(str(error))
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("a form could not be made, reference %s", reference)
            return message_view(BROKEN.format(reference=reference))

    async def _form(self, card_id: str, where: Mapping[str, Any]) -> Block:
        card = await self._card(card_id, where["team"])
        return form_view(await self._edits.form(card, await self._people.of(where)), card)

    async def _revised(
        self, view: Mapping[str, Any], origin: Origin, where: Mapping[str, Any]
    ) -> Card | dict[str, str]:
        """The card as it is then, or the problems by block. Raises TimeoutError while nothing is changed."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            card = await self._card(origin.card, origin.team)
            if card.state == "open" and card.revision != origin.revision:
                raise Changed(OTHER_CARD)
            person = await self._people.of(where)
            proposal = await self._proposal(view, origin, card, person)
        return (
            await self._edits.revise(card, person, proposal) if isinstance(proposal, Proposal) else proposal
        )

    async def _proposal(
        self, view: Mapping[str, Any], origin: Origin, card: Card, person: Person
    ) -> Proposal | dict[str, str]:
        form = await self._edits.form(card, person)
        if not is_the_same(form, origin):
            raise Changed(OTHER_FORM)
        filled = submitted(form, view)
        if filled.errors:
            return errors_on_blocks(form, view, filled.errors)
        return await self._edits.revised(card, filled.values)

    async def _card(self, card_id: str, team: str) -> Card:
        card = await self._cards.get(card_id, team)
        if card is None:
            raise NotFound(GONE)
        return card

    async def _not_opened(self, card_id: str, where: dict[str, Any], why: str) -> None:
        log.info("a form could not be opened: %s", why)
        card = await self._cards.get(card_id, where["team"])
        text = NOT_OPENED.format(why=why, command=self._command(card, where["channel"])) if card else GONE
        try:
            await whisper(self._client, where, plain_message(text))
        except CannotDeliver as error:
            log.warning("nobody could be told that a form did not open: %s", error.message)

    def _command(self, card: Card, channel: str) -> str:
        """What to type for the same run with other parameters."""
        wanted = card.proposal.arguments
        what = f"rerun {wanted['rerun_of']}" if wanted.get("rerun_of") else f"run {card.proposal.target}"
        return self._prefect.typed(card.workspace, channel, f"{what} NAME=VALUE")


def _who(body: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """Who pressed submit, as it is known of a button's press."""
    user = body["user"]
    return {"user": user["id"], "user_team": user.get("team_id") or origin.team, "team": origin.team}
