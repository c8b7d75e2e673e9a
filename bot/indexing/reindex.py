"""Rebuilding the knowledge base in a child process, so that a server's memory and loop stay its own.

The child is `bot.indexing.build`; it writes one JSON object a line: progress, and at the end the report or
the error.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import closing
from typing import Any, TypeVar

from bot.indexing.embedding import embedder
from bot.settings import Settings
from knowledge.errors import BadInput, Busy, ExpectedError, IndexDamaged, IndexMissing, Refused, Unreachable
from knowledge.library import Library
from knowledge.report import BuildReport, Progress
from knowledge.rollback import GenerationInfo, fall_back, list_generations, rollback
from knowledge.server import generations_at
from knowledge.sources.config import FIELD_GUIDE

log = logging.getLogger(__name__)

# A large site at polite pace takes minutes; nothing sensible takes longer than this.
TIMEOUT_S = 3600
MAX_LINE = 1024 * 1024
KINDS: dict[str, type[ExpectedError]] = {kind.code: kind for kind in (BadInput, Busy, Refused, Unreachable)}

LOST = "It is not known any more which index was live."

Step = Progress | BuildReport
T = TypeVar("T")


class Reindexer:
    """Starts builds as child processes; one at a time is held by the index's own lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(
        self, source: str | None = None, *, full: bool = False, force: bool = False
    ) -> AsyncGenerator[Step, None]:
        """Yield progress, then the report. Raises what the build raised; the child ends with the caller.

        `force` makes the new generation live even where the golden questions speak against it.
        """
        command = [sys.executable, "-m", "bot.indexing.build"]
        command += ["--source", source] if source else []
        command += ["--full"] if full else []
        command += ["--force"] if force else []
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=self._environ(),
            limit=MAX_LINE,
        )
        assert child.stdout is not None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                async for line in child.stdout:
                    if line.startswith(b"{"):  # A library may print to stdout as well.
                        yield _step(json.loads(line))
                await child.wait()
        except TimeoutError:
            raise Unreachable(
                "Reindexing took longer than an hour and was stopped.", "Look at its sources."
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise ExpectedError("Reindexing broke off; the old index is still in use.", "See the log.")

    async def generations(self) -> list[GenerationInfo]:
        """Describe the generations that are kept, oldest first."""
        return await self._in_thread(list_generations)

    async def rollback(self, to: int | None = None, *, left: int | None = None) -> int:
        """Make the generation that was live before, or `to`, live again; gives its number.

        With `left` only while that one is live. Raises BadInput or Refused when it cannot be. All servers
        move on to it by themselves.
        """
        return await self._in_thread(rollback, to=to, left=left)

    async def holder(self) -> str:
        """Say which process is building the index, and since when; empty when none is."""
        return await asyncio.to_thread(_holder, self._settings)

    async def fall_back(self) -> int | None:
        """Where the live generation is damaged, make the newest sound one live; None when there is none."""
        return await self._in_thread(fall_back)

    async def _in_thread(self, do: Callable[..., T], **more: Any) -> T:
        settings = self._settings
        found = embedder(settings)
        return await asyncio.to_thread(
            do, settings.index_folder, found, chroma_url=settings.chroma_url, **more
        )

    def _environ(self) -> dict[str, str]:
        """The machine's variables with exactly these settings: one that is not set here is not set there."""
        names = Settings.variables()
        machine = {name: value for name, value in os.environ.items() if name not in names}
        # More of glibc's arenas would cost the child tens of MB, and make it no faster.
        return {"MALLOC_ARENA_MAX": "2", **machine, **self._settings.environ()}


async def open_or_build(
    library: Library, reindexer: Reindexer, *, rebuild: bool = False
) -> AsyncIterator[Step]:
    """Open the index; with none yet, build the field guide's first, which takes seconds.

    In place of a damaged one, or one that another version of this program built, the newest sound one is
    opened, else it is built again from what is left of it and the field guide. With `rebuild` all sources are
    read as well once it is open; that may take minutes.
    Yields the steps of what is built. Raises EmbedderMismatch, which only a person may decide to mend.
    """
    damage = ""
    try:
        await asyncio.to_thread(library.open)
        return
    except IndexMissing:
        log.info("there is no index in use")
    except IndexDamaged as error:
        damage = error.message
    sound = await reindexer.fall_back()
    if sound is None:
        if damage:
            log.warning("%s It is built again from what is left; reindex for the rest.", damage)
        async for step in reindexer.run(FIELD_GUIDE.name):
            yield step
    else:
        log.warning("%s Generation %d is used; reindex to bring it up to date.", damage or LOST, sound)
    await asyncio.to_thread(library.open)
    if rebuild and (damage or sound):
        async for step in reindexer.run():
            yield step
        await asyncio.to_thread(library.refresh)


def _holder(settings: Settings) -> str:
    with closing(generations_at(settings.index_folder, settings.chroma_url)) as generations:
        return generations.holder()


def _step(line: dict[str, Any]) -> Step:
    match line:
        case {"progress": progress}:
            return Progress(**progress)
        case {"report": report}:
            return BuildReport.model_validate(report)
    error = line["error"]
    raise KINDS.get(error["code"], ExpectedError)(error["message"], error["fix"])
