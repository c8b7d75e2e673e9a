"""Who somebody is, by Slack's own word: guest, outsider, admin, time zone, user groups.

What cannot be found out counts against the person: they get answers from the docs, and no more.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.people import Person
from bot.slack.errors import CONNECTION, code_of

log = logging.getLogger(__name__)

# Slack allows 20 looks at user groups a minute and advises to keep them for 5 to 10 minutes. This is
# also how long somebody who was made a guest, or taken out of a group, may still act.
KEPT = 300.0
# A refusal is asked about again sooner, but not at every message.
KEPT_AFTER_FAILURE = 30.0
# About 2 kB each.
PEOPLE_KEPT = 5_000
LOOKUP_SECONDS = 10.0
# Of a person in an organisation; nearly everybody is in fewer.
WORKSPACES_ASKED = 5

Facts = Mapping[str, Any]


class People:
    """Looks people up and remembers them for some minutes.

    `groups` gives the ids of the user groups that the policy names now; no other group is asked about.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        groups: Callable[[], Collection[str]] = frozenset,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._groups = groups
        self._clock = clock
        self._users: OrderedDict[tuple[str, str], tuple[float, Facts | None]] = OrderedDict()
        self._members: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}
        self._members_lock = asyncio.Lock()
        self._complained: set[str] = set()

    async def get(self, user: str, *, team: str, user_team: str = "", shared: bool = False) -> Person:
        """The person behind a Slack user id. Never fails: an unknown person is a guest.

        `team` is the workspace that the app is installed in, `user_team` the one that the event names as
        the person's own, `shared` whether it came from a channel that is shared with others.
        """
        facts = await self._facts(user, team)
        if facts is None:
            outside = shared or user_team not in ("", team)
            return Person(user, team, is_guest=True, is_external=outside)
        person = _person(facts, user, team, user_team)
        groups = self._groups()
        if person.is_outsider or not groups:
            return person
        found = await self._groups_of(user, _workspaces(facts, team), groups)
        return _person(facts, user, team, user_team, groups=found)

    async def of(self, payload: Mapping[str, Any]) -> Person:
        """The person behind an inbox item."""
        return await self.get(
            payload["user"],
            team=payload["team"],
            user_team=payload["user_team"],
            shared=payload.get("shared", False),
        )

    async def _facts(self, user: str, team: str) -> Facts | None:
        """The user object, or None when Slack does not show it."""
        key = (team, user)
        until, facts = self._users.get(key, (0.0, None))
        if self._clock() < until:
            self._users.move_to_end(key)
            return facts
        answer = await self._ask("users.info", self._client.users_info(user=user))
        facts = answer["user"] if answer is not None else None
        self._users[key] = (self._clock() + (KEPT_AFTER_FAILURE if facts is None else KEPT), facts)
        self._users.move_to_end(key)
        if len(self._users) > PEOPLE_KEPT:
            self._users.popitem(last=False)
        return facts

    async def _groups_of(self, user: str, teams: Sequence[str], groups: Collection[str]) -> frozenset[str]:
        # One at a time: several questions at once would each spend the small allowance.
        async with self._members_lock:
            return frozenset(
                [group for group in groups for team in teams if user in await self._members_of(group, team)]
            )

    async def _members_of(self, group: str, team: str) -> frozenset[str]:
        until, members = self._members.get((team, group), (0.0, frozenset()))
        if self._clock() < until:
            return members
        call = self._client.usergroups_users_list(usergroup=group, team_id=team)
        answer = await self._ask(f"usergroups.users.list {group}", call)
        members = frozenset(answer["users"]) if answer is not None else frozenset()
        kept = KEPT_AFTER_FAILURE if answer is None else KEPT
        self._members[team, group] = (self._clock() + kept, members)
        return members

    async def _ask(self, what: str, call: Awaitable[Any]) -> Any:
        """The answer, or None; each kind of refusal is logged once."""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await call
        except SlackApiError as error:
            self._complain(f"{what}: {code_of(error)}")
        except CONNECTION as error:
            self._complain(f"{what}: {type(error).__name__}")
        return None

    def _complain(self, problem: str) -> None:
        if problem not in self._complained:
            self._complained.add(problem)
            log.warning("Permissions are reduced, because Slack did not answer %s", problem)


def _workspaces(facts: Facts, team: str) -> Sequence[str]:
    """Where to ask for user groups: each belongs to a workspace, also where an organisation has the app."""
    if not _is_organisation(team):
        return (team,)
    return tuple((facts.get("enterprise_user") or {}).get("teams") or ())[:WORKSPACES_ASKED]


def _is_organisation(team: str) -> bool:
    return team.startswith("E")


def _person(
    facts: Facts, user: str, team: str, user_team: str, *, groups: frozenset[str] = frozenset()
) -> Person:
    profile = facts.get("profile") or {}
    # In an organisation of several workspaces, all of the person's count as their own.
    # Presses name the organisation itself: https://docs.slack.dev/reference/interaction-payloads.
    grid = facts.get("enterprise_user") or {}
    teams = {facts.get("team_id"), grid.get("enterprise_id"), *grid.get("teams", [])}
    outside = team not in teams or user_team not in ("", *teams) or bool(facts.get("is_stranger"))
    guest = any(facts.get(flag) for flag in ("is_restricted", "is_ultra_restricted", "deleted"))
    # Where the organisation has the app, an admin of one workspace of it is none of the others.
    ranks = grid if _is_organisation(team) else facts
    admin = any(ranks.get(flag) for flag in ("is_admin", "is_owner", "is_primary_owner"))
    return Person(
        id=user,
        team=team,
        name=profile.get("display_name") or facts.get("real_name") or facts.get("name") or "",
        timezone=facts.get("tz") or "UTC",
        groups=groups,
        is_workspace_admin=admin and not outside and not guest,
        is_guest=guest,
        is_external=outside,
    )
