"""The card that a watch belongs to, and where in Slack it stands."""

from slack_sdk.web.async_client import AsyncWebClient

from bot.card_table import Card
from bot.cards import CardBook
from bot.slack.card_blocks import person
from bot.slack.conversation import Conversation, Target
from bot.watch_table import Watch


class MessageGone(Exception):
    """The card's message is not there any more, or the bot may not write where it is."""


async def card_of(cards: CardBook, watch: Watch) -> Card:
    """Raises MessageGone for a card that no message shows."""
    card = await cards.get(watch.card_id, watch.team)
    if card is None or not card.message_ts:
        raise MessageGone("there is no message of it")
    return card


def conversation_of(client: AsyncWebClient, card: Card) -> Conversation:
    """The thread that the card stands in; the one below the card itself where that was moved elsewhere."""
    _, channel, *thread = card.conversation.split(":")
    thread_ts = thread[0] if thread and channel == card.message_channel else card.message_ts
    user = card.decided_by or card.asked_by
    return Conversation(client, Target(card.team, card.message_channel, user, thread_ts=thread_ts))


def mentions_of(card: Card) -> str:
    """Who confirmed it, and who had asked for it."""
    return " ".join(person(user) for user in dict.fromkeys((card.decided_by, card.asked_by)) if user)


def deployment_of(card: Card) -> str:
    """`flow/deployment`; empty where several are affected, or none."""
    deployments = {affected.deployment for affected in card.proposal.affected}
    return deployments.pop() if len(deployments) == 1 else ""
