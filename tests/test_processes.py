"""Whole processes, as they are started and ended in production."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.model import FakeModel, Say
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import CHANNEL
from tests.house import model_variables
from tests.prefect_server import is_foreign

pytestmark = pytest.mark.slow

WITHIN = 60.0


def environment(home: Path, **variables: str) -> dict[str, str]:
    machine = {name: value for name, value in os.environ.items() if not is_foreign(name)}
    return {**machine, "ASK_MARVIN_HOME": str(home), "HOME": str(home.parent), **variables}


@asynccontextmanager
async def serving(
    slack: FakeSlack, home: Path, **variables: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`ask-marvin serve` in a process of its own, ended at the latest here."""
    slack_variables = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "ASK_MARVIN_PORT": "0",
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "serve"),
        env=environment(home, **slack_variables, **variables),
        cwd=home.parent,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await slack.connected(timeout=WITHIN)
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_a_server_that_is_killed_in_an_answer_answers_once_after_its_start(
    slack: FakeSlack, home: Path, model: FakeModel
) -> None:
    # The request of the killed server takes a reply as well, when nobody is left to read it.
    model.script = lambda _body: Say("A work pool is a bridge [1].")
    never = model.hold()
    async with serving(slack, home, **model_variables(model)) as child:
        post = slack.mention("what is a workpool?")
        for copy in post:
            await slack.deliver(copy, timeout=WITHIN)
        await asyncio.wait_for(model.asked.wait(), WITHIN)
        child.kill()
        await child.wait()
    never.set()
    async with serving(slack, home, **model_variables(model)) as child:
        await slack.until(lambda: "bridge" in slack.thread(CHANNEL, post.ts).text, timeout=WITHIN)
        await slack.deliver(post.envelopes[0], retry=1, timeout=WITHIN)
        other = slack.mention("help")
        await slack.deliver(other.envelopes[0], timeout=WITHIN)
        await slack.until(lambda: slack.thread(CHANNEL, other.ts).bot, timeout=WITHIN)
        child.terminate()
        assert await asyncio.wait_for(child.wait(), WITHIN) == 0
    assert slack.thread(CHANNEL, post.ts).text.count("bridge") == 1


async def test_a_server_that_is_told_to_stop_finishes_its_answer(
    slack: FakeSlack, home: Path, model: FakeModel
) -> None:
    model.replies = [Say("A work pool is a bridge [1].")]
    held = model.hold()
    async with serving(slack, home, **model_variables(model)) as child:
        post = slack.mention("what is a workpool?")
        await slack.deliver(post.envelopes[0], timeout=WITHIN)
        await asyncio.wait_for(model.asked.wait(), WITHIN)
        child.send_signal(signal.SIGTERM)
        held.set()
        assert await asyncio.wait_for(child.wait(), WITHIN) == 0
    assert slack.thread(CHANNEL, post.ts).text.count("bridge") == 1


@pytest.mark.timeout(400)
def test_the_demo_plays_its_tour_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=380,
        cwd=tmp_path,
        env=environment(
            tmp_path / "home", COLUMNS="200", PREFECT_API_URL="http://production.example.com/api"
        ),
    )
    assert done.returncode == 0, done.stderr
    assert "production.example.com" not in done.stdout
    for shown in (
        "local-process",
        "a subprocess of the worker",
        "Start a run of daily-report/analytics",
        "Completed",
    ):
        assert shown in done.stdout
