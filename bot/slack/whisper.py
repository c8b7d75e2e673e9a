"""A message for one person's eyes, where they said or pressed something."""

import logging
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.blocks import Message
from bot.slack.conversation import Conversation
from bot.slack.errors import REFUSALS, reason
from bot.slack.targets import direct

log = logging.getLogger(__name__)


async def whisper(client: AsyncWebClient, payload: dict[str, Any], message: Message) -> None:
    """Shown there to nobody else; in a direct message where that cannot be. Raises CannotDeliver."""
    try:
        await client.chat_postEphemeral(
            channel=payload["channel"],
            user=payload["user"],
            text=message.text,
            blocks=message.blocks,
            thread_ts=payload["thread_ts"],
        )
    except REFUSALS as error:
        log.info("no ephemeral message (%s); sent directly", reason(error))
        await Conversation(client, await direct(client, payload)).post(message)
