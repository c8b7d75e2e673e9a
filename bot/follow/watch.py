"""Looks at the runs that are followed, all at once, however many cards they belong to.

What it costs: one `flow_runs/filter` request for every 200 runs that are to be looked at, every three seconds
at most, so three for 500 runs; none while nothing is followed, and none for what starts later until shortly
before its time, but for a look every five minutes. Beside that one request for each run that is missing from
an answer, to be sure that it was deleted.
"""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.follow.run_words import BAD, Tasks
from bot.follow.watch_table import Notice, Watch, WatchedRun, WatchTable, missing, seen
from bot.store import now
from bot.workspaces import Workspaces
from knowledge.errors import ExpectedError
from tools.errors import NotFound
from tools.models import FlowRun
from tools.prefect_client import PrefectClient
from tools.prefect_http import PAGE_SIZE

log = logging.getLogger(__name__)

CANCEL = "cancel_runs"
LOOK_EVERY = timedelta(seconds=3)
# What has not changed for long is not about to change this second.
QUIET_AFTER, QUIET_EVERY = timedelta(minutes=10), timedelta(seconds=6)
STILL_AFTER, STILL_EVERY = timedelta(hours=1), timedelta(seconds=15)
# A run that starts later may be moved or cancelled meanwhile.
AHEAD_EVERY, AHEAD_BY = timedelta(minutes=5), timedelta(seconds=30)
# A server that hangs must not keep the runs of the others from being looked at.
LOOK_WITHIN_S = 20.0
CONFIRMED_A_LOOK = 20
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=1)

LATE_AFTER = timedelta(minutes=2)
# Pulling an image takes minutes.
PENDING_AFTER = timedelta(minutes=5)
STOPPING_AFTER = timedelta(seconds=30)
AWAY_AFTER = timedelta(minutes=2)
GIVE_UP_AFTER = timedelta(hours=24)
# A bug comes back; so often in a row it is no accident of one look.
BROKEN_AFTER = 3
BROKEN = "I cannot look at it: something broke on my side, and the log has it as `{reference}`."


@dataclass(frozen=True, slots=True)
class Away:
    """A workspace that does not answer."""

    since: datetime
    retry_at: datetime
    pause: timedelta
    why: str
    failures: int = 0
    """How often in a row looking broke off by a bug."""

    @classmethod
    def by_bug(cls, reference: str, *, since: datetime) -> "Away":
        """For where it is not a workspace that does not answer; `reference` stands in the log."""
        return cls(since, since, FIRST_PAUSE, BROKEN.format(reference=reference), BROKEN_AFTER)


class Poller:
    """Brings watches up to date; a workspace that does not answer is left alone for a while."""

    def __init__(
        self, workspaces: Workspaces, table: WatchTable, *, clock: Callable[[], datetime] = now
    ) -> None:
        self._workspaces = workspaces
        self._table = table
        self._clock = clock
        self._away: dict[str, Away] = {}

    def away(self, workspace: str) -> Away | None:
        """Why it has not answered, or cannot be looked at, once that has gone on for a while."""
        away = self._away.get(workspace)
        if away is None:
            return None
        is_long = self._clock() - away.since >= AWAY_AFTER or away.failures >= BROKEN_AFTER
        return away if is_long else None

    @property
    def failures(self) -> int:
        """How often in a row looking at a workspace has broken off by a bug."""
        return max((away.failures for away in self._away.values()), default=0)

    def answers(self, workspace: str) -> bool:
        """Whether what is known of its runs is of the last look."""
        return workspace not in self._away

    async def look(self, due: Sequence[Watch]) -> list[Watch]:
        """The watches as they are now, stored; unchanged where the workspace does not answer."""
        by_workspace: defaultdict[str, list[Watch]] = defaultdict(list)
        for watch in due:
            by_workspace[watch.workspace].append(watch)
        looked = await asyncio.gather(*(self._look_in(name, some) for name, some in by_workspace.items()))
        return [watch for some in looked for watch in some]

    async def _look_in(self, name: str, watches: Sequence[Watch]) -> list[Watch]:
        away = self._away.get(name)
        if away and self._clock() < away.retry_at:
            return list(watches)
        ids = [run.id for watch in watches for run in watch.open_runs]
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                found = await current_runs(self._workspaces.get(name).prefect, ids)
            looked = [self._updated(watch, found) for watch in watches]
        except TimeoutError:
            self._note(name, "Prefect did not answer in time.")
            return list(watches)
        except ExpectedError as error:
            self._note(name, error.message)
            return list(watches)
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("looking at the workspace %s broke off, reference %s", name, reference)
            self._note(name, BROKEN.format(reference=reference), by_bug=True)
            return list(watches)
        if self._away.pop(name, None):
            log.info("the workspace %s answers again", name)
        for watch, before in zip(looked, watches, strict=True):
            await self._keep(watch, before)
        return looked

    def _note(self, name: str, why: str, *, by_bug: bool = False) -> None:
        at, before = self._clock(), self._away.get(name)
        pause = min(before.pause * 2, LONGEST_PAUSE) if before else FIRST_PAUSE
        failures = (before.failures if before else 0) + 1 if by_bug else 0
        self._away[name] = Away(before.since if before else at, at + pause, pause, why, failures)
        if before is None:
            log.warning("the runs of workspace %s cannot be followed for now: %s", name, why)

    def _updated(self, watch: Watch, found: Mapping[str, FlowRun | None]) -> Watch:
        return replace(watch, runs=tuple(as_found(run, found, self._clock()) for run in watch.runs))

    async def _keep(self, watch: Watch, before: Watch) -> None:
        changed = [run for run, old in zip(watch.runs, before.runs, strict=True) if run != old]
        if changed:
            await self._table.keep_runs(watch, changed)


async def current_runs(prefect: PrefectClient, ids: Iterable[str]) -> dict[str, FlowRun | None]:
    """The runs by id, None for one that has been deleted; left out what could not be made sure of.

    Asked for page by page by id and not by offset, which skips runs that move while it is being read.
    """
    wanted = list(dict.fromkeys(ids))
    found: dict[str, FlowRun | None] = {}
    for start in range(0, len(wanted), PAGE_SIZE):
        some = wanted[start : start + PAGE_SIZE]
        filters = {"id": {"any_": some}}
        runs = await prefect.flow_runs({"flow_runs": filters}, limit=len(some), sort="ID_DESC")
        found.update((run.id, run) for run in runs)
    for id_ in [id_ for id_ in wanted if id_ not in found][:CONFIRMED_A_LOOK]:
        try:
            found[id_] = await prefect.flow_run(id_)
        except NotFound:
            found[id_] = None
    return found


async def count_tasks(prefect: PrefectClient, run_ids: Sequence[str]) -> Tasks:
    """How far these runs are, together. Raises NotFound where the server does not count by state."""
    counts = await prefect.task_runs_by_state({"flow_runs": {"id": {"any_": list(run_ids)}}})
    failed = sum(counts.get(state, 0) for state in BAD)
    return Tasks(counts.get("COMPLETED", 0), failed, sum(counts.values()))


def as_found(run: WatchedRun, found: Mapping[str, FlowRun | None], at: datetime) -> WatchedRun:
    """The run as it is now; as it was where that is not known."""
    if run.is_over or run.id not in found:
        return run
    row = found[run.id]
    return seen(row) if row else missing(run, at)


def next_look(watch: Watch, at: datetime) -> datetime:
    """When the first of its runs may have changed."""
    return min((_next_look(run, at) for run in watch.open_runs), default=at)


def _next_look(run: WatchedRun, at: datetime) -> datetime:
    if run.due and run.not_started and run.due - AHEAD_BY > at + LOOK_EVERY:
        return min(run.due - AHEAD_BY, at + AHEAD_EVERY)
    still = timedelta(seconds=run.in_state(at))
    if still >= STILL_AFTER:
        return at + STILL_EVERY
    return at + (QUIET_EVERY if still >= QUIET_AFTER else LOOK_EVERY)


def is_given_up(watch: Watch, at: datetime) -> bool:
    """A day after it should have started nobody is waiting for it here any more."""
    dues = [run.due for run in watch.open_runs if run.not_started and run.due]
    return at > max([watch.began, *dues]) + GIVE_UP_AFTER


def trouble(watch: Watch, at: datetime) -> tuple[Notice, WatchedRun] | None:
    """What somebody has to be told about a run that has not ended, and has not been told yet."""
    for run in watch.open_runs:
        kind = _trouble(watch, run, at)
        if kind and kind not in watch.told:
            return kind, run
    return None


def _trouble(watch: Watch, run: WatchedRun, at: datetime) -> Notice | None:
    in_state = timedelta(seconds=run.in_state(at))
    if run.state_type == "CANCELLING":
        return "stopping" if in_state >= STOPPING_AFTER else None
    if watch.action == CANCEL:
        return None
    if run.state_type == "PAUSED":
        return "paused"
    if run.state_type == "PENDING":
        return "pending" if in_state >= PENDING_AFTER else None
    # A run that is tried again was due long ago; what counts is for how long somebody has waited here.
    waited = min(timedelta(seconds=run.overdue(at)), at - watch.began)
    return "late" if waited >= LATE_AFTER else None
