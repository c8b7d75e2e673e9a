"""Brings an answer to Slack while it is being written, in as many messages as it takes.

The first choice is Slack's native stream; where it is refused, a post that is updated; where Slack is
busy, one post of everything at the end. At every refusal it is known what has been shown, so that
nothing is lost and nothing is said twice.
"""

import math
from collections.abc import Sequence
from typing import Literal

from slack_sdk.errors import SlackApiError

from bot.slack.blocks import Block, fits
from bot.slack.bubbles import Bubble, Stream
from bot.slack.conversation import Conversation
from bot.slack.errors import (
    BLOCKS_REFUSED,
    CONNECTION,
    NO_STREAMS,
    STOPPED,
    STREAM_IS_OVER,
    code_of,
    is_rate_limit,
    retry_after,
)
from bot.slack.pace import Workspaces
from bot.slack.split import Splitter

# After a broken connection, and after trouble at Slack's that names no time.
PAUSE = 1.0


class Stopped(Exception):
    """The person does not want the rest."""


class _Later(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Writer:
    """Takes text by `add`; the caller calls `flush` once `due` has come, and `finish` at the end."""

    def __init__(self, conversation: Conversation, workspaces: Workspaces) -> None:
        self._conversation = conversation
        self._workspaces = workspaces
        self._splitter = Splitter()
        self._part = 0
        self._bubble: Stream | Bubble | None = None
        self._way: Literal["stream", "update", "whole"] = "stream"
        self._not_before = 0.0

    def add(self, text: str) -> None:
        if not self._not_before:
            self._not_before = self._now() + self._workspaces.pace.first
        self._splitter.feed(text)

    @property
    def due(self) -> float:
        """When `flush` should be called, by the clock; infinite while there is nothing to do."""
        if self._has_news:
            return self._not_before
        return max(self._end_of_stream, self._not_before)

    @property
    def _has_news(self) -> bool:
        if self._way == "whole":
            return False
        last = self._splitter.parts[-1]
        shown = self._bubble.shown if self._bubble else 0
        return self._part < len(self._splitter.parts) - 1 or (bool(last.source) and len(last.text) > shown)

    @property
    def _end_of_stream(self) -> float:
        is_live = isinstance(self._bubble, Stream) and self._bubble.ts
        return self._bubble.started + self._workspaces.pace.stream_life if is_live else math.inf  # type: ignore[union-attr]

    async def flush(self) -> None:
        """Show what is complete. Raises Stopped, or CannotDeliver."""
        if self._now() >= self._end_of_stream:
            self._splitter.close_part()
        try:
            await self._end_closed_parts()
            text = self._splitter.parts[self._part].text
            if self._way != "whole" and text.strip():
                await self._grow(text)
        except _Later as later:
            self._not_before = self._now() + later.seconds
        else:
            self._not_before = self._now() + self._every

    async def finish(self, extras: Sequence[Block] = ()) -> None:
        """Show all, and what stands below. Raises Stopped, or CannotDeliver."""
        self._splitter.finish()
        await self._end_closed_parts()
        text = self._splitter.parts[self._part].text
        together = fits(text, extras)
        await self._end(text, extras if together else ())
        if not together:
            await Bubble(self._conversation).end("", extras)

    async def _end_closed_parts(self) -> None:
        while self._part < len(self._splitter.parts) - 1:
            await self._end(self._splitter.parts[self._part].text, ())
            self._part += 1
            self._bubble = None

    async def _grow(self, text: str) -> None:
        bubble = self._bubble = self._bubble or self._new_bubble()
        try:
            await bubble.grow(text)
        except SlackApiError as error:
            if isinstance(bubble, Bubble):
                raise _Later(retry_after(error)) from error
            await self._grow_otherwise(bubble, error, text)
        except CONNECTION:
            if isinstance(bubble, Bubble):
                raise _Later(PAUSE) from None
            # Whether the piece arrived is not known: the message is written anew as a whole.
            await self._leave(bubble)
            await self._grow(text)

    def _new_bubble(self) -> Stream | Bubble:
        target = self._conversation.target
        may_stream = self._workspaces.may_stream(target.team)
        if self._way == "stream" and target.thread_ts and may_stream:
            stream = Stream(self._conversation)
            stream.started = self._now()
            return stream
        return Bubble(self._conversation)

    async def _grow_otherwise(self, stream: Stream, error: SlackApiError, text: str) -> None:
        """A stream was not begun, or not continued."""
        code = code_of(error)
        self._note(code)
        if is_rate_limit(code):
            if stream.ts:
                raise _Later(retry_after(error)) from error
            self._way, self._bubble = "whole", None
            return
        await self._leave(stream, over=code in STREAM_IS_OVER)
        await self._grow(text)

    def _note(self, code: str) -> None:
        if code == STOPPED:
            raise Stopped
        if code in NO_STREAMS:
            self._workspaces.refuse_streams(self._conversation.target.team)

    async def _leave(self, stream: Stream, *, over: bool = False) -> None:
        """Go on with an ordinary message: the stream's own where there is one, else a new one."""
        if not stream.ts:
            self._way = "update"
        elif not over:
            await self._conversation.stop_quietly(stream.ts)
        self._bubble = Bubble(self._conversation, ts=stream.ts, shown=stream.shown)

    async def _end(self, text: str, extras: Sequence[Block]) -> None:
        bubble = self._bubble or Bubble(self._conversation)
        if isinstance(bubble, Bubble):
            await bubble.end(text, extras)
        elif not bubble.ts:
            await Bubble(self._conversation).end(text, extras)
        else:
            await self._end_stream(bubble, text, extras)

    async def _end_stream(self, stream: Stream, text: str, extras: Sequence[Block]) -> None:
        try:
            await self._conversation.patiently(lambda: stream.end(text, extras), repeatable=True)
        except SlackApiError as error:
            code = code_of(error)
            self._note(code)
            if code in BLOCKS_REFUSED and extras:
                await self._end_stream(stream, text, ())
                await Bubble(self._conversation).end("", extras)
                return
            await self._leave(stream, over=code in STREAM_IS_OVER)
            await self._end_left(text, extras)

    async def _end_left(self, text: str, extras: Sequence[Block]) -> None:
        assert isinstance(self._bubble, Bubble)
        await self._bubble.end(text, extras)

    @property
    def _every(self) -> float:
        team = self._conversation.target.team
        if isinstance(self._bubble, Bubble):
            return self._workspaces.update_every(team)
        return self._workspaces.append_every(team)

    def _now(self) -> float:
        return self._workspaces.clock()
