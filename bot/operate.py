"""From a sentence about something in the workspace to the command that answers it, with no model.

`Why has etl/nightly not started?` is `why etl/nightly` for somebody who has not read `help`. Only what exists
in Prefect under just that name is taken for a name; every other sentence is left to the docs.
"""

import asyncio
import logging
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.events import Offer
from bot.grammar import Command
from bot.intents import Intent, intent_of, parameters_in, without_parameters
from bot.tables import code
from bot.workspaces import Workspace
from knowledge.errors import ExpectedError
from tools.references import Kind, Reference, find_nearest, find_references
from tools.when import time_in

log = logging.getLogger(__name__)

# The commands that only look; what they find is of use to a model as well.
LOOKS = frozenset({"why", "where", "show", "logs", "runs", "pools", "deployments"})

# A question to the docs must not wait for a Prefect that hangs.
LOOK_FOR_NAMES_S = 3.0

_SHOW = r"(?:list|show(?: me)?)(?: all| the| our| my)*"
_WHICH = r"(?:which|what)(?: of)?(?: the| our| my)?"
_HAVE = r"(?:do we have|are there|have we got|exist)(?: here)?"
_CONDITION = r"(?:paused|online|offline|up|down|ready|healthy|active|running)"
_ARE = rf"are (?:not )?{_CONDITION}"
_RUNS = r"(?:flow )?runs?"
_LATE = r"(?:late|overdue|stuck)"
_WHEN = (
    r"(?: (?:now|right now|today|tonight|lately|recently|overnight|last night|since yesterday|here"
    r"|in the workspace))?"
)
_LISTS: Sequence[tuple[Command, Sequence[str]]] = (
    (
        Command("pools"),
        (
            rf"{_SHOW} (?:(?:work[ -]?)?pools|workers)",
            rf"(?:which|what) (?:(?:work[ -]?)?pools|workers) (?:{_HAVE}|{_ARE})",
            rf"are (?:all |any )?(?:of )?(?:the |our |my )?(?:(?:work[ -]?)?pools|workers) {_CONDITION}",
        ),
    ),
    (
        Command("deployments"),
        (rf"{_SHOW} deployments", rf"(?:which|what) deployments (?:{_HAVE}|{_ARE})"),
    ),
    (
        Command("why", ("late",)),
        (
            rf"{_SHOW} {_LATE} {_RUNS}",
            rf"{_WHICH} {_RUNS} (?:are|is) {_LATE}",
            rf"{_WHICH} {_LATE} {_RUNS} {_HAVE}",
            rf"(?:are there )?(?:any )?{_LATE} {_RUNS}",
            rf"how many {_RUNS} are {_LATE}",
            rf"(?:is )?anything (?:{_LATE}|wrong|broken|waiting)",
            r"is (?:everything|all) (?:ok|okay|fine|well|healthy|good|alright|running)",
            rf"(?:is|are) (?:anything|any(?: of (?:our|my|the))? {_RUNS}) (?:{_LATE}|wrong|waiting)",
            rf"why are (?:all )?(?:of )?(?:our|the|so many) {_RUNS} (?:{_LATE}|not starting)",
            rf"what(?:['’]s| is) (?:wrong|broken|{_LATE})",
        ),
    ),
    (Command("status"), (r"what(?:['’]s| is) (?:going on|happening|up)",)),
    (
        Command("runs", ("failed",)),
        (
            rf"{_SHOW} (?:failed|failing|crashed) {_RUNS}",
            rf"{_WHICH} {_RUNS} (?:have |has )?(?:failed|crashed)",
            r"what (?:has )?(?:failed|crashed)",
            rf"(?:are there |were there )?any (?:failures|crashes|(?:failed|crashed) {_RUNS})",
            rf"(?:did|has|have) (?:anything|any {_RUNS}) (?:fail|crash)(?:ed)?",
        ),
    ),
    (
        Command("runs", ("running",)),
        (rf"{_SHOW} running {_RUNS}", rf"{_WHICH} {_RUNS} are running", r"what(?:['’]s| is) running"),
    ),
    (
        Command("runs"),
        (
            rf"{_SHOW} (?:latest |last |recent )?{_RUNS}",
            rf"{_WHICH} {_RUNS} (?:have )?ran",
            r"what (?:has )?r[au]n",
        ),
    ),
)
_LISTING = tuple(
    (command, re.compile(rf"\s*(?:{'|'.join(shapes)}){_WHEN}\s*[.?!]*\s*", re.IGNORECASE))
    for command, shapes in _LISTS
)
_OWN = re.compile(r"\b(?:my|our)\b", re.IGNORECASE)
_GENERAL = re.compile(r"\b(?:runs?|flows?|deployments?|workers?|schedules?)\b", re.IGNORECASE)
_LATER = re.compile(
    r"\b(?:tomorrow|tonight|later|midnight|noon|every|daily|hourly|weekly|monthly|next|o['’]clock"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|at \d+|in \d+)\b",
    re.IGNORECASE,
)
# Names, and not times: `daily-report/nightly`.
_HYPHENED = re.compile(r"\S*[A-Za-z][-_/]\S*")
# `run etl in k8s-prod`, `run a check on etl`
_SOMEWHERE = re.compile(r"\s(?:at|in|on)\s", re.IGNORECASE)
# `At 25:00` is no time, and still nobody means `now` by it.
_MEANT_AS_TIME = re.compile(r"\b(?:at|on|in)\s+\d{1,2}(?::\d+)?(?!\S*[-/\w])", re.IGNORECASE)
_NAMED = r"[`\"“]?([^\s/`\"“”?!,;]*[^\s/`\"“”?!,;.])[`\"”]?"
_QUEUE = re.compile(rf"\bqueue\s+{_NAMED}/{_NAMED}", re.IGNORECASE)
_QUEUE_OF_POOL = re.compile(
    rf"\bqueue\s+{_NAMED}\s+(?:of|in|from)\s+(?:the\s+)?(?:(?:work[ -]?)?pool\s+)?{_NAMED}", re.IGNORECASE
)
# What it is says more here than what is wrong with it.
_SHOWN = re.compile(
    r"\s*(?:(?:is|are)\b.*\bpaused\b|when\b.*\b(?:next|due)\b|(?:when|what)(?:['’]s| is) the next run\b)",
    re.IGNORECASE,
)
# Each of these is an answer of its own, and of several things one sentence may ask the same.
_OF_SEVERAL = frozenset({"why", "where", "show", "logs", "pause", "resume", "pause pool", "resume pool"})
MAX_COMMANDS = 3
LOOK_AT_THE_WORKSPACE = Offer("What is late here?", "why late")


@dataclass(frozen=True, slots=True)
class Meant:
    """What a sentence about the workspace comes to; nothing at all where it is a question to the docs."""

    commands: tuple[Command, ...] = ()
    note: str = ""
    """What has to be said before the docs answer, where something of the workspace was looked for."""
    offers: tuple[Offer, ...] = ()


async def understand(text: str, workspace: Workspace) -> Meant:
    """The commands that answer the sentence, if it is about something that is there."""
    if workspace.connection is None:
        return Meant()
    for command, shape in _LISTING:
        if shape.fullmatch(text):
            return Meant((command,))
    intent = intent_of(text)
    if queue := _queue(intent, text):
        return Meant((queue,))
    try:
        # A question to the docs must not wait for a Prefect that hangs.
        async with asyncio.timeout(LOOK_FOR_NAMES_S):
            return await _looked_up(text, intent, workspace)
    except TimeoutError:
        reason = f"it gave no answer within {LOOK_FOR_NAMES_S:.0f} s"
    except ExpectedError as error:
        reason = error.message.rstrip(".")
    log.info("no names were looked up: %s", reason)
    return Meant(note=f"_Nothing was looked up in Prefect: {reason}._") if intent else Meant()


async def _looked_up(text: str, intent: Intent | None, workspace: Workspace) -> Meant:
    found = await find_references(workspace.prefect, text)
    named = [one for one in found if _is_meant(one, text, intent)]
    if named:
        commands = _commands(intent, named, text)
        return Meant(commands) if commands else _not_understood(named[0])
    near = await find_nearest(workspace.prefect, text) if intent else None
    if near is None:
        return Meant()
    offers = [
        Offer(f"Did you mean {near.meant.text}?", f"{command.name} {' '.join(command.words)}")
        for command in _commands(intent, [replace(near.meant, text=shlex.quote(near.meant.text))], text)
    ]
    said = f"_Nothing in Prefect is called {code(near.word)}; the nearest is {code(near.meant.text)}._"
    return Meant(note=said, offers=tuple(offers))


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
    if re.search(r"[-_/\d]", one.text) or re.search(rf"[`\"“]{re.escape(one.text)}", text):
        return True
    return intent is not None and (one.kind == "deployment" or one.kind.split()[-1] in text.lower())


def _commands(intent: Intent | None, named: Sequence[Reference], text: str) -> tuple[Command, ...]:
    """One for each thing of the most telling kind, where the same may be asked of several."""
    about = _first(named, ("flow run", "deployment", "work pool"))
    first = _command(intent, about, named, text)
    if first is None or first.name not in _OF_SEVERAL:
        return (first,) if first else ()
    alike = [one for one in named if one.kind == about.kind and one.text not in about.text.split("/")]
    several = [_command(intent, one, named, text) for one in alike]
    return tuple(dict.fromkeys([first, *filter(None, several)]))[:MAX_COMMANDS]


def _command(
    intent: Intent | None, about: Reference, named: Sequence[Reference], text: str
) -> Command | None:
    if about.kind != "flow run" and _SHOWN.match(text):
        return Command("show", (about.text,))
    match intent:
        case "diagnose":
            return Command("why", (about.text,))
        case "locate":
            return Command("where", (about.text,))
        case "logs" | "timeline" if about.kind != "work pool":
            return Command(intent, (about.text,))
        case "start" if about.kind == "deployment":
            return _start("run", about.text, text)
        case "cancel" | "retry":
            return _of_runs(intent, [one.text for one in named if one.kind == "flow run"], about, text)
        case "pause" | "resume" if about.kind == "work pool":
            return Command(f"{intent} pool", (about.text,))
        case "pause" | "resume" if about.kind == "deployment":
            # All of its schedules, which is the deployment's own switch, or one.
            schedule = " schedule" if re.search(r"\bschedule\b", text, re.IGNORECASE) else ""
            return Command(f"{intent}{schedule}", (about.text,))
    return Command("show", (about.text,))


def _of_runs(intent: Intent, runs: Sequence[str], about: Reference, text: str) -> Command | None:
    """`retry` leaves everything as it was; with other parameters, or later, it is another run."""
    if not runs:
        return Command("show", (about.text,)) if intent == "retry" else None
    if intent == "retry" and (parameters_in(text) or _is_later(text)):
        return _start("rerun", runs[0], text)
    # A name with spaces is told apart from several by its quotes.
    return Command(intent, (" ".join(f'"{run}"' if " " in run else run for run in runs),))


def _start(verb: str, name: str, text: str) -> Command | None:
    """None for a time or parameters that are not understood: it would be another run than was asked for."""
    words, given = without_parameters(text), parameters_in(text)
    when = time_in(words)
    if not when and (meant := _MEANT_AS_TIME.search(words)):
        # The tool says what is wrong with it.
        when = meant[0]
    if not when and (_is_later(text) or _SOMEWHERE.search(words)):
        return None
    if (" with " in text and not given) or any("'" in value and '"' in value for value in given.values()):
        return None
    # JSON holds double quotes.
    pairs = " ".join(f"{key}='{each}'" if '"' in each else f'{key}="{each}"' for key, each in given.items())
    return Command(verb, (name, pairs, when) if when else (name, pairs) if pairs else (name,))


def _is_later(text: str) -> bool:
    words = without_parameters(text)
    return bool(time_in(words) or _LATER.search(_HYPHENED.sub("", words)))


def _queue(intent: Intent | None, text: str) -> Command | None:
    """A work queue is named together with its pool, and only then."""
    if intent not in ("pause", "resume"):
        return None
    if pair := _QUEUE.search(text):
        return Command(f"{intent} queue", (pair[1], pair[2]))
    if pair := _QUEUE_OF_POOL.search(text):
        return Command(f"{intent} queue", (pair[2], pair[1]))
    return None


def _first(named: Sequence[Reference], kinds: Sequence[Kind]) -> Reference:
    return min(named, key=lambda one: kinds.index(one.kind))
