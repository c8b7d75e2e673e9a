"""Slack's edge: what arrives is stored in the inbox first, and acknowledged by the listeners after that.

The storing is a global middleware, because every kind of listener acknowledges before it runs. If
storing fails, nothing is acknowledged, and Slack sends the same thing again.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext

from bot.inbox import Delivery, Inbox
from bot.memory import Memory
from bot.slack import incoming
from bot.slack.parameter_edits import ParameterEdits
from bot.slack.parameter_modal import CALLBACK

COMMAND = "/ask-marvin"
ANYTHING = re.compile(".*")


def register(app: AsyncApp, inbox: Inbox, memory: Memory, forms: ParameterEdits) -> None:
    """Attach the middleware and the listeners. Nothing that was heard goes unacknowledged."""

    async def store(
        body: dict[str, Any], context: AsyncBoltContext, next: Callable[[], Awaitable[Any]]
    ) -> None:
        delivery = await _wanted(body, context.bot_user_id or "", memory)
        if delivery:
            await inbox.put(delivery)
        await next()

    async def acknowledge(ack: AsyncAck) -> None:
        await ack()

    async def edit(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await forms.open(body)

    async def submit(ack: AsyncAck, body: dict[str, Any]) -> None:
        await forms.submit(ack, body)

    async def heard() -> None:
        """Bolt acknowledges events by itself once some listener matches."""

    app.use(store)
    app.command(COMMAND)(acknowledge)
    app.action(incoming.EDIT)(edit)
    app.action(ANYTHING)(acknowledge)
    app.view(CALLBACK)(submit)
    app.event(ANYTHING)(heard)


async def _wanted(body: dict[str, Any], bot_user: str, memory: Memory) -> Delivery | None:
    """The delivery to store, or None for what nobody said to the bot: that is not kept."""
    if body.get("type") == "event_callback":
        delivery = incoming.from_event(body, bot_user)
        if delivery is None:
            return None
        if incoming.is_addressed(delivery):
            # At once, not when it is answered: a quick second message needs no mention any more.
            await memory.engage(delivery.conversation, delivery.payload["team"])
            return delivery
        engaged = incoming.is_reply(delivery) and await memory.engaged(delivery.conversation)
        return delivery if engaged else None
    if body.get("type") == "block_actions":
        return incoming.from_action(body)
    return incoming.from_command(body) if body.get("command") == COMMAND else None
