"""What a policy says to people: why something is refused and who could do it, what somebody may do."""

from collections.abc import Iterable, Sequence

from bot.people import Person
from bot.policy.rules import (
    DIRECT,
    EVERYBODY,
    KNOWLEDGE_ACTIONS,
    ROLE_FOR_ACTION,
    ROLE_NAMES,
    Level,
    Role,
    Rule,
    Rules,
)
from bot.question import Place
from knowledge.errors import Refused
from tools.proposal import Affected

# More names than this in one sentence are not read.
MAX_NAMED = 5

# What people do, to be followed by the names of things.
DEEDS = {
    "trigger_run": "start runs of",
    "retry_run": "retry runs of",
    "cancel_runs": "cancel runs of",
    "pause_deployment": "pause",
    "resume_deployment": "resume",
    "set_schedule_active": "switch schedules of",
    # A pool is paused for all deployments that use it.
    "pause_work_pool": "pause the work of",
    "resume_work_pool": "resume the work of",
    "reindex_knowledge": "reindex the knowledge base",
    "rollback_knowledge": "roll back the knowledge base",
}
CHANGE_POLICY = "An admin can change the policy."


def wrong_place(level: Level, place: Place) -> Refused:
    """Somebody wants more than the channel is for."""
    where = "In direct messages" if place.is_direct else "In this channel"
    fix = "Ask in a channel that is meant for it" + ("." if place.is_direct else ", or in a direct message.")
    if level is Level.DOCS:
        return Refused(f"{where} I answer from the docs alone; the policy keeps the workspace out.", fix)
    return Refused(f"{where} nothing is changed; the policy lets people only look.", fix)


def may_not_look() -> Refused:
    return Refused(
        "You may have answers from the docs, but not look at the Prefect workspace.",
        "An admin can give you a role in the policy.",
    )


def lacks_role(rules: Rules, person: Person, action: str) -> Refused:
    """There are no rules, and the role is too low."""
    needed = ROLE_FOR_ACTION.get(action, Role.ADMIN)
    members = rules.members or {}
    could = sorted({name for role, names in members.items() if role >= needed for name in names})
    fix = (
        f"{_people(could)} could do it."
        if could
        else "An admin can change the policy, or press the button for you."
    )
    return Refused(f"That needs the role {needed.label}, and you are {rules.role(person).label}.", fix)


def not_allowed(
    rules: Rules, person: Person, action: str, *, denied: Sequence[Affected], of: int, place: Place
) -> Refused:
    """No rule lets the person do it to `denied`, which are some or all of the `of` things concerned."""
    what = _deed(action, denied) + (
        f" ({len(denied)} of the {of} that this is about)" if len(denied) < of else ""
    )
    able = [rule for rule in rules.rules if all(rule.covers(action, thing) for thing in denied)]
    here = [rule for rule in able if rule.holds_in(place)]
    mine = [rule for rule in able if rule.names(person, rules.role(person))]
    if here:
        return Refused(f"Only {_who(here)} may {what}.", "Ask one of them.")
    if mine:
        return Refused(f"You may {what} only {_elsewhere(mine)}.", "Ask there.")
    if able:
        return Refused(f"Only {_who(able)} may {what}, and only {_elsewhere(able)}.", "Ask one of them.")
    admins = sorted((rules.members or {}).get(Role.ADMIN, ()))
    fix = f"Ask {_people(admins)}." if admins else CHANGE_POLICY
    return Refused(f"No rule of the policy lets anybody but admins {what}.", fix)


def rights(rules: Rules, person: Person, place: Place, *, look: bool) -> str:
    """What somebody may do in a place, in Markdown."""
    role, level = rules.role(person), rules.level(person, place)
    you = f"You are `{person.id}`, role **{role.label}**"
    if not look:
        where = "here " if level is Level.DOCS else ""
        return f"{you}: {where}you may have answers from the docs, and confirm nothing that changes anything."
    sees = f"{you}: you may ask, look at the workspace"
    if level < Level.ACT:
        return f"{sees}, and change nothing here."
    if not rules.decides(person):
        actions = [action for action, needed in ROLE_FOR_ACTION.items() if role >= needed]
        return f"{sees} and confirm {_codes(actions) or 'nothing that changes anything'}."
    lines = [_line(rule) for rule in rules.of(person, place)]
    elsewhere = [rule for rule in rules.rules if rule.names(person, role) and not rule.holds_in(place)]
    more = f"\n\nMore is allowed to you {_elsewhere(elsewhere)}." if elsewhere else ""
    if not lines:
        return (
            f"{sees} and confirm nothing that changes anything: no rule of the policy is for you here.{more}"
        )
    return "\n".join([f"{sees} and confirm here:", "", *lines]) + more


def summary(rules: Rules) -> str:
    """The whole policy in one line."""
    if rules.members is None:
        return "no file: workspace admins and owners act, members look, guests get answers from the docs"
    counts = ", ".join(f"{name}: {_count(rules.members[role])}" for name, role in ROLE_NAMES.items())
    if rules.rules:
        number = len(rules.rules)
        acts = f"{number} rule{'s' if number > 1 else ''}: who is no admin changes only what a rule allows"
    else:
        acts = "no rules: operators may do every action on a workspace, admins all"
    if EVERYBODY not in rules.members[Role.VIEWER]:
        acts += "; who is not named gets answers from the docs alone"
    names = (f"{channel} {level.name.lower()}" for channel, level in rules.channels.items())
    return f"{counts}; {acts}" + (f"; channels: {', '.join(names)}" if rules.channels else "")


def _deed(action: str, things: Sequence[Affected]) -> str:
    deed = DEEDS.get(action, f"do {action} to")
    if action in KNOWLEDGE_ACTIONS:
        return deed
    names = list(dict.fromkeys(_thing(thing) for thing in things))
    if len(things) == 1:
        return f"{deed} {names[0]}{_seen(things[0])}"
    return f"{deed} {_listed(names)}"


def _thing(thing: Affected) -> str:
    if thing.deployment:
        return thing.deployment
    return f"the work pool {thing.work_pool}" if thing.work_pool else "what has no deployment"


def _seen(thing: Affected) -> str:
    """What rules look at beside the name; without it nobody could tell why none holds."""
    seen = [f"tagged {', '.join(thing.tags)}"] if thing.tags else []
    seen += [f"work pool {thing.work_pool}"] if thing.deployment and thing.work_pool else []
    return f" ({'; '.join(seen)})" if seen else ""


def _line(rule: Rule) -> str:
    limits = [
        f"{words} {_codes(patterns)}"
        for words, patterns in (
            ("deployments", rule.deployments),
            ("tags", rule.tags),
            ("work pools", rule.work_pools),
        )
        if patterns
    ]
    actions = "every action on a workspace" if EVERYBODY in rule.actions else ""
    named = _codes(name for name in rule.actions if name != EVERYBODY)
    return f"- {', '.join(filter(None, (actions, named)))}" + (f": {'; '.join(limits)}" if limits else "")


def _who(rules: Iterable[Rule]) -> str:
    return _people(list(dict.fromkeys(name for rule in rules for name in rule.who)))


def _people(names: Sequence[str]) -> str:
    """Ids as they are, which notify nobody; roles and everybody in words."""
    words = {EVERYBODY: "full members", **{name: f"{name}s" for name in ROLE_NAMES}}
    return _listed([words.get(name, name) for name in names])


def _elsewhere(rules: Iterable[Rule]) -> str:
    """Where rules hold that do not hold here: `in C0OPS`, `in the workspace prod`."""
    return " or ".join(dict.fromkeys(_where(rule) for rule in rules))


def _where(rule: Rule) -> str:
    channels = ["direct messages" if channel == DIRECT else channel for channel in rule.channels]
    parts = [f"in {_listed(channels)}"] if channels else []
    parts += [f"in the workspace {_listed(rule.workspaces)}"] if rule.workspaces else []
    return ", ".join(parts)


def _listed(names: Sequence[str]) -> str:
    *before, last = (
        names if len(names) <= MAX_NAMED else (*names[:MAX_NAMED], f"{len(names) - MAX_NAMED} more")
    )
    return f"{', '.join(before)} and {last}" if before else last


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _count(names: frozenset[str]) -> str:
    return "every member" if EVERYBODY in names else str(len(names))
