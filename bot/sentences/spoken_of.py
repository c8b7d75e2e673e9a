"""From what a sentence refers back to, to the command that answers it; the answer says what was meant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.events import Offer
from bot.grammar import Command, parse
from bot.sentences.anaphora import Referred
from bot.sentences.commands_in_words import LOOKS, MAX_COMMANDS, REPEATED, commands_for
from bot.sentences.intents import Intent
from bot.sentences.meant import Meant
from bot.sentences.topic import Thing
from bot.tables import code
from bot.workspaces import Workspace
from tools.references import Reference
from tools.runs_before import run_before

VERBS = frozenset({"run", "rerun", "retry", "cancel", "pause", "resume"})
ACTS: frozenset[Intent | None] = frozenset({"cancel", "retry"})
SOME_ONLY = "**All of them, or those that were named?** The answer before named only some. Say which."
OFFERS: Mapping[Intent | None, tuple[Offer, ...]] = {
    "cancel": (Offer("Cancel all late runs", "cancel all late runs"),),
    "retry": (Offer("Retry all of the last 24 hours", "retry all failed runs in the last 24 hours"),),
}
# So many to choose from, as buttons.
MAX_CHOICES = 5
# `And the one before?` asks of it what was asked before.
_ONLY_REFERS = re.compile(
    r"[\s,]*(?:(?:and|so|ok|but|what|how|about|the|this|that|its|run|one|time|previous|before|first|second"
    r"|third|last|it)[\s,]*)+[?.!]*\s*",
    re.IGNORECASE,
)


async def spoken_of(referred: Referred, text: str, workspace: Workspace) -> Meant:
    """Raises the ExpectedError tree when Prefect cannot be asked."""
    if referred.offered:
        command = parse(referred.offered)
        return Meant((command,), f"_Meant is {code(referred.offered)}._") if command else Meant()
    if referred.one_of:
        return _which(referred, text)
    if referred.topic.is_partial and len(referred.things) > 1 and referred.intent in ACTS:
        return Meant(note=SOME_ONLY, offers=OFFERS.get(referred.intent, ()), asks_back=True)
    if referred.before:
        return await _before(referred, text, workspace)
    things = (await _with_name(referred.things[0], workspace), *referred.things[1:])
    commands = _commands(replace(referred, things=things), text)
    return Meant(commands, _which_it_was(things, commands)) if commands else Meant()


async def offered_for(referred: Referred, text: str, workspace: Workspace) -> Meant:
    """As an offer below what the docs say, where it is something to be done."""
    meant = await spoken_of(referred, text, workspace)
    commands = [command for command in meant.commands if command.name.split(" ")[0] in VERBS]
    typed = [f"{command.name} {' '.join(command.words)}".strip() for command in commands]
    name = referred.things[0].name if referred.things else referred.offered
    return Meant(
        offers=tuple(Offer(f"{words.partition(' ')[0].capitalize()} {name}", words) for words in typed)
    )


def _commands(referred: Referred, text: str) -> tuple[Command, ...]:
    intent, first = referred.intent, referred.things[0]
    if first.kind == "work queue":
        pool, _, queue = first.key.partition("/")
        acts = intent in ("pause", "resume")
        return (Command(f"{intent} queue", (pool, queue)) if acts else Command("pool", (pool,)),)
    if intent is None and referred.topic.asked in REPEATED and _ONLY_REFERS.fullmatch(text):
        return (Command(referred.topic.asked, (first.key,)),)
    named = [Reference(one.kind, one.key) for one in referred.things if one.kind != "work queue"]
    return commands_for(intent, named, text)


async def _before(referred: Referred, text: str, workspace: Workspace) -> Meant:
    run = await run_before(workspace.prefect, referred.things[0].key)
    if run is None:
        named = await _with_name(referred.things[0], workspace)
        return Meant(note=f"There is no run before {code(named.name)} in Prefect.", asks_back=True)
    earlier = Thing("flow run", run.id, run.name)
    commands = _commands(replace(referred, things=(earlier,)), text)
    return Meant(commands, f"_The run before it is {code(run.name)}._") if commands else Meant()


async def _with_name(thing: Thing, workspace: Workspace) -> Thing:
    """Of a run that was only begun the id alone is known."""
    if thing.name or thing.kind != "flow run":
        return thing
    return replace(thing, name=(await workspace.prefect.flow_run(thing.key)).name)


def _which_it_was(things: Sequence[Thing], commands: Sequence[Command]) -> str:
    if len(things) == 1:
        return f"_Meant is the {things[0].kind} {code(things[0].name)}._"
    # An order names all at once, on one card; of what is looked at each is an answer.
    shown = min(len(things), MAX_COMMANDS) if commands[0].name in LOOKS else len(things)
    some = f"the first {shown} of the {len(things)}" if shown < len(things) else f"the {len(things)}"
    return f"_Meant are {some} {things[0].kind}s of an answer above._"


def _which(referred: Referred, text: str) -> Meant:
    """Nothing is done, nor looked at, before one of them was chosen."""
    chosen = [(one, _commands(replace(referred, things=(one,)), text)) for one in referred.things]
    offers = [
        Offer(one.name or one.key, f"{commands[0].name} {' '.join(commands[0].words)}")
        for one, commands in chosen[:MAX_CHOICES]
        if commands
    ]
    kind = referred.things[0].kind
    count = len(referred.things)
    return Meant(
        note=f"**Which one?** The answer before was about {count} {kind}s. Name it, or say `the first one`.",
        offers=tuple(offers),
        asks_back=True,
    )
