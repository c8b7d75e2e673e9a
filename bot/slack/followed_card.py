"""The card that a watch belongs to, and where in Slack it stands."""

from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.book import CardBook
from bot.cards.table import Card
from bot.follow.watch_table import Watch
from bot.policy.policy import Policy
from bot.question import Place
from bot.slack.card_blocks import person
from bot.slack.conversation import Conversation, Target


class MessageGone(Exception):
    """The card's message is not there any more, or the bot may not write where it is."""


class Hushed(MessageGone):
    """The card stands where nothing of the workspace may be shown any more."""


def check_place(policy: Policy, watch: Watch, card: Card) -> None:
    """Raises Hushed. A channel's rule may have changed since the card was made."""
    if policy.is_for_docs(Place(card.message_channel, watch.workspace)):
        raise Hushed("the channel is for the docs only by now")


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
    target = Target(card.team, card.message_channel, user, thread_ts=thread_ts)
    # Whoever follows many does not wait for one of them; what is refused for now is tried at a later tick.
    return Conversation(client, target, tries=1)


def mentions_of(card: Card) -> str:
    """Who confirmed it, and who had asked for it."""
    return " ".join(person(user) for user in dict.fromkeys((card.decided_by, card.asked_by)) if user)


def deployment_of(card: Card) -> str:
    """`flow/deployment`; empty where several are affected, or none."""
    deployments = {affected.deployment for affected in card.proposal.affected}
    return deployments.pop() if len(deployments) == 1 else ""
