"""The database: what is said about a wrong address, and that its tables are set up once, by whoever is first."""

import asyncio
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import open_store, sqlite_url
from bot.demo.server import free_port
from bot.store import metadata, now, threads, turns
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from tests.database import PASSWORD, Postgres

REPOSITORY = Path(__file__).parents[1]
SECRET = "do-not-print-me"
OPEN_ONCE = """
import asyncio, sys
from bot.database import open_store

async def main():
    async with open_store(sys.argv[1]):
        pass

print("ready", flush=True)
sys.stdin.readline()  # All processes go on together.
asyncio.run(main())
"""


async def refusal(url: str) -> ExpectedError:
    """What opening the database is refused with."""
    with pytest.raises(ExpectedError) as raised:
        async with open_store(url):
            pass
    return raised.value


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param(SECRET, id="no URL"),
        pytest.param(f"mysql://marvin:{SECRET}@127.0.0.1/marvin", id="another kind of database"),
        pytest.param(f"postgresql://marvin:{SECRET}@127.0.0.1:{SECRET}/marvin", id="a port that is none"),
        pytest.param(f"postgresql://marvin:{SECRET}@127.0.0.1/marvin?colour=blue", id="an unknown option"),
        pytest.param(f"postgresql://marvin:{SECRET}@127.0.0.1/marvin?sslmode=off", id="an unknown sslmode"),
    ],
)
async def test_an_address_that_cannot_be_right_is_refused_without_its_password(url: str) -> None:
    error = await refusal(url)
    assert isinstance(error, BadInput)
    assert "DATABASE_URL" in str(error)
    assert SECRET not in str(error)


async def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    port = free_port()
    error = await refusal(f"postgresql://marvin:{SECRET}@127.0.0.1:{port}/marvin")
    assert isinstance(error, Unreachable)
    assert f"127.0.0.1:{port}" in error.message
    assert SECRET not in str(error)


async def test_a_socket_folder_that_is_not_there_is_named() -> None:
    error = await refusal("postgresql:///marvin?host=/no/such/folder")
    assert isinstance(error, Unreachable)
    assert "/no/such/folder" in error.message


async def test_a_wrong_password_is_told_from_a_server_that_is_away(postgres: Postgres) -> None:
    error = await refusal(postgres.url("postgres", password=SECRET))
    assert isinstance(error, Refused)
    assert "password" in error.message
    assert SECRET not in str(error)


async def test_a_database_that_does_not_exist_is_named(postgres: Postgres) -> None:
    error = await refusal(postgres.url("no_such_database"))
    assert isinstance(error, BadInput)
    assert "no_such_database" in error.message
    assert PASSWORD not in str(error)


@pytest.fixture
async def powerless(postgres: Postgres) -> AsyncIterator[str]:
    """The address of a database in which the user may create nothing."""
    await postgres.execute("CREATE DATABASE locked")
    await postgres.execute(f"CREATE ROLE visitor LOGIN PASSWORD '{SECRET}'")
    await postgres.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database="locked")
    yield postgres.url("locked", user="visitor", password=SECRET)
    await postgres.execute("DROP DATABASE locked WITH (FORCE)")
    await postgres.execute("DROP ROLE visitor")


async def test_a_user_who_may_not_create_tables_is_told_to_look_at_the_rights(powerless: str) -> None:
    error = await refusal(powerless)
    assert "rights" in error.fix
    assert SECRET not in str(error)


async def test_an_address_as_hosting_services_write_it_is_understood(postgres: Postgres) -> None:
    plain = postgres.url("postgres").removeprefix("postgresql://")
    error = await refusal(f"postgres://{plain}-absent?sslmode=prefer")
    assert "There is no database" in error.message


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    error = await refusal(sqlite_url(tmp_path / "absent" / "marvin.sqlite3"))
    assert isinstance(error, Unreachable)
    assert str(tmp_path / "absent") in error.message
    assert "folder" in error.fix


async def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear diary, " * 1000)
    error = await refusal(sqlite_url(file))
    assert isinstance(error, BadInput)
    assert str(file) in error.message
    assert file.read_text().startswith("Dear diary, Dear diary")


async def test_a_database_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "marvin.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    error = await refusal(sqlite_url(file))
    assert isinstance(error, BadInput)
    assert "newer version" in error.message


async def test_the_migrations_make_exactly_the_tables_of_the_code(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await tables(engine) == {*metadata.tables, "alembic_version"}


async def test_opening_again_keeps_what_is_stored(engine: AsyncEngine, database_url: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(threads.insert().values(key="k", team="T1", updated_at=now()))
    async with open_store(database_url) as again, again.connect() as connection:
        assert (await connection.execute(select(threads.c.key))).scalars().all() == ["k"]


async def test_replicas_that_start_at_the_same_moment_set_the_tables_up_once(database_url: str) -> None:
    async def start() -> set[str]:
        async with open_store(database_url) as engine:
            return await tables(engine)

    seen = await asyncio.gather(*(start() for _ in range(6)))
    assert all(found == {*metadata.tables, "alembic_version"} for found in seen)


async def test_processes_that_start_at_the_same_moment_set_the_tables_up_once(database_url: str) -> None:
    command = [sys.executable, "-c", OPEN_ONCE, database_url]
    started = [
        await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    said = await asyncio.gather(*(process.communicate(b"go\n") for process in started))
    assert [process.returncode for process in started] == [0, 0, 0, 0], said


async def test_a_migration_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "marvin.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE turns (id INTEGER)")  # In the way of the last table.
    await refusal(sqlite_url(file))
    assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [
        ("turns",)
    ]
    connection.execute("DROP TABLE turns")
    connection.close()
    async with open_store(sqlite_url(file)) as engine:
        assert set(metadata.tables) < await tables(engine)


async def test_a_turn_needs_its_thread(engine: AsyncEngine) -> None:
    turn = {"team": "T1", "user_id": "U1", "question": "q", "answer": "a", "created_at": now()}
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(turns.insert().values(thread_id=1, **turn))


async def test_a_moment_comes_back_as_it_was_stored(engine: AsyncEngine) -> None:
    moment = now()
    async with engine.begin() as connection:
        await connection.execute(threads.insert().values(key="k", team="T1", updated_at=moment))
        stored = (await connection.execute(select(threads.c.updated_at))).scalar_one()
    assert stored == moment
    assert stored.utcoffset() == moment.utcoffset()
