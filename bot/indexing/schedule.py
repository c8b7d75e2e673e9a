"""Reading sources again by themselves: each that says `every` in sources.toml, when its time has come."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from bot.indexing.reindex import Reindexer
from knowledge.errors import ExpectedError, IndexMissing, Refused
from knowledge.freshness import FIRST_RETRY, due
from knowledge.library import Library
from knowledge.report import BuildReport
from knowledge.sources.config import SourceConfig

log = logging.getLogger(__name__)

# The shortest interval is five minutes.
CHECK_EVERY_S = 30.0


def _now() -> datetime:
    return datetime.now(UTC)


class Schedule:
    """Starts a build for each source that is due, one after another.

    When a source was last read is kept with the index, so that several servers share the work: the first one
    that comes builds, the others find it done.
    """

    def __init__(
        self,
        sources: Sequence[SourceConfig],
        library: Library,
        reindexer: Reindexer,
        *,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._sources = tuple(source for source in sources if source.every)
        self._library = library
        self._reindexer = reindexer
        self._now = now
        self._seed = f"{socket.gethostname()}/{os.getpid()}"
        self._problems: dict[str, str] = {}
        self._rests_until: dict[str, datetime] = {}

    async def run(self) -> None:
        """Look after the sources until cancelled, which ends a build that is under way."""
        if self._sources:
            log.info("kept up to date by themselves: %s", ", ".join(source.name for source in self._sources))
        while self._sources:
            try:
                await self.check()
            except Exception:
                # A bug in a build is no reason to stop answering: told with its traceback, and tried again.
                log.exception("the sources could not be looked after")
            await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> list[str]:
        """Read again what is due; gives the sources that were read."""
        return [name for name in await self._due() if await self._read(name)]

    async def _due(self) -> list[str]:
        try:
            status = await asyncio.to_thread(self._library.status)
        except IndexMissing:
            # Who opens the index builds the first one; what is wrong with it is said there.
            return []
        except ExpectedError as error:
            self._say("", str(error))
            return []
        self._say("", "")
        now = self._now()
        names = due(self._sources, status.sources, now, seed=self._seed)
        return [name for name in names if self._rests_until.get(name, now) <= now]

    async def _read(self, name: str) -> bool:
        """Build with this source alone, so that what is wrong with it holds up no other."""
        try:
            report = await self._build(name)
            await asyncio.to_thread(self._library.refresh)
        except Refused as error:
            # Most often somebody else is building; the next check finds out what is left to do.
            log.info("%s waits: %s", name, error.message)
            return False
        except ExpectedError as error:
            self._rests_until[name] = self._now() + FIRST_RETRY
            self._say(name, str(error))
            return False
        self._say(name, _problem(report))
        return True

    async def _build(self, name: str) -> BuildReport:
        report: BuildReport | None = None
        async with aclosing(self._reindexer.run(name)) as steps:
            async for step in steps:
                report = step if isinstance(step, BuildReport) else report
        if report is None:
            raise ExpectedError("Reindexing ended without a report.", "See the log.")
        return report

    def _say(self, name: str, problem: str) -> None:
        """Log a problem when it is new, and when it is over; `name` is empty for the index as a whole."""
        what = f"source {name}" if name else "the index"
        if problem and problem != self._problems.get(name):
            log.warning("%s is not up to date: %s", what, problem)
        if not problem and name in self._problems:
            log.info("%s is up to date again", what)
        if problem:
            self._problems[name] = problem
        else:
            self._problems.pop(name, None)


def _problem(report: BuildReport) -> str:
    return report.held_back or " ".join(source.error for source in report.sources if source.error)
