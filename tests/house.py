"""The whole bot, built as the command line builds it: a real index, a real database, fakes at the wire."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bot.app import DATABASE_FILE, App, build
from bot.events import Answer, Done, Event, TextDelta
from bot.people import LOCAL, Person
from bot.question import Question
from bot.settings import Settings
from knowledge.build import build as build_index
from knowledge.embed import static_embedder
from knowledge.sources.config import FIELD_GUIDE
from tests.fakes.model import FakeModel, fake_model

AppFactory = Callable[..., AbstractAsyncContextManager[App]]


@pytest.fixture(scope="session")
def guide_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the field guide; built once, and only read."""
    folder = tmp_path_factory.mktemp("guide") / "index"
    asyncio.run(build_index(folder, [FIELD_GUIDE], static_embedder(), report=lambda _step: None))
    return folder


@pytest.fixture
def home(tmp_path: Path, guide_index: Path, sqlite_file: Path) -> Path:
    """A data folder of its own, with the field guide's index and an empty database in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "index").symlink_to(guide_index)
    shutil.copy(sqlite_file, folder / DATABASE_FILE)
    return folder


@pytest.fixture
def app_for(home: Path, tmp_path: Path) -> AppFactory:
    """Builds the app from variables as people set them."""

    @asynccontextmanager
    async def make(**variables: str) -> AsyncIterator[App]:
        # A Prefect home of its own: no profile of the person who runs the tests may be found.
        environ = {"ASK_MARVIN_HOME": str(home), "PREFECT_HOME": str(tmp_path / "prefect"), **variables}
        async with build(Settings.from_env(environ), environ) as app:
            async for _step in app.open_index():
                pass
            yield app

    return make


@pytest.fixture
async def model() -> AsyncIterator[FakeModel]:
    async with fake_model() as server:
        yield server


def model_variables(model: FakeModel) -> dict[str, str]:
    return {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": model.url, "ASK_MARVIN_MODEL": "scripted"}


async def ask(app: App, text: str, *, person: Person = LOCAL, conversation: str = "") -> Answer:
    """The answer to a question; checks on the way that the events add up to it."""
    events = await events_of(app, text, person=person, conversation=conversation)
    done = events[-1]
    assert isinstance(done, Done)
    streamed = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert streamed.strip() == done.answer.text
    return done.answer


async def events_of(app: App, text: str, *, person: Person = LOCAL, conversation: str = "") -> list[Event]:
    question = Question(text, person, conversation or f"test:{secrets.token_hex(4)}")
    return [event async for event in app.agent.answer(question)]
