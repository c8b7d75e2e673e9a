"""The manifest asks for what the app uses, and for nothing else."""

from collections.abc import AsyncIterator

import pytest

from bot.events import Answer, Done, Event
from bot.slack.conversation import Target
from bot.slack.manifest import manifest
from bot.slack.people import People
from bot.slack.renderer import SlackRenderer
from knowledge.errors import BadInput
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import ADA, ELSEWHERE, TEAM
from tests.serving import unplaced


def test_without_an_address_it_is_for_socket_mode() -> None:
    settings = manifest()["settings"]
    assert settings["socket_mode_enabled"] is True
    assert "request_url" not in settings["event_subscriptions"]
    assert "url" not in manifest()["features"]["slash_commands"][0]


@pytest.mark.parametrize(
    "given",
    [
        "https://marvin.example.com",
        "https://marvin.example.com/",
        "https://marvin.example.com/slack/events",
    ],
)
def test_with_an_address_everything_is_sent_there(given: str) -> None:
    url = "https://marvin.example.com/slack/events"
    made = manifest(http_url=given)
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["event_subscriptions"]["request_url"] == url
    assert made["settings"]["interactivity"]["request_url"] == url
    assert made["features"]["slash_commands"][0]["url"] == url


@pytest.mark.parametrize(
    "given", ["http://marvin.example.com", "marvin.example.com", "https://", "https://["]
)
def test_an_address_that_slack_would_not_call_is_refused(given: str) -> None:
    with pytest.raises(BadInput, match="only https"):
        manifest(http_url=given)


def test_an_agent_is_declared_only_when_asked_for() -> None:
    assert "agent_view" not in manifest()["features"]
    assert "assistant:write" not in manifest()["oauth_config"]["scopes"]["bot"]
    assert manifest(agent=True)["features"]["agent_view"]["agent_description"]
    assert "assistant:write" in manifest(agent=True)["oauth_config"]["scopes"]["bot"]


def test_people_can_write_to_the_bot_directly() -> None:
    home = manifest()["features"]["app_home"]
    assert (home["messages_tab_enabled"], home["messages_tab_read_only_enabled"]) == (True, False)


def test_texts_are_within_slacks_limits() -> None:
    made = manifest(agent=True)
    assert len(made["display_information"]["name"]) <= 35
    assert len(made["display_information"]["description"]) <= 140
    assert len(made["features"]["agent_view"]["agent_description"]) <= 300
    assert len(made["features"]["bot_user"]["display_name"]) <= 80


async def test_its_scopes_are_enough_for_all_that_is_called() -> None:
    async def events() -> AsyncIterator[Event]:
        yield Done(Answer("Sigh."))

    async with FakeSlack() as slack:
        slack.api.scopes = set(manifest()["oauth_config"]["scopes"]["bot"])
        slack.add_group("S01OPS", ADA)
        slack.fail("assistant.threads.setStatus", "channel_not_found", times=None)
        client = slack.client(retry_handlers=[])
        person = await People(client, groups=lambda: frozenset({"S01OPS"})).get(ADA, team=TEAM)
        here, elsewhere = slack.mention("hello"), slack.post("hello", channel=ELSEWHERE)
        for post in (here, elsewhere):
            target = Target(TEAM, post.channel, ADA, thread_ts=post.ts, message_ts=post.ts)
            await SlackRenderer(client, placed=unplaced).render(events(), target)
        refused = [call.method for call in slack.calls if call.error == "missing_scope"]
    assert refused == []
    assert person.groups == {"S01OPS"}
