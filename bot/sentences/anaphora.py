"""What `it`, `that run`, `them` or `the one before` stand for in a thread that has spoken of something. Pure.

`How do I cancel a run?` is for the docs whatever was spoken of before: only a sentence about something that
is there is taken for one about the last thing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.sentences.intents import Intent, intent_of
from bot.sentences.topic import Kind, Thing, Topic

BOTH = 2
# Longer sentences say themselves what they are about.
MAX_WORDS = 25
# `Pause it` of a run is its deployment's: what the verb can be done with, the likeliest first.
_FOR: Mapping[Intent, tuple[Kind, ...]] = {
    "retry": ("flow run",),
    "cancel": ("flow run",),
    "logs": ("flow run",),
    "timeline": ("flow run", "deployment"),
    "start": ("deployment",),
    "pause": ("deployment", "work pool", "work queue"),
    "resume": ("deployment", "work pool", "work queue"),
    "locate": ("deployment", "flow run", "work pool"),
}
_ANY: tuple[Kind, ...] = ("flow run", "deployment", "work pool")

_THE = r"(?:the|this|that|these|those|its|their)"
_BEFORE = re.compile(
    rf"\b(?:{_THE}\s+)?(?:(?:run|one|time)s?\s+before(?:\s+(?:it|that|this|that\s+one))?"
    r"|previous(?:\s+(?:run|one|time))?)\s*[?.!]*\s*\Z"
    rf"|\b{_THE}\s+(?:previous|preceding|prior)\s+(?:flow\s+)?(?:run|one)\b|\bthe\s+(?:run|one)\s+before\b",
    re.IGNORECASE,
)
_WORDS: Sequence[tuple[Kind, str]] = (
    ("work queue", r"(?:work[ -]?)?queue"),
    ("work pool", r"(?:work[ -]?)?pool"),
    ("deployment", r"deployments?|flow(?!\s+run)|schedules?"),
    ("flow run", r"(?:flow\s+)?runs?|job|failure|crash|retry"),
)
_NOUNS = tuple((kind, re.compile(rf"\b{_THE}\s+(?:{words})\b", re.IGNORECASE)) for kind, words in _WORDS)
_MANY = re.compile(r"\b(?:them|they|these|those|both|all\s+of\s+(?:them|these|those))\b", re.IGNORECASE)
_BOTH = re.compile(r"\bboth\b", re.IGNORECASE)
_ONE = re.compile(
    r"\b(?:it(?:['’]s)?|its|(?:this|that)\s+one"
    # Not `the pool that is mine`, nor `I think that runs …`.
    r"|(?:this|that)(?=\s*(?:[?.!,]|\Z)|\s+(?:is|was|did|has|fail\w*|crash\w*|happen\w*|again|now|please)\b))\b",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"\bthe\s+(?:(first|second|third|fourth|fifth|1st|2nd|3rd)(?:\s+(?:one|run))?"
    r"(?!\s+(?:time|place|step|attempt|try))|(last)\s+(?:one|run))\b",
    re.IGNORECASE,
)
_PLACES = {
    "first": 0,
    "1st": 0,
    "second": 1,
    "2nd": 1,
    "third": 2,
    "3rd": 2,
    "fourth": 3,
    "fifth": 4,
    "last": -1,
}
# No verb says what is wanted: `its logs?`, `and the pool?`
_ELLIPSIS = re.compile(
    r"\s*(?:and|so|ok|but|now|also|what\s+about|how\s+about|and\s+what\s+about)[\s,]+\S.*",
    re.IGNORECASE | re.DOTALL,
)
# With nothing else said the last thing is meant.
_BARE = re.compile(
    r"\s*(?:and\s+|but\s+|so\s+)?(?:why(?:\s+not)?|how\s+come|what\s+happened|where(?:\s+does\s+it\s+run)?"
    r"|(?:(?:show|give|get)(?:\s+me)?\s+)?(?:the\s+|its\s+)?(?:logs?|timeline|traceback|stack\s?trace|output)"
    r"(?:\s+please)?)\s*[?.!]*\s*",
    re.IGNORECASE,
)
# What is asked of the docs, or of nobody: `how do I retry it?`, `what happens if I cancel it?`
_GENERAL = re.compile(
    r"\bhow\s+(?:do|can|could|would|should|to|does\s+one|is\s+that)\b"
    r"|\b(?:should|can|could|may|must|shall|would)\s+(?:i|we|one)\b"
    r"|\bwhat\s+(?:happens|if|would|does\s+(?:that|this|it)\s+mean|is\s+(?:that|it|this)\s*\??\s*\Z)"
    r"|\b(?:is\s+(?:it|that|this|there)\s+(?:possible|documented|normal|supported|a\s+way|recommended))\b"
    r"|\b(?:in\s+general|generally|usually|normally|always|typically|by\s+default|best\s+practice"
    r"|the\s+docs?|documentation|explain\s+how|difference)\b"
    # The sentence brings its own `it`.
    r"|\b(?:a|an|any|every|each)\s+(?:\w+\s+){0,2}?(?:runs?|flows?|deployments?|pools?|queues?|workers?"
    r"|schedules?|tasks?|blocks?|variables?|automations?)\b",
    re.IGNORECASE,
)
# `How long does it usually take?` asks what its runs took.
_HOW_LONG = re.compile(
    r"\bhow\s+long\s+does\s+(?:it|this|that)\s+(?:usually|normally|typically|generally|always)\b",
    re.IGNORECASE,
)
# Of something that has happened, or that is there: nobody asks the docs `who started it?`
_CONCRETE = re.compile(
    r"\b(?:did|was|were|has|had|started|took|ran|parameters?|tags|worker|duration|who|when|retries|attempts"
    r"|schedules?|details?|status|state|show|describe)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Referred:
    """What a sentence means without naming it."""

    things: tuple[Thing, ...]
    """One, or several for `them`; where `one_of` says so, one of these."""
    topic: Topic
    intent: Intent | None = None
    one_of: bool = False
    before: bool = False
    """Not the run itself, but the one of the same deployment before it."""
    offered: str = ""
    """The command that was offered for just this, and is taken up now."""


def is_general(text: str) -> bool:
    """Asked in general, whatever thread it stands in."""
    return _GENERAL.search(_HOW_LONG.sub("", text)) is not None


def refer(text: str, topics: Sequence[Topic]) -> Referred | None:
    """What the sentence stands for; None for one that stands for itself, or where nothing fits."""
    if not topics or len(text.split()) > MAX_WORDS or is_general(text):
        return None
    if _BEFORE.search(text):
        return _the_one_before(topics, intent_of(_BEFORE.sub("it", text)))
    noun = next((kind for kind, pattern in _NOUNS if pattern.search(text)), None)
    intent = intent_of(_as_it(text))
    if not (intent or _CONCRETE.search(text) or _ELLIPSIS.fullmatch(text)) or not _refers(text, noun):
        return None
    if not noun and (offered := _offered(intent, topics[0])):
        return Referred((), topics[0], intent, offered=offered)
    return _found(text, intent, noun, topics)


def _as_it(text: str) -> str:
    """With `it` for whatever refers, so that an order is seen whole: `retry the first one`."""
    for pattern in (_ORDINAL, *(pattern for _, pattern in _NOUNS), _MANY):
        text = pattern.sub("it", text)
    return text


def _refers(text: str, noun: Kind | None) -> bool:
    return bool(noun or any(words.search(text) for words in (_ONE, _MANY, _ORDINAL)) or _BARE.fullmatch(text))


def _offered(intent: Intent | None, topic: Topic) -> str:
    """`Resume it`, below an answer that offered to resume just one thing, is that."""
    if intent not in ("pause", "resume"):
        return ""
    alike = [offer for offer in topic.offers if offer.split(" ")[0] == intent]
    return alike[0] if len(alike) == 1 else ""


def _found(text: str, intent: Intent | None, noun: Kind | None, topics: Sequence[Topic]) -> Referred | None:
    kinds = _kinds(intent, noun)
    fitting = [(topic, found) for topic in topics if (found := _of_kind(topic, kinds))]
    if _BOTH.search(text):
        fitting = [pair for pair in fitting if len(pair[1]) == BOTH]
    elif (which := _ORDINAL.search(text)) and not _MANY.search(text):
        fitting = _with_a(_place(which), fitting)
    if fitting:
        several = [pair for pair in fitting if len(pair[1]) > 1] if _MANY.search(text) else []
        topic, some = (several or fitting)[0]
        return _chosen(some, topic, intent, text)
    if intent == "retry":
        # Of a deployment that is `run it again`.
        return _found(text, "start", None, topics)
    return None


def _with_a(place: int, fitting: Sequence[tuple[Topic, list[Thing]]]) -> list[tuple[Topic, list[Thing]]]:
    """`The second one` is of the newest list that has a second, also when one of it was spoken of since.

    `The last run` may be the one that was just spoken of.
    """
    lists = [pair for pair in fitting if len(pair[1]) > max(place, 1)] if place >= 0 else []
    return lists if lists or place > 0 else [*fitting]


def _place(ordinal: re.Match[str]) -> int:
    return _PLACES[(ordinal[1] or ordinal[2]).lower()]


def _kinds(intent: Intent | None, noun: Kind | None) -> tuple[Kind, ...]:
    """Which kinds of things may be meant, the likeliest first."""
    able = _FOR.get(intent, _ANY) if intent else _ANY
    # `Retry the run`, but `the logs of the deployment` are those of its run.
    return (noun,) if noun and (noun in able or able == _ANY) else able


def _of_kind(topic: Topic, kinds: Sequence[Kind]) -> list[Thing]:
    """What it was about itself goes before what belongs to that."""
    if found := [one for one in topic.things if one.kind in kinds]:
        return found
    beside = ([one for one in topic.beside if one.kind == kind] for kind in kinds)
    return next((some for some in beside if some), [])


def _chosen(found: Sequence[Thing], topic: Topic, intent: Intent | None, text: str) -> Referred:
    is_plural = _MANY.search(text) is not None
    if len(found) > 1 and not is_plural and (which := _ORDINAL.search(text)):
        return Referred((found[_place(which)],), topic, intent)
    return Referred(tuple(found), topic, intent, one_of=len(found) > 1 and not is_plural)


def _the_one_before(topics: Sequence[Topic], intent: Intent | None) -> Referred | None:
    for topic in topics:
        if runs := [one for one in (*topic.things, *topic.beside) if one.kind == "flow run"]:
            return Referred((runs[0],), topic, intent, before=True)
    return None
