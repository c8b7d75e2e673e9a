"""What a policy consists of: roles, rules, and what a channel is for. Pure: no file, no words for people."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase

from bot.people import Person
from bot.question import Place
from tools.proposal import Affected

EVERYBODY = "*"
"""In `who` every full member of the Slack workspace; elsewhere anything of its kind."""
DIRECT = "direct"
"""Stands for every direct conversation with the bot where a channel is named."""


class Role(IntEnum):
    """Each role may do all that the ones below it may."""

    DOCS_ONLY = 0
    """Answers from the documentation; nothing of the Prefect workspace."""
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


ROLE_NAMES: Mapping[str, Role] = {role.label: role for role in (Role.ADMIN, Role.OPERATOR, Role.VIEWER)}

ROLE_FOR_ACTION: Mapping[str, Role] = {
    "trigger_run": Role.OPERATOR,
    "retry_run": Role.OPERATOR,
    "cancel_runs": Role.OPERATOR,
    "pause_deployment": Role.OPERATOR,
    "resume_deployment": Role.OPERATOR,
    "set_schedule_active": Role.OPERATOR,
    "pause_work_pool": Role.OPERATOR,
    "resume_work_pool": Role.OPERATOR,
    "reindex_knowledge": Role.ADMIN,
    "rollback_knowledge": Role.ADMIN,
}


KNOWLEDGE_ACTIONS = frozenset(action for action, role in ROLE_FOR_ACTION.items() if role is Role.ADMIN)
"""They change what all workspaces share."""


class Level(IntEnum):
    """What a channel is for; nobody may do more there, whatever their role."""

    DOCS = 0
    LOOK = 1
    ACT = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows some people some actions on some things in some places; an empty filter means any."""

    who: tuple[str, ...]
    """Ids of users and groups, names of roles, or `*`."""
    actions: tuple[str, ...]
    """Names of tools, or `*`: every action on a workspace, none on the knowledge base."""
    workspaces: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    """Channel ids, or `direct`."""
    tags: tuple[str, ...] = ()
    """Patterns, as in the next two; one of the deployment's tags has to fit one of them."""
    deployments: tuple[str, ...] = ()
    work_pools: tuple[str, ...] = ()

    def names(self, person: Person, role: Role) -> bool:
        """Whether the rule is for the person, who has that role."""
        if person.id in self.who:
            return True
        if person.is_outsider:
            return False
        if EVERYBODY in self.who or not person.groups.isdisjoint(self.who):
            return True
        return any(role >= ROLE_NAMES[name] for name in self.who if name in ROLE_NAMES)

    def holds_in(self, place: Place) -> bool:
        if self.workspaces and place.workspace not in self.workspaces:
            return False
        if place.is_direct and DIRECT in self.channels:
            return True
        return not self.channels or place.channel in self.channels

    def covers(self, action: str, thing: Affected) -> bool:
        """Whether it allows that action on that thing."""
        everything = EVERYBODY in self.actions and ROLE_FOR_ACTION.get(action) is Role.OPERATOR
        return (
            (everything or action in self.actions)
            and _fits(self.deployments, (thing.deployment,))
            and _fits(self.work_pools, (thing.work_pool,))
            and _fits(self.tags, thing.tags)
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a policy says. Without members there is no file: the Slack workspace's own admins act."""

    members: Mapping[Role, frozenset[str]] | None = None
    rules: tuple[Rule, ...] = ()
    channels: Mapping[str, Level] = field(default_factory=dict)
    """By channel id; `*` is any other channel, `direct` the direct conversations."""

    @property
    def groups(self) -> frozenset[str]:
        """The Slack user groups that are named; only their members need looking up."""
        named: set[str] = {name for rule in self.rules for name in rule.who}
        named = named.union(*(self.members or {}).values())
        return frozenset(name for name in named if name.startswith("S"))

    def role(self, person: Person) -> Role:
        """The highest role that the person has."""
        if person.is_local:
            return Role.ADMIN
        if self.members is None:
            return _role_without_file(person)
        for role in ROLE_NAMES.values():
            if _is_member(person, self.members.get(role, frozenset())):
                return role
        return Role.DOCS_ONLY

    def level(self, person: Person, place: Place) -> Level:
        """What the place is for; the terminal is for everything."""
        if person.is_local:
            return Level.ACT
        if place.is_direct:
            return self.channels.get(DIRECT, Level.ACT)
        return self.channels.get(place.channel, self.channels.get(EVERYBODY, Level.ACT))

    def of(self, person: Person, place: Place) -> tuple[Rule, ...]:
        """The rules that let the person do something there."""
        role = self.role(person)
        return tuple(rule for rule in self.rules if rule.names(person, role) and rule.holds_in(place))

    def decides(self, person: Person) -> bool:
        """Whether rules say what the person may do, rather than their role alone."""
        is_admin = self.role(person) is Role.ADMIN and not person.is_outsider
        return bool(self.rules) and not is_admin

    def denied(
        self, person: Person, action: str, things: Sequence[Affected], place: Place
    ) -> tuple[Affected, ...]:
        """Those of the things that the person may not do it to, by role and rules; the level is not asked."""
        if self.decides(person):
            allowing = self.of(person, place)
            return tuple(t for t in things if not any(rule.covers(action, t) for rule in allowing))
        enough = self.role(person) >= ROLE_FOR_ACTION.get(action, Role.ADMIN)
        return () if enough else tuple(things)


def _fits(patterns: Sequence[str], names: Collection[str]) -> bool:
    """Whether a name fits a pattern, or there is no pattern; `*` is any text, `?` any character."""
    return not patterns or any(name and fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _role_without_file(person: Person) -> Role:
    if person.is_outsider:
        return Role.DOCS_ONLY
    return Role.ADMIN if person.is_workspace_admin else Role.VIEWER


def _is_member(person: Person, names: frozenset[str]) -> bool:
    if person.id in names:
        return True
    return not person.is_outsider and (EVERYBODY in names or not person.groups.isdisjoint(names))
