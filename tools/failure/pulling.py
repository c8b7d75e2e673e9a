"""The pull step that failed before a flow could be loaded, as the run's events tell."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tools.failure.models import FailedPullStep
from tools.lateness import utc_now
from tools.models import Event, FlowRun
from tools.prefect_client import PrefectClient
from tools.pull_steps import step_in_words
from tools.run_rows import shorten

STEP_FAILED = "prefect.flow-run.pull-step.failed"
# Code is fetched at the end of a run that crashes so; its time is not known closer than this.
AROUND = timedelta(hours=1)
MAX_EVENTS = 5
# A step names one or two.
MAX_BLOCKS = 3
_BLOCK = re.compile(r"\{\{\s*prefect\.blocks\.(?P<type>[\w-]+)\.(?P<name>[\w-]+)")


async def failed_pull_step(prefect: PrefectClient, run: FlowRun) -> FailedPullStep | None:
    """None when no event tells of one; events arrive a few seconds after the fact."""
    ended = run.end_time or utc_now()
    page = await prefect.events(
        resources=[f"prefect.flow-run.{run.id}"],
        prefixes=[STEP_FAILED],
        since=ended - AROUND,
        # The clocks of server and worker may differ.
        until=ended + AROUND,
        limit=MAX_EVENTS,
    )
    return await _step(prefect, page.events[0]) if page.events else None


async def _step(prefect: PrefectClient, event: Event) -> FailedPullStep:
    name = str(event.payload.get("qualified_name") or event.payload.get("step_name") or "?")
    inputs = event.payload.get("inputs")
    given: Mapping[str, Any] = inputs if isinstance(inputs, Mapping) else {}
    return FailedPullStep(
        name=shorten(name.rpartition(".")[2]),
        package=shorten(name.partition(".")[0]),
        does=shorten(step_in_words(name, given)),
        missing_blocks=await _missing(prefect, given),
    )


async def _missing(prefect: PrefectClient, given: Mapping[str, Any]) -> list[str]:
    """Blocks that a step loads or refers to and that do not exist; what they hold is not asked for."""
    blocks = [
        (found["type"], found["name"]) for value in given.values() for found in _BLOCK.finditer(str(value))
    ]
    if given.get("block_type_slug") and given.get("block_document_name"):
        blocks.append((str(given["block_type_slug"]), str(given["block_document_name"])))
    blocks = list(dict.fromkeys(blocks))[:MAX_BLOCKS]
    there = await asyncio.gather(*(prefect.has_block(type_, name) for type_, name in blocks))
    return [shorten(f"{type_}/{name}") for (type_, name), has in zip(blocks, there, strict=True) if not has]
