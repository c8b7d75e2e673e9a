"""What a sentence wants of the things it names, as commands. Pure."""

import re
from collections.abc import Sequence

from bot.grammar import Command
from bot.sentences.intents import Intent, parameters_in, without_names, without_parameters
from tools.references import Kind, Reference
from tools.when import time_in

# The commands that only look; what they find is of use to a model as well.
LOOKS = frozenset(
    {
        *("why", "where", "show", "logs", "runs", "runs of", "pools", "pool", "deployments"),
        *("deployments paused", "limits", "automations"),
    }
)
# These ask the same of whatever they are given.
REPEATED = frozenset({"why", "where", "show", "logs"})
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
_DETAILS = re.compile(
    r"\s*(?:(?:with\s+)?(?:what|which)\s+(?:parameters?|arguments?|tags|worker)\b|how\s+long\s+did\b"
    r"|when\s+did\b.*\b(?:start|begin|end|finish|complete|run)\b|who\s+(?:started|triggered|ran|launched)\b)",
    re.IGNORECASE,
)
# `Show failed runs of etl/nightly`, `what is running on k8s-prod`
_RUNS_OF = re.compile(
    r"\s*(?:(?:please|pls)\s+)?(?:(?:list|show(?:\s+me)?|which|what|how\s+many)\s+)?(?:(?:all|the|last|latest|recent|past|\d+)\s+)*"
    r"(?:(?P<state>failed|crashed|running|cancelled|completed|pending|scheduled)\s+)?(?:flow\s+)?runs\s+"
    r"(?:of|for|in|on|from)\b"
    r"|\s*what(?:['’]?s|\s+is)\s+(?P<now>running|pending)\s+(?:on|in|at)\b",
    re.IGNORECASE,
)
# `How many runs of etl/nightly have failed this week?`
_STATE_AFTER = re.compile(
    r"\s(failed|crashed|running|cancelled|completed|pending)\b(?!\S*[-_/])", re.IGNORECASE
)
_NOT = re.compile(r"\b(?:not|never)\b|n['’]t\b", re.IGNORECASE)
_AUTOMATIONS = re.compile(r"\s*(?:which|what|any)\s+automations?\b", re.IGNORECASE)
# Each of these is an answer of its own, and of several things one sentence may ask the same.
_OF_SEVERAL = frozenset({"why", "where", "show", "logs", "pause", "resume", "pause pool", "resume pool"})
MAX_COMMANDS = 3


def commands_for(intent: Intent | None, named: Sequence[Reference], text: str) -> tuple[Command, ...]:
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
    if about.kind == "deployment" and _AUTOMATIONS.match(text):
        return Command("automations")
    if _DETAILS.match(text) or (about.kind != "flow run" and _SHOWN.match(text)):
        return Command("show", (about.text,))
    if about.kind != "flow run" and (some := _RUNS_OF.match(text)):
        return Command("runs of", (about.kind, about.text, _state_of(some, text)))
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
            schedule = " schedule" if re.search(r"\bschedule\b", without_names(text), re.IGNORECASE) else ""
            return Command(f"{intent}{schedule}", (about.text,))
    return Command("show", (about.text,))


def _state_of(runs: re.Match[str], text: str) -> str:
    """Empty for all states, also where it is said which one is not meant."""
    after = None if _NOT.search(text) else _STATE_AFTER.search(text)
    return str(runs["state"] or runs["now"] or (after[1] if after else "")).lower()


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


def queue_in(intent: Intent | None, text: str) -> Command | None:
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
