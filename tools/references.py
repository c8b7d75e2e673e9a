"""Which objects of the workspace a sentence names: by exact name, id or link, never by likeness."""

import asyncio
import difflib
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from knowledge.errors import BadInput
from tools.links import parse_link
from tools.named_deployments import NamedDeployment, named_deployments
from tools.prefect_client import PrefectClient

Kind = Literal["flow run", "deployment", "work pool"]

# A sentence that names more than this is a paste, and only its first words are looked up.
MAX_WORDS = 40
MAX_FOUND = 20
# `Invoice Booking/eu prod` is a name of three words; longer ones are put in quotes.
MAX_NAME_WORDS = 4
# All beginnings and lengths of a long question; each is one more value in the same four requests.
MAX_PHRASES = 120
# Of each kind, to find the name that was meant: what the server gives in one page.
MAX_NAMES = 200
# One letter wrong in five: `etl/nigthly` is likely meant, `prefect-agent` is not for `prefect-pool`.
LIKE = 0.8
_WORD = re.compile(
    r"<?https?://[^\s>|]+[^\s]*|`[^`\n]{1,200}`|\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|[^\s,;?!()`\"]+"
)
# What questions are made of; somebody's pool may be called `default`, but hardly ever asks for it by that.
_COMMON = re.compile(
    r"a|about|after|again|all|an|and|any|are|as|at|be|been|before|but|by|can|cancel|cancelled|cause|"
    r"code|come|could|crash|crashed|debug|default|deployment|deployments|did|do|does|doing|done|error|"
    r"explain|fail|failed|failing|failure|finish|flow|flows|for|from|get|go|had|hang|hanging|happen|"
    r"happened|happening|happens|has|have|how|i|if|image|in|infrastructure|into|is|it|its|job|just|"
    r"last|late|latest|like|list|log|logs|long|look|make|me|my|never|new|next|no|not|nothing|now|of|"
    r"off|on|one|online|or|our|out|parameter|parameters|pause|paused|pending|please|pool|pools|"
    r"prefect|problem|progress|queue|rerun|resume|retry|right|run|running|runs|schedule|scheduled|see|"
    r"set|should|show|start|started|starting|state|stop|stopped|stuck|suspended|task|tasks|tell|than|"
    r"that|the|their|them|then|there|these|they|this|time|to|today|trigger|up|upcoming|use|wait|"
    r"waiting|was|we|what|when|where|which|who|why|will|with|work|worker|workers|working|wrong|"
    r"yesterday|you",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One object that a text names."""

    kind: Kind
    text: str
    """For a tool: a run's id, or its name where several have it; `flow/deployment`; a pool's name."""


async def find_references(prefect: PrefectClient, text: str) -> list[Reference]:
    """The runs, deployments and work pools that the text names, in the order in which they are named.

    Costs four requests, and one more for flow names; none for a text without a word that could be a name.
    Raises the ExpectedError tree when Prefect cannot be asked.
    """
    words = candidates(text)
    linked = [one for word in words if (one := _linked(word))]
    if linked:
        return linked
    names = [word for word in words if not word.startswith("http")]
    if not names:
        return []
    wanted = list(dict.fromkeys([*names, *phrases(text)]))
    found = await _named(prefect, wanted)
    # In `tag holder` there is no `tag`.
    whole = [word for word in wanted if word in found and not _is_within(word, found)]
    return [found[word] for word in sorted(whole, key=text.find)]


@dataclass(frozen=True, slots=True)
class Near:
    """A word that names nothing, and what it may have been meant for."""

    word: str
    meant: Reference


async def find_nearest(prefect: PrefectClient, text: str) -> Near | None:
    """The likest name to a word of the text that looks like one; None when none is nearly the same.

    Looks at the latest MAX_NAMES of each kind. Raises the ExpectedError tree when Prefect cannot be asked.
    """
    words = [word for word in candidates(text) if re.search(r"\w[-_/\d]", word) and "://" not in word]
    if not words:
        return None
    runs, rows, pools = await asyncio.gather(
        prefect.flow_runs(limit=MAX_NAMES),
        prefect.deployments(limit=MAX_NAMES, sort="UPDATED_DESC"),
        prefect.work_pools(limit=MAX_NAMES),
    )
    known = {pool.name: Reference("work pool", pool.name) for pool in pools}
    for one in await named_deployments(prefect, rows):
        known[one.deployment.name] = known[one.full_name] = Reference("deployment", one.full_name)
    known |= {run.name: Reference("flow run", run.name) for run in runs}
    by_fold = {name.casefold(): name for name in known}
    for word in words:
        if like := difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=LIKE):
            return Near(word, known[by_fold[like[0]]])
    return None


def candidates(text: str) -> list[str]:
    """The words that may be somebody's names, once each, without the signs of the sentence around them."""
    words = (word.strip("`\"“”'.:*").removesuffix("'s") for word in _WORD.findall(text))
    return [word for word in dict.fromkeys(words) if word and not _COMMON.fullmatch(word)][:MAX_WORDS]


def phrases(text: str) -> list[str]:
    """Two to MAX_NAME_WORDS words that stand together and may be one name, as names may hold spaces."""
    known = set(candidates(text))
    pieces = [piece.strip("`\"“”'.:*,;?!()") for piece in text.split()]
    found = []
    for start in range(len(pieces)):
        for end in range(start + 2, min(start + MAX_NAME_WORDS, len(pieces)) + 1):
            some = pieces[start:end]
            if all(some) and any(piece in known or piece.startswith("#") for piece in some):
                found.append(" ".join(some))
    return list(dict.fromkeys(found))[:MAX_PHRASES]


def _is_within(word: str, names: Iterable[str]) -> bool:
    return any(f" {word} " in f" {name} " for name in names if name != word)


def _linked(word: str) -> Reference | None:
    try:
        return Reference("flow run", str(uuid.UUID(word)))
    except ValueError:
        pass
    try:
        link = parse_link(word)
    except BadInput:
        return None
    kinds: dict[str, Kind] = {"flow run": "flow run", "deployment": "deployment", "work pool": "work pool"}
    return Reference(kinds[link.kind], word) if link and link.kind in kinds else None


async def _named(prefect: PrefectClient, names: list[str]) -> dict[str, Reference]:
    """By the word that names it. A run's name beats a deployment's, that beats a flow's, that a pool's."""
    tails = [name.partition("/")[2] for name in names if "/" in name]
    runs, by_name, by_flow, pools = await asyncio.gather(
        prefect.flow_runs({"flow_runs": {"name": {"any_": names}}}, limit=MAX_FOUND),
        prefect.deployments({"deployments": {"name": {"any_": [*names, *tails]}}}, limit=MAX_FOUND),
        prefect.deployments({"flows": {"name": {"any_": names}}}, limit=MAX_FOUND),
        prefect.work_pools({"work_pools": {"name": {"any_": names}}}, limit=MAX_FOUND),
    )
    flows = await prefect.flow_names([row.flow_id for row in (*by_name, *by_flow)])
    named = [NamedDeployment(row, flows.get(row.flow_id, "?")) for row in by_name]
    of_flows = [NamedDeployment(row, flows.get(row.flow_id, "?")) for row in by_flow]
    found = {pool.name: Reference("work pool", pool.name) for pool in pools}
    for deployment in of_flows:
        found.setdefault(deployment.flow, Reference("deployment", deployment.flow))
    for deployment in named:
        # Another flow may have a deployment of that name; the tools offer the choice then.
        found[deployment.deployment.name] = Reference("deployment", deployment.deployment.name)
        found[deployment.full_name] = Reference("deployment", deployment.full_name)
    for run in reversed(runs):
        is_alone = sum(other.name == run.name for other in runs) == 1
        found[run.name] = Reference("flow run", run.id if is_alone else run.name)
    return found
