"""The results of tools as Markdown for people: the answers to typed commands. Pure.

What users have named (pools, runs, messages) is put into code spans, where it cannot become markup.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.durations import lasting
from knowledge.library import IndexStatus

MAX_NAME = 80
# A message or a problem, on one line of a table.
MAX_TEXT = 160
# A state's message or a line of a traceback, where it stands alone.
MAX_SENTENCE = 600


def work_pools(data: dict[str, Any]) -> str:
    rows = [
        (
            link(pool["name"], pool["url"]),
            code(pool["type"]),
            pool.get("status") or "–",
            pool.get("online_workers", "–"),
            pool["overdue_runs"],
            sentence(pool.get("problem", "")),
        )
        for pool in data["work_pools"]
    ]
    if not rows:
        return "There are no work pools yet."
    return table(
        ("pool", "type", "status", "workers", "overdue", "problem"), rows, truncated=data["truncated"]
    )


def work_pool(data: dict[str, Any]) -> str:
    """One pool: what it is, then its queues and workers."""
    facts = {
        "Type": f"{code(data['type'])}, {data['type_in_words']}",
        "Each run is": data["each_run_is"],
        "Runs on": data["runs_on"],
        "Status": data.get("status"),
        "Problem": sentence(data.get("problem", "")),
        "Concurrency": data.get("concurrency"),
        "Runs": _run_counts(data),
        "Deployments": f"{data['deployments']}: {codes(data['some_deployments'])}"
        if data["deployments"]
        else "none",
        "Workers": _workers(data.get("workers")),
        "Start a worker": code(data["start_a_worker"]) if data.get("start_a_worker") else None,
    }
    queues = [
        (
            code(queue["name"]),
            queue["priority"],
            "paused" if queue["paused"] else ago(queue.get("last_polled_seconds_ago")),
            queue["overdue_runs"],
            sentence(queue.get("problem", "")),
        )
        for queue in data["queues"]
    ]
    shown = table(
        ("queue", "priority", "last polled", "overdue", "problem"), queues, truncated=data["truncated"]
    )
    return f"**{link(data['name'], data['url'])}**\n{facts_list(facts)}\n\n{shown}"


def deployments(data: dict[str, Any]) -> str:
    rows = [
        (
            link(row["name"], row["url"]),
            code(row["work_pool"]) if row.get("work_pool") else "none",
            "paused" if row["paused"] else row.get("status") or "–",
            plain("; ".join(row["schedules"])) or "–",
        )
        for row in data["deployments"]
    ]
    if not rows:
        return "No deployment matches."
    return table(("deployment", "pool", "status", "schedule"), rows, truncated=data["truncated"])


def limits(data: dict[str, Any]) -> str:
    """What is limited by a tag, a deployment or a name of its own; a pool's limit stands with the pool."""
    rows = [
        (
            link(row["name"], row.get("url") or ""),
            row["kind"],
            row["limit"],
            f"{row['in_use']}{' (full)' if row['full'] else ''}" if row["enabled"] else "switched off",
        )
        for row in data["limits"]
    ]
    if not rows:
        return "There is no such concurrency limit; those of work pools and queues stand in `pool NAME`."
    return table(("limit", "of a", "slots", "in use"), rows, truncated=data["truncated"])


def automations(data: dict[str, Any]) -> str:
    rows = [
        (
            link(row["name"], row["url"]),
            "on" if row["enabled"] else "off",
            plain(row["when"], MAX_SENTENCE),
            plain("; ".join(row["then"]), MAX_SENTENCE),
        )
        for row in data["automations"]
    ]
    if not rows:
        return "There is no such automation."
    return table(("automation", "state", "when", "then"), rows, truncated=data["truncated"])


def flow_runs(data: dict[str, Any]) -> str:
    rows = [_run_row(run) for run in data["flow_runs"]]
    if not rows:
        return f"No such runs in {data['within']}."
    return table(("run", "deployment", "state", "when", "message"), rows, truncated=data["truncated"])


def workspace(data: dict[str, Any]) -> str:
    """The workspace at a glance, trouble last, where the eye stays."""
    facts = {
        "Prefect": f"[{data['server']}]({data['url']}), version {data['prefect_version']}",
        "Deployments": f"{data['deployments']}, of which {data['paused_deployments']} paused",
        "Runs now": _run_counts(data),
        "Last 24 hours": "{completed_last_24_hours} completed, {failed_last_24_hours} failed".format(**data),
        "Work pools": data["work_pools"],
    }
    text = facts_list(facts)
    problems = {pool["name"]: sentence(pool.get("problem", "")) for pool in data["pools_with_problems"]}
    if problems:
        text += "\n\n**Pools with problems**\n" + "\n".join(f"- {code(n)}: {p}" for n, p in problems.items())
    if data["latest_failures"]:
        failures = [_run_row(run) for run in data["latest_failures"]]
        heads = ("run", "deployment", "state", "when", "message")
        text += f"\n\n**Latest failures**\n\n{table(heads, failures, truncated=False)}"
    return text


def index(status: IndexStatus) -> str:
    sources = ", ".join(source.name for source in status.sources)
    return (
        f"Knowledge base: {status.pages} pages in {status.chunks} passages from {sources}, "
        f"generation {status.generation}, built {status.built_at:%Y-%m-%d %H:%M} UTC."
    )


def _run_row(run: dict[str, Any]) -> tuple[Any, ...]:
    late = run.get("late_seconds")
    when = f"{lasting(late)} late" if late else moment(run.get("started") or run.get("due"))
    return (
        link(run["name"], run["url"]),
        code(run.get("deployment") or run["flow"]),
        run["state"],
        when,
        plain(run.get("message", "")),
    )


def _run_counts(data: dict[str, Any]) -> str:
    return "{running_runs} running, {pending_runs} pending, {overdue_runs} overdue".format(**data)


def _workers(workers: Sequence[dict[str, Any]] | None) -> str | None:
    if workers is None:
        return "none needed"
    online = [worker["name"] for worker in workers if worker["online"]]
    return codes(online) + " online" if online else f"none online ({len(workers)} known)"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], *, truncated: bool) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(str(cell) or " " for cell in row) + " |" for row in rows]
    return "\n".join(lines) + ("\n\n_There are more; name what you look for._" if truncated else "")


def facts_list(facts: dict[str, Any]) -> str:
    return "\n".join(f"- **{label}**: {value}" for label, value in facts.items() if value not in (None, ""))


def link(name: str, url: str) -> str:
    return f"[{plain(name)}]({url})" if url else code(name)


def code(text: str, limit: int = MAX_NAME) -> str:
    return f"`{_short(text, limit).replace('`', 'ˋ').replace('|', '¦')}`"


def codes(names: Sequence[str]) -> str:
    return ", ".join(code(name) for name in names)


def plain(text: str, limit: int = MAX_TEXT, *, trim: bool = True) -> str:
    """Text of other people on one line, without anything that Markdown would read.

    Without `trim` the spaces around it stay, as for a part of a sentence.
    """
    shown = _short(text, limit) if trim else re.sub(r"\s+", " ", text)[:limit]
    harmless = shown.replace("`", "'").replace("|", "¦")
    # Inside of a word an underscore is only that, as a star between spaces is: names, and cron schedules.
    return re.sub(r"([\\\[\]<>~]|(?<!\w)_|_(?!\w)|\*(?=\S)|(?<=\S)\*|^#)", r"\\\1", harmless)


def sentence(text: str) -> str:
    """A sentence that names things of other people: its code spans stay, all else is made harmless."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return plain(text, MAX_SENTENCE)
    return "".join(
        code(piece, MAX_SENTENCE) if number % 2 else plain(piece, MAX_SENTENCE, trim=False)
        for number, piece in enumerate(pieces)
    )


def _short(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def moment(iso: str | None) -> str:
    if not iso:
        return "–"
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%m-%d %H:%M} UTC"


def ago(seconds: int | None) -> str:
    return "never" if seconds is None else f"{lasting(seconds)} ago"
