"""Opening the database and bringing its tables up to date. SQLite by default, PostgreSQL by URL."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number that no other program on the same database takes; it serialises replicas that start together.
MIGRATION_LOCK = 7_236_401
BUSY_TIMEOUT_MS = 10_000
WAL_RETRY_S = 0.02
CONNECT_TIMEOUT_S = 10
MAX_PORT = 65_535
# Longer than a replica waits for another one that is migrating.
COMMAND_TIMEOUT_S = 30

# What a query or a connection fails with while the database is away. SQLAlchemy 2.0 lets the driver's own
# errors through when connecting: https://github.com/sqlalchemy/sqlalchemy/issues/11956
DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

# The options of a PostgreSQL address that the driver understands; it takes every other one for a bug.
OPTIONS = frozenset({"ssl", "sslmode", "host", "port", "prepared_statement_cache_size"})
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@asynccontextmanager
async def open_store(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Connect, bring the tables up to date, and close at the end.

    Raises BadInput for a URL that is none, Unreachable when the database does not answer, Refused when
    it does not let the user in.
    """
    engine = _engine(database_url)
    try:
        await _set_up(engine)
        yield engine
    finally:
        await engine.dispose()


def sqlite_url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


def _engine(database_url: str) -> AsyncEngine:
    try:
        url = make_url(database_url)
        if url.port is not None and url.port > MAX_PORT:
            raise ValueError(url.port)
    except (ArgumentError, ValueError):  # The second is a port that is none.
        raise BadInput(
            "DATABASE_URL is not a database address.", "Use postgresql://user:password@host/name."
        ) from None
    backend = url.get_backend_name()
    if backend not in ("postgresql", "postgres", "sqlite"):
        raise BadInput(
            f"DATABASE_URL names {backend!r}, which is not supported.", "Use postgresql://… or sqlite:///…."
        )
    if backend == "sqlite":
        return _sqlite_engine(str(url.set(drivername="sqlite+aiosqlite")))
    return create_async_engine(
        _for_asyncpg(url),
        pool_pre_ping=True,
        connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S},
    )


def _for_asyncpg(url: URL) -> URL:
    """The address with `sslmode`, which hosting services put into theirs, under its name in asyncpg."""
    unknown = ", ".join(sorted(set(url.query) - OPTIONS))
    if unknown:
        raise BadInput(f"DATABASE_URL has options that are not known here: {unknown}.", "Leave them out.")
    mode = url.query.get("sslmode") or url.query.get("ssl")
    if mode not in (None, *SSL_MODES):
        raise BadInput("DATABASE_URL has an unknown sslmode.", f"Use one of {', '.join(SSL_MODES)}.")
    plain = url.difference_update_query(["sslmode"]).set(drivername="postgresql+asyncpg")
    return plain.update_query_dict({"ssl": mode}) if mode else plain


def _sqlite_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url)

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        # Foreign keys are off by default in SQLite.
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


async def _set_up(engine: AsyncEngine) -> None:
    try:
        if engine.dialect.name == "sqlite":
            await _switch_to_wal(engine)
        await _migrate(engine)
    except (DBAPIError, asyncpg.PostgresError) as error:
        raise _mendable(engine.url, getattr(error, "orig", error)) from error
    except OSError as error:
        raise _unreachable(engine.url) from error
    except CommandError as error:
        raise BadInput(
            "The database was set up by a newer version of ask-marvin.",
            "Run that version, or use another database.",
        ) from error


async def _switch_to_wal(engine: AsyncEngine) -> None:
    """Let readers go on beside the writer; the file remembers it.

    SQLite does not wait when two processes switch at the same moment, it refuses one of them at once,
    so the waiting is ours: https://sqlite.org/c3ref/busy_handler.html
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            async with engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_BUSY" or loop.time() >= end:
                raise
            await asyncio.sleep(WAL_RETRY_S)


async def _migrate(engine: AsyncEngine) -> None:
    """All or nothing, and one after the other when several processes start together."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        else:
            # The driver begins a transaction before an INSERT only, not before a CREATE TABLE.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        await _upgrade(connection)


async def _upgrade(connection: AsyncConnection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))

    def upgrade(sync_connection: Any) -> None:
        config.attributes["connection"] = sync_connection
        command.upgrade(config, "head")

    await connection.run_sync(upgrade)


def _mendable(url: URL, said: BaseException) -> ExpectedError:
    """What the database said, told by its error code, which has nothing secret in it.

    https://www.postgresql.org/docs/current/errcodes-appendix.html, https://sqlite.org/rescode.html
    """
    state = getattr(said, "sqlstate", None) or ""
    if state.startswith("28"):
        return Refused(
            f"The database at {_where(url)} refuses this user or password.", "Correct DATABASE_URL."
        )
    if state == "3D000":
        return BadInput(f"There is no database {url.database!r} at {_where(url)}.", "Create it first.")
    if getattr(said, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return BadInput(f"{url.database} is not a SQLite database, or it is damaged.", "Move it away.")
    if isinstance(said, sqlite3.OperationalError) or state[:2] in ("08", "53", "57"):
        return _unreachable(url)
    log.error("the database refused to set up its tables: %s", said)
    return ExpectedError(
        "The database refused to set up its tables.", "See the log, and check the user's rights."
    )


def _unreachable(url: URL) -> Unreachable:
    fix = "Check DATABASE_URL and that it is running."
    if url.get_backend_name() == "sqlite":
        fix = "Check that its folder exists and can be written to, and that no other process holds it."
    return Unreachable(f"The database at {_where(url)} cannot be opened.", fix)


def _where(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or "memory"
    return f"{url.host or url.query.get('host', 'localhost')}:{url.port or 5432}"
