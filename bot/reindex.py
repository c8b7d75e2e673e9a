"""Rebuilding the knowledge base in a child process, so that a server's memory and loop stay its own.

The child is `bot.build_index`; it writes one JSON object a line: progress, and at the end the report or the
error.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from bot.settings import Settings
from knowledge.build import BuildReport, Progress
from knowledge.errors import BadInput, ExpectedError, IndexDamaged, IndexMissing, Refused, Unreachable
from knowledge.library import Library
from knowledge.sources.config import FIELD_GUIDE

log = logging.getLogger(__name__)

# A large site at polite pace takes minutes; nothing sensible takes longer than this.
TIMEOUT_S = 3600
MAX_LINE = 1024 * 1024
KINDS: dict[str, type[ExpectedError]] = {kind.code: kind for kind in (BadInput, Refused, Unreachable)}

Step = Progress | BuildReport


class Reindexer:
    """Starts builds as child processes; one at a time is held by the index's own lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self, source: str | None = None, *, full: bool = False) -> AsyncGenerator[Step, None]:
        """Yield progress, then the report. Raises what the build raised; the child ends with the caller."""
        command = [sys.executable, "-m", "bot.build_index"]
        command += ["--source", source] if source else []
        command += ["--full"] if full else []
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

    def _environ(self) -> dict[str, str]:
        """The machine's variables with exactly these settings: one that is not set here is not set there."""
        names = Settings.variables()
        machine = {name: value for name, value in os.environ.items() if name not in names}
        # More of glibc's arenas would cost the child tens of MB, and make it no faster.
        return {"MALLOC_ARENA_MAX": "2", **machine, **self._settings.environ()}


async def open_or_build(library: Library, reindexer: Reindexer) -> AsyncIterator[Step]:
    """Open the index; with none yet, or a damaged one, build the field guide's first, which takes seconds.

    Yields the steps of that build. Raises EmbedderMismatch, which only a person may decide to mend.
    """
    try:
        await asyncio.to_thread(library.open)
        return
    except IndexMissing:
        log.info("there is no index yet; building the field guide's")
    except IndexDamaged as error:
        log.warning("%s It is built again from the field guide; reindex for the rest.", error.message)
    async for step in reindexer.run(FIELD_GUIDE.name):
        yield step
    await asyncio.to_thread(library.open)


def _step(line: dict[str, Any]) -> Step:
    match line:
        case {"progress": progress}:
            return Progress(**progress)
        case {"report": report}:
            return BuildReport.model_validate(report)
    error = line["error"]
    raise KINDS.get(error["code"], ExpectedError)(error["message"], error["fix"])
