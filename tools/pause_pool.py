"""Pausing and resuming work pools and their queues: while paused, no worker is given runs from there."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from knowledge.errors import BadInput
from tools.affected import by_work_pool
from tools.errors import NotFound
from tools.fingerprint import check_unchanged, fingerprint
from tools.lateness import overdue_filter, utc_now, waiting_filter
from tools.models import WorkPool, WorkQueue
from tools.prefect_client import Filters, PrefectClient
from tools.proposal import Affected, Fact, Proposal, Receipt
from tools.resolve import find_work_pool
from tools.run_facts import SAMPLE
from tools.schedule_runs import counted
from tools.site import Site, in_short_words, load_site
from tools.way_back import way_back

PAUSE, RESUME = "pause_work_pool", "resume_work_pool"


@dataclass(frozen=True, slots=True)
class Place:
    """What is paused or resumed: a work pool, or one of its queues."""

    pool: WorkPool
    queues: Sequence[WorkQueue]
    queue: WorkQueue | None

    @property
    def name(self) -> str:
        of = f"the work pool {self.pool.name}"
        return f"the queue {self.queue.name} of {of}" if self.queue else of

    @property
    def is_paused(self) -> bool:
        return self.queue.is_paused if self.queue else self.pool.is_paused


class PauseWorkPool:
    """Proposes to pause and to resume work pools and queues, and does it."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def pause_work_pool(
        self,
        work_pool: Annotated[str, Field(description="its name, a part of it, or a link to it")],
        work_queue: Annotated[str, Field(description="only this queue of the pool")] = "",
    ) -> Proposal:
        """Proposes to pause a work pool, or one of its queues: runs wait there, and what runs goes on.

        A person has to confirm it on a card.
        """
        place = await self._place(work_pool, work_queue)
        if place.is_paused:
            raise BadInput(f"{_capital(place.name)} is paused already.", "Nothing has to be done.")
        overdue, under_way, affected = await self._looked_at(place)
        facts = (*_pause_facts(overdue, under_way), *_users(affected))
        return self._proposal(PAUSE, f"Pause {place.name}", place, facts, affected)

    async def resume_work_pool(
        self,
        work_pool: Annotated[str, Field(description="its name, a part of it, or a link to it")],
        work_queue: Annotated[str, Field(description="only this queue of the pool")] = "",
    ) -> Proposal:
        """Proposes to resume a paused work pool, or one of its queues, so that its runs start again.

        A person has to confirm it on a card.
        """
        place = await self._place(work_pool, work_queue)
        if not place.is_paused:
            raise BadInput(f"{_capital(place.name)} is not paused.", _other_reasons(place))
        overdue, under_way, affected = await self._looked_at(place)
        site = await load_site(self._prefect, place.pool.name, place.queue.name if place.queue else "")
        facts = (*_resume_facts(place, site, overdue, under_way), *_users(affected))
        return self._proposal(RESUME, f"Resume {place.name}", place, facts, affected)

    async def _place(self, work_pool: str, work_queue: str) -> Place:
        pool = await find_work_pool(self._prefect, work_pool)
        queues = await self._prefect.work_queues(pool.name)
        return Place(pool, queues, _queue(pool, queues, work_queue) if work_queue.strip() else None)

    async def _looked_at(self, place: Place) -> tuple[int, int, tuple[Affected, ...]]:
        """How many runs are overdue and under way there, and what goes through it."""
        queue = place.queue.name if place.queue else ""
        mine: dict[str, Any] = {"work_queue_name": {"any_": [queue]}} if queue else {}
        scope: Filters = {"work_pools": {"name": {"any_": [place.pool.name]}}}
        under_way = {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}
        now = utc_now()
        due, waiting, count, affected = await asyncio.gather(
            self._prefect.count_flow_runs({**scope, "flow_runs": {**overdue_filter(now), **mine}}),
            self._prefect.count_flow_runs({**scope, "flow_runs": {**waiting_filter(now), **mine}}),
            self._prefect.count_flow_runs({**scope, "flow_runs": {**under_way, **mine}}),
            by_work_pool(self._prefect, place.pool.name, queue),
        )
        return due - waiting, count, affected

    def _proposal(
        self, action: str, title: str, place: Place, facts: tuple[Fact, ...], affected: tuple[Affected, ...]
    ) -> Proposal:
        pool, queue = place.pool.name, place.queue.name if place.queue else ""
        return Proposal(
            action=action,
            title=title,
            target=f"{pool}/{queue}" if queue else pool,
            target_url=self._link(pool, queue),
            facts=(Fact(label="Work pool", value=f"{pool} ({place.pool.type})"), *facts),
            arguments={"work_pool": pool, "work_queue": queue},
            fingerprint=fingerprint(_parts(place, affected)),
            affected=affected,
        )

    def _link(self, pool: str, queue: str) -> str:
        links = self._prefect.links
        return links.work_queue(pool, queue) if queue else links.work_pool(pool)

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed when it is not as it was, nor what goes through it; NotFound when it is gone."""
        pool = await self._prefect.work_pool(proposal.arguments["work_pool"])
        queues = await self._prefect.work_queues(pool.name)
        wanted = proposal.arguments["work_queue"]
        place = Place(pool, queues, _queue(pool, queues, wanted) if wanted else None)
        affected = await by_work_pool(self._prefect, pool.name, wanted)
        check_unchanged(proposal, _parts(place, affected))

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:  # noqa: ARG002 - idempotent
        """Pauses or resumes; doing it twice does no harm."""
        pool, queue = proposal.arguments["work_pool"], proposal.arguments["work_queue"]
        pause = proposal.action == PAUSE
        if queue:
            await self._prefect.set_queue_paused(pool, queue, pause)
        else:
            await self._prefect.set_pool_paused(pool, pause)
        opposite = self.resume_work_pool if pause else self.pause_work_pool
        what = proposal.title.partition(" ")[2]
        done = "is paused: its runs wait, and what was under way goes on" if pause else "is resumed"
        return Receipt(
            ok=True,
            text=f"{_capital(what)} {done}.",
            url=self._link(pool, queue),
            undo=await way_back(opposite(pool, queue)),
        )


def _queue(pool: WorkPool, queues: Sequence[WorkQueue], text: str) -> WorkQueue:
    wanted = text.strip().casefold()
    exact = next((queue for queue in queues if queue.name == text.strip()), None)
    found = exact or next((queue for queue in queues if queue.name.casefold() == wanted), None)
    if found is None:
        names = ", ".join(queue.name for queue in queues[:SAMPLE])
        raise NotFound(f"The work pool {pool.name} has no queue {text!r}.", f"Its queues: {names}.")
    return found


def _pause_facts(overdue: int, under_way: int) -> Iterator[Fact]:
    yield Fact(label="Waits", value=f"{counted(overdue)} due by now, and all that become due")
    yield Fact(
        label="Goes on", value=f"{counted(under_way)} under way" if under_way else "nothing is under way"
    )


def _resume_facts(place: Place, site: Site, overdue: int, under_way: int) -> Iterator[Fact]:
    yield Fact(label="Starts", value=f"{counted(overdue)} overdue, as soon as there is room")
    if under_way:
        yield Fact(label="Under way", value=counted(under_way))
    yield Fact(label="Runs in", value=in_short_words(site))
    paused = [queue.name for queue in place.queues if queue.is_paused and place.queue is None]
    if paused:
        yield Fact(label="Stays paused", value=f"the queue {', '.join(paused[:SAMPLE])}")
    if problem := _then(place, site).problem:
        yield Fact(label="Warning", value=f"Runs would not start properly all the same. {problem}")


def _then(place: Place, site: Site) -> Site:
    """The site as it will be: only what was asked for is resumed."""
    unpaused = {"is_paused": False}
    if place.queue and site.queue:
        return replace(site, queue=site.queue.model_copy(update=unpaused))
    return replace(site, pool=place.pool.model_copy(update=unpaused))


def _users(affected: Sequence[Affected]) -> Iterator[Fact]:
    names = [each.deployment for each in affected if each.deployment]
    more = f" and {len(names) - SAMPLE} more" if len(names) > SAMPLE else ""
    yield Fact(label="Deployments", value=(", ".join(names[:SAMPLE]) + more) or "none")


def _other_reasons(place: Place) -> str:
    if place.queue and place.pool.is_paused:
        return f"Its work pool is: `resume pool {place.pool.name}`."
    paused = [queue.name for queue in place.queues if queue.is_paused and place.queue is None]
    if paused:
        return f"Its queue {', '.join(paused[:SAMPLE])} is: `resume queue {place.pool.name}/{paused[0]}`."
    return "Nothing has to be done."


def _parts(place: Place, affected: Sequence[Affected]) -> dict[str, Any]:
    """With the deployments, as who may pause the pool may depend on every one of them."""
    queue = {"queue_paused": place.queue.is_paused} if place.queue else {}
    deployments = sorted([thing.deployment, *thing.tags] for thing in affected)
    parts = {"id": place.pool.id, "paused": place.pool.is_paused, "type": place.pool.type, **queue}
    return {**parts, "deployments": deployments}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
