"""The child process of `bot.indexing.reindex`: builds the index and says how it goes, a JSON line a step.

It imports nothing of Slack, the model or the database: it runs beside a server that holds all of them.
"""

import argparse
import asyncio
import json
import os
import sys
from typing import Any

from bot.indexing.embedding import embedder
from bot.settings import Settings
from knowledge.build import build
from knowledge.errors import ExpectedError
from knowledge.golden import load_golden
from knowledge.report import BuildReport, Progress
from knowledge.sources.config import load_sources
from knowledge.symbols.package import load_origin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args()
    try:
        report = asyncio.run(_build(Settings.from_env(os.environ), options))
    except ExpectedError as error:
        _write({"error": {"code": error.code, "message": error.message, "fix": error.fix}})
    else:
        _write({"report": report.model_dump(mode="json")})


async def _build(settings: Settings, options: argparse.Namespace) -> BuildReport:
    return await build(
        settings.index_folder,
        load_sources(settings.sources, github_token=settings.github_token),
        embedder(settings),
        only=options.source,
        full=options.full,
        force=options.force,
        golden=load_golden(settings.sources),
        prefect=load_origin(settings.sources),
        chroma_url=settings.chroma_url,
        report=_progress,
    )


def _progress(step: Progress) -> None:
    _write({"progress": {"stage": step.stage, "source": step.source, "done": step.done, "total": step.total}})


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
