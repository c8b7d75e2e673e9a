"""One message that is rewritten while a build goes on."""

import asyncio
import contextlib
import logging
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from slack_sdk.errors import SlackApiError

from bot.indexing.receipt import stage_in_words
from bot.slack.blocks import progress_message
from bot.slack.conversation import Conversation
from bot.slack.errors import CONNECTION, code_of, is_rate_limit, is_transient, retry_after
from bot.slack.pace import Workspaces
from knowledge.report import Progress

log = logging.getLogger(__name__)

# An update that is on its way when the build ends is waited for: it must not come after the last one.
LAST_UPDATE_S = 10.0


class ProgressMessage:
    """Shows the newest progress at the pace of a workspace; who reports never waits for Slack.

    Used as a context: when it is left, nothing more is written to the message.
    """

    def __init__(
        self, conversation: Conversation, ts: str, *, title: str, below: str, workspaces: Workspaces
    ) -> None:
        self._conversation = conversation
        self._ts = ts
        self._title = title
        self._below = below
        self._workspaces = workspaces
        self._latest: Progress | None = None
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._counted = ExitStack()
        self._task: asyncio.Task[None] | None = None
        self.painted = False
        """Whether the message has been touched."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._news.set()
        if self._task:
            _, late = await asyncio.wait({self._task}, timeout=LAST_UPDATE_S)
            for task in late:
                task.cancel()
        self._counted.close()

    async def report(self, progress: Progress) -> None:
        """Take note; it is shown when its time has come, unless something newer is known by then."""
        if self._task is None:
            self._counted.enter_context(self._workspaces.writing(self._conversation.target.team))
            self._task = asyncio.create_task(self._follow())
        self._latest = progress
        self._news.set()

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            if self._over.is_set():
                return
            self._news.clear()
            try:
                pause = await self._paint()
            except SlackApiError as error:
                log.info("progress is no longer shown: %s", code_of(error))
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._over.wait()

    async def _paint(self) -> float:
        """Show the newest; gives the seconds until the next. Raises SlackApiError where trying is no use."""
        assert self._latest is not None
        every = self._workspaces.update_every(self._conversation.target.team)
        progress = self._latest
        message = progress_message(
            self._title,
            done=progress.done,
            total=progress.total,
            detail=stage_in_words(progress),
            below=self._below,
        )
        self.painted = True
        try:
            await self._conversation.update(self._ts, message)
        except SlackApiError as error:
            code = code_of(error)
            if not (is_rate_limit(code) or is_transient(code)):
                raise
            self._news.set()
            return max(every, retry_after(error))
        except CONNECTION as error:
            log.info("progress could not be shown: %s", type(error).__name__)
            self._news.set()
        return every
