"""The composition root: everything is built here, once, and closed in reverse order.

Only the command line and the tests import this module. Building does no network I/O but for the database;
the index is opened by `open_index`, so that a server can connect to Slack first.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.agent import Agent
from bot.audit.trail import Audit
from bot.cards.book import CardBook
from bot.cards.edits import CardEdits
from bot.cards.performer import Performer
from bot.commands import Commands
from bot.database import open_store, sqlite_url
from bot.follow.lease import Lease
from bot.follow.watch_table import WatchTable
from bot.inbox import Inbox
from bot.indexing.embedding import embedder
from bot.indexing.reindex import Reindexer, Step, open_or_build
from bot.memory import Memory
from bot.people import Person, local_person
from bot.pictures import Pictures
from bot.policy.policy import Policy
from bot.prompt import Prompt
from bot.sentences.topics import Topics
from bot.settings import Settings
from bot.tokens import TokenCounter
from bot.workspaces import Workspace, WorkspaceConfig, Workspaces, load_workspaces
from knowledge.abstention import load_threshold
from knowledge.library import Library
from knowledge.sources.config import SourceConfig, load_sources
from tools.catalog import build_toolbox
from tools.prefect_client import PrefectClient
from tools.toolbox import Toolbox

if TYPE_CHECKING:
    from bot.llm import Model

log = logging.getLogger(__name__)

DATABASE_FILE = "ask-marvin.sqlite3"
FONT_CACHE = "matplotlib"
FOLLOWING = "follow runs"


@dataclass(frozen=True, slots=True)
class App:
    """What the surfaces use; all of it lives as long as `build` is open."""

    settings: Settings
    workspaces: Workspaces
    library: Library
    agent: Agent
    cards: CardBook
    edits: CardEdits
    watches: WatchTable
    following: Lease
    """Held by the replica that follows runs for all."""
    inbox: Inbox
    memory: Memory
    topics: Topics
    policy: Policy
    reindexer: Reindexer
    model: "Model | None"
    sources: tuple[SourceConfig, ...]
    local: Person
    """Whoever sits at this machine, for the terminal."""

    @property
    def toolbox(self) -> Toolbox:
        """The tools on the default workspace; those on the docs are the same in all."""
        return self.workspaces.default.toolbox

    def open_index(self, *, rebuild: bool = False) -> AsyncIterator[Step]:
        """Open the index as `open_or_build` does; yields the steps of what is built for it."""
        return open_or_build(self.library, self.reindexer, rebuild=rebuild)


@asynccontextmanager
async def build(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[App]:
    """Build everything from the settings; `environ` is where Prefect's connection is looked up."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    sources = load_sources(settings.sources, github_token=settings.github_token)
    connections = load_workspaces(settings.workspaces, environ, Path.home())
    policy = Policy.load(settings.policy, workspaces=tuple(connections.connections))
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_store(database_url(settings)))
        library = make_library(settings)
        stack.callback(library.close)
        workspaces = await _workspaces(connections, stack, lambda it: build_toolbox(it, library, sources))
        reindexer = Reindexer(settings)
        memory = Memory(engine)
        topics = Topics(engine)
        audit = Audit(engine)
        performer = Performer(workspaces, reindexer, library)
        watches = WatchTable(engine)
        cards = CardBook(engine, policy=policy, performer=performer, audit=audit, watches=watches)
        model = await _model(settings, stack)
        commands = Commands(
            workspaces,
            policy=policy,
            audit=audit,
            memory=memory,
            library=library,
            model_name=settings.model_name,
        )
        agent = Agent(
            workspaces=workspaces,
            commands=commands,
            cards=cards,
            memory=memory,
            topics=topics,
            policy=policy,
            pictures=Pictures(settings.home / FONT_CACHE),
            prompt=Prompt(settings.persona, TokenCounter(exact=settings.openai_base_url is None)),
            model=model,
            symbols=library.symbols,
        )
        yield App(
            settings=settings,
            workspaces=workspaces,
            library=library,
            agent=agent,
            cards=cards,
            edits=CardEdits(engine, policy=policy, performer=performer, audit=audit),
            watches=watches,
            following=Lease(engine, FOLLOWING),
            inbox=Inbox(engine),
            memory=memory,
            topics=topics,
            policy=policy,
            reindexer=reindexer,
            model=model,
            sources=sources,
            local=local_person(environ),
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


async def _workspaces(
    config: WorkspaceConfig, stack: AsyncExitStack, toolbox: Callable[[PrefectClient], Toolbox]
) -> Workspaces:
    members = []
    for name, connection in config.connections.items():
        prefect = await stack.enter_async_context(PrefectClient(connection))
        members.append(Workspace(name, connection, prefect, toolbox(prefect)))
    return Workspaces(members, default=config.default, channels=config.channels)


async def _model(settings: Settings, stack: AsyncExitStack) -> "Model | None":
    if not settings.has_model:
        return None
    # Imported here: without a model nobody waits for its client, or pays 40 MB for it.
    from bot.llm import Model, connect

    client = await stack.enter_async_context(connect(settings.api_key, settings.openai_base_url))
    return Model(client, settings.model)
