"""`ask-marvin doctor`: every setting and connection in one line: what it is, or how to mend it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot import tables
from bot.app import database_url, make_library
from bot.cli import exit_status, print_json
from bot.database import open_store
from bot.llm import Model, connect
from bot.policy.policy import Policy
from bot.settings import Settings
from bot.slack.errors import CONNECTION, code_of
from bot.turns import Turn
from bot.workspaces import load_workspaces
from knowledge.errors import ExpectedError, IndexMissing, Refused, Unreachable
from knowledge.golden import load_golden
from knowledge.sources.config import load_sources
from tools.connection import PrefectConnection
from tools.prefect_client import PrefectClient

TIMEOUT_S = 20.0


class Absent(str):
    """What a check found where something optional is not set up; all is well without it."""


@dataclass(frozen=True, slots=True)
class Check:
    """`error` is None when all is well."""

    name: str
    message: str
    error: ExpectedError | None = None

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def is_set_up(self) -> bool:
        return not isinstance(self.message, Absent)

    @property
    def mark(self) -> str:
        if self.error:
            return "[red]✗[/red]"
        return "[green]✓[/green]" if self.is_set_up else "[dim]○[/dim]"

    @property
    def fix(self) -> str:
        return self.error.fix if self.error else ""


async def doctor(options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    checks = await examine(settings, environ)
    if options.json:
        print_json(
            [
                {"name": c.name, "ok": c.ok, "set_up": c.is_set_up, "message": c.message, "fix": c.fix}
                for c in checks
            ]
        )
    else:
        console = Console(highlight=False)
        for check in checks:
            console.print(f"{check.mark} [bold]{check.name}[/bold]", end=" ")
            console.print(f"{check.message} {check.fix}".strip(), markup=False, soft_wrap=True)
        if not all(check.is_set_up for check in checks):
            console.print("○ not set up: it works without", style="dim", markup=False)
    return next((exit_status(check.error) for check in checks if check.error), 0)


async def examine(settings: Settings, environ: Mapping[str, str]) -> list[Check]:
    """Look at everything at once; no check keeps another from being made."""

    async def prefect() -> str:
        return await _prefect(settings, environ)

    async def policy() -> str:
        return _policy(settings, environ)

    looks: dict[str, Callable[[], Awaitable[str]]] = {
        "data folder": lambda: _folder(settings),
        "database": lambda: _database(settings),
        "sources": lambda: _sources(settings),
        "policy": policy,
        "index": lambda: _index(settings),
        "model": lambda: _model(settings),
        "prefect": prefect,
        "slack bot token": lambda: _slack_bot(settings),
        "slack delivery": lambda: _slack_delivery(settings),
    }
    return list(await asyncio.gather(*(_check(name, look) for name, look in looks.items())))


async def _check(name: str, look: Callable[[], Awaitable[str]]) -> Check:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return Check(name, await look())
    except ExpectedError as error:
        return Check(name, error.message, error)
    except TimeoutError:
        late = Unreachable(
            f"There was no answer within {TIMEOUT_S:.0f} s.", "Check the address and the network."
        )
        return Check(name, late.message, late)


async def _folder(settings: Settings) -> str:
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = settings.home / ".doctor"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Refused(
            f"{settings.home} cannot be written ({error.strerror}).",
            "Set ASK_MARVIN_HOME to a folder of yours.",
        ) from None
    return f"{settings.home}"


async def _database(settings: Settings) -> str:
    async with open_store(database_url(settings)) as engine:
        return f"{engine.dialect.name}, tables up to date"


async def _sources(settings: Settings) -> str:
    sources = load_sources(settings.sources, github_token=settings.github_token)
    names = ", ".join(f"{source.name} ({source.kind})" for source in sources)
    return f"{names}; {len(load_golden(settings.sources))} golden questions"


def _policy(settings: Settings, environ: Mapping[str, str]) -> str:
    names = load_workspaces(settings.workspaces, environ, Path.home()).connections
    summary = Policy.load(settings.policy, workspaces=tuple(names)).summary
    return f"{settings.policy}: {summary}" if settings.policy else summary


async def _index(settings: Settings) -> str:
    library = make_library(settings)
    try:
        await asyncio.to_thread(library.open)
        return tables.index(await asyncio.to_thread(library.status))
    except IndexMissing:
        return Absent(
            "none yet: the first question builds the field guide's, `ask-marvin reindex` all sources"
        )
    finally:
        library.close()


async def _model(settings: Settings) -> str:
    if not settings.has_model:
        return Absent(
            "none: answers are quotes from the docs (set OPENAI_API_KEY or OPENAI_BASE_URL for worded ones)"
        )
    async with connect(settings.api_key, settings.openai_base_url).with_options(max_retries=0) as client:
        turn = Turn()
        async for _ in Model(client, settings.model).stream(
            [{"role": "user", "content": "Say: ok"}], [], turn
        ):
            pass
    return f"{settings.model} answers"


async def _prefect(settings: Settings, environ: Mapping[str, str]) -> str:
    config = load_workspaces(settings.workspaces, environ, Path.home())
    told = [(name, await _workspace(connection)) for name, connection in config.connections.items()]
    return told[0][1] if len(told) == 1 else "; ".join(f"{name}: {text}" for name, text in told)


async def _workspace(connection: PrefectConnection | None) -> str:
    if connection is None:
        return Absent("none configured: answers from the docs alone (set PREFECT_API_URL, or use a profile)")
    async with PrefectClient(connection) as prefect:
        version = await prefect.version()
    return (
        f"{version} at {connection.address}, from {connection.source}. {' '.join(connection.notes)}".strip()
    )


async def _slack_bot(settings: Settings) -> str:
    if settings.slack_bot_token is None:
        return Absent("none: the terminal works without (set SLACK_BOT_TOKEN to serve a workspace)")
    me = await _slack_call(
        settings, settings.slack_bot_token.get_secret_value(), "auth.test", "SLACK_BOT_TOKEN"
    )
    return f"signed in to {me.get('team')} as {me.get('user')}"


async def _slack_delivery(settings: Settings) -> str:
    if settings.slack_app_token:
        token = settings.slack_app_token.get_secret_value()
        await _slack_call(settings, token, "apps.connections.open", "SLACK_APP_TOKEN")
        return "Socket Mode"
    if settings.slack_signing_secret:
        return f"signed HTTP on port {settings.port}, path /slack/events"
    if settings.slack_bot_token:
        raise Refused(
            "Nothing is set to receive events.", "Set SLACK_APP_TOKEN, or SLACK_SIGNING_SECRET for HTTP."
        )
    return Absent("none: nothing is delivered without SLACK_BOT_TOKEN")


async def _slack_call(settings: Settings, token: str, method: str, variable: str) -> dict[str, str]:
    client = AsyncWebClient(token=token, base_url=settings.slack_api_url.rstrip("/") + "/", retry_handlers=[])
    try:
        answer = await client.api_call(method, http_verb="POST")
    except SlackApiError as error:
        raise Refused(f"Slack does not accept it ({code_of(error)}).", f"Correct {variable}.") from None
    except CONNECTION:
        raise Unreachable("Slack cannot be reached.", "Check the network and SLACK_API_URL.") from None
    return dict(answer.data) if isinstance(answer.data, dict) else {}
