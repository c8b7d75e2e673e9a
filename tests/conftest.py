"""Fixtures for all tests, and an environment that leads nowhere."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from knowledge.sources.config import SourceConfig
from tests.corpora import WordEmbedder, write_pages
from tests.database import database_url, engine, postgres, replica, sqlite_file
from tests.fakes import prefect_between
from tests.fakes.prefect_between import Between
from tests.fakes.slack import FakeSlack
from tests.house import app_for, guide_index, home, model
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to, is_foreign, prefect_server
from tests.recorded_schema import typed_schema
from tools.prefect_client import PrefectClient

__all__ = [
    "app_for",
    "database_url",
    "engine",
    "guide_index",
    "home",
    "model",
    "postgres",
    "replica",
    "sqlite_file",
    "typed_schema",
]

# No test may reach a server of whoever runs it; nothing above reads the environment when imported.
for name in [name for name in os.environ if is_foreign(name)]:
    del os.environ[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--prefect-url", help="use this running test server instead of starting one")


@pytest.fixture(scope="session")
def prefect_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API URL of one real Prefect server for the whole test run; name what you create uniquely."""
    if running := request.config.getoption("--prefect-url"):
        yield running
        return
    with prefect_server(tmp_path_factory.mktemp("prefect-server")) as url:
        yield url


@pytest.fixture
async def prefect(prefect_url: str) -> AsyncIterator[PrefectClient]:
    async with PrefectClient(connection_to(prefect_url)) as client:
        yield client


@pytest.fixture
async def between(prefect_url: str) -> AsyncIterator[Between]:
    """Stands in front of the server: counts, and is away, hangs or fails when told to."""
    async with prefect_between.between(prefect_url) as server:
        yield server


@pytest.fixture
async def seed(prefect_url: str) -> AsyncIterator[Seed]:
    """Creates what a test needs on the server."""
    # No TLS here, and reading the authorities of the world would take each test 30 ms.
    async with httpx.AsyncClient(base_url=f"{prefect_url}/", timeout=70, verify=False) as http:
        seed = Seed(http)
        yield seed
        await seed.clean()


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as slack:
        yield slack


@pytest.fixture
def words() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def docs(tmp_path: Path) -> SourceConfig:
    return write_pages(tmp_path / "docs")
