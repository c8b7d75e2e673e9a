"""`ask-marvin demo`: a real Prefect server, the knowledge base and a conversation, with nothing configured.

With no terminal on stdin it plays a tour instead, and exits 0 only when every step of it went well.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from rich.console import Console

from bot.app import App, build, make_library
from bot.demo.server import DemoPrefect
from bot.events import Answer
from bot.indexing.receipt import in_words
from bot.indexing.reindex import Reindexer, open_or_build
from bot.settings import Settings
from bot.terminal import Terminal
from knowledge.errors import ExpectedError, Unreachable
from knowledge.report import BuildReport
from knowledge.sources.config import load_sources

# The whole documentation is fetched beside the tour; a site that is slow to answer is left for `reindex`.
DOCS_WITHIN_S = 60.0
WORKER_WITHIN_S = 60.0
RUN_WITHIN_S = 120.0
POLL_S = 1.0

QUESTIONS = (
    "What is prefect and what does it do?",
    "explain the difference between a worker, workpool, and agent in prefect.",
    'what is a workpool of type "prefect-agent" and how is it different from the other types?',
    "please explain the different options for infrastructure and where the flow code is being run?",
)
DEPLOYMENT = "daily-report/analytics"
FAILING = "load-orders/nightly"
WITHOUT_WORKER = "export-invoices/on-kubernetes"
HINTS = (
    f"Try: What is a work pool?   pools   why late   why {FAILING}   timeline {DEPLOYMENT}   help",
    f"     run {DEPLOYMENT} day=2026-11-20 limit=5   pause {FAILING}",
    "Leave with Ctrl-D.",
)

_console = Console(highlight=False)


async def demo(_options: argparse.Namespace, settings: Settings, _environ: dict[str, str]) -> int:
    """Start everything, then talk, or play the tour. Ctrl-C leaves no process behind."""
    ours = _demo_settings(settings)
    async with AsyncExitStack() as stack:
        prefect = await _start(stack, settings, ours)
        app = await stack.enter_async_context(build(ours, {"PREFECT_API_URL": prefect.api_url}))
        terminal = Terminal(app, f"local:{secrets.token_hex(8)}")
        await terminal.open_index()
        await stack.enter_async_context(_docs_beside(app))
        tour = Tour(app, terminal)
        if not sys.stdin.isatty():
            return await tour.play()
        await tour.worker_online()
        _say(f"Prefect's UI: {prefect.ui_url}", *HINTS)
        await terminal.chat()
    return 0


def _demo_settings(settings: Settings) -> Settings:
    """A data folder of its own, and nothing of the caller's servers but the model."""
    without = {"database_url": None, "chroma_url": None, "policy": None, "sources": None}
    return settings.model_copy(update={**without, "home": settings.home / "demo"})


async def _start(stack: AsyncExitStack, settings: Settings, ours: Settings) -> DemoPrefect:
    """Start Prefect, and beside it build the field guide's index where there is none yet."""
    ours.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    prefect = DemoPrefect(settings.home, _say)
    indexing = asyncio.create_task(_first_index(ours))
    try:
        await stack.enter_async_context(prefect)
        await indexing
    finally:
        indexing.cancel()
    return prefect


async def _first_index(settings: Settings) -> None:
    library = make_library(settings)
    try:
        async for step in open_or_build(library, Reindexer(settings)):
            if isinstance(step, BuildReport):
                _say(in_words(step))
    finally:
        library.close()


@asynccontextmanager
async def _docs_beside(app: App) -> AsyncIterator[None]:
    """Fetch the documentation's site meanwhile; without a network the field guide has to do."""
    fetching = asyncio.create_task(_fetch_docs(app))
    try:
        yield
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)


async def _fetch_docs(app: App) -> None:
    site = next(source.name for source in load_sources(None) if source.kind == "website")
    steps = app.reindexer.run(site)
    try:
        # The first step comes once the site has answered; after that it may take its time.
        async with asyncio.timeout(DOCS_WITHIN_S):
            await anext(steps)
        async for step in steps:
            if isinstance(step, BuildReport) and not all(source.ok for source in step.sources):
                raise Unreachable(in_words(step))
            if isinstance(step, BuildReport) and step.swapped:
                await asyncio.to_thread(app.library.refresh)
                _say(f"The documentation is indexed as well. {in_words(step)}")
    except (ExpectedError, TimeoutError, StopAsyncIteration):
        _say("The documentation's site does not answer; the field guide answers alone.")
    finally:
        await steps.aclose()


class Tour:
    """Shows the main jobs one after another, on the real server."""

    def __init__(self, app: App, terminal: Terminal) -> None:
        self._app = app
        self._terminal = terminal
        self._has_model = app.model is not None

    async def play(self) -> int:
        """Raises when a step does not do what it shows."""
        for question in QUESTIONS:
            answer = await self._step(question)
            if not answer.citations:
                raise ExpectedError(f"There was no cited answer to: {question}", "See the log.")
        await self.worker_online()
        await self._step("pools")
        await self._worked_out(f"Where does the code of {DEPLOYMENT} run?", "explain_infrastructure")
        await self._trigger()
        await self._worked_out(f"Why has {WITHOUT_WORKER} not started?", "diagnose_flow_run")
        await self._failed()
        await self._worked_out(f"Why did the last run of {FAILING} fail?", "diagnose_flow_run")
        _say("That was the tour. Start `ask-marvin demo` in a terminal to ask for yourself.")
        return 0

    async def worker_online(self) -> None:
        """The worker starts while the questions are answered; the pools are worth showing with it."""
        until = time.monotonic() + WORKER_WITHIN_S
        while time.monotonic() < until:
            outcome = await self._app.toolbox.call("list_work_pools", {})
            if outcome.ok and any(pool.get("online_workers") for pool in outcome.data["work_pools"]):
                return
            await asyncio.sleep(POLL_S)
        raise Unreachable(
            f"The demo's worker did not come up within {WORKER_WITHIN_S:.0f} s.", "See its log."
        )

    async def _step(self, text: str) -> Answer:
        _console.rule(align="left")
        _console.print(f"you › {text}\n", markup=False, style="bold", soft_wrap=True)
        return await self._terminal.answer(text)

    async def _worked_out(self, question: str, tool: str) -> None:
        """A question about something that is there, answered by a tool."""
        answer = await self._step(question)
        if not any(call.ok and (call.name == tool or self._has_model) for call in answer.tool_calls):
            raise ExpectedError(f"{tool} did not answer: {question}", "See the log.")

    async def _failed(self) -> None:
        """The run that fails was there first, but its worker takes one after the other."""
        wanted = {"deployment": FAILING, "states": ["FAILED"]}
        until = time.monotonic() + RUN_WITHIN_S
        while time.monotonic() < until:
            outcome = await self._app.toolbox.call("list_flow_runs", wanted)
            if outcome.ok and outcome.data["flow_runs"]:
                return
            await asyncio.sleep(POLL_S)
        raise Unreachable(
            f"{FAILING} did not run within {RUN_WITHIN_S:.0f} s.", "Its worker may be overloaded."
        )

    async def _trigger(self) -> None:
        """Propose a run, confirm its card as the local admin, and follow it to its end."""
        day = datetime.now(UTC).date() - timedelta(days=1)
        answer = await self._step(f"run {DEPLOYMENT} day={day} region=us limit=3")
        for card in answer.cards:
            receipt = await self._terminal.decide(card, confirm=True)
            runs = await self._terminal.follow(card, receipt) if receipt else ()
            if any(run.state_type != "COMPLETED" for run in runs):
                raise ExpectedError("The run did not complete.", "See above.")
            if runs:
                return
        raise ExpectedError("The run was not started.", "See above.")


def _say(*lines: str) -> None:
    for line in lines:
        _console.print(line, markup=False, soft_wrap=True, style="dim")
