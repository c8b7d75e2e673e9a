"""Orders about many runs at once: `cancel all late runs`, `retry everything that failed tonight`. Pure.

Every word of such a sentence has to be understood. One that is not could be the one that matters (`all but
etl`), so the sentence is then answered with what it could be about, and no card.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.sentences.intents import PAUSE, POLITE, REQUEST, RESUME, THANKS

# Nobody orders at such length.
MAX_ORDER = 300

_VERBS = (
    ("cancel", r"cancel|stop|kill|abort|terminate|end"),
    ("retry", r"retry|re-?run|restart"),
    ("pause", PAUSE),
    ("resume", RESUME),
)
_VERB = "|".join(f"(?P<{name}>{words})" for name, words in _VERBS)
# `Cancel the late runs` means all of them as well.
_THE_STATE = (
    r"(?=(?:(?:the|our|my|these|those)\s+)?(?:late|overdue|running|pending|paused|scheduled|failed|crashed|cancell?ed)"
    r"(?:\s+(?:and|or)\s+\w+)?\s+(?:flow\s+)?(?:runs|jobs|ones)\b)"
)
_ORDER = re.compile(
    rf"\s*{POLITE}{REQUEST}{POLITE}(?:{_VERB})\s+"
    rf"(?:(?P<many>all|every|each|everything|anything|whatever)\b|{_THE_STATE})(?P<rest>.*?){THANKS}",
    re.IGNORECASE | re.DOTALL,
)
_NAME = r"(?:[`\"“](?P<quoted>[^`\"”\n]{1,200})[`\"”]|(?P<word>[\w./%-]*[\w/%-]))"
_KIND = r"(?:(?P<kind>(?:work[ -]?)?pool|deployment|flow)\s+)?"
_SCOPE = re.compile(
    rf"(?:of|for|in|on|from|at)\s+(?:(?:the|our|my)\s+)?{_KIND}{_NAME}"
    r"(?:\s+(?P<after>(?:work[ -]?)?pool))?(?!\S)",
    re.IGNORECASE,
)
# Of `cancel all runs for tomorrow` and `in 2 hours` a name would be made, and a part of one is enough.
_NO_NAME = re.compile(
    r"all|everything|\d+\S{0,2}|tomorrow|today|tonight|yesterday|now|later|noon|midnight|morning|evening|night"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:next|this|last)|week(?:end|s)?|months?|days?|hours?",
    re.IGNORECASE,
)
# Prefect's state types, of what a person calls them.
_STATES: Sequence[tuple[str, str]] = (
    ("LATE", r"late|overdue"),
    ("RUNNING", r"running|active"),
    ("PENDING", r"pending"),
    ("PAUSED", r"paused|suspended"),
    ("SCHEDULED", r"scheduled|upcoming|future"),
    ("FAILED", r"fail(?:ed|s|ing|ures?)?"),
    ("CRASHED", r"crash(?:ed|es)?"),
    ("CANCELLED", r"cancell?ed"),
)
_STATE = re.compile("|".join(rf"(?P<{state}>(?:{words})\b)" for state, words in _STATES), re.IGNORECASE)
_WINDOW = re.compile(
    r"(?P<window>tonight|overnight|last\s+night|today|this\s+morning"
    r"|since\s+(?:yesterday|midnight|this\s+morning|last\s+night|today|\d{1,2}:\d{2})"
    r"|(?:(?:in|within|during|over)\s+)?(?:the\s+)?(?:last|past)\s+(?:\d{1,3}\s*)?(?:h|hrs?|hours?|m|mins?|minutes?|d|days?))\b",
    re.IGNORECASE,
)
_GLUE = re.compile(
    r"(?:of|the|our|my|these|those|that|which|who|is|are|was|were|has|have|had|been|be|got|currently|still"
    r"|right|now|and|or|flow|runs?|jobs?|ones?|deployments?|schedules?|things?|,)(?!\S)|,",
    re.IGNORECASE,
)
# These are not all, but those that were spoken of.
_THEM = re.compile(r"\s*(?:of\s+)?(?:them|these|those|it)\b(?!\s+\w+\s+\w+)", re.IGNORECASE)
ENDED = frozenset({"FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Bulk:
    """One verb for everything that fits the rest; what is empty was not said."""

    verb: str
    states: tuple[str, ...] = ()
    scope: str = ""
    """The name of a pool, a deployment or a flow."""
    kind: str = ""
    """What the scope is the name of, where that was said: `work pool` or `deployment`."""
    window: str = ""
    """The words that tell since when: `tonight`."""
    left_over: str = ""
    """What was not understood."""
    is_order: bool = True
    of_deployments: bool = False
    """About deployments or their schedules, and not about runs."""
    is_bare: bool = False
    """`Cancel all`, and nothing else; `stop everything` is more than what was spoken of."""


def bulk_order(text: str) -> Bulk | None:
    """What the sentence wants done to many at once; None for any other sentence."""
    found = _ORDER.fullmatch(text) if len(text) <= MAX_ORDER else None
    if found is None or _THEM.match(found["rest"]):
        return None
    verb = next(name for name, _ in _VERBS if found[name])
    is_order = bool(found["request"]) or not text.rstrip().endswith("?")
    bulk = _read(verb, found["rest"].strip(), is_order=is_order)
    return replace(
        bulk, is_bare=(found["many"] or "").lower() == "all" and bulk == Bulk(verb, is_order=is_order)
    )


def _read(verb: str, rest: str, *, is_order: bool) -> Bulk:
    """Word by word from the left; what is no part of such an order is left over."""
    states: list[str] = []
    parts: dict[str, str] = {}
    left: list[str] = []
    while rest:
        at = (
            _state_at(rest, states)
            or _window_at(rest, parts)
            or _scope_at(rest, parts)
            or _glue_at(rest, parts)
        )
        if not at:
            word = rest.split(maxsplit=1)[0]
            left.append(word)
            at = len(word)
        rest = rest[at:].lstrip()
    return Bulk(
        verb,
        tuple(dict.fromkeys(states)),
        parts.get("scope", ""),
        parts.get("kind", ""),
        parts.get("window", ""),
        " ".join(left),
        is_order,
        "deployments" in parts,
    )


def _state_at(rest: str, states: list[str]) -> int:
    found = _STATE.match(rest)
    if found is None:
        return 0
    states.append(str(found.lastgroup))
    return found.end()


def _window_at(rest: str, parts: dict[str, str]) -> int:
    found = _WINDOW.match(rest)
    if found is None or "window" in parts:
        return 0
    parts["window"] = " ".join(found["window"].lower().split())
    return found.end()


def _scope_at(rest: str, parts: dict[str, str]) -> int:
    found = _SCOPE.match(rest)
    name = (found["quoted"] or found["word"]) if found else ""
    if (
        found is None
        or "scope" in parts
        or _GLUE.fullmatch(name)
        or (found["word"] and _NO_NAME.fullmatch(name))
    ):
        return 0
    parts["scope"] = name
    kind = (found["kind"] or found["after"] or "").lower()
    parts["kind"] = "work pool" if "pool" in kind else "deployment" if kind else ""
    return found.end()


def _glue_at(rest: str, parts: dict[str, str]) -> int:
    found = _GLUE.match(rest)
    if found is None:
        return 0
    if found[0].lower().startswith(("deployment", "schedule")):
        parts["deployments"] = found[0]
    return found.end()
