"""Fixtures for all tests, and an environment that leads nowhere."""

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.database import database_url, engine, postgres, replica
from tests.house import app_for, guide_index, home, model
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to, is_foreign, prefect_server
from tools.prefect_client import PrefectClient

__all__ = ["app_for", "database_url", "engine", "guide_index", "home", "model", "postgres", "replica"]

# No test may reach a server of whoever runs it; nothing above reads the environment when imported.
for name in [name for name in os.environ if is_foreign(name)]:
    del os.environ[name]


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API URL of one real Prefect server for the whole test run; name what you create uniquely."""
    with prefect_server(tmp_path_factory.mktemp("prefect-server")) as url:
        yield url


@pytest.fixture
async def prefect(prefect_url: str) -> AsyncIterator[PrefectClient]:
    async with PrefectClient(connection_to(prefect_url)) as client:
        yield client


@pytest.fixture
async def seed(prefect_url: str) -> AsyncIterator[Seed]:
    """Creates what a test needs on the server."""
    async with httpx.AsyncClient(base_url=f"{prefect_url}/", timeout=70) as http:
        yield Seed(http)
