"""Follows what was begun in a terminal, in the foreground; Ctrl-C ends the following and not the run."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rich.console import Console
from rich.markup import escape

from bot.follow.followup import LOGS_ARE_LATE_S, Explained, explained
from bot.follow.run_words import BAD, counted, state_in_words
from bot.follow.watch import CANCEL, as_found, count_tasks, current_runs, trouble
from bot.follow.watch_table import Notice, Watch, WatchedRun
from bot.interrupts import interrupts
from bot.store import now
from bot.workspaces import Workspace
from knowledge.errors import ExpectedError
from tools.errors import NotFound
from tools.redact import redact

EVERY_S = 2.0
# Longer than most runs; whoever waits longer has a browser.
WITHIN = timedelta(minutes=10)


class Foreground:
    """Prints each state that the runs come to, and in between keeps one line current."""

    def __init__(
        self,
        workspace: Workspace,
        say: Callable[[str], None],
        console: Console,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._workspace = workspace
        self._say = say
        self._console = console
        self._every_s = every_s
        self._clock = clock

    async def follow(self, action: str, run_ids: tuple[str, ...]) -> tuple[WatchedRun, ...]:
        """The runs as they were at their end, or when the time or the person's patience was over."""
        runs = tuple(WatchedRun(id_) for id_ in run_ids)
        watch = Watch("", "", self._workspace.name, action, self._clock(), runs)
        with interrupts() as stopped, self._console.status("following…") as live:
            while not watch.is_over and not stopped.is_set() and self._clock() - watch.began < WITHIN:
                watch = await self._step(watch, live.update)
                await self._pause(watch, stopped)
        await self._tell_end(watch)
        return watch.runs

    async def _step(self, watch: Watch, show: Callable[[str], None]) -> Watch:
        try:
            looked = await self._look(watch)
            for run, before in zip(looked.runs, watch.runs, strict=True):
                if (run.state_name, run.state_type) != (before.state_name, before.state_type):
                    self._say(f"  {run.name or run.id}: {self._news(run)}")
            show(escape(one_line(await self._live_line(looked))))
        except ExpectedError as error:
            show(escape(one_line(f"{error.message} Trying again.")))
            return watch
        found = trouble(looked, self._clock())
        return await self._warned(looked, *found) if found else looked

    def _news(self, run: WatchedRun) -> str:
        """For how long it is going on the live line tells."""
        is_settled = run.is_over or run.not_started
        return state_in_words(run, self._clock()) if is_settled else run.state_name

    async def _look(self, watch: Watch) -> Watch:
        found = await current_runs(self._workspace.prefect, [run.id for run in watch.open_runs])
        runs = tuple(as_found(run, found, self._clock()) for run in watch.runs)
        return replace(watch, runs=runs)

    async def _live_line(self, watch: Watch) -> str:
        if len(watch.runs) > 1:
            return counted(watch.runs)
        run = watch.runs[0]
        told = await self._tasks(run) if run.state_type == "RUNNING" else ""
        return f"{run.name}: {state_in_words(run, self._clock())}{told}"

    async def _tasks(self, run: WatchedRun) -> str:
        try:
            tasks = await count_tasks(self._workspace.prefect, [run.id])
        except NotFound:
            return ""
        return f" · {tasks}" if tasks.all else ""

    async def _warned(self, watch: Watch, kind: Notice, run: WatchedRun) -> Watch:
        self._tell(run, await self._explained(kind, [run]))
        return replace(watch, told=watch.told | {kind})

    async def _pause(self, watch: Watch, stopped: asyncio.Event) -> None:
        """Once more after the end as well: the last log lines are late, and the diagnosis reads them."""
        late = LOGS_ARE_LATE_S if any(run.state_type in BAD for run in watch.runs) else 0.0
        try:
            async with asyncio.timeout(late if watch.is_over else self._every_s):
                await stopped.wait()
        except TimeoutError:
            return

    async def _tell_end(self, watch: Watch) -> None:
        if watch.open_runs:
            self._say(f"  Not followed any longer: {counted(watch.open_runs)}. It goes on in Prefect.")
        bad = [run for run in watch.runs if run.state_type in (*BAD, "CANCELLED")]
        if bad and watch.action != CANCEL:
            self._tell(bad[0], await self._explained("end", bad))

    async def _explained(self, kind: Notice, runs: list[WatchedRun]) -> Explained:
        try:
            return await explained(self._workspace, kind, runs)
        except ExpectedError as error:
            return Explained((redact(error.message),))

    def _tell(self, run: WatchedRun, told: Explained) -> None:
        self._say(f"  {run.name}: {' '.join(told.lines)}")
        if told.fix:
            self._say(f"  To mend it: {told.fix}")
        for offer in told.offers:
            self._say(f"  → {offer.command}  ({offer.label})")


def one_line(text: str) -> str:
    """Names of other people with nothing that could move the cursor."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def as_wanted(action: str, runs: Sequence[WatchedRun]) -> bool:
    """Whether all have ended as whoever confirmed the action meant them to."""
    wanted = ("CANCELLED",) if action == CANCEL else ("COMPLETED",)
    return all(run.state_type in wanted for run in runs)
