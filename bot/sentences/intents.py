"""What a sentence wants to know of the workspace, or to have done there, by its words alone. Pure.

Without a model this is what stands between `why has etl/nightly not started?` and the tool that works it
out. Whether the sentence names something that exists, the caller has to find out.
"""

import re
from collections.abc import Sequence
from typing import Literal

Intent = Literal["diagnose", "locate", "logs", "timeline", "start", "cancel", "retry", "pause", "resume"]

# Nobody orders at such length; and the more words, the more ways there are to read them as politeness.
MAX_ORDER = 1_000
POLITE = r"(?:(?:hey|hi|hello|please|pls|ok|okay|marvin|just)[\s,!]+)*"
REQUEST = (
    r"(?P<request>(?:can|could|would|will)\s+you\s+|let(?:['’]?s|\s+us)\s+"
    r"|i(?:['’]d\s+like|\s+(?:just\s+)?(?:want|need|would\s+like))\s+(?:you\s+)?to\s+)?"
)
_KIND = (
    r"(?:(?:the|this|that|my|our|a|an|new|another|flow|task|run|runs|job|deployment|work|pool|of|for)\s+)*"
)
THANKS = r"(?:[\s,]+(?:please|pls|now|right\s+now|immediately|asap|for\s+me|thanks|thank\s+you))*[\s.!?]*"
_NAMED = r"[\w.]+"


def _order(verbs: str, then: str = "", *, more: str = "") -> re.Pattern[str]:
    """A sentence that says nothing but this: politeness, the verb, a name, and what `then` lets follow.

    Whatever else it says could turn it around: `pause all but etl`, `retry etl-7 in 2 hours`, `run history of
    etl`. `more` may follow what is certainly a name.
    """
    shape = rf"\s*{POLITE}{REQUEST}{POLITE}(?:{verbs})\s+{_KIND}(?:it{more}|{_NAMED}){then}{THANKS}"
    return re.compile(shape, re.IGNORECASE)


def _about(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


_OF = rf"(?:\s+of\s+{_KIND}{_NAMED})?"
_MORE = rf"(?:(?:\s+(?:and\s+)?|\s*,\s*){_KIND}it)*"
_WITH = r"(?:\s+with\b.*)?"
PAUSE, RESUME = r"pause|hold|deactivate|disable", r"resume|unpause|un-pause|activate|enable|continue"
_SCHEDULES = r"(?:\s+(?:all\s+)?(?:the\s+)?schedules?)?"
_QUEUE = r"\s+(?:the\s+)?(?:work[ -]?)?queue"
_IN_POOL = rf"(?:\s+(?:of|in|from)\s+{_KIND}{_NAMED})?"
_WITH_OR_WHEN = r"(?:[\s,]+(?:with|at|in|on|today|tonight|tomorrow|next|every)\b.*)?"
# "why did it cancel" is none, nor is "start it?", which asks whether one should.
_ORDERS: Sequence[tuple[Intent, re.Pattern[str]]] = (
    ("retry", _order(r"retry|re-?run|restart", rf"(?:\s+again)?{_WITH}", more=_MORE + _OF)),
    ("retry", _order(r"re-?run", _WITH_OR_WHEN)),
    ("retry", _order(r"run", rf"\s+again{_WITH_OR_WHEN}")),
    ("cancel", _order(r"cancel|stop|kill|abort|terminate", more=_MORE + _OF)),
    ("pause", _order(rf"(?:{PAUSE}){_SCHEDULES}", more=_MORE)),
    ("pause", _order(rf"(?:{PAUSE}){_QUEUE}", _IN_POOL)),
    ("resume", _order(rf"(?:{RESUME}){_SCHEDULES}", more=_MORE)),
    ("resume", _order(rf"(?:{RESUME}){_QUEUE}", _IN_POOL)),
    ("start", _order(r"start|run|trigger|launch|kick\s+off|execute", _WITH_OR_WHEN)),
)
# "Run etl-7 is late" and "stop etl-7, it has crashed" tell something first, and a condition is nothing that
# is waited for here: they are no plain orders.
_TELLS = _about(
    r"why|what|is|was|has|hasn['’]t|isn['’]t|does|did|are|failed|fails|crashed|late|stuck|how"
    r"|only|after|once|when|if|unless|until|before|but|except|instead|without|or|not|never"
)
# Of these the first that fits.
_INTENTS: Sequence[tuple[Intent, re.Pattern[str]]] = (
    (
        "timeline",
        _about(
            r"timeline|gantt|plot|chart|draw|picture|graph"
            r"|how long (?:do|does)(?: \w+){1,12}? (?:take|run|last)|(?:run ?time|duration)s?"
        ),
    ),
    ("logs", _about(r"logs?|logged|traceback|stack ?trace|output|print(?:s|ed)?")),
    (
        "diagnose",
        _about(
            r"why|warum|wieso|weshalb|pourquoi|por qu[eé]|how come|wrong|happen(?:s|ed|ing)?|stuck|late|"
            r"delay(?:ed)?|overdue|hang(?:s|ing)?|hung|"
            r"fail\w*|crash\w*|broken?|dead|die[sd]?|healthy|unhealthy|zombie|"
            r"pending|waiting|waits|suspended|cancell?ed|paused|who|"
            r"not (?:start|run|finish|work|progress)\w*|(?:do|does|did|has|have|is|was|wo|ca)n['’]?t|"
            r"up with|look(?:ing)? (?:at|into)|"
            r"errors?|exceptions?|block(?:s|ed|ing)|hold(?:s|ing) (?:\S+ )?up|prevent(?:s|ing)?|"
            r"nothing|no progress|problem|trouble|issue|diagnose|investigate|debug|troubleshoot|upcoming|"
            r"status|state|doing|did|finished?|succeed\w*|ok|okay|fine|done|when will|"
            r"next run|running|progress"
        ),
    ),
    (
        "locate",
        _about(
            r"where|which (?:machine|host|cluster|image|infrastructure|(?:work[ -]?)?(?:pool|queue))|"
            r"what image|infrastructure|image|entrypoint|fetched|pulled|cloned"
        ),
    ),
)
_WHERE = _about(
    r"where(?: \w+){0,12}? (?:run|runs|running|live|lives|come|comes|fetched|executed?s?|executes|from|code)"
)

# A run called `fail-fast-7` has not failed for that.
_NAME = re.compile(r"(?<!\S)(?!re-?run\b|un-?pause\b)\S*[-_/\d]\S*|[`\"“][^`\"”\n]+[`\"”]", re.IGNORECASE)
_PAIR = re.compile(
    r"(?<![\w./-])([A-Za-z_]\w*)\s*(=|:)\s*(\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`|\[[^\]\n]*\]|\{[^}\n]*\}|[^\s,;]+)"
)


def intent_of(text: str) -> Intent | None:
    """What a sentence that names something in the workspace wants; None when that is not to be seen."""
    asks = text.rstrip().endswith("?")
    text = without_names(without_parameters(text))
    if _WHERE.search(text) and not re.match(r"\s*why\b", text, re.IGNORECASE):
        return "locate"
    order = _ordered(text, asks=asks)
    return order or next((intent for intent, pattern in _INTENTS if pattern.search(text)), None)


def _ordered(text: str, *, asks: bool) -> Intent | None:
    """What is to be done; a question is an order only where it is put as a request."""
    before, _, given = text.partition(" with ")
    if len(text) > MAX_ORDER:
        return None
    if _TELLS.search(f"{before} {_PAIR.sub('', given)}"):
        return None
    for intent, pattern in _ORDERS:
        found = pattern.fullmatch(text)
        if found and (found["request"] or not asks):
            return intent
    return None


def without_names(text: str) -> str:
    """With `it` for what looks like a name: what it is called is not what is said of it."""
    return _NAME.sub("it", text)


def parameters_in(text: str) -> dict[str, str]:
    """`x = 1`, after `with` also `x: 1`, as typed; quotes around a value are taken off."""
    _, found, rest = text.partition(" with ")
    pairs = _PAIR.finditer(rest if found else text)
    return {pair[1]: pair[3].strip("\"'`").rstrip(".") for pair in pairs if found or pair[2] == "="}


def without_parameters(text: str) -> str:
    """What is left to be read when a day that is a parameter shall not be taken for the day of the run."""
    before, found, rest = text.partition(" with ")
    if found:
        return f"{before} with {_PAIR.sub('', rest)}"
    return _PAIR.sub(lambda pair: "" if pair[2] == "=" else pair[0], text)
