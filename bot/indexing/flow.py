"""The flow that `ask-marvin reindex --deploy` makes a deployment of; only workers import it.

Prefect is there wherever a worker runs it, and need not be where the bot runs.
"""

import logging
import os
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.states import Completed, Failed

from bot.indexing.deploy import FLOW
from bot.indexing.receipt import in_words
from bot.indexing.reindex import Reindexer
from bot.settings import Settings, read_environ
from knowledge.errors import BadInput, ExpectedError
from knowledge.report import BuildReport

Log = logging.Logger | logging.LoggerAdapter[Any]


@flow(name=FLOW, persist_result=False)
async def reindex(
    source: str | None = None, full: bool = False, force: bool = False, sources_toml: str = ""
) -> Any:
    """Bring the knowledge base on the Chroma server up to date.

    Args:
        source: Only this source; all of them when empty.
        full: Fetch, cut and embed everything again.
        force: Make the new index live even if it finds less than before.
        sources_toml: The text of a sources.toml; when empty, the worker's own ASK_MARVIN_SOURCES.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            settings = _settings(sources_toml, Path(folder))
            report = await _build(settings, get_run_logger(), source or None, full=full, force=force)
        except ExpectedError as error:
            return Failed(message=str(error))
    failed = report.held_back or not all(source.ok for source in report.sources)
    return (Failed if failed else Completed)(message=in_words(report))


def _settings(sources_toml: str, folder: Path) -> Settings:
    settings = Settings.from_env(read_environ(os.environ, Path.cwd()))
    if settings.chroma_url is None:
        raise BadInput(
            "CHROMA_URL is not set where this run takes place.",
            "Set it in the worker's environment, or deploy again: ask-marvin reindex --deploy",
        )
    if not sources_toml:
        return settings
    path = folder / "sources.toml"
    path.write_text(sources_toml, encoding="utf-8")
    return settings.model_copy(update={"sources": path})


async def _build(settings: Settings, log: Log, source: str | None, *, full: bool, force: bool) -> BuildReport:
    seen: set[tuple[str, str]] = set()
    async with aclosing(Reindexer(settings).run(source, full=full, force=force)) as steps:
        async for step in steps:
            if isinstance(step, BuildReport):
                return step
            if (step.stage, step.source) not in seen:
                seen.add((step.stage, step.source))
                log.info("%s %s", step.stage, step.source)
    raise ExpectedError("Reindexing ended without a report.", "See the worker's log.")
