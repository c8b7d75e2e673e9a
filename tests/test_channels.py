"""What a channel is for, as the whole bot keeps to it: commands, the model's tools, and cards."""

from pathlib import Path

import pytest

from bot.app import App
from bot.events import Answer, Done
from bot.people import Person
from bot.question import Question
from tests.fakes.model import FakeModel, Say
from tests.house import AppFactory, model_variables

ANN = Person(id="U1ANN", team="T1")
POLICY = """
[roles]
admin = ["U1ANN", "U01ADMIN"]
viewer = ["*"]

[channels]
C0DOCS = "docs"
C0LOOK = "look"
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    return file


async def said(app: App, text: str, channel: str) -> Answer:
    events = [event async for event in app.agent.answer(Question(text, ANN, "T1:C:1", channel))]
    assert isinstance(events[-1], Done)
    return events[-1].answer


async def test_in_a_channel_for_docs_an_admins_commands_show_nothing_of_the_workspace(
    app_for: AppFactory, policy: Path
) -> None:
    async with app_for(ASK_MARVIN_POLICY=str(policy)) as app:
        for command in ("pools", "status", "reindex", "audit"):
            answer = await said(app, command, "C0DOCS")
            assert "docs alone" in answer.text
            assert (answer.tool_calls, answer.cards) == ((), ())
        assert "not connected to a Prefect server" in (await said(app, "pools", "C0LOOK")).text
        assert "docs" in (await said(app, "whoami", "C0DOCS")).text


async def test_in_a_channel_for_docs_the_model_has_the_tools_for_docs_alone(
    app_for: AppFactory, policy: Path, model: FakeModel
) -> None:
    model.replies = [Say(calls=[("list_work_pools", "{}")]), Say("I may not look."), Say("Here I may.")]
    async with app_for(ASK_MARVIN_POLICY=str(policy), **model_variables(model)) as app:
        await said(app, "show me our pools please", "C0DOCS")
        assert "documentation only" in model.last_messages[-1]["content"]
        await said(app, "show me our pools please", "C0LOOK")
    there, _, here = ({tool["function"]["name"] for tool in request["tools"]} for request in model.requests)
    assert there == {"search_docs", "read_page"}
    assert "list_work_pools" in here


async def test_in_a_channel_for_looking_nobody_gets_a_card(app_for: AppFactory, policy: Path) -> None:
    async with app_for(ASK_MARVIN_POLICY=str(policy)) as app:
        refused = await said(app, "reindex", "C0LOOK")
        assert "nothing is changed" in refused.text
        assert refused.cards == ()
        assert len((await said(app, "reindex", "C0ELSE")).cards) == 1
