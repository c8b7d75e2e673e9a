"""The tables of the database that `bot.database` opens.

Who reads and writes which table: `inbox` bot/inbox.py · `threads`, `turns` bot/memory.py ·
`topics` bot/sentences/topics.py, and bot/memory.py to forget them · `cards` bot/cards/table.py ·
`audit` bot/audit/trail.py · `leases` bot/follow/lease.py ·
`watches`, `watched_runs` bot/follow/watch_table.py.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
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
)

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

topics = Table(
    "topics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation", String(200), nullable=False, index=True),
    Column("team", String(40), nullable=False),
    Column("user_id", String(40), nullable=False, index=True),
    Column("workspace", String(200), nullable=False),
    Column("about", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
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
