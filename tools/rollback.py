"""Proposing to go back to an older index. It is carried out by whoever runs the bot, not here."""

import asyncio
from typing import Annotated

from pydantic import Field

from knowledge.errors import IndexMissing, Refused
from knowledge.library import Library
from knowledge.rollback import GenerationInfo, chosen
from tools.proposal import Fact, Proposal

ACTION = "rollback_knowledge"
MINUTES = "%Y-%m-%d %H:%M UTC"
AFTERWARDS = (
    "Reindexing keeps out what the newer one was made of, until the sources have changed or you insist with "
    "`reindex --force`."
)


class RollbackKnowledge:
    def __init__(self, library: Library) -> None:
        self._library = library

    async def rollback_knowledge(
        self,
        generation: Annotated[
            int, Field(ge=0, description="which one to go back to; 0 for the one that was live before")
        ] = 0,
    ) -> Proposal:
        """Proposes to make an older generation of the index live again. A person has to confirm it."""
        infos = await asyncio.to_thread(self._library.generations)
        live = next((info for info in infos if info.live), None)
        if live is None:
            raise IndexMissing("Nothing has been indexed yet.", "Type: reindex")
        stored = [info.generation for info in infos]
        number = chosen(stored, generation or None, live=live.generation, before=live.previous)
        return going_back(next(info for info in infos if info.generation == number), live)


def going_back(target: GenerationInfo, live: GenerationInfo) -> Proposal:
    """The proposal to make `target` live in place of `live`; Refused when it cannot be made live."""
    if target.problem:
        raise Refused(f"Generation {target.generation} cannot be made live: {target.problem}.")
    older = target.generation < live.generation
    return Proposal(
        action=ACTION,
        title=f"Go {'back' if older else 'forward'} to generation {target.generation} of the index",
        target=f"generation {target.generation}",
        facts=(
            Fact(label="From", value=_described(live)),
            Fact(label="To", value=_described(target)),
            *([Fact(label="Afterwards", value=AFTERWARDS)] if older else []),
        ),
        arguments={"to": target.generation, "left": live.generation},
    )


def _described(info: GenerationInfo) -> str:
    built = f", built {info.built_at:{MINUTES}}" if info.built_at else ""
    score = f", hit@5 {info.score.hit_at_5:.3f}" if info.score else ""
    return f"generation {info.generation}{built}, {info.pages} pages{score}"
