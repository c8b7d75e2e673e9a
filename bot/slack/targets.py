"""Where an inbox item is answered."""

from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.conversation import Target
from bot.slack.errors import REFUSALS, CannotDeliver, reason


def target_of(payload: dict[str, Any]) -> Target:
    """The thread that the item came from."""
    return Target(
        team=payload["team"],
        channel=payload["channel"],
        user=payload["user"],
        thread_ts=payload.get("thread_ts", ""),
        message_ts=payload.get("ts", ""),
        user_team=payload["user_team"],
    )


async def direct(client: AsyncWebClient, payload: dict[str, Any]) -> Target:
    """The bot's direct conversation with the person; CannotDeliver when there is none to be had."""
    try:
        opened = await client.conversations_open(users=payload["user"])
    except REFUSALS as error:
        raise CannotDeliver(reason(error)) from error
    return Target(payload["team"], opened["channel"]["id"], payload["user"])
