"""A followed run in words: its state as Prefect names it, and for how long."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.durations import in_words, lasting
from bot.follow.watch_table import WatchedRun

# Prefect itself gives a run this long before it calls it late.
PUNCTUAL_S = 15.0
ICONS = {
    "": "👀",
    "SCHEDULED": "🕓",
    "PENDING": "⏳",
    "RUNNING": "▶️",
    "PAUSED": "⏸️",
    "CANCELLING": "🛑",
    "COMPLETED": "✅",
    "FAILED": "❌",
    "CRASHED": "💥",
    "CANCELLED": "🚫",
    "DELETED": "🗑️",
}
BAD = frozenset({"FAILED", "CRASHED"})


@dataclass(frozen=True, slots=True)
class Tasks:
    """How far a run is, as its task runs tell; Prefect does not know how many there will be."""

    done: int
    failed: int
    all: int

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.all} tasks done{failed}"


def utc_clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def state_in_words(
    run: WatchedRun,
    at: datetime,
    *,
    clock: Callable[[datetime], str] = utc_clock,
    safe: Callable[[str], str] = str,
) -> str:
    """`Running for 1 min 5 s`; `clock` says a time of day, `safe` defuses what others have named."""
    name = safe(run.state_name)
    match run.state_type:
        case "":
            return "not looked at yet"
        case "SCHEDULED":
            return f"{name}, {_waiting(run, at, clock)}"
        case "RUNNING":
            return f"{name} for {lasting(run.elapsed(at))}{_attempt(run)}"
        case "PAUSED":
            return f"{name} for {lasting(run.in_state(at))}, until somebody resumes it"
        case "COMPLETED":
            return f"{name} in {in_words(run.seconds)}{_attempt(run)}"
        case "FAILED" | "CRASHED" | "CANCELLED":
            return f"{name} {_after(run)}{_attempt(run)}"
        case "DELETED":
            return "was deleted in Prefect"
    return f"{name} for {lasting(run.in_state(at))}"


def counted(runs: Sequence[WatchedRun], *, safe: Callable[[str], str] = str) -> str:
    """`12 Completed, 17 Running, 1 Failed`, the most frequent first."""
    counts = Counter(safe(run.state_name) or "not looked at yet" for run in runs)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def cancelled_in_words(runs: Sequence[WatchedRun]) -> str:
    """`12 of 30 runs cancelled, 18 still stopping`."""
    cancelled = sum(run.state_type == "CANCELLED" for run in runs)
    stopping = sum(not run.is_over for run in runs)
    other = [run for run in runs if run.is_over and run.state_type != "CANCELLED"]
    said = [f"{cancelled} of {len(runs)} runs cancelled"]
    said += [f"{stopping} still stopping"] if stopping else []
    said += [f"{counted(other)} before that"] if other else []
    return ", ".join(said)


def _waiting(run: WatchedRun, at: datetime, clock: Callable[[datetime], str]) -> str:
    overdue = run.overdue(at)
    if run.due and overdue < 0:
        is_retry = run.state_name == "AwaitingRetry"
        return f"{f'attempt {run.attempts + 1}' if is_retry else 'starts'} at {clock(run.due)}"
    if overdue > PUNCTUAL_S:
        return f"not started, due {lasting(overdue)} ago"
    return "waiting to be started"


def _after(run: WatchedRun) -> str:
    return f"after {in_words(run.seconds)}" if run.seconds else "before it ran"


def _attempt(run: WatchedRun) -> str:
    return f", attempt {run.attempts}" if run.attempts > 1 else ""
