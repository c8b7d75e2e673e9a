"""One place in Slack to write to: posts and updates that keep at it, within bounds.

Rate limits are waited for, refused blocks said more simply, and where the bot may not write the rest
goes to the person directly.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.blocks import Block, Message, plainer, plainest
from bot.slack.errors import (
    BLOCKS_REFUSED,
    CONNECTION,
    CannotDeliver,
    cannot_speak,
    code_of,
    is_rate_limit,
    is_transient,
    retry_after,
)

log = logging.getLogger(__name__)

# Enough for a burst of answers in a channel, which takes about one message a second.
TRIES = 5
# A longer wait than this is an outage, and the inbox tries the whole answer again.
LONGEST_WAIT = 30.0
AFTER_A_BREAK = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where an answer goes and for whom."""

    team: str
    """The workspace that the app is installed in."""
    channel: str
    user: str
    thread_ts: str = ""
    """The thread's root; empty to write at top level, which cannot be streamed."""
    message_ts: str = ""
    """The message that is answered; it gets the 👀 where no status can be shown."""
    user_team: str = ""
    """The asker's own workspace, in shared channels; default: `team`."""

    @property
    def conversation(self) -> str:
        """What the memory and cards know the thread by."""
        return f"{self.team}:{self.channel}:{self.thread_ts}"


class Conversation:
    """Posts and updates for one answer."""

    def __init__(self, client: AsyncWebClient, target: Target, *, tries: int = TRIES) -> None:
        self._tries = tries
        self.client = client
        self.target = target
        self.posted: list[str] = []
        """The ts of every message, in order."""
        self.refuses_markdown = False
        """Slack refused `markdown` blocks, and what was said stands there in plainer messages."""

    async def post(self, message: Message) -> str:
        """Post, in simpler words or elsewhere if need be; the ts of the last message that it took.

        Raises CannotDeliver when Slack takes it in no way.
        """
        try:
            return await self._post(message)
        except SlackApiError as error:
            code = code_of(error)
            if cannot_speak(code) and await self._move_to_person():
                return await self.post(message)
            if code not in BLOCKS_REFUSED:
                raise CannotDeliver(code, retry_after=retry_after(error)) from error
            log.warning("Slack refused blocks (%s); the message is sent in simpler ones", code)
        self.refuses_markdown = self.refuses_markdown or bool(message.markdown)
        return await self._post_simpler(message)

    async def _post_simpler(self, message: Message) -> str:
        ts = ""
        for simple in plainer(message):
            try:
                ts = await self._post(simple)
            except SlackApiError as error:
                if code_of(error) not in BLOCKS_REFUSED:
                    raise CannotDeliver(code_of(error)) from error
                for text in plainest(simple):
                    ts = await self._post_text(text)
        return ts

    async def _post_text(self, message: Message) -> str:
        try:
            return await self._post(message)
        except SlackApiError as error:
            raise CannotDeliver(code_of(error)) from error

    async def _post(self, message: Message) -> str:
        answer = await self.patiently(
            lambda: self.client.chat_postMessage(
                channel=self.target.channel,
                thread_ts=self.target.thread_ts or None,
                text=message.text,
                blocks=message.blocks,
                # A link that a model wrote must not be fetched by Slack: it could carry data away.
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        ts = str(answer["ts"])
        self.posted.append(ts)
        return ts

    async def update(self, ts: str, message: Message) -> None:
        """Rewrite a message. Raises SlackApiError when Slack refuses."""
        await self.client.chat_update(
            channel=self.target.channel, ts=ts, text=message.text, blocks=message.blocks
        )

    async def start_stream(self, text: str) -> str:
        """Begin a message that grows; its ts. Raises SlackApiError when Slack refuses."""
        answer = await self.client.chat_startStream(
            channel=self.target.channel,
            thread_ts=self.target.thread_ts,
            recipient_user_id=self.target.user,
            recipient_team_id=self.target.user_team or self.target.team,
            chunks=[_chunk(text)],
        )
        ts = str(answer["ts"])
        self.posted.append(ts)
        return ts

    async def append(self, ts: str, text: str) -> None:
        """Add to a stream. Raises SlackApiError when Slack refuses."""
        await self.client.chat_appendStream(channel=self.target.channel, ts=ts, chunks=[_chunk(text)])

    async def stop_stream(self, ts: str, text: str, blocks: Sequence[Block]) -> None:
        """End a stream with the last of its text and blocks below. Raises SlackApiError when refused."""
        await self.client.chat_stopStream(
            channel=self.target.channel,
            ts=ts,
            chunks=[_chunk(text)] if text else None,
            blocks=list(blocks) or None,
        )

    async def stop_quietly(self, ts: str) -> None:
        """End a stream that has to be left; where that fails, Slack ends it within minutes."""
        try:
            await self.stop_stream(ts, "", ())
        except (SlackApiError, *CONNECTION) as error:
            log.info("A stream could not be stopped: %s", type(error).__name__)

    async def patiently(self, call: Callable[[], Awaitable[Any]], *, repeatable: bool = False) -> Any:
        """Make a call, again after rate limits and Slack's own trouble; the last refusal is raised.

        Raises CannotDeliver when the connection breaks: whether the call was carried out is then not
        known, and only a `repeatable` one is made again.
        """
        for left in reversed(range(self._tries)):
            try:
                return await call()
            except SlackApiError as error:
                wait = retry_after(error)
                if not left or wait > LONGEST_WAIT or not _is_passing(code_of(error)):
                    raise
            except CONNECTION as error:
                wait = AFTER_A_BREAK
                if not left or not repeatable:
                    raise CannotDeliver(type(error).__name__) from error
            await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    async def _move_to_person(self) -> bool:
        """From now on write to the person directly; False when that is impossible, or is so already."""
        left = self.target.channel
        if left.startswith("D"):
            return False
        try:
            opened = await self.client.conversations_open(users=self.target.user)
        except SlackApiError as error:
            log.warning("No direct conversation with the asker: %s", code_of(error))
            return False
        self.target = replace(self.target, channel=opened["channel"]["id"], thread_ts="", message_ts="")
        await self._post_text(Message(f"You asked in <#{left}>, where I may not write."))
        return True


async def permalink(client: AsyncWebClient, channel: str, ts: str) -> str:
    """The address of a message; empty when Slack does not tell."""
    try:
        return str((await client.chat_getPermalink(channel=channel, message_ts=ts))["permalink"])
    except (SlackApiError, *CONNECTION) as error:
        log.info("No link to a message: %s", type(error).__name__)
        return ""


def _is_passing(code: str) -> bool:
    return is_rate_limit(code) or is_transient(code)


def _chunk(text: str) -> Block:
    return {"type": "markdown_text", "text": text}
