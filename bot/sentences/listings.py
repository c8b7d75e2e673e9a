"""Sentences that ask for a list of the workspace and name nothing in it: `which runs failed?` Pure."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bot.grammar import Command

# None of these is longer.
MAX_SENTENCE = 200
_SHOW = r"(?:list|show(?: me)?)(?: all| the| our| my)*"
_WHICH = r"(?:which|what)(?: of)?(?: the| our| my)?"
_HAVE = r"(?:do we have|are there|have we got|exist)(?: here)?"
# `What limits are there?` asks the docs for the kinds of them.
_HAVE_WE = r"(?:do we have|have we got)(?: here)?"
_FULL = r"(?:full|reached|used up)"
_CONDITION = r"(?:paused|online|offline|up|down|ready|healthy|active|running)"
_ARE = rf"are (?:not )?{_CONDITION}"
_RUNS = r"(?:flow )?runs?"
_LATE = r"(?:late|overdue|stuck)"
_S = r"(?:['’]?s| is)"
# How far back it reaches, for what has ended; of what is so now it makes no difference.
_BACK = (
    r"(?P<back>today|tonight|overnight|this morning|last night"
    r"|since (?:yesterday|midnight|last night|\d{1,2}:\d{2})"
    r"|(?:in |within |during |over )?(?:the )?(?:last|past) (?:\d{1,3} ?)?"
    r"(?:h|hrs?|hours?|m|mins?|minutes?|d|days?))"
)
_WHEN = rf"(?: (?:{_BACK}|now|right now|currently|lately|recently|again|here|in the workspace))*"
_POLITE = r"(?:(?:hey|hi|please|pls|marvin|so|and|ok|okay)[ ,]+)*"
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
        Command("deployments paused"),
        (
            rf"{_SHOW} paused deployments",
            rf"{_WHICH} deployments are paused|{_WHICH} paused deployments {_HAVE}",
        ),
    ),
    (
        Command("deployments"),
        (rf"{_SHOW} deployments", rf"(?:which|what) deployments (?:{_HAVE}|{_ARE})"),
    ),
    (
        Command("limits"),
        (
            rf"{_SHOW} (?:concurrency )?limits",
            rf"(?:which|what) (?:concurrency )?limits (?:{_HAVE_WE}|are (?:set|{_FULL}))",
            rf"(?:is|are) any (?:concurrency )?limits? {_FULL}",
        ),
    ),
    (
        Command("automations"),
        (
            rf"{_SHOW} automations",
            rf"(?:which|what) automations (?:{_HAVE_WE}|are (?:on|off|active|enabled|disabled|paused))",
        ),
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
            rf"what{_S} (?:wrong|broken|{_LATE}|waiting|hanging)",
            r"(?:is |are )?(?:anything|something) (?:red|down|failing|hanging|on fire)",
            rf"(?:are there )?(?:any )?(?:zombies|zombie {_RUNS})",
        ),
    ),
    (
        Command("status"),
        (
            rf"what{_S} (?:going on|happening|up)",
            rf"what{_S} the (?:state|status)(?: of (?:the|our|my) (?:workspace|server|prefect))?",
            r"(?:give me|show me) (?:an|the) (?:overview|status)(?: of (?:the|our|my) workspace)?",
            r"(?:is )?prefect (?:up|down|reachable|ok|okay|alive|healthy)",
        ),
    ),
    (
        Command("runs", ("failed",)),
        (
            rf"{_SHOW} (?:failed|failing|crashed) {_RUNS}",
            rf"{_WHICH} {_RUNS} (?:have |has )?(?:failed|crashed)",
            r"what(?: has|['’]s)? (?:all )?(?:failed|crashed|broke)",
            rf"how many {_RUNS} (?:have |has )?(?:failed|crashed)",
            rf"(?:the )?(?:failed|failing|crashed) {_RUNS}|(?:the )?failures",
            rf"(?:are there |were there )?any (?:failures|crashes|(?:failed|crashed) {_RUNS})",
            rf"(?:did|has|have) (?:anything|any {_RUNS}) (?:fail|crash)(?:ed)?",
        ),
    ),
    (
        Command("runs", ("running",)),
        (
            rf"(?:{_SHOW} )?running {_RUNS}",
            rf"(?:{_WHICH}|how many) {_RUNS} are running",
            rf"what{_S} running",
            r"is anything running",
        ),
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
    (command, re.compile(rf"\s*{_POLITE}(?:{'|'.join(shapes)}){_WHEN}\s*[.?!]*\s*", re.IGNORECASE))
    for command, shapes in _LISTS
)


def listing(text: str) -> Command | None:
    """The command that the whole sentence comes to."""
    for command, shape in _LISTING if len(text) <= MAX_SENTENCE else ():
        if found := shape.fullmatch(" ".join(text.split())):
            back = (found["back"] or "").lower()
            return replace(command, words=(*command.words, back)) if back and _has_ended(command) else command
    return None


def _has_ended(command: Command) -> bool:
    return command == Command("runs", ("failed",))
