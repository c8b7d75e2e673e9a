"""Cancelling runs: what is proposed to Prefect depends on what each run is doing at that moment.

CANCELLED on a running run only changes the label: the process goes on and overwrites it at its end.
What has a process gets CANCELLING, which its worker carries out; what has none gets CANCELLED.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from knowledge.errors import BadInput, ExpectedError
from tools.affected import by_runs
from tools.errors import Changed
from tools.fingerprint import changed_parts, fingerprint
from tools.lateness import late_seconds, overdue_filter, utc_now
from tools.models import FlowRun
from tools.named_deployments import deployments_by_id
from tools.prefect_client import Filters, PrefectClient
from tools.proposal import Detail, Fact, Proposal, Receipt
from tools.resolve import find_deployment, find_flow_run, find_work_pool
from tools.run_facts import MAX_RUNS, SAMPLE, left_alone, run_facts
from tools.run_rows import run_rows
from tools.runs import ENDED
from tools.stopping import AFTERWARDS, still_stopping, stoppers
from tools.transitions import FAILED, Outcome, attempt, told

log = logging.getLogger(__name__)

Wanted = Literal["RUNNING", "PENDING", "PAUSED", "LATE", "SCHEDULED"]
NOT_LATER: tuple[Wanted, ...] = ("RUNNING", "PENDING", "PAUSED", "LATE")
SENTENCES = {
    "cancelled": "Cancelled: {}.",
    "stopping": "Being stopped by what runs it: {}.",
    "ended": "Had ended before: {}.",
    FAILED: "Not cancelled: {}.",
}


class CancelRuns:
    """Proposes and cancels runs."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def cancel_runs(
        self,
        runs: Annotated[
            tuple[str, ...], Field(max_length=MAX_RUNS, description="names, ids or links of flow runs")
        ] = (),
        deployment: Annotated[
            str, Field(description="or all runs of this deployment that have not ended")
        ] = "",
        work_pool: Annotated[str, Field(description="or all in this work pool")] = "",
        states: Annotated[
            tuple[Wanted, ...],
            Field(description="which of them; alone: all of the workspace; SCHEDULED includes later runs"),
        ] = (),
    ) -> Proposal:
        """Proposes to cancel flow runs, at most 50 at once. A person has to confirm it on a card.

        Give either runs, or a deployment, a work pool or both, or only states for all such runs of the
        workspace. Runs scheduled for later stay unless SCHEDULED is among the states.
        """
        if bool(runs) == bool(deployment or work_pool or states):
            raise BadInput(
                "cancel_runs takes either runs or a deployment, a work pool or states.",
                "Name the runs, or one of these.",
            )
        states = states or NOT_LATER
        if runs:
            found, scope = await self._named(runs), ""
        else:
            found, scope = await self._within(deployment, work_pool, states)
        active = [run for run in found if _is_active(run)]
        if not active:
            raise BadInput(_nothing_to_do(found, scope, states), "Nothing has to be done.")
        return await self._proposal(active, found)

    async def _proposal(self, active: Sequence[FlowRun], found: Sequence[FlowRun]) -> Proposal:
        rows, deployments, warnings = await asyncio.gather(
            run_rows(self._prefect, active, utc_now()),
            deployments_by_id(self._prefect, [run.deployment_id for run in active]),
            self._warnings(active),
        )
        what = active[0].name if len(active) == 1 else f"{len(active)} flow runs"
        others = [_told_state(run) for run in found if not _is_active(run)]
        return Proposal(
            action="cancel_runs",
            title=f"Cancel {what}",
            target=what,
            target_url=rows[0].url if len(rows) == 1 else "",
            facts=(*run_facts(rows), *left_alone(others), *warnings),
            arguments={"runs": [{"id": run.id, "name": run.name} for run in active]},
            fingerprint=fingerprint({run.id: _phase(run) for run in active}),
            affected=by_runs(active, deployments),
        )

    async def _named(self, runs: Sequence[str]) -> list[FlowRun]:
        found = await asyncio.gather(*(find_flow_run(self._prefect, text) for text in dict.fromkeys(runs)))
        return list({run.id: run for run in found}.values())

    async def _within(
        self, deployment: str, work_pool: str, states: Sequence[Wanted]
    ) -> tuple[list[FlowRun], str]:
        """The runs, and where they were looked for in words."""
        scope: Filters = {}
        where = []
        if deployment:
            named = await find_deployment(self._prefect, deployment)
            scope["deployments"] = {"id": {"any_": [named.deployment.id]}}
            where.append(named.full_name)
        if work_pool:
            pool = await find_work_pool(self._prefect, work_pool)
            scope["work_pools"] = {"name": {"any_": [pool.name]}}
            where.append(f"the work pool {pool.name}")
        named_scope = " in ".join(where) or "the workspace"
        return await self._in_states(scope, named_scope, states), named_scope

    async def _in_states(self, scope: Filters, where: str, states: Sequence[Wanted]) -> list[FlowRun]:
        now = utc_now()
        types = [state for state in states if state != "LATE"]
        wanted: list[Mapping[str, Any]] = [{"state": {"type": {"any_": types}}}] if types else []
        if "LATE" in states and "SCHEDULED" not in states:
            wanted.append(overdue_filter(now))
        filters: list[Filters] = [{**scope, "flow_runs": wish} for wish in wanted]
        pages = await asyncio.gather(*(self._prefect.flow_runs(each, limit=MAX_RUNS + 1) for each in filters))
        runs = [run for page in pages for run in page if run.state.type in types or late_seconds(run, now)]
        # A page that is full may leave some out, also where not all on it are late.
        if len(runs) > MAX_RUNS or any(len(page) > MAX_RUNS for page in pages):
            count = sum(await asyncio.gather(*map(self._prefect.count_flow_runs, filters)))
            raise BadInput(
                f"There are {count} such runs of {where}, and no more than {MAX_RUNS} are cancelled at once.",
                "Name fewer states, or name the runs.",
            )
        return runs

    async def _warnings(self, runs: Sequence[FlowRun]) -> list[Fact]:
        """Where nobody is there who could stop a process; one line for those that have the same reason."""
        with_process = [run for run in runs if _proposed_state(run) == "CANCELLING"]
        who = await stoppers(self._prefect, with_process)
        reasons: dict[str, list[str]] = {}
        for run in with_process:
            if not who[run.id].there:
                reasons.setdefault(who[run.id].words, []).append(run.name)
        return [
            Fact(label="Warning", value=f"{', '.join(names[:SAMPLE])}: {words}. {AFTERWARDS}")
            for words, names in reasons.items()
        ]

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed, naming the runs that are not where they were."""
        names = {run["id"]: run["name"] for run in proposal.arguments["runs"]}
        rows = await self._prefect.flow_runs({"flow_runs": {"id": {"any_": list(names)}}}, limit=len(names))
        now = {run.id: run for run in rows}
        parts = {id_: _phase(now[id_]) if id_ in now else "" for id_ in names}
        moved = [f"{names[id_]} {_now(now.get(id_))}" for id_ in changed_parts(proposal.fingerprint, parts)]
        if moved:
            raise Changed(
                f"Not as it was when the card was made: {', '.join(moved[:SAMPLE])}.",
                "Nothing was cancelled. Ask again for what is still to be cancelled.",
            )

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:  # noqa: ARG002 - by state
        """Cancels run by run, each by its state at that moment; doing it twice does no harm.

        What has a process is only asked to stop; `still_stopping` tells how far that is.
        """
        runs = proposal.arguments["runs"]
        message = f"Cancelled by {actor} through ask-marvin."
        results = [await self._cancel(run["id"], run["name"], message) for run in runs]
        done = [
            run["id"] for run, r in zip(runs, results, strict=True) if r.kind in ("cancelled", "stopping")
        ]
        kinds = Counter(result.kind for result in results)
        details = await self._lonely(done) if kinds["stopping"] else ()
        return Receipt(
            ok=bool(done) and not kinds[FAILED],
            text=told(results, SENTENCES),
            url=self._prefect.links.flow_run(runs[0]["id"]) if len(runs) == 1 else "",
            flow_run_ids=tuple(done),
            short="partly" if done and kinds[FAILED] else "",
            details=details,
        )

    async def _lonely(self, run_ids: Sequence[str]) -> tuple[Detail, ...]:
        """Those that nobody is there to stop."""
        try:
            sentences = await still_stopping(self._prefect, run_ids, only_lonely=True)
        except ExpectedError as error:
            # What was asked for is done; this only says more about it.
            log.info("it is not told who stops the runs: %s", error.message)
            return ()
        return tuple(Detail(text=sentence) for sentence in sentences)

    async def _cancel(self, run_id: str, name: str, message: str) -> Outcome:
        async def move(run: FlowRun, asked_before: bool) -> Outcome:
            if not _is_active(run):
                return _already(run, asked_before=asked_before)
            return await self._propose(run, message)

        return await attempt(self._prefect, run_id, name, move)

    async def _propose(self, run: FlowRun, message: str) -> Outcome:
        proposed = _proposed_state(run)
        answer, written = await self._prefect.set_state(run.id, type_=proposed, message=message)
        state = answer.state.type if answer.state else ""
        if written and state == "CANCELLED":
            return Outcome(run.name, "cancelled")
        if written and state == "CANCELLING":
            return Outcome(run.name, "stopping")
        if state in ENDED:
            return Outcome(run.name, "ended", state)
        return Outcome(run.name, FAILED, answer.details.reason or f"Prefect left it {state or 'as it was'}")


def _proposed_state(run: FlowRun) -> str:
    """CANCELLED only where no process is alive; a run that waits to be retried in its process has one."""
    has_process = run.state.type != "SCHEDULED" or run.empirical_policy.retry_type == "in_process"
    return "CANCELLING" if has_process else "CANCELLED"


def _is_active(run: FlowRun) -> bool:
    return run.state.type not in ENDED and run.state.type != "CANCELLING"


def _phase(run: FlowRun) -> str:
    """What a person would call a change: a run that was about to start and now runs is none."""
    return "IN_PROGRESS" if run.state.type in ("PENDING", "RUNNING") else run.state.type


def _already(run: FlowRun, *, asked_before: bool) -> Outcome:
    if run.state.type == "CANCELLING":
        return Outcome(run.name, "stopping")
    if run.state.type == "CANCELLED" and asked_before:
        return Outcome(run.name, "cancelled")
    return Outcome(run.name, "ended", run.state.type)


def _now(run: FlowRun | None) -> str:
    return f"is now {run.state.name}" if run else "has been deleted"


def _nothing_to_do(found: Sequence[FlowRun], scope: str, states: Sequence[Wanted]) -> str:
    if not found:
        return f"No run of {scope} is {' or '.join(states)}."
    told_states = [_told_state(run) for run in found[:SAMPLE]]
    return f"There is nothing to cancel: {', '.join(told_states)}."


def _told_state(run: FlowRun) -> str:
    if run.state.type == "CANCELLING":
        return f"{run.name} is being cancelled already"
    return f"{run.name} has ended ({run.state.name})"
