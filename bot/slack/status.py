"""What the bot is doing, shown beside its name; 👀 on the question where Slack shows no status.

Both are decoration: whatever goes wrong here, the answer does not suffer.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.slack.conversation import Conversation
from bot.slack.errors import CONNECTION, code_of, is_rate_limit
from bot.slack.pace import Workspaces

log = logging.getLogger(__name__)

EYES = "eyes"
# Decoration that takes longer holds up the answer.
PATIENCE = 3.0
# Longer than any that is ours; Slack names no limit for the status.
STATUS_CHARACTERS = 100


class StatusLine:
    """Set `wanted` at any time; the caller calls `step` once `due` has come, and `clear` at the end."""

    def __init__(self, conversation: Conversation, workspaces: Workspaces) -> None:
        self._conversation = conversation
        self._workspaces = workspaces
        self.wanted = ""
        self._shown = ""
        self._at = -math.inf
        self._posts_before = 0
        self._refused = not conversation.target.thread_ts
        self._has_eyes = False
        # Where the question is, even when the answer moves elsewhere.
        self._target = conversation.target

    @property
    def due(self) -> float:
        if self._refused:
            return math.inf if self._has_eyes or not self._target.message_ts else self._at
        if self.wanted != self._shown:
            return self._at + self._workspaces.pace.between_statuses
        return self._at + self._workspaces.pace.status if self._shown else math.inf

    async def step(self) -> None:
        """Show what is wanted, or show it again before Slack lets it vanish."""
        if not self._refused:
            self._shown, self._at = self.wanted, self._workspaces.clock()
            self._posts_before = len(self._conversation.posted)
            refusal = await self._set(self._shown)
            self._refused = bool(refusal) and not is_rate_limit(refusal)
        if self._refused and not self._has_eyes and self._target.message_ts:
            self._has_eyes = True
            await self._react("add")

    async def clear(self) -> None:
        """Take it away, unless a message of ours has done so already."""
        moved = self._conversation.target is not self._target
        stands = self._shown and (moved or len(self._conversation.posted) == self._posts_before)
        if stands and not self._refused:
            await self._set("")
        if self._has_eyes:
            await self._react("remove")

    async def _set(self, status: str) -> str:
        return await _quietly(
            self._conversation.client.assistant_threads_setStatus(
                channel_id=self._target.channel,
                thread_ts=self._target.thread_ts,
                status=status[:STATUS_CHARACTERS],
            )
        )

    async def _react(self, verb: str) -> None:
        client, target = self._conversation.client, self._target
        call = client.reactions_add if verb == "add" else client.reactions_remove
        await _quietly(call(channel=target.channel, name=EYES, timestamp=target.message_ts))


async def _quietly(call: Awaitable[Any]) -> str:
    """Make the call within bounds; the code of the refusal, empty when it went well."""
    try:
        async with asyncio.timeout(PATIENCE):
            await call
    except SlackApiError as error:
        log.info("Slack did not take a decoration: %s", code_of(error))
        return code_of(error)
    except CONNECTION as error:
        log.info("Slack did not take a decoration: %s", type(error).__name__)
        return "ratelimited"
    return ""
