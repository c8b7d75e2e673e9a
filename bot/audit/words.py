"""The audit for people: which rows somebody asks for, and the rows as a table."""

import re
from collections.abc import Sequence
from datetime import datetime

from bot import tables
from bot.audit.trail import LATEST, Entry, Wanted
from bot.people import LOCAL_TEAM, Person
from knowledge.errors import BadInput

# What is read in one message.
MAX_SHOWN = 100
MAX_DETAIL = 120
# A digit tells an id from a deployment in capitals.
_PERSON = re.compile(r"@?([UW](?=[A-Z]*\d)[A-Z0-9]+|local)")


def wanted(words: Sequence[str], person: Person, now: datetime) -> Wanted:
    """What `audit`, `audit 50`, `audit @person`, `audit today` or `audit DEPLOYMENT` asks for.

    Raises BadInput for a person by name: the audit knows ids. People see their own Slack team's rows, the
    user of the terminal, whose database it is, all.
    """
    limit, user_id, about, since = LATEST, "", "", None
    for word in words:
        if word.isdigit():
            limit = min(max(int(word), 1), MAX_SHOWN)
        elif word.lower() == "today":
            since = now.astimezone(person.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        elif found := _PERSON.fullmatch(word):
            user_id = found[1]
        elif word.startswith("@"):
            raise BadInput(
                f"{word} is a name, and the audit keeps ids.", "Give the id (U…) from their profile."
            )
        else:
            about = word
    team = "" if person.is_local else person.team
    return Wanted(limit=limit, team=team, user_id=user_id, about=about, since=since)


def decisions(entries: Sequence[Entry], person: Person, now: datetime, *, more: bool) -> str:
    """The rows as a Markdown table, newest first, in the reader's zone; ids notify nobody."""
    if not entries:
        return "Nothing of that kind has been decided."
    zone = now.astimezone(person.zone).tzname() or "UTC"
    rows = [
        (
            f"{entry.at.astimezone(person.zone):%m-%d %H:%M}",
            tables.code(entry.user_id),
            entry.decision.replace("_", " "),
            tables.code(entry.action),
            tables.code(entry.target),
            tables.code(entry.workspace) if entry.workspace else "–",
            where(entry),
            tables.plain(entry.detail, MAX_DETAIL),
        )
        for entry in entries
    ]
    heads = (f"when ({zone})", "who", "decision", "action", "target", "workspace", "where", "what came of it")
    return tables.table(heads, rows, truncated=more)


def where(entry: Entry) -> str:
    if entry.team == LOCAL_TEAM:
        return "terminal"
    if entry.channel.startswith("D"):
        return "direct"
    return tables.code(entry.channel) if entry.channel else "–"
