"""The composition root: everything is built here, once, and closed in reverse order.

Only the command line and the tests import this module. Building does no network I/O but for the database;
the index is opened by `open_index`, so that a server can connect to Slack first.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.agent import Agent
from bot.audit import Audit
from bot.cards import CardBook
from bot.commands import Commands
from bot.embedding import embedder
from bot.inbox import Inbox
from bot.memory import Memory
from bot.performer import Performer
from bot.policy import Policy
from bot.prompt import Prompt
from bot.reindex import Reindexer, Step, open_or_build
from bot.settings import Settings
from bot.store import open_store, sqlite_url
from bot.tokens import TokenCounter
from knowledge.abstention import load_threshold
from knowledge.library import Library
from knowledge.sources.config import SourceConfig, load_sources
from tools.catalog import build_toolbox
from tools.connection import PrefectConnection, resolve_connection
from tools.prefect_client import PrefectClient
from tools.toolbox import Toolbox
from tools.trigger import typed_parameters

if TYPE_CHECKING:
    from bot.llm import Model

log = logging.getLogger(__name__)

DATABASE_FILE = "ask-marvin.sqlite3"


@dataclass(frozen=True, slots=True)
class App:
    """What the surfaces use; all of it lives as long as `build` is open."""

    settings: Settings
    connection: PrefectConnection | None
    library: Library
    toolbox: Toolbox
    agent: Agent
    cards: CardBook
    inbox: Inbox
    memory: Memory
    policy: Policy
    reindexer: Reindexer
    model: "Model | None"
    sources: tuple[SourceConfig, ...]

    def open_index(self, *, rebuild: bool = False) -> AsyncIterator[Step]:
        """Open the index as `open_or_build` does; yields the steps of what is built for it."""
        return open_or_build(self.library, self.reindexer, rebuild=rebuild)


@asynccontextmanager
async def build(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[App]:
    """Build everything from the settings; `environ` is where Prefect's connection is looked up."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    policy = Policy.load(settings.policy)
    sources = load_sources(settings.sources, github_token=settings.github_token)
    connection = resolve_connection(environ, Path.home())
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_store(database_url(settings)))
        prefect = await stack.enter_async_context(PrefectClient(connection))
        library = make_library(settings)
        stack.callback(library.close)
        toolbox = build_toolbox(prefect, library, sources)
        reindexer = Reindexer(settings)
        memory = Memory(engine)
        cards = CardBook(
            engine,
            policy=policy,
            performer=Performer(toolbox, reindexer, library),
            audit=Audit(engine),
            workspace=connection.address if connection else "",
        )
        model = await _model(settings, stack)
        commands = Commands(
            toolbox,
            policy=policy,
            memory=memory,
            library=library,
            model_name=settings.model_name,
            read_parameters=partial(typed_parameters, prefect),
        )
        agent = Agent(
            toolbox=toolbox,
            commands=commands,
            cards=cards,
            memory=memory,
            policy=policy,
            prompt=Prompt(settings.persona, TokenCounter(exact=settings.openai_base_url is None)),
            model=model,
            symbols=library.symbols,
        )
        yield App(
            settings=settings,
            connection=connection,
            library=library,
            toolbox=toolbox,
            agent=agent,
            cards=cards,
            inbox=Inbox(engine),
            memory=memory,
            policy=policy,
            reindexer=reindexer,
            model=model,
            sources=sources,
        )


def make_library(settings: Settings) -> Library:
    """The handle on the index; what it reads is opened later."""
    return Library(
        settings.index_folder,
        embedder(settings),
        chroma_url=settings.chroma_url,
        weak_below=load_threshold(settings.home),
    )


def database_url(settings: Settings) -> str:
    if settings.database_url:
        return settings.database_url.get_secret_value()
    return sqlite_url(settings.home / DATABASE_FILE)


async def _model(settings: Settings, stack: AsyncExitStack) -> "Model | None":
    if not settings.has_model:
        return None
    # Imported here: without a model nobody waits for its client, or pays 40 MB for it.
    from bot.llm import Model, connect

    client = await stack.enter_async_context(connect(settings.api_key, settings.openai_base_url))
    return Model(client, settings.model)
