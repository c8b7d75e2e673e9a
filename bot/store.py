"""The database: its tables, its engine and its migrations. SQLite by default, PostgreSQL by URL.

Who reads and writes which table: `inbox` bot/inbox.py · `threads`, `turns` bot/memory.py ·
`cards` bot/card_table.py · `audit` bot/audit.py · `watches`, `watched_runs` bot/watch_table.py ·
`leases` bot/lease.py.
"""

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import (
    JSON,
    URL,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number that no other program on the same database takes; it serialises replicas that start together.
MIGRATION_LOCK = 7_236_401
BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 10
# Longer than a replica waits for another one that is migrating.
COMMAND_TIMEOUT_S = 30

# What a query or a connection fails with while the database is away. SQLAlchemy 2.0 lets the driver's own
# errors through when connecting: https://github.com/sqlalchemy/sqlalchemy/issues/11956
DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

# The options of a PostgreSQL address that the driver understands; it takes every other one for a bug.
OPTIONS = frozenset({"ssl", "sslmode", "host", "port", "prepared_statement_cache_size"})
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite drops time zones, so they are put back when reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class PlainText(TypeDecorator[str]):
    """Text that any database takes: PostgreSQL stores no NUL, and neither stores half a surrogate pair."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return (
            value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
            if value
            else value
        )


inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("delivery_key", String(200), nullable=False, unique=True),
    Column("work_key", String(200), unique=True),
    Column("conversation", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_until", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index(None, "state", "id"),
    Index(None, "conversation", "state"),
)

threads = Table(
    "threads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("team", String(40), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False, index=True),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("thread_id", ForeignKey("threads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("team", String(40), nullable=False),
    Column("user_id", String(40), nullable=False, index=True),
    Column("question", PlainText, nullable=False),
    Column("answer", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

cards = Table(
    "cards",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("team", String(40), nullable=False),
    Column("workspace", String(200), nullable=False),
    Column("proposal", JSON, nullable=False),
    Column("asked_by", String(40), nullable=False),
    Column("conversation", String(200), nullable=False),
    Column("message_channel", String(40), nullable=False, default=""),
    Column("message_ts", String(40), nullable=False, default=""),
    Column("state", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("decided_by", String(40), nullable=False, default=""),
    Column("decided_at", UtcDateTime),
    Column("outcome", PlainText, nullable=False, default=""),
    Column("outcome_url", PlainText, nullable=False, default=""),
    Column("details", JSON),
    Column("undoes", String(40), index=True),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("revised_by", String(40)),
    Index(None, "state", "expires_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("team", String(40), nullable=False),
    Column("workspace", String(200), nullable=False),
    Column("user_id", String(40), nullable=False),
    Column("card_id", String(40), nullable=False, index=True),
    Column("action", String(40), nullable=False),
    Column("target", PlainText, nullable=False),
    Column("decision", String(20), nullable=False),
    Column("detail", PlainText, nullable=False),
    Column("channel", String(40)),
    Column("affected", PlainText),
)

watches = Table(
    "watches",
    metadata,
    Column("card_id", String(40), primary_key=True),
    Column("team", String(40), nullable=False),
    Column("workspace", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("began", UtcDateTime, nullable=False),
    Column("next_look", UtcDateTime, index=True),
    Column("told", JSON, nullable=False),
    Column("shown", String(64), nullable=False, default=""),
    Column("shown_at", UtcDateTime),
    Column("ended", String(10), nullable=False, default=""),
)

watched_runs = Table(
    "watched_runs",
    metadata,
    Column("card_id", ForeignKey("watches.card_id", ondelete="CASCADE"), primary_key=True),
    Column("run_id", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("name", PlainText, nullable=False, default=""),
    Column("state_type", String(20), nullable=False, default=""),
    Column("state_name", PlainText, nullable=False, default=""),
    Column("message", PlainText, nullable=False, default=""),
    Column("since", UtcDateTime),
    Column("due", UtcDateTime),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("attempts", Integer, nullable=False, default=0),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)


def now() -> datetime:
    return datetime.now(UTC)


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
    except (ArgumentError, ValueError):  # The second is a port that is no number.
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
        # WAL lets a reader go on beside the writer; foreign keys are off by default in SQLite. The time to
        # wait for others comes first, because switching to WAL may have to wait already.
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


async def _set_up(engine: AsyncEngine) -> None:
    try:
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
