"""What a sentence names that is no run, deployment or pool: a limit, an automation or a worker.

Only a sentence that says which of these it is about is looked up, and only what exists under just that name
is found: each kind costs a request of its own.
"""

import re
from collections.abc import Sequence

from bot.grammar import Command
from bot.sentences.anaphora import is_general
from tools.prefect_client import PrefectClient
from tools.references import Reference, candidates
from tools.workers import pool_of_worker

MAX_LOOKED_AT = 200
_LIMIT = re.compile(r"\b(?:slots?|limits?|limited|concurrency)\b", re.IGNORECASE)
_AUTOMATION = re.compile(r"\bautomations?\b", re.IGNORECASE)
_WORKER = re.compile(r"\bworker\s+[`\"“]?([^\s`\"“”,;?!]*[-_\d][^\s`\"“”,;?!]*)", re.IGNORECASE)


async def rarer_name(prefect: PrefectClient, text: str) -> Command | None:
    """The command that shows the limit or automation. Raises the ExpectedError tree where Prefect is away."""
    if is_general(text):
        return None
    if _LIMIT.search(text) and (words := _meant(text, "tag|limit")):
        limits = await prefect.concurrency_limits(limit=MAX_LOOKED_AT)
        known = {row.name.removeprefix("tag:") for row in limits}
        if name := next((word for word in words if word in known), ""):
            return Command("limits", (name,))
    if _AUTOMATION.search(text) and (words := _meant(text, "automation")):
        known = {row.name for row in await prefect.automations(limit=MAX_LOOKED_AT)}
        if name := next((word for word in words if word in known), ""):
            return Command("automations", (name,))
    return None


async def worker_asked_for(prefect: PrefectClient, text: str, named: Sequence[Reference]) -> Command | None:
    """Its pool, which tells of its workers; None where something else is named as well."""
    said = _WORKER.search(text)
    worker = said[1].rstrip(".") if said else ""
    if not worker or any(one.text.rpartition("/")[2] != worker for one in named):
        return None
    pool = await pool_of_worker(prefect, worker)
    return Command("pool", (pool,)) if pool else None


def _meant(text: str, noun: str) -> list[str]:
    """The words that may be names; one of everyday use only beside what it would be the name of."""
    beside = rf"\b(?:{noun})\s+[`\"“]?"
    return [
        word
        for word in candidates(text)
        if re.search(r"[-_/\d]", word) or re.search(rf"{beside}{re.escape(word)}(?!\w)", text, re.IGNORECASE)
    ]
