"""Runs that are followed, as they are stored: one watch for each card, with the runs that it led to."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.cards.table import Card
from bot.store import now, watched_runs, watches
from tools.lateness import due_time
from tools.models import FlowRun
from tools.redact import redact
from tools.run_rows import shorten
from tools.runs import ENDED

DELETED = "DELETED"
"""The state type here of a run that is not in Prefect any more."""
OVER = ENDED | {DELETED}
# What SQLite of any age takes as parameters of one statement.
ROWS_A_STATEMENT = 500

Notice = Literal["late", "pending", "paused", "stopping", "away", "end"]
Ending = Literal["", "ended", "gave_up", "forgotten", "hushed", "broke", "gone"]
"""Why nobody follows it any more: `forgotten` goes on but is too old to keep, `hushed` stands where nothing
of the workspace may be shown by now, `broke` was ended by a bug, `gone` has no message."""


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """A run as it was when it was last looked at."""

    id: str
    name: str = ""
    state_type: str = ""
    """Empty before the first look."""
    state_name: str = ""
    message: str = ""
    """The state's, masked and cut."""
    since: datetime | None = None
    """When it came into this state."""
    due: datetime | None = None
    """When it starts, or should have."""
    seconds: float = 0.0
    """In Running, before this state."""
    attempts: int = 0

    @property
    def is_over(self) -> bool:
        return self.state_type in OVER

    @property
    def not_started(self) -> bool:
        return self.state_type == "SCHEDULED"

    def elapsed(self, at: datetime) -> float:
        """Seconds in Running; the server adds those of the present stretch only when it ends."""
        running = self.state_type == "RUNNING" and self.since
        return self.seconds + (self.in_state(at) if running else 0.0)

    def in_state(self, at: datetime) -> float:
        return max((at - self.since).total_seconds(), 0.0) if self.since else 0.0

    def overdue(self, at: datetime) -> float:
        """Seconds since it should have started; below 0 for one that is ahead."""
        return (at - self.due).total_seconds() if self.not_started and self.due else 0.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What is followed for one card, and how far its message is."""

    card_id: str
    team: str
    workspace: str
    """The Prefect workspace's name."""
    action: str
    """What was done: `trigger_run`."""
    began: datetime
    runs: tuple[WatchedRun, ...]
    told: frozenset[Notice] = frozenset()
    """What has been said once and is not said again."""
    shown: str = ""
    """A digest of what the card's message shows, but for the time that goes by in it."""
    shown_at: datetime | None = None
    ended: Ending = ""

    @property
    def is_over(self) -> bool:
        return all(run.is_over for run in self.runs)

    @property
    def open_runs(self) -> tuple[WatchedRun, ...]:
        return tuple(run for run in self.runs if not run.is_over)


class WatchTable:
    """Reads and writes watches; knows neither Prefect nor Slack."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, card: Card, run_ids: Collection[str]) -> None:
        """Follow these runs from now on; nothing for none, and a card that is followed already stays so."""
        ids = list(dict.fromkeys(run_ids))
        if not ids or await self.of(card.id):
            return
        row = {
            "card_id": card.id,
            "team": card.team,
            "workspace": card.workspace,
            "action": card.proposal.action,
            "began": now(),
            "next_look": now(),
            "told": [],
        }
        rows = [{"card_id": card.id, "run_id": id_, "position": at} for at, id_ in enumerate(ids)]
        async with self._engine.begin() as connection:
            await connection.execute(watches.insert().values(row))
            await connection.execute(watched_runs.insert(), rows)

    async def of(self, card_id: str) -> Watch | None:
        """The card's watch, also one that is over."""
        found = await self._read(watches.c.card_id == card_id)
        return found[0] if found else None

    async def due(self, at: datetime) -> list[Watch]:
        """All that is to be looked at by then, the one that has waited longest first."""
        return await self._read(watches.c.next_look <= at)

    async def keep_runs(self, watch: Watch, runs: Iterable[WatchedRun]) -> None:
        """Store the runs that are not as they were."""
        async with self._engine.begin() as connection:
            for run in runs:
                values = {name: getattr(run, name) for name in _RUN_COLUMNS}
                which = (watched_runs.c.card_id == watch.card_id, watched_runs.c.run_id == run.id)
                await connection.execute(update(watched_runs).where(*which).values(values))

    async def look_again(self, card_ids: Sequence[str], at: datetime) -> None:
        async with self._engine.begin() as connection:
            for start in range(0, len(card_ids), ROWS_A_STATEMENT):
                some = card_ids[start : start + ROWS_A_STATEMENT]
                which = (watches.c.card_id.in_(some), watches.c.ended == "")
                await connection.execute(update(watches).where(*which).values(next_look=at))

    async def shown(self, watch: Watch, digest: str, at: datetime) -> None:
        await self._set(watch, shown=digest, shown_at=at)

    async def told(self, watch: Watch, notice: Notice) -> None:
        await self._set(watch, told=sorted({*watch.told, notice}))

    async def end(self, watch: Watch, ending: Ending) -> None:
        """Follow it no more; what is known stays for whoever shows the card again."""
        await self._set(watch, ended=ending, next_look=None)

    async def purge(self, older_than: timedelta) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(watches).where(watches.c.began < now() - older_than))

    async def _set(self, watch: Watch, **values: Any) -> None:
        which = watches.c.card_id == watch.card_id
        async with self._engine.begin() as connection:
            await connection.execute(update(watches).where(which).values(values))

    async def _read(self, which: Any) -> list[Watch]:
        query = select(watches).where(which).order_by(watches.c.next_look, watches.c.card_id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
            runs = await _runs_of(connection, [row.card_id for row in rows])
        return [_watch(row, runs.get(row.card_id, ())) for row in rows]


def seen(run: FlowRun) -> WatchedRun:
    """What is kept of a run."""
    return WatchedRun(
        id=run.id,
        name=redact(run.name),
        state_type=run.state.type,
        state_name=run.state.name or run.state.type.capitalize(),
        message=shorten(run.state.message),
        since=run.state.timestamp,
        due=due_time(run),
        seconds=run.total_run_time,
        attempts=run.run_count,
    )


def missing(run: WatchedRun, at: datetime) -> WatchedRun:
    """A run that somebody has deleted."""
    return replace(run, state_type=DELETED, state_name="deleted", message="", since=at)


_RUN_COLUMNS = ("name", "state_type", "state_name", "message", "since", "due", "seconds", "attempts")


async def _runs_of(connection: AsyncConnection, card_ids: Sequence[str]) -> dict[str, tuple[WatchedRun, ...]]:
    found: dict[str, tuple[WatchedRun, ...]] = {}
    for start in range(0, len(card_ids), ROWS_A_STATEMENT):
        some = watched_runs.c.card_id.in_(card_ids[start : start + ROWS_A_STATEMENT])
        query = select(watched_runs).where(some).order_by(watched_runs.c.card_id, watched_runs.c.position)
        for row in (await connection.execute(query)).all():
            run = WatchedRun(row.run_id, **{name: getattr(row, name) for name in _RUN_COLUMNS})
            found[row.card_id] = (*found.get(row.card_id, ()), run)
    return found


def _watch(row: Row[Any], runs: tuple[WatchedRun, ...]) -> Watch:
    return Watch(
        card_id=row.card_id,
        team=row.team,
        workspace=row.workspace,
        action=row.action,
        began=row.began,
        runs=runs,
        told=frozenset(row.told),
        shown=row.shown,
        shown_at=row.shown_at,
        ended=row.ended,
    )
