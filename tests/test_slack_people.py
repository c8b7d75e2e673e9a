"""Who somebody is comes from Slack alone, and what is not known counts against them."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.people import Person
from bot.slack.incoming import CONFIRM, from_action, from_command, from_event
from bot.slack.listeners import COMMAND
from bot.slack.people import People
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import (
    ADA,
    ADMIN,
    BOT_USER,
    CHANNEL,
    GUEST,
    OTHER_TEAM,
    OWNER,
    STRANGER,
    TEAM,
    Message,
)

OPS = "S01OPS"
GRID = "E1GRID"


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as slack:
        slack.add_group(OPS, ADA, GUEST, STRANGER)
        slack.add_group("S02OTHER", ADA)
        yield slack


def people(slack: FakeSlack) -> People:
    return People(slack.client(retry_handlers=[]), groups=lambda: {OPS}, clock=slack.now)


async def test_a_member_has_a_name_a_time_zone_and_the_groups_that_matter(slack: FakeSlack) -> None:
    person = await people(slack).get(ADA, team=TEAM)
    assert person == Person(ADA, TEAM, name="Ada", timezone="Europe/Lisbon", groups=frozenset({OPS}))


@pytest.mark.parametrize("user", [ADMIN, OWNER])
async def test_admins_and_owners_are_told_apart(slack: FakeSlack, user: str) -> None:
    assert (await people(slack).get(user, team=TEAM)).is_workspace_admin


@pytest.mark.parametrize("flag", ["is_restricted", "is_ultra_restricted", "deleted"])
async def test_guests_and_people_who_left_are_guests_without_groups(slack: FakeSlack, flag: str) -> None:
    slack.add_person("U02NEW", "Marvin's brain", is_admin=True, **{flag: True})
    slack.groups[OPS].append("U02NEW")
    person = await people(slack).get("U02NEW", team=TEAM)
    assert (person.is_guest, person.is_workspace_admin, person.groups) == (True, False, frozenset())


async def test_somebody_of_another_workspace_is_external_without_groups(slack: FakeSlack) -> None:
    person = await people(slack).get(STRANGER, team=TEAM, user_team=OTHER_TEAM, shared=True)
    assert (person.is_external, person.groups) == (True, frozenset())


async def test_an_admin_of_another_workspace_is_no_admin_here(slack: FakeSlack) -> None:
    slack.add_person("U02BOSS", "Boss", team_id=OTHER_TEAM, is_admin=True, is_owner=True)
    person = await people(slack).get("U02BOSS", team=TEAM)
    assert (person.is_external, person.is_workspace_admin) == (True, False)


async def test_the_events_own_word_for_another_workspace_counts(slack: FakeSlack) -> None:
    assert (await people(slack).get(ADA, team=TEAM, user_team=OTHER_TEAM)).is_external


async def test_other_workspaces_of_the_same_organisation_are_not_outside(slack: FakeSlack) -> None:
    grid = {"enterprise_id": "E1GRID", "teams": [TEAM, "T03SISTER"]}
    slack.add_person("W01GRID", "Grid", team_id="T03SISTER", enterprise_user=grid)
    for own in ("T03SISTER", "E1GRID"):
        assert not (await people(slack).get("W01GRID", team=TEAM, user_team=own)).is_external


@pytest.mark.parametrize(("user", "is_external"), [(ADA, False), (STRANGER, True)])
async def test_who_is_of_another_workspace_is_seen_when_the_envelope_names_that_one(
    slack: FakeSlack, user: str, is_external: bool
) -> None:
    body = slack.post("hello", user=user).envelopes[0].payload | {"team_id": OTHER_TEAM}
    delivery = from_event(body, BOT_USER)
    assert delivery
    assert delivery.payload["team"] == TEAM
    assert (await people(slack).of(delivery.payload)).is_external is is_external


async def test_slack_is_asked_once_in_five_minutes(slack: FakeSlack) -> None:
    known = people(slack)
    for _ in range(3):
        await known.get(ADA, team=TEAM)
    assert len(slack.called("users.info", "usergroups.users.list")) == 2
    slack.groups[OPS].remove(ADA)
    slack.skip(301)
    assert (await known.get(ADA, team=TEAM)).groups == frozenset()


async def test_only_groups_that_the_policy_names_are_asked_about(slack: FakeSlack) -> None:
    await people(slack).get(ADA, team=TEAM)
    assert [call.args["usergroup"] for call in slack.called("usergroups.users.list")] == [OPS]
    slack.calls.clear()
    await People(slack.client()).get(ADA, team=TEAM)
    assert slack.called("usergroups.users.list") == []


@pytest.mark.parametrize("error", ["missing_scope", "user_not_visible", "ratelimited", "fatal_error"])
async def test_somebody_whom_slack_does_not_show_is_a_guest(
    slack: FakeSlack, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail("users.info", error, times=None)
    known = people(slack)
    with caplog.at_level(logging.WARNING):
        person = await known.get(ADMIN, team=TEAM, shared=True)
        await known.get(ADA, team=TEAM)
    assert person == Person(ADMIN, TEAM, is_guest=True, is_external=True)
    assert [record.getMessage().count(error) for record in caplog.records] == [1]


async def test_a_group_that_cannot_be_read_gives_nobody_anything(
    slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail("usergroups.users.list", "plan_upgrade_required", times=2)
    known = people(slack)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert (await known.get(ADA, team=TEAM)).groups == frozenset()
        slack.skip(31)
        assert (await known.get(ADA, team=TEAM)).groups == frozenset()
    assert len(slack.called("usergroups.users.list")) == 2
    assert len(caplog.records) == 1
    slack.skip(31)
    assert (await known.get(ADA, team=TEAM)).groups == {OPS}


async def test_a_broken_connection_makes_a_guest_for_half_a_minute(slack: FakeSlack) -> None:
    slack.fail("users.info", "", status=0, times=2)  # aiohttp sends a GET again by itself
    known = people(slack)
    assert (await known.get(ADMIN, team=TEAM)).is_guest
    slack.skip(31)
    assert (await known.get(ADMIN, team=TEAM)).is_workspace_admin


# -- an app that a whole organisation has installed


@pytest.fixture
async def grid(slack: FakeSlack) -> FakeSlack:
    slack.organisation = GRID
    people: tuple[tuple[str, list[str], dict[str, Any]], ...] = (
        ("W01ANN", [TEAM, "T03SISTER"], {}),
        ("W02BOSS", ["T03SISTER"], {"is_admin": True}),
    )
    for user, teams, ranks in people:
        facts = {"enterprise_id": GRID, "teams": teams, **ranks}
        slack.add_person(user, user, team_id=teams[-1], enterprise_user=facts, is_admin=True)
    slack.groups[OPS].append("W01ANN")
    return slack


async def test_in_an_organisation_a_press_leads_to_the_same_place_as_what_was_said(grid: FakeSlack) -> None:
    post = grid.mention("run etl", user="W01ANN")
    said = from_event(post.envelopes[0].payload, BOT_USER)
    buttons = {"type": "actions", "elements": [{"type": "button", "action_id": CONFIRM, "value": "card-1"}]}
    card = grid.put(Message(grid.next_ts(), CHANNEL, BOT_USER, blocks=[buttons], thread_ts=post.ts))
    pressed = from_action(grid.press(card, CONFIRM, user="W01ANN").payload)
    typed = from_command(grid.slash(COMMAND, "pools", user="W01ANN").payload)
    assert said
    assert pressed
    assert {each.payload["team"] for each in (said, pressed, typed)} == {GRID}
    known = people(grid)
    for each in (said, pressed, typed):
        person = await known.of(each.payload)
        assert (person.team, person.is_outsider, person.groups) == (GRID, False, frozenset({OPS}))


async def test_in_an_organisation_its_own_admins_are_admins_and_those_of_one_workspace_are_not(
    grid: FakeSlack,
) -> None:
    known = people(grid)
    assert not (await known.get("W01ANN", team=GRID)).is_workspace_admin
    assert (await known.get("W02BOSS", team=GRID)).is_workspace_admin


async def test_in_an_organisation_user_groups_are_asked_for_in_the_persons_own_workspaces(
    grid: FakeSlack,
) -> None:
    await people(grid).get("W02BOSS", team=GRID)
    assert {call.args["team_id"] for call in grid.called("usergroups.users.list")} == {"T03SISTER"}


async def test_somebody_who_is_not_of_the_organisation_is_external(grid: FakeSlack) -> None:
    assert (await people(grid).get(STRANGER, team=GRID, user_team=OTHER_TEAM)).is_external
    assert (await people(grid).get(ADA, team=GRID)).is_external


def test_a_press_that_names_no_workspace_at_all_leads_to_no_card() -> None:
    body = {
        "user": {"id": ADA},
        "team": None,
        "is_enterprise_install": False,
        "actions": [{"action_id": CONFIRM, "value": "card-1"}],
    }
    pressed = from_action(body)
    assert pressed
    assert pressed.payload["team"] == ""
