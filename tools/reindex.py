"""Proposing to rebuild the knowledge base. It is carried out by whoever runs the bot, not here."""

import difflib
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from knowledge.errors import BadInput
from tools.proposal import Fact, Proposal


class ReindexKnowledge:
    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = tuple(sources)

    async def reindex_knowledge(
        self, source: Annotated[str, Field(description="the name of one source; empty for all of them")] = ""
    ) -> Proposal:
        """Proposes to fetch the documentation again and rebuild the index. A person has to confirm it."""
        if source and source not in self._sources:
            raise self._unknown(source)
        target = source or "all sources"
        return Proposal(
            action="reindex_knowledge",
            title=f"Fetch {target} again and rebuild the index",
            target=target,
            facts=(
                Fact(label="Sources", value=source or ", ".join(self._sources)),
                Fact(
                    label="Meanwhile", value="Answers come from the present index until the new one is ready."
                ),
            ),
            arguments={"source": source or None},
        )

    def _unknown(self, source: str) -> BadInput:
        near = difflib.get_close_matches(source, self._sources, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        return BadInput(
            f"There is no source {source!r}.", f"{hint}The sources are: {', '.join(self._sources) or 'none'}."
        )
