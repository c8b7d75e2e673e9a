"""Proposing to rebuild the knowledge base. It is carried out by whoever runs the bot, not here."""

import asyncio
import difflib
from collections.abc import Sequence
from textwrap import shorten
from typing import Annotated

from pydantic import Field

from knowledge.errors import BadInput, IndexMissing
from knowledge.library import IndexStatus, Library
from knowledge.manifest import SourceState
from knowledge.sources.config import SourceConfig
from tools.proposal import Fact, Proposal

MINUTES = "%Y-%m-%d %H:%M UTC"
# An error may quote a server; the whole of it stands in `status` and in the log.
MAX_ERROR = 200
KINDS = {"files": "folder", "field_guide": "built in", "github": "GitHub"}

GATE = Fact(
    label="Safeguard",
    value="An index that answers the golden questions worse, or has lost many pages, is not made live.",
)
NO_GATE = Fact(
    label="Override", value="It becomes live even if it answers worse or has lost many pages (--force)."
)


class ReindexKnowledge:
    def __init__(self, sources: Sequence[SourceConfig], library: Library) -> None:
        self._sources = tuple(sources)
        self._library = library

    async def reindex_knowledge(
        self,
        source: Annotated[str, Field(description="the name of one source; empty for all of them")] = "",
        force: Annotated[
            bool, Field(description="make it live even if it answers worse; only when that was asked for")
        ] = False,
    ) -> Proposal:
        """Proposes to fetch the documentation again and rebuild the index. A person has to confirm it."""
        wanted = [each for each in self._sources if source in ("", each.name)]
        if not wanted:
            raise self._unknown(source)
        target = source or "all sources"
        anyway = " and make it live even if it answers worse" if force else ""
        status = await self._status()
        states = {state.name: state for state in status.sources} if status else {}
        return Proposal(
            action="reindex_knowledge",
            title=f"Fetch {target} again and rebuild the index{anyway}",
            target=target,
            facts=(
                self._scope(source),
                *(Fact(label=each.name, value=_known(each, states.get(each.name))) for each in wanted),
                _meanwhile(status),
                NO_GATE if force else GATE,
            ),
            arguments={"source": source or None, "force": force},
            dangerous=force,
        )

    async def _status(self) -> IndexStatus | None:
        try:
            return await asyncio.to_thread(self._library.status)
        except IndexMissing:
            return None

    def _scope(self, source: str) -> Fact:
        if not source:
            return Fact(label="Reads", value=f"all sources ({len(self._sources)})")
        others = [each.name for each in self._sources if each.name != source]
        kept = f"; as they are: {', '.join(others)}" if others else ""
        return Fact(label="Reads", value=f"{source} alone{kept}")

    def _unknown(self, source: str) -> BadInput:
        names = [each.name for each in self._sources]
        near = difflib.get_close_matches(source, names, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        return BadInput(
            f"There is no source {source!r}.", f"{hint}The sources are: {', '.join(names) or 'none'}."
        )


def _known(source: SourceConfig, state: SourceState | None) -> str:
    """`website, 488 pages, fetched 2026-09-30 14:02 UTC`, and what went wrong the last time."""
    kind = KINDS.get(source.kind, source.kind)
    if state is None or not (state.fetched_at or state.error):
        return f"{kind}, not indexed yet"
    fetched = f"fetched {state.fetched_at:{MINUTES}}" if state.fetched_at else "never fetched"
    failing = f"; last try: {shorten(state.error, MAX_ERROR, placeholder=' …')}" if state.error else ""
    return f"{kind}, {state.pages} page{'s' * (state.pages != 1)}, {fetched}{failing}"


def _meanwhile(status: IndexStatus | None) -> Fact:
    if status is None:
        return Fact(
            label="Meanwhile", value="No index is in use, so nothing is found until the new one is ready."
        )
    present = f"the present index (generation {status.generation})"
    return Fact(label="Meanwhile", value=f"Answers come from {present} until the new one is ready.")
