"""From what people write to the one object that they mean.

Accepted are an id, a pasted UI link, the full name and parts of it. An exact name beats one in other letter
case, that beats a part; hyphens, underscores and spaces are one. Several: Ambiguous with the choices.
None: NotFound with the nearest names.
"""

import asyncio
import difflib
import re
import uuid
from collections.abc import Callable, Sequence
from typing import TypeVar

from knowledge.errors import BadInput
from tools.errors import Ambiguous, NotFound
from tools.links import PageLink, parse_link
from tools.models import Deployment, FlowRun, WorkPool, iso
from tools.named_deployments import NamedDeployment, deployment_names, named_deployments
from tools.prefect_client import Filters, PrefectClient

MAX_CHOICES = 8
# Candidates looked at; more than a person could choose from anyway.
MAX_CANDIDATES = 200
NEAREST = 3

Thing = TypeVar("Thing")


async def find_deployment(prefect: PrefectClient, text: str) -> NamedDeployment:
    """By `flow/deployment`, a deployment's or flow's name, id or link."""
    text = _cleaned(text, "a deployment", "flow/deployment")
    link = _own_link(prefect, text)
    if link and link.kind == "flow":
        named = await named_deployments(
            prefect, await prefect.deployments({"flows": {"id": {"any_": [link.key]}}})
        )
        return _only(named, text, "deployment", lambda item: item.full_name)
    if deployment_id := _id_of(link, text, "deployment"):
        return (await named_deployments(prefect, [await prefect.deployment(deployment_id)]))[0]
    named = await named_deployments(prefect, await _deployment_candidates(prefect, text))
    best = _best(named, text, lambda item: (item.full_name, item.deployment.name, item.flow))
    if not best:
        known = await named_deployments(
            prefect, await prefect.deployments(limit=MAX_CANDIDATES, sort="UPDATED_DESC")
        )
        best = [item for item in known if _all_words_in(text, item.full_name)]
        _none_unless(best, text, "deployment", [item.full_name for item in known])
    return _only(best, text, "deployment", lambda item: item.full_name)


async def _deployment_candidates(prefect: PrefectClient, text: str) -> list[Deployment]:
    """All that may match; the exact name is asked for as well, as the parts may be too many to hold it."""
    flow, slash, name = text.partition("/")
    exact: Filters = {"deployments": {"name": {"any_": [name or text]}}}
    if slash:
        similar: Filters = {"flows": {"name": name_filter(flow)}, "deployments": {"name": name_filter(name)}}
    else:
        similar = {"deployments": {"flow_or_deployment_name": name_filter(text)}}
    rows = await prefect.deployments(exact, limit=MAX_CANDIDATES)
    if len(rows) == 1 and not slash:
        return rows
    rows += await prefect.deployments(similar, limit=MAX_CANDIDATES)
    return list({row.id: row for row in rows}.values())


async def find_work_pool(prefect: PrefectClient, text: str) -> WorkPool:
    """By name or link."""
    text = _cleaned(text, "a work pool", "its name")
    link = _own_link(prefect, text)
    if link and link.kind != "work pool":
        raise _wrong_kind(link, "work pool")
    name = link.key if link else text
    pages = await asyncio.gather(
        prefect.work_pools({"work_pools": {"name": {"any_": [name]}}}, limit=1),
        prefect.work_pools(limit=MAX_CANDIDATES),
    )
    # The exact name is asked for as well, as it may not be among the first.
    pools = list({pool.id: pool for page in pages for pool in page}.values())
    best = _best(pools, name, lambda pool: (pool.name,))
    best = best or [pool for pool in pools if pool.id == name.lower()]
    _none_unless(best, name, "work pool", [pool.name for pool in pools])
    return _only(best, name, "work pool", lambda pool: pool.name)


async def find_flow_run(prefect: PrefectClient, text: str) -> FlowRun:
    """By name, id or link. Names of runs are not unique: several are offered with their ids."""
    text = _cleaned(text, "a flow run", "its name, id or link")
    if run_id := _id_of(_own_link(prefect, text), text, "flow run"):
        return await prefect.flow_run(run_id)
    rows = await prefect.flow_runs({"flow_runs": {"name": name_filter(text)}}, limit=MAX_CANDIDATES)
    best = _best(rows, text, lambda run: (run.name,))
    if not best:
        recent = await prefect.flow_runs(limit=MAX_CANDIDATES)
        _none_unless(best, text, "flow run", [run.name for run in recent])
    owners = await deployment_names(prefect, [run.deployment_id for run in best]) if len(best) > 1 else {}
    return _only(best, text, "flow run", lambda run: _run_choice(run, owners.get(run.deployment_id, "")))


def _run_choice(run: FlowRun, deployment: str) -> str:
    when = run.start_time or run.expected_start_time
    told = [f"of {deployment}"] if deployment else []
    told += [run.state.name, iso(when) if when else "no time", f"id {run.id}"]
    return f"{run.name} ({', '.join(told)})"


def _cleaned(text: str, what: str, how: str) -> str:
    text = text.strip().strip("`\"'“”").strip()
    if not text:
        raise BadInput(f"No name given for {what}.", f"Say {how}.")
    return text


def _own_link(prefect: PrefectClient, text: str) -> PageLink | None:
    link = parse_link(text)
    if link and link.workspace and not prefect.links.root.endswith(_cloud_path(link.workspace)):
        raise BadInput(
            "That link is to another Prefect Cloud workspace than the one this bot is connected to.",
            f"It is connected to {prefect.links.root}.",
        )
    return link


def _cloud_path(workspace: str) -> str:
    account, _, name = workspace.partition("/")
    return f"/account/{account}/workspace/{name}"


def _id_of(link: PageLink | None, text: str, kind: str) -> str:
    if link:
        if link.kind != kind:
            raise _wrong_kind(link, kind)
        return link.key
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return ""


def _wrong_kind(link: PageLink, wanted: str) -> BadInput:
    return BadInput(f"That link is to a {link.kind}, not to a {wanted}.", f"Give a {wanted}'s link or name.")


def name_filter(text: str) -> dict[str, str]:
    """A part of a name, whatever letter case; `_` stands for any one character in the server's pattern."""
    return {"like_": re.sub(r"[\s_%-]", "_", text.strip())}


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())


def _best(items: Sequence[Thing], text: str, names: Callable[[Thing], Sequence[str]]) -> list[Thing]:
    """The items of the strongest kind of match that occurs at all."""
    plain = _plain(text)
    matches: tuple[Callable[[str], bool], ...] = (
        lambda name: name == text,
        lambda name: name.casefold() == text.casefold(),
        lambda name: _plain(name) == plain,
    )
    for match in matches:
        # One kind of name at a time: a deployment called `etl` beats the deployments of a flow called `etl`.
        for position in range(len(names(items[0])) if items else 0):
            if found := [item for item in items if match(names(item)[position])]:
                return found
    return [item for item in items if _part_of(plain, names(item)[0])]


def _part_of(plain: str, full_name: str) -> bool:
    """`etl/night` is part of `daily-etl/nightly`: each side in its own."""
    name = _plain(full_name)
    if "/" not in plain:
        return plain in name
    wanted, own = plain.split("/", 1), name.split("/", 1)
    return len(own) == 2 and all(part in whole for part, whole in zip(wanted, own, strict=True))


def _all_words_in(text: str, full_name: str) -> bool:
    words = re.split(r"[\s/_-]+", text.strip().casefold())
    name = full_name.casefold()
    return all(word in name for word in words if word)


def _none_unless(found: Sequence[object], text: str, kind: str, known: Sequence[str]) -> None:
    if found:
        return
    tails = {name.rpartition("/")[2].casefold(): name for name in known}
    by_fold = {name.casefold(): name for name in known} | tails
    near = difflib.get_close_matches(text.casefold(), by_fold, n=NEAREST, cutoff=0.5)
    names = list(dict.fromkeys(by_fold[match] for match in near))
    fix = f"The nearest: {', '.join(names)}." if names else _what_there_is(kind, known)
    raise NotFound(f"There is no {kind} {text!r} in Prefect.", fix)


def _what_there_is(kind: str, known: Sequence[str]) -> str:
    if not known:
        return f"There is no {kind} at all yet."
    return f"There is for example {', '.join(list(dict.fromkeys(known))[:NEAREST])}."


def _only(found: Sequence[Thing], text: str, kind: str, say: Callable[[Thing], str]) -> Thing:
    if not found:
        raise NotFound(f"There is no {kind} for {text!r}.", f"List the {kind}s to see what there is.")
    if len(found) == 1:
        return found[0]
    choices = [say(item) for item in found[:MAX_CHOICES]]
    if len(found) > MAX_CHOICES:
        choices.append(f"and {len(found) - MAX_CHOICES} more")
    raise Ambiguous(f"{text!r} matches {len(found)} {kind}s.", choices)
