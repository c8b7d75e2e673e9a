"""One growing Slack message: a native stream, or a post that is updated.

Both take the whole text so far and show what is new of it. `shown` counts the characters that Slack
has certainly taken, so that what is missing can always be told.
"""

from collections.abc import Sequence

from slack_sdk.errors import SlackApiError

from bot.slack.blocks import Block, extras_message, markdown_message
from bot.slack.conversation import Conversation
from bot.slack.errors import code_of, is_rate_limit, is_transient
from bot.slack.split import continue_from


class Stream:
    """A message that Slack shows as being written. Every refusal is raised; it changes nothing."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.ts = ""
        self.shown = 0
        self.started = 0.0
        """When it began, by the writer's clock; 0 before."""

    async def grow(self, text: str) -> None:
        new = text[self.shown :]
        if self.ts:
            await self._conversation.append(self.ts, new)
        else:
            self.ts = await self._conversation.start_stream(new)
        self.shown = len(text)

    async def end(self, text: str, extras: Sequence[Block]) -> None:
        await self._conversation.stop_stream(self.ts, text[self.shown :], extras)
        self.shown = len(text)


class Bubble:
    """A post that is updated; with `ts` and `shown` it takes over what a stream has left."""

    def __init__(self, conversation: Conversation, *, ts: str = "", shown: int = 0) -> None:
        self._conversation = conversation
        self._ts = ts
        self.shown = shown
        self._base = 0
        """Where the text of this message begins; what is before it stands in another one."""

    async def grow(self, text: str) -> None:
        """Show more. Raises SlackApiError when it has to wait: a rate limit, or Slack's own trouble."""
        if not self._conversation.refuses_markdown:
            await self._show(text, (), last=False)

    async def end(self, text: str, extras: Sequence[Block]) -> None:
        """Show all, and what stands below. Raises CannotDeliver when Slack takes it in no way."""
        if extras or self.shown < len(text):
            await self._show(text, extras, last=True)

    async def _show(self, text: str, extras: Sequence[Block], *, last: bool) -> None:
        if not (self._ts and await self._rewrite(text, extras, last=last)):
            await self._post(text, extras)
        self.shown = len(text)

    async def _rewrite(self, text: str, extras: Sequence[Block], *, last: bool) -> bool:
        """Whether Slack took the update; if not, what is missing belongs into a new message."""
        ts, message = self._ts, markdown_message(continue_from(text, self._base), extras)
        try:
            if last:
                update = self._conversation.update
                await self._conversation.patiently(lambda: update(ts, message), repeatable=True)
            else:
                await self._conversation.update(ts, message)
        except SlackApiError as error:
            code = code_of(error)
            if not last and (is_rate_limit(code) or is_transient(code)):
                raise
            # What stands there stays; but when somebody has deleted it, all of it is said again.
            self._base = self._base if code == "message_not_found" else self.shown
            self._ts = ""
            return False
        return True

    async def _post(self, text: str, extras: Sequence[Block]) -> None:
        if text[self._base :].strip():
            self._ts = await self._conversation.post(
                markdown_message(continue_from(text, self._base), extras)
            )
        elif extras:
            self._ts = await self._conversation.post(extras_message(extras))
        if self._conversation.refuses_markdown:
            # It stands there in several plainer messages, which no update can rewrite as one.
            self._base, self._ts = len(text), ""
