"""`reindex`, `generations` and `rollback`; they wait for nothing that only answers need."""

import argparse
from datetime import UTC

from rich.console import Console
from rich.table import Table

from bot.cli import exit_status, print_json
from bot.indexing.progress import show_build
from bot.indexing.receipt import in_words, scores_in_words
from bot.indexing.reindex import Reindexer
from bot.settings import Settings
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from knowledge.report import BuildReport
from knowledge.rollback import GenerationInfo

COLUMNS = ("", "no.", "built (UTC)", "pages", "chunks", "asked", "hit@5", "MRR", "size", "sources")
MEGABYTE = 1024 * 1024
DEPLOY_ONLY = ("pool", "image", "every", "cron")
NOT_DEPLOYED = ("full", "force")


async def reindex(options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    _check_together(options)
    if options.deploy:
        # Imported here: a plain reindex speaks to no Prefect server.
        from bot.indexing.deploy import deploy

        return await deploy(options, settings, environ)
    steps = Reindexer(settings).run(options.source, full=options.full, force=options.force)
    report = await show_build(steps, Console(stderr=True))
    if report is None:
        raise ExpectedError("Reindexing ended without a report.", "See the log.")
    if options.json:
        print_json(report.model_dump(mode="json", by_alias=True))
    else:
        told = " ".join(filter(None, (in_words(report), _scores_told(report))))
        Console(highlight=False).print(told, soft_wrap=True, markup=False)
    return _report_status(report)


def _scores_told(report: BuildReport) -> str:
    before, after = report.score_before, report.score_after
    if before is None or after is None or before == after:
        return ""
    return f"{scores_in_words(before, after)}."


def _check_together(options: argparse.Namespace) -> None:
    wrong = NOT_DEPLOYED if options.deploy else DEPLOY_ONLY
    if given := [name for name in wrong if getattr(options, name)]:
        how = "has no place in a deployment; give it to a single run" if options.deploy else "needs --deploy"
        raise BadInput(f"--{given[0]} {how}.", "See: ask-marvin reindex --help")


def _report_status(report: BuildReport) -> int:
    """A source that failed kept its old pages, and so did a new index held back; a script has to notice."""
    if report.held_back:
        return exit_status(Refused(""))
    return 0 if all(source.ok for source in report.sources) else exit_status(Unreachable(""))


async def generations(options: argparse.Namespace, settings: Settings, _environ: dict[str, str]) -> int:
    found = await Reindexer(settings).generations()
    if options.json:
        print_json([info.model_dump(mode="json", by_alias=True) for info in found])
        return 0
    console = Console(highlight=False)
    if not found:
        console.print("Nothing has been indexed yet. Run: ask-marvin reindex", markup=False, soft_wrap=True)
        return 0
    table = Table(*COLUMNS, box=None)
    for info in found:
        table.add_row(*_row(info))
    console.print(table)
    return 0


def _row(info: GenerationInfo) -> tuple[str, ...]:
    return (
        "live" if info.live else "",
        str(info.generation),
        f"{info.built_at.astimezone(UTC):%Y-%m-%d %H:%M}" if info.built_at else "–",
        str(info.pages),
        str(info.chunks),
        str(info.score.questions) if info.score else "–",
        f"{info.score.hit_at_5:.3f}" if info.score else "–",
        f"{info.score.mrr:.3f}" if info.score else "–",
        f"{info.bytes / MEGABYTE:.0f} MB" if info.bytes is not None else "–",
        info.problem or ", ".join(f"{source.name} {source.pages}" for source in info.sources),
    )


async def rollback(options: argparse.Namespace, settings: Settings, _environ: dict[str, str]) -> int:
    reindexer = Reindexer(settings)
    left = next((info.generation for info in await reindexer.generations() if info.live), None)
    number = await reindexer.rollback(options.to)
    if options.json:
        print_json({"generation": number, "left": left})
    else:
        Console(highlight=False).print(_told(number, left), markup=False, soft_wrap=True)
    return 0


def _told(number: int, left: int | None) -> str:
    live = f"Generation {number} is live; servers that run move on to it within seconds."
    if left is None or left < number:
        return live
    return (
        f"{live}\nThe sources may still hold what generation {left} was made of: reindexing keeps that out "
        "until they have changed, or until you run `ask-marvin reindex --force`."
    )
