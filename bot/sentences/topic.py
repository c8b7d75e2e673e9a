"""What one answer was about: the runs, deployments and pools that its tools looked at. Pure.

`Why did it fail?` is understood by this, in the thread of the answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from knowledge.errors import BadInput
from tools.links import parse_link
from tools.toolbox import ToolOutcome

Kind = Literal["flow run", "deployment", "work pool", "work queue"]

# As many as a person could mean by `them`, and a card may hold.
MAX_THINGS = 50
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of the workspace."""

    kind: Kind
    key: str
    """For a tool: a run's id; `flow/deployment`; a pool's name; `pool/queue`."""
    name: str
    """For people; of a run that was only begun it may be missing."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What was spoken of at one moment."""

    workspace: str
    """The Prefect workspace's name."""
    things: tuple[Thing, ...]
    """What it was about itself; several for a list."""
    beside: tuple[Thing, ...] = ()
    """What belongs to these, such as a run's deployment and pool."""
    asked: str = ""
    """The command that it answers, such as `why`."""
    offers: tuple[str, ...] = ()
    """The commands that were offered below it."""
    is_partial: bool = False
    """The answer named only some of them."""
    at: datetime = field(default=_LONG_AGO, compare=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "things": [[one.kind, one.key, one.name] for one in self.things[:MAX_THINGS]],
            "beside": [[one.kind, one.key, one.name] for one in self.beside[:MAX_THINGS]],
            "asked": self.asked,
            "offers": list(self.offers),
            "is_partial": self.is_partial,
        }


def from_json(workspace: str, about: Mapping[str, Any], at: datetime) -> Topic:
    """The topic that `as_json` made this of."""
    things, beside = (tuple(Thing(*one) for one in about[part]) for part in ("things", "beside"))
    offers = tuple(about["offers"])
    return Topic(workspace, things, beside, about["asked"], offers, about["is_partial"], at)


def is_partial(outcome: ToolOutcome) -> bool:
    """Whether there is more of it than the result names."""
    if not outcome.ok or outcome.proposal or not isinstance(outcome.data, dict):
        return False
    groups = outcome.data.get("groups") or ()
    return bool(outcome.data.get("truncated")) or any(
        group["runs_count"] > len(group["sample"]) for group in groups
    )


def things_of(outcome: ToolOutcome) -> tuple[list[Thing], list[Thing]]:
    """What the result of a tool is about, and what belongs to that."""
    if not outcome.ok:
        return [], []
    if outcome.proposal:
        things = _proposed(outcome)
        affected = outcome.proposal.affected
        beside = [*_deployments(each.deployment for each in affected)]
        return things, [one for one in beside if one not in things]
    data = outcome.data if isinstance(outcome.data, dict) else {}
    things = [one for row in _rows(data) if (one := _linked(row))]
    if outcome.name == "diagnose_late_runs" and (asked := _asked_about(outcome.arguments)):
        # `Is etl-pool ok?` is about the pool, and its late runs are the answer.
        return [asked], [one for one in dict.fromkeys([*things, *_beside(data)]) if one != asked]
    return things, [one for one in dict.fromkeys(_beside(data)) if one not in things]


def _asked_about(arguments: Mapping[str, Any]) -> Thing | None:
    for kind in ("work_pool", "deployment"):
        if name := str(arguments.get(kind) or ""):
            is_link = "://" in name
            row = {"url": name.strip("<>").partition("|")[0], "name": name}
            return (
                _linked(row)
                if is_link
                else Thing("work pool" if kind == "work_pool" else "deployment", name, name)
            )
    return None


def _beside(data: Mapping[str, Any]) -> Iterator[Thing]:
    yield from _around(data)
    for row in _runs(data):
        yield from _around(row)


def _proposed(outcome: ToolOutcome) -> list[Thing]:
    """What a card is to change."""
    proposal = outcome.proposal
    if proposal is None:
        return []
    if runs := proposal.arguments.get("runs"):
        return [Thing("flow run", run["id"], run["name"]) for run in runs]
    if "work_pool" in proposal.arguments:
        return [
            Thing("work queue" if "/" in proposal.target else "work pool", proposal.target, proposal.target)
        ]
    return list(_deployments({each.deployment for each in proposal.affected}))


def _deployments(names: Iterable[str]) -> Iterator[Thing]:
    yield from (Thing("deployment", name, name) for name in names if name)


def _rows(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Each with a link and a name: of a list the rows, else the one thing that was looked at."""
    if runs := _runs(data):
        return runs
    for plural in ("deployments", "work_pools"):
        if isinstance(rows := data.get(plural), list):
            return rows
    return [data]


def _runs(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if isinstance(data.get("run"), dict):
        return [data["run"]]
    samples = [run for group in data.get("groups") or () for run in group["sample"]]
    return samples or list(data.get("flow_runs") or ())


def _linked(row: Mapping[str, Any]) -> Thing | None:
    """By the address that the tool built: what it leads to is what the row is about."""
    try:
        link = parse_link(str(row.get("url") or row.get("subject_url") or ""))
    except BadInput:
        return None
    name = str(row.get("subject") or row.get("name") or row.get("flow_run") or "")
    if link is None or not name:
        return None
    name = name.removeprefix(f"{link.kind} ")
    match link.kind:
        case "flow run":
            return Thing("flow run", link.key, name)
        case "deployment":
            return Thing("deployment", name, name)
        case "work pool":
            return Thing("work pool", link.key, link.key)
    return None


def _around(row: Mapping[str, Any]) -> Iterator[Thing]:
    if isinstance(name := row.get("deployment"), str) and "/" in name:
        yield Thing("deployment", name, name)
    if isinstance(pool := row.get("work_pool"), str) and pool:
        yield Thing("work pool", pool, pool)
        if isinstance(queue := row.get("work_queue"), str) and queue:
            yield Thing("work queue", f"{pool}/{queue}", f"{pool}/{queue}")
