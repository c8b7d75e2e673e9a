"""The one command grammar: the same words after a mention, in a DM, after `/ask-marvin` and in the terminal.

A command is recognised only by its exact shape, before any model is asked; `run my flow every day?` is a
question.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tools.when import is_time

HELP = """\
**Ask me anything about Prefect**, in your own words. I answer from its docs and say where it stands.

| command | what it does |
|---|---|
| `ask QUESTION` | an answer, even if it begins like a command |
| `pools` · `pool NAME` | the work pools · one of them: queues, workers, where its code runs |
| `deployments [TEXT]` | the deployments, or those whose name holds the text |
| `runs [FILTER]` | the latest flow runs; `late`, `failed`, `running`, `scheduled`, or a deployment |
| `why RUN` or `DEPLOYMENT` · `why late` | why it is late, stuck or failed · all that is late here |
| `timeline RUN` or `DEPLOYMENT [N]` | a picture of what ran when · of how long its last N runs took |
| `show RUN` · `logs RUN` · `where DEPLOYMENT` | what it is · the end of its log · where its code runs |
| `run DEPLOYMENT [x=1 …] [at TIME]` | start a run, now or `at 8:00`, `in 2 h`, …; you confirm it first |
| `retry RUN …` · `rerun RUN [x=1 …] [at TIME]` | run the same run again · a new one like it, changed |
| `cancel RUN …` | cancel runs, by name, id or link; you confirm it first |
| `cancel all late runs` · `retry all failed runs` | of the workspace, or `of NAME`, `since 8:00`, … |
| `pause DEPLOYMENT` · `resume DEPLOYMENT` | stop its schedules from making runs · let them |
| `pause` or `resume pool NAME`, `queue POOL/QUEUE`, `schedule DEPLOYMENT [WHICH]` | the same for these |
| `limits [TAG]` · `automations [TEXT]` | concurrency limits, with their use · what Prefect does by itself |
| `status` | the workspace and the knowledge base at a glance |
| `reindex [SOURCE]` · `rollback [GENERATION]` | bring the knowledge base up to date · go back (admins) |
| `audit [DEPLOYMENT or PERSON] [today or NUMBER]` | who decided what (admins; for your eyes alone) |
| `whoami` · `forget me` | what I may do for you · delete what you asked me |
"""
# A name with spaces stands in quotes.
NAME = r"(?:[\w.%:@/-]+|'[^'\n]{1,200}'|\"[^\"\n]{1,200}\")"


@dataclass(frozen=True, slots=True)
class Command:
    """A command and its words; `ask` is no command, it only says that the rest is a question."""

    name: str
    words: tuple[str, ...] = ()


# `at 25:00` is no time, and still nobody means `now` by it.
_MEANT_AS_TIME = re.compile(r"(?:at|on|in)\s+\d{1,2}(?::\S+)?", re.IGNORECASE)
# `retry it` is talk, where `it` would be a part of some name, and `pause deployments` asks how that is done.
_TALK = (
    r"(?!(?:it|this|that|them|these|those|all|both|everything|nothing|again|now|later|please"
    r"|me|my|the|a|an|for|of|on|in|at|until"
    r"|work|flows?|tasks?|runs?|deployments?|schedules?|pools?|queues?|workers?|automations?"
    r"|polic(?:y|ies)|logic|delays?|behaviou?rs?|settings|limits?|counts?|mechanisms?|handlers?)(?:\s|\Z))"
)
_IT = r"(?!(?:it|its|this|that|them|these|those|they|both|the)(?:[\s?.!]|\Z))"
_RUN = re.compile(rf"(run|rerun|re-run)\s+{_TALK}({NAME})(\s.*)?", re.IGNORECASE | re.DOTALL)
# One name, or several words that all look like the name of a run.
_RUNS = rf"(\s+{_TALK}{NAME}|(?:\s+(?=\S*[-/\d]){NAME}){{2,20}})"
_QUEUE = (
    r"(?:'([^'/\n]{1,200})/([^'\n]{1,200})'|\"([^\"/\n]{1,200})/([^\"\n]{1,200})\"|([^\s/?'\"]+)/([^\s/?]+))"
)
# One word at a time, so that no text can make the search for a match take long.
_PAIR = re.compile(r"""([A-Za-z_]\w*)=("[^"]*"(?=\s|\Z)|'[^']*'(?=\s|\Z)|\S*)(?:\s+|\Z)""")
MAX_COMMAND = 4_000
USAGE = {
    "run": "Run what? `run DEPLOYMENT x=1`, with the parameters it takes; `deployments` lists them.",
    "retry": "Retry what? `retry RUN`, by name, id or link; `runs failed` lists some.",
    "rerun": "Another run like which? `rerun RUN x=1`, with what is to differ; `runs` lists them.",
    "pause": "Pause what? `pause DEPLOYMENT`, or `pause pool NAME`, `queue POOL/QUEUE`, "
    "`schedule DEPLOYMENT`.",
    "resume": "Resume what? `resume DEPLOYMENT`, or `resume pool NAME`, `queue POOL/QUEUE`, "
    "`schedule DEPLOYMENT`.",
    "cancel": "Cancel what? `cancel RUN`, by name, id or link; `runs running` lists them.",
    "logs": "Whose logs? `logs RUN`, by name, id or link; `runs failed` lists some.",
    "timeline": "Of what? `timeline RUN` or `timeline DEPLOYMENT 30`, by name, id or link.",
    "show": "Show what? `show RUN` or `show DEPLOYMENT`, by name, id or link.",
    "pool": "Which pool? `pool NAME`; `pools` lists them.",
}

# Shape → name. Whatever fits none of them is a question.
_SHAPES: Sequence[tuple[str, re.Pattern[str]]] = [
    (name, re.compile(shape, re.IGNORECASE))
    for name, shape in (
        ("help", r"help[.!?]?"),
        ("pools", r"(?:work[ -]?)?pools"),
        ("pool", rf"(?:work[ -]?)?pool\s+({NAME})"),
        ("deployments", rf"deployments(?:\s+({NAME}))?"),
        ("runs", rf"runs(?:\s+({NAME}))?"),
        ("limits", rf"limits(?:\s+(?:of\s+)?(?:tag\s+)?({NAME}))?"),
        ("automations", rf"automations(?:\s+({NAME}))?"),
        # `cancel that please` is a sentence; several words are runs only when all of them look like it.
        *((verb, rf"{verb}{_RUNS}") for verb in ("cancel", "retry")),
        *((verb, rf"{verb}\s+(?:deployment\s+)?{_TALK}({NAME})") for verb in ("pause", "resume")),
        *((f"{verb} pool", rf"{verb}\s+(?:work[ -]?)?pool\s+({NAME})") for verb in ("pause", "resume")),
        *((f"{verb} queue", rf"{verb}\s+(?:work[ -]?)?queue\s+{_QUEUE}") for verb in ("pause", "resume")),
        *(
            (f"{verb} schedule", rf"{verb}\s+schedule\s+(?:of\s+)?{_TALK}({NAME})(?:\s+([^?\n]{{1,80}}))?")
            for verb in ("pause", "resume")
        ),
        # Some keyboards make one dash of two.
        ("reindex", rf"reindex(?:\s+(?!--)({NAME}))?(?:\s+((?:--|[—–])force))?"),
        ("rollback", r"roll\s?back(?:\s+(?:to\s+)?(?:generation\s+)?(\d{1,9}))?"),
        # `why not?` and `why so?` are talk.
        ("why", rf"why\s+(?!not\b|so\b|me\b|is\b|that\b|this\b|then\b|though\b){_IT}({NAME}?)\s*\??"),
        ("where", rf"where\s+(?!is\b|are\b|do\b|to\b|then\b|exactly\b){_IT}({NAME}?)\s*\??"),
        ("logs", rf"logs?\s+(?:of\s+)?{_IT}({NAME})"),
        ("timeline", rf"timeline\s+(?:of\s+)?{_IT}({NAME})(?:\s+(\d{{1,2}}))?"),
        ("show", rf"(?:show|describe)\s+{_IT}({NAME})"),
        ("status", r"status"),
        # Prefect Cloud has audit logs and events of its own, which people ask about.
        ("audit", rf"audit(?:\s+(?!(?:logs?|trails?|events?)\b)({NAME}))?(?:\s+(today|\d{{1,4}}))?"),
        ("usage", "(" + "|".join(USAGE) + ")"),
        ("whoami", r"who\s?am\s?i\??"),
        ("forget me", r"forget\s+me"),
    )
]


def parse(text: str) -> Command | None:
    """The command that the text is, or None when it is a question."""
    bare = text.strip()
    if len(bare) > MAX_COMMAND:
        return None
    for name, shape in _SHAPES:
        match = shape.fullmatch(bare)
        if match:
            return Command(name, tuple(group.strip() for group in match.groups() if group))
    return _parse_run(bare)


def _parse_run(text: str) -> Command | None:
    """`run` takes a deployment, `rerun` a run; then only `name=value` words or one JSON object, and a time.

    The words are the name, the parameters and the time, as far as there are any.
    """
    match = _RUN.fullmatch(text)
    if match is None:
        return None
    verb, name, rest = match[1].lower().replace("-", ""), match[2], (match[3] or "").strip()
    at = _end_of_object(rest) if rest.startswith("{") else _end_of_pairs(rest)
    given, when = rest[:at].strip(), rest[at:].strip()
    if when and not (is_time(when) or _MEANT_AS_TIME.fullmatch(when)):
        return None
    return Command(verb, (name, given, when) if when else (name, given) if given else (name,))


def _end_of_object(text: str) -> int:
    """Where the JSON object ends; one that is broken off goes on to the end, so that it is complained of."""
    try:
        return json.JSONDecoder().raw_decode(text)[1]
    except ValueError:
        return len(text)


def _end_of_pairs(text: str) -> int:
    at = 0
    while match := _PAIR.match(text, at):
        at = match.end()
    return at


def pairs_in(text: str) -> dict[str, str] | None:
    """`x=1 day="a b"` as a dict, quotes around a whole value taken off; None when a word is no pair."""
    pairs, at = {}, 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            return None
        name, value = match[1], match[2]
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        pairs[name] = value[1:-1] if quoted else value
        at = match.end()
    return pairs


def names_in(text: str) -> list[str]:
    """`etl-7 "my run"` as a list; one with spaces keeps its quotes, which the tools take off."""
    return re.findall(r"'[^'\n]+'|\"[^\"\n]+\"|\S+", text)


def question_in(text: str) -> str:
    """The question itself, without a leading `ask`."""
    return re.sub(r"\A\s*ask(?:\s+|:\s*)(?=\S)", "", text, flags=re.IGNORECASE)
