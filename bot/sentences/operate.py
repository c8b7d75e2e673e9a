"""From a sentence about something in the workspace to the command that answers it, with no model.

`Why has etl/nightly not started?` is `why etl/nightly` for somebody who has not read `help`. Only what exists
in Prefect under just that name is taken for a name; every other sentence is left to the docs.
"""

import asyncio
import logging
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from bot.events import Offer
from bot.grammar import Command
from bot.sentences.anaphora import refer
from bot.sentences.bulk import bulk_order
from bot.sentences.bulk_commands import in_bulk
from bot.sentences.commands_in_words import REPEATED, commands_for, queue_in
from bot.sentences.intents import Intent, intent_of
from bot.sentences.listings import listing
from bot.sentences.meant import Meant
from bot.sentences.rarer_names import rarer_name, worker_asked_for
from bot.sentences.spoken_of import VERBS, offered_for, spoken_of
from bot.sentences.topic import Topic
from bot.tables import code
from bot.workspaces import Workspace
from knowledge.errors import ExpectedError
from tools.references import Reference, candidates, find_nearest, find_references

log = logging.getLogger(__name__)

# A question to the docs must not wait for a Prefect that hangs.
LOOK_FOR_NAMES_S = 3.0

_OWN = re.compile(r"\b(?:my|our)\b", re.IGNORECASE)
_GENERAL = re.compile(r"\b(?:runs?|flows?|deployments?|workers?|schedules?)\b", re.IGNORECASE)
_ORDERED = frozenset({"start", "cancel", "retry", "pause", "resume"})
# `How do I cancel it?` is for the docs, and below them it can be done.
_HOW_TO = r"\s*how\s+(?:(?:do|can|could|would|should)\s+(?:i|we|one|you)|to)\s+"
_HOW = re.compile(rf"{_HOW_TO}|\s*(?:should|can|could|may)\s+(?:i|we)\s+", re.IGNORECASE)
# `And etl/hourly?` asks of it what was asked before.
_AND_THIS = re.compile(r"\s*(?:and|what about|how about|same for)\b", re.IGNORECASE)
# `Why did etl-7 fail?` is about a run of that name; `why would a prefect-agent be late?` about no thing.
_WHERE_NAMES_STAND = re.compile(
    r"\b(?:(?:why|how come)\s+(?:did|is|does|has|was|hasn['’]?t|isn['’]?t|doesn['’]?t|didn['’]?t|wasn['’]?t)"
    r"|what(?:['’]?s|\s+is)\s+(?:wrong|up)\s+with|what(?:['’]?s|\s+is)\s+blocking|what\s+happened\s+(?:to|with)"
    r"|anything\s+wrong\s+with)\s+(?:(?:the|my|our|flow|run|deployment|work|pool)\s+)*"
    r"[`\"“]?([^\s`\"“”,;?!]*[A-Za-z\d][-_/][^\s`\"“”,;?!]*[\w#])",
    re.IGNORECASE,
)
LOOK_AT_THE_WORKSPACE = Offer("What is late here?", "why late")


async def understand(
    text: str, workspace: Workspace, *, topics: Sequence[Topic] = (), near: bool = True
) -> Meant:
    """The commands that answer the sentence, if it is about something that is there.

    `topics` are what the thread has spoken of, the newest first. Without `near` nothing is looked for that is
    only called nearly so, which takes three requests.
    """
    if workspace.connection is None:
        return Meant()
    if command := listing(text):
        return Meant((command,))
    if bulk := bulk_order(text):
        if not (bulk.is_bare and topics and len(topics[0].things) > 1):
            return in_bulk(bulk)
        # Below a list that is what stands in it.
        text = f"{bulk.verb} them"
    intent = intent_of(text)
    if queue := queue_in(intent, text):
        return Meant((queue,))
    try:
        # A question to the docs must not wait for a Prefect that hangs.
        async with asyncio.timeout(LOOK_FOR_NAMES_S):
            return await _looked_up(text, intent, workspace, topics, near=near)
    except TimeoutError:
        reason = f"it gave no answer within {LOOK_FOR_NAMES_S:.0f} s"
    except ExpectedError as error:
        reason = error.message.rstrip(".")
    log.info("no names were looked up: %s", reason)
    return Meant(note=f"_Nothing was looked up in Prefect: {reason}._") if intent else Meant()


async def _looked_up(
    text: str, intent: Intent | None, workspace: Workspace, topics: Sequence[Topic], *, near: bool
) -> Meant:
    found = await find_references(workspace.prefect, text)
    named = [one for one in found if _is_meant(one, text, intent)]
    if worker := await worker_asked_for(workspace.prefect, text, named):
        return Meant((worker,))
    if named:
        if intent is None and topics and topics[0].asked in REPEATED and _AND_THIS.match(text):
            return Meant((Command(topics[0].asked, (named[0].text,)),))
        if how := _how_to(named, text):
            return how
        commands = commands_for(intent, named, text)
        return Meant(commands) if commands else _not_understood(named[0])
    if rarer := await rarer_name(workspace.prefect, text):
        return Meant((rarer,))
    if referred := refer(text, topics):
        return await spoken_of(referred, text, workspace)
    # As an order it has no question mark.
    order = text[asked.end() :].rstrip(" ?") if (asked := _HOW.match(text)) else ""
    if order and (referred := refer(order, topics)):
        return await offered_for(referred, order, workspace)
    if intent is None:
        return Meant()
    return (await _nearest(text, intent, workspace) if near else None) or _unknown(text, intent)


async def _nearest(text: str, intent: Intent, workspace: Workspace) -> Meant | None:
    near = await find_nearest(workspace.prefect, text)
    if near is None:
        return None
    offers = [
        Offer(f"Did you mean {near.meant.text}?", f"{command.name} {' '.join(command.words)}")
        for command in commands_for(intent, [replace(near.meant, text=shlex.quote(near.meant.text))], text)
    ]
    said = f"_Nothing in Prefect is called {code(near.word)}; the nearest is {code(near.meant.text)}._"
    return Meant(note=said, offers=tuple(offers))


def _unknown(text: str, intent: Intent) -> Meant:
    """Somebody who asks about a run that is not there has to hear that, before what the docs say."""
    named = _WHERE_NAMES_STAND.search(text)
    name = named[1].rstrip(".") if named else ""
    if not name and intent in _ORDERED:
        name = next((word for word in candidates(text) if re.fullmatch(r"\S*[-_/\d]\S*", word)), "")
    if not name or "://" in name:
        return Meant()
    return Meant(note=f"_No run, deployment or work pool in Prefect is called {code(name)}._")


def _how_to(named: Sequence[Reference], text: str) -> Meant | None:
    """`How do I cancel etl-7?` is for the docs, and below them it can be done."""
    asked = re.match(_HOW_TO, text, re.IGNORECASE)
    order = text[asked.end() :].rstrip(" ?") if asked else ""
    intent = intent_of(order)
    if intent not in _ORDERED:
        return None
    commands = commands_for(intent, named, order)
    doing = [one for one in commands if one.name.split(" ")[0] in VERBS]
    return Meant(offers=tuple(Offer(order[:1].upper() + order[1:], _typed(one)) for one in doing))


def _typed(command: Command) -> str:
    return " ".join([command.name, *command.words])


def _not_understood(one: Reference) -> Meant:
    """Better said than done at a guess: it was to be done in another way, or at a time that is not clear."""
    note = f"_What is to be done with {code(one.text)} I do not understand; `help` lists what I can do._"
    return Meant(note=note, offers=(Offer("What it is", f"show {shlex.quote(one.text)}"),))


def offers_for(text: str) -> list[Offer]:
    """What may help somebody who asks about their own runs and names none."""
    own = _OWN.search(text)
    is_general = own and _GENERAL.search(text, own.end()) and intent_of(text) == "diagnose"
    return [LOOK_AT_THE_WORKSPACE] if is_general else []


def _is_meant(one: Reference, text: str, intent: Intent | None) -> bool:
    """A word of everyday use is a name only beside what it is a name of."""
    if re.search(r"[-_/\d#]", one.text) or re.search(rf"[`\"“]{re.escape(one.text)}", text):
        return True
    return intent is not None and (one.kind != "work pool" or " " in one.text or "pool" in text.lower())
