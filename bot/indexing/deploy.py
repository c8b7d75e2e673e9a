"""`ask-marvin reindex --deploy`: the reindex as a Prefect deployment, for the workers of the user's own pool.

What the deployment holds can be read by everybody who sees it in Prefect, so no secret goes into it. A worker
takes secrets from its own environment, or from Secret blocks that are named here and read when a run starts.
"""

import argparse
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel
from rich.console import Console

from bot.cli import print_json
from bot.settings import Settings
from knowledge.errors import BadInput
from knowledge.sources.config import SHORTEST_EVERY, SourceConfig, interval, load_sources
from tools.connection import resolve_connection
from tools.errors import NotFound
from tools.models import Deployment, WorkPool
from tools.prefect_client import PrefectClient

FLOW = "ask-marvin-reindex"
# A module path, so that the code is the installed package, wherever it is.
ENTRYPOINT = "bot.indexing.flow.reindex"
BLOCK = "ask-marvin-{}"
CREATE = "Create it: prefect work-pool create {} --type process"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PARAMETERS: dict[str, Any] = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "source": {"title": "source", "type": "string", "description": "Only this source; else all."},
        "full": {"title": "full", "type": "boolean", "default": False},
        "force": {"title": "force", "type": "boolean", "default": False},
        "sources_toml": {"title": "sources_toml", "type": "string", "default": ""},
    },
}


class Deployed(BaseModel):
    """What was made, and what is still to be done for it to run."""

    deployment: str
    url: str
    work_pool: str
    schedule: str
    entrypoint: str = ENTRYPOINT
    variables: dict[str, str]
    """Given to each run: values, or the Secret blocks that they are read from."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is to be deployed, as far as it can be told without Prefect."""

    settings: Settings
    sources: tuple[SourceConfig, ...]
    """Those that a run reads."""
    only: str | None
    schedule: dict[str, Any] | None

    @property
    def name(self) -> str:
        return self.only or "all"


async def deploy(options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    """Create the deployment, or bring it up to date, and say what was made.

    Raises:
        BadInput: there is no Chroma server, no Prefect server, no such source, pool or schedule.
        ExpectedError: Prefect cannot be reached or refuses.
    """
    plan = make_plan(options, settings)
    async with PrefectClient(resolve_connection(environ, Path.home())) as prefect:
        pool = await _pool(prefect, options.pool)
        made = await _put(prefect, plan, pool, options.image)
    if options.json:
        print_json(made.model_dump(mode="json"))
    else:
        _show(made)
    return 0


def make_plan(options: argparse.Namespace, settings: Settings) -> Plan:
    """Check what was asked for."""
    if settings.chroma_url is None:
        raise BadInput(
            "A worker cannot write the index in the data folder of this machine.",
            "Set CHROMA_URL to a Chroma server that the bot and the workers share, then deploy again.",
        )
    sources = load_sources(settings.sources, github_token=settings.github_token)
    wanted = tuple(source for source in sources if options.source in (None, source.name))
    if not wanted:
        names = ", ".join(source.name for source in sources)
        raise BadInput(f"There is no source called {options.source!r}.", f"The sources are: {names}.")
    return Plan(settings, wanted, options.source, _schedule(options, wanted))


def _schedule(options: argparse.Namespace, sources: Sequence[SourceConfig]) -> dict[str, Any] | None:
    """As Prefect has it; without a word about it as often as the most frequent source wants."""
    if options.cron:
        return {"cron": options.cron, "timezone": "UTC"}
    try:
        every = interval(options.every) if options.every else None
    except ValueError as error:
        raise BadInput(f"--every {error}.", "Or say when by --cron '0 5 * * *'.") from None
    if every is not None and every < SHORTEST_EVERY:
        raise BadInput("--every has to be 5m at least.", "A reindex takes minutes, and sites want peace.")
    every = every or min((source.every for source in sources if source.every), default=None)
    return {"interval": every.total_seconds()} if every else None


async def _pool(prefect: PrefectClient, name: str | None) -> WorkPool:
    pools = await prefect.work_pools()
    usable = [pool for pool in pools if pool.type != "prefect-agent"]
    names = ", ".join(pool.name for pool in usable)
    if name is None and len(usable) == 1:
        return usable[0]
    if name is None and usable:
        raise BadInput(f"{len(usable)} work pools could run it.", f"Say which: --pool NAME, of {names}.")
    if name is None:
        raise BadInput("There is no work pool that could run it.", CREATE.format("NAME"))
    try:
        pool = await prefect.work_pool(name)
    except NotFound:
        fix = f"There are: {names}." if names else CREATE.format(name)
        raise BadInput(f"There is no work pool called {name!r}.", fix) from None
    if pool.type == "prefect-agent":
        raise BadInput(f"No worker takes runs from {name!r}, which is of the legacy type prefect-agent.")
    return pool


async def _put(prefect: PrefectClient, plan: Plan, pool: WorkPool, image: str | None) -> Deployed:
    variables, missing = await _variables(prefect, plan)
    job_variables = {"env": variables, **_image(pool, image)}
    flow = await prefect.put_flow(FLOW)
    try:
        made = await prefect.put_deployment(
            {**_body(plan), "flow_id": flow.id, "work_pool_name": pool.name, "job_variables": job_variables}
        )
    except BadInput as error:
        if plan.schedule and "cron string" in error.message:
            raise BadInput(
                f"Prefect does not understand --cron {plan.schedule['cron']!r}.",
                "It has five fields: minute, hour, day, month, day of the week; such as '0 5 * * *'.",
            ) from error
        raise
    return Deployed(
        deployment=f"{FLOW}/{plan.name}",
        url=prefect.links.deployment(made.id),
        work_pool=pool.name,
        schedule=_in_words(made),
        variables=variables,
        notes=tuple(_notes(plan, pool, missing)),
    )


def _body(plan: Plan) -> dict[str, Any]:
    """What a deployment of the plan is on any work pool."""
    source = {"source": plan.only} if plan.only else {}
    return {
        "name": plan.name,
        "entrypoint": ENTRYPOINT,
        "pull_steps": [],
        "description": "Brings the knowledge base of ask-marvin up to date.",
        "version": version("ask-marvin"),
        "tags": ["ask-marvin"],
        "parameters": {"sources_toml": sources_text(plan.settings), **source},
        "parameter_openapi_schema": PARAMETERS,
        "enforce_parameter_schema": True,
        "schedules": [{"active": True, "schedule": plan.schedule}] if plan.schedule else [],
        # The index has one builder at a time; what comes meanwhile would only wait for it.
        "concurrency_limit": 1,
        "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
    }


async def _variables(prefect: PrefectClient, plan: Plan) -> tuple[dict[str, str], list[str]]:
    """The environment of a run, and the secrets that have to be in the worker's own."""
    variables = dict(_plain(plan.settings))
    missing = []
    for name in _secrets(plan):
        block = BLOCK.format(name.lower().replace("_", "-"))
        if await prefect.has_block("secret", block):
            variables[name] = f"{{{{ prefect.blocks.secret.{block} }}}}"
        else:
            missing.append(name)
    return variables, missing


def _plain(settings: Settings) -> dict[str, str]:
    """What the index has to be built with to fit this bot; nothing secret."""
    chosen: dict[str, str] = {"ASK_MARVIN_EMBEDDER": settings.embedder}
    if settings.embedder == "openai":
        chosen["ASK_MARVIN_EMBEDDING_MODEL"] = settings.embedding_model
        if settings.openai_base_url and not _has_credentials(settings.openai_base_url):
            chosen["OPENAI_BASE_URL"] = settings.openai_base_url
    if settings.chroma_url and not _has_credentials(settings.chroma_url):
        chosen["CHROMA_URL"] = settings.chroma_url
    return chosen


def _secrets(plan: Plan) -> list[str]:
    settings = plan.settings
    needed = {
        "CHROMA_URL": _has_credentials(settings.chroma_url or ""),
        "GITHUB_TOKEN": any(source.token for source in plan.sources),
        "OPENAI_API_KEY": settings.embedder == "openai" and settings.openai_api_key is not None,
        "OPENAI_BASE_URL": settings.embedder == "openai" and _has_credentials(settings.openai_base_url or ""),
    }
    return [name for name, is_needed in needed.items() if is_needed]


def _has_credentials(url: str) -> bool:
    parts = urlsplit(url)
    return "@" in parts.netloc or bool(parts.query)


def sources_text(settings: Settings) -> str:
    """The sources.toml for a worker, with folders as absolute paths; empty when there is none here.

    The set of golden questions is left out: its file is on this machine.
    """
    if settings.sources is None:
        return ""
    document = tomllib.loads(settings.sources.read_text(encoding="utf-8"))
    document.pop("golden", None)
    folders = {source.name: source.path for source in load_sources(settings.sources)}
    lines = [_line(key, value) for key, value in document.items() if key != "source"]
    for table in document.get("source", []):
        given = {**table, **({"path": str(folders[table["name"]])} if "path" in table else {})}
        lines += ["", "[[source]]", *(_line(key, value) for key, value in given.items())]
    return "\n".join(lines).strip() + "\n"


def _line(key: str, value: Any) -> str:
    """Of texts, numbers, booleans and lists of them, JSON is TOML as well."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _image(pool: WorkPool, image: str | None) -> dict[str, str]:
    """The image for pools that run one; Prefect's own does not hold this package."""
    known = pool.base_job_template.get("variables", {}).get("properties", {}).get("image")
    if image:
        if known is None:
            raise BadInput(f"Work pool {pool.name!r} ({pool.type}) runs no images.", "Leave out --image.")
        return {"image": image}
    if known is not None and str(known.get("default") or "prefecthq/").startswith("prefecthq/"):
        raise BadInput(
            f"Work pool {pool.name!r} ({pool.type}) runs images, and Prefect's own has no ask-marvin in it.",
            'Build one with `pip install "ask-marvin[demo]"` in it, and give it by --image NAME.',
        )
    return {}


def _notes(plan: Plan, pool: WorkPool, missing: Sequence[str]) -> list[str]:
    notes = [f"A worker has to look after the pool: prefect worker start --pool {pool.name}"]
    if "image" not in pool.base_job_template.get("variables", {}).get("properties", {}):
        notes.append("Where the worker runs, ask-marvin and Prefect have to be installed together.")
    notes += [
        f"{name} has to be set where the worker runs, or kept in a Secret block called "
        f"{BLOCK.format(name.lower().replace('_', '-'))!r}; deploy again once there is one."
        for name in missing
    ]
    if urlsplit(plan.settings.chroma_url or "").hostname in LOOPBACK:
        notes.append("CHROMA_URL is an address of this machine, so only a worker on it reaches the index.")
    folders = [f"{source.name} ({source.path})" for source in plan.sources if source.kind == "files"]
    if folders:
        notes.append(
            f"These sources are folders, which have to be where the worker runs: {', '.join(folders)}."
        )
    if plan.schedule is None:
        notes.append("It has no schedule: give one by --every 6h or --cron '0 5 * * *'.")
    return notes


def _in_words(deployment: Deployment) -> str:
    if not deployment.schedules:
        return ""
    schedule = deployment.schedules[0].schedule
    if "cron" in schedule:
        return f"cron {schedule['cron']} ({schedule.get('timezone') or 'UTC'})"
    minutes = int(schedule["interval"]) // 60
    whole = [(1440, "d"), (60, "h"), (1, "m")]
    size, unit = next((size, unit) for size, unit in whole if minutes % size == 0)
    return f"every {minutes // size}{unit}"


def _show(made: Deployed) -> None:
    console = Console(highlight=False)
    lines = [
        f"Deployed {made.deployment} to work pool {made.work_pool}.",
        f"  {made.url}",
        f"  Schedule: {made.schedule or 'none'}",
        *(f"  {name}={value}" for name, value in made.variables.items()),
        *(f"• {note}" for note in made.notes),
    ]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
