"""From an order about many at once to the command for its card; a question back where it is unclear. Pure."""

from bot.events import Offer
from bot.grammar import Command
from bot.sentences.bulk import ENDED, Bulk
from bot.sentences.meant import Meant
from bot.tables import code, plain

DAY = "in the last 24 hours"
CANCELLABLE = frozenset({"LATE", "RUNNING", "PENDING", "PAUSED", "SCHEDULED"})


def in_bulk(bulk: Bulk) -> Meant:
    """A command whose card shows what it is about; never one for a sentence that is not understood whole."""
    if bulk.left_over or not bulk.is_order:
        return _not_whole(bulk)
    match bulk.verb:
        case "cancel":
            return _cancel(bulk)
        case "retry":
            return _retry(bulk)
    return _switch(bulk)


def _cancel(bulk: Bulk) -> Meant:
    if bulk.of_deployments or bulk.window or set(bulk.states) - CANCELLABLE:
        return _not_whole(bulk)
    if not bulk.states and not bulk.scope:
        return Meant(
            note="**All runs of the workspace?** Say which: a state, a deployment or a work pool.",
            offers=(
                Offer("Cancel all late runs", "cancel all late runs"),
                Offer("Cancel all running runs", "cancel all running runs"),
                Offer("What is running?", "runs running"),
            ),
            asks_back=True,
        )
    return Meant((Command("cancel all", (",".join(bulk.states), bulk.kind, bulk.scope)),))


def _retry(bulk: Bulk) -> Meant:
    if bulk.of_deployments or set(bulk.states) - ENDED:
        return _not_whole(bulk)
    if not bulk.states:
        what = f"retry all failed runs{_where(bulk)} {bulk.window or DAY}"
        return Meant(
            note="**All runs, whatever they came to?** Say which: failed, crashed or cancelled ones.",
            offers=(Offer("Those that failed", what), Offer("What has failed?", "runs failed")),
            asks_back=True,
        )
    # Few tell a run that failed from one that crashed.
    states = dict.fromkeys([*bulk.states, *(["CRASHED"] if "FAILED" in bulk.states else [])])
    words = (",".join(states), bulk.kind, bulk.scope, bulk.window or DAY)
    return Meant((Command("retry all", words),))


def _switch(bulk: Bulk) -> Meant:
    """A pool holds everything in it; deployments have to be switched one by one, or through their pool."""
    plainly = not bulk.states and not bulk.window
    if plainly and bulk.scope and bulk.kind == "work pool" and not bulk.of_deployments:
        return Meant((Command(f"{bulk.verb} pool", (bulk.scope,)),))
    if plainly and bulk.scope and bulk.kind != "work pool":
        # `All schedules of NAME` are never those of a pool, which holds back more than schedules.
        kind = "deployment" if bulk.of_deployments else bulk.kind
        return Meant((Command(f"{bulk.verb} all", (kind, bulk.scope)),))
    pool = bulk.scope if bulk.kind == "work pool" else ""
    offers = (Offer(f"{bulk.verb.capitalize()} the pool {pool}", f"{bulk.verb} pool {pool}"),) if pool else ()
    return Meant(
        note=f"**{bulk.verb.capitalize()} what?** Deployments are {bulk.verb}d one by one; a work pool holds "
        f"back all runs in it at once: `{bulk.verb} pool NAME`.",
        offers=offers or (Offer("The work pools", "pools"), Offer("The deployments", "deployments")),
        asks_back=True,
    )


def _not_whole(bulk: Bulk) -> Meant:
    """What it could be about is listed, by a command that only looks."""
    said = (
        f"What {code(bulk.left_over)} means here I do not understand"
        if bulk.left_over
        else "So not as an order"
    )
    if bulk.is_order and not bulk.left_over:
        said = f"That is nothing to {bulk.verb} at once"
    note = f"_{said}, so nothing is proposed. {plain(_example(bulk))}_"
    return Meant((_look(bulk),), note)


def _look(bulk: Bulk) -> Command:
    state = bulk.states[0].lower() if bulk.states else ("failed" if bulk.verb == "retry" else "running")
    if bulk.verb in ("pause", "resume"):
        return Command("pools")
    return (
        Command("runs", (bulk.scope,))
        if bulk.scope and bulk.kind != "work pool"
        else Command("runs", (state,))
    )


def _example(bulk: Bulk) -> str:
    examples = {
        "cancel": "Say for example: cancel all late runs of etl/nightly.",
        "retry": "Say for example: retry everything that failed in the last 2 hours.",
    }
    return examples.get(bulk.verb, f"Say for example: {bulk.verb} pool NAME.")


def _where(bulk: Bulk) -> str:
    return f" of {bulk.kind + ' ' if bulk.kind else ''}{bulk.scope}" if bulk.scope else ""
