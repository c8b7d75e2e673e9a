"""Databases for tests: a SQLite file, and a real PostgreSQL server where its programs are found.

The server is started once, when the first test asks for it, listens on loopback alone and is stopped at the
end. `initdb` refuses root, who therefore borrows another user of the machine for it. Where it cannot be
had, the tests that need it are skipped and say why.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import open_store, sqlite_url
from bot.demo.server import free_port
from bot.store import audit, metadata

USER, PASSWORD = "marvin", "brain-the-size-of-a-planet"
BORROWED_USERS = ("postgres", "nobody")
START_TIMEOUT_S = 60
# Nothing here has to survive a power cut.
SERVER_OPTIONS = (
    "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c full_page_writes=off"
)


class NoPostgresError(Exception):
    """Says why there is no server."""


@dataclass(frozen=True)
class Postgres:
    """A running server; the password is asked for, as on a real one."""

    port: int

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    async def execute(self, statement: str, *, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def truncate(self, tables: Iterable[str]) -> bool:
        """Empties the tables; False when they are not all there."""
        try:
            await self.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
        except asyncpg.UndefinedTableError:
            return False
        return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The one server of the session."""
    folder = Path(tempfile.mkdtemp(prefix="ask-marvin-postgres-"))
    cluster = _Cluster(folder)
    try:
        server = cluster.start()
    except NoPostgresError as reason:
        shutil.rmtree(folder)
        pytest.skip(f"no PostgreSQL: {reason}")
    try:
        yield server
    finally:
        cluster.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the first start leaves it; made once, and only copied."""
    file = tmp_path_factory.mktemp("database") / "marvin.sqlite3"
    asyncio.run(_set_up(sqlite_url(file)))
    return file


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_file: Path) -> str:
    """The address of an empty database, on SQLite and on PostgreSQL in turn; for `engine` it has its tables."""
    is_set_up = "engine" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "marvin.sqlite3"
        if is_set_up:
            shutil.copy(sqlite_file, file)
        return sqlite_url(file)
    server: Postgres = request.getfixturevalue("postgres")
    # As empty as a new database, and ten times as fast.
    if not (is_set_up and await server.truncate(metadata.tables)):
        await server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return server.url("postgres")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A database with its tables."""
    async with open_store(database_url) as opened:
        yield opened


@pytest.fixture
async def replica(engine: AsyncEngine, database_url: str) -> AsyncIterator[AsyncEngine]:
    """A second engine on the same database, as another process has it."""
    async with open_store(database_url) as opened:
        yield opened


class _Cluster:
    """One data folder and the programs that run it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._owner = _owner()

    def start(self) -> Postgres:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._owner:
            for path in (self._folder, password):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        access = ("--auth=scram-sha-256", f"--pwfile={password}", "-U", USER)
        self._run("initdb", "-D", self._data, *access, "--encoding=UTF8", "--locale=C", "--no-sync")
        port = free_port()
        log = self._folder / "log"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", log, "-o", f"-p {port} {SERVER_OPTIONS}")
        return Postgres(port)

    def stop(self) -> None:
        """Ends the process whose id stands in the data folder."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self._data)

    def _run(self, program: str, *arguments: str | Path) -> None:
        try:
            ended = subprocess.run(
                [_program(program), *arguments],
                # No pipes: the server would inherit them and keep them open.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                env={"PATH": os.environ["PATH"]},
                timeout=START_TIMEOUT_S,
                check=False,
                user=self._owner.pw_uid if self._owner else None,
                group=self._owner.pw_gid if self._owner else None,
                extra_groups=[] if self._owner else None,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoPostgresError(f"{program} cannot be run ({type(error).__name__})") from error
        if ended.returncode:
            raise NoPostgresError(f"{program} ended with {ended.returncode}")


async def decisions(engine: AsyncEngine, card_id: str = "") -> list[tuple[str, str]]:
    """Who decided what, about a card or at all, in the order of the audit table."""
    query = select(audit.c.user_id, audit.c.decision).order_by(audit.c.id)
    if card_id:
        query = query.where(audit.c.card_id == card_id)
    async with engine.connect() as connection:
        return [(row.user_id, row.decision) for row in await connection.execute(query)]


async def _set_up(database_url: str) -> None:
    async with open_store(database_url):
        pass


def _program(name: str) -> Path:
    """The newest one installed; Debian keeps them off the PATH."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    installed = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(installed, key=lambda path: float(path.parts[4]), default=None)
    if newest is None:
        raise NoPostgresError(f"{name} is neither on the PATH nor in /usr/lib/postgresql")
    return newest


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as when the tests run as root; None for the present user."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next((known[name] for name in BORROWED_USERS if name in known), None)
