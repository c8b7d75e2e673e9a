"""`ask-marvin audit`: who decided what, from the database alone."""

import argparse
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bot.app import database_url
from bot.audit.trail import MAX_ENTRIES, Audit, Wanted
from bot.audit.words import where
from bot.cli import print_json
from bot.database import open_store
from bot.follow.terminal import one_line
from bot.settings import Settings
from bot.store import now
from knowledge.errors import BadInput
from knowledge.sources.config import interval


async def audit(options: argparse.Namespace, settings: Settings, _environ: dict[str, str]) -> int:
    """Print the newest decisions of all teams; as JSON `[{at, team, user_id, decision, …}]`."""
    async with open_store(database_url(settings)) as engine:
        entries, more = await Audit(engine).latest(_wanted(options))
    if options.json:
        print_json([{**asdict(entry), "at": entry.at.isoformat()} for entry in entries])
        return 0
    table = Table(box=None)
    for head in ("when (UTC)", "who", "decision", "action", "target", "workspace", "where"):
        # Half a name or id is of no use; what does not fit goes on in the next line.
        table.add_column(head, overflow="fold", no_wrap=head == "when (UTC)")
    for entry in entries:
        table.add_row(
            f"{entry.at:%Y-%m-%d %H:%M}",
            entry.user_id,
            entry.decision,
            entry.action,
            one_line(entry.target),
            entry.workspace,
            where(entry).strip("`"),
        )
    console = Console(highlight=False, markup=False)
    console.print(table if entries else "Nothing of that kind has been decided.")
    if more:
        Console(stderr=True).print(f"There are more; --limit takes up to {MAX_ENTRIES}.")
    return 0


def _wanted(options: argparse.Namespace) -> Wanted:
    if not 1 <= options.limit <= MAX_ENTRIES:
        raise BadInput(f"--limit has to be from 1 to {MAX_ENTRIES}.")
    since = None
    if options.since:
        try:
            since = now() - interval(options.since)
        except (ValueError, OverflowError):
            raise BadInput("--since has to be a number with m, h, d or w, such as 12h or 7d.") from None
    return Wanted(limit=options.limit, user_id=options.user or "", about=options.about or "", since=since)
