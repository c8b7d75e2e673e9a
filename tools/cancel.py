"""Cancelling runs: what is proposed to Prefect depends on what each run is doing at that moment.

CANCELLED on a running run only changes the label: the process goes on and overwrites it at its end.
What has a process gets CANCELLING, which its worker carries out; what has none gets CANCELLED.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from knowledge.errors import BadInput, ExpectedError, Unreachable
from tools.errors import Changed, NotFound
from tools.lateness import late_seconds, overdue_filter, utc_now
from tools.models import FlowRun, iso
from tools.pool_types import pool_type
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal, Receipt
from tools.resolve import find_deployment, find_flow_run
from tools.run_rows import RunRow, run_rows
from tools.runs import ENDED
from tools.workers import is_alive, pool_workers

MAX_RUNS = 50
SAMPLE = 10
# Each attempt looks at the run first, which tells whether one without an answer had been heard.
ATTEMPTS = 3
PAUSE = 0.5

Wanted = Literal["RUNNING", "PENDING", "PAUSED", "LATE", "SCHEDULED"]
NOT_LATER: tuple[Wanted, ...] = ("RUNNING", "PENDING", "PAUSED", "LATE")
Outcome = Literal["cancelled", "stopping", "ended", "failed"]


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What came of one run."""

    name: str
    outcome: Outcome
    said: str = ""


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
        states: Annotated[
            tuple[Wanted, ...], Field(description="with deployment: which; SCHEDULED includes later runs")
        ] = NOT_LATER,
    ) -> Proposal:
        """Proposes to cancel flow runs, at most 50 at once. A person has to confirm it on a card.

        Give either runs or deployment. With deployment, runs scheduled for later stay unless SCHEDULED is
        among the states.
        """
        if bool(runs) == bool(deployment):
            raise BadInput(
                "cancel_runs takes either runs or a deployment.", "Name the runs, or one deployment."
            )
        found = await (self._named(runs) if runs else self._of_deployment(deployment, states))
        active = [run for run in found if _is_active(run)]
        if not active:
            raise BadInput(_nothing_to_do(found, deployment), "Nothing has to be done.")
        rows = await run_rows(self._prefect, active, utc_now())
        what = active[0].name if len(active) == 1 else f"{len(active)} flow runs"
        state = [{"id": run.id, "name": run.name, "phase": _phase(run)} for run in active]
        return Proposal(
            action="cancel_runs",
            title=f"Cancel {what}",
            target=what,
            target_url=rows[0].url if len(rows) == 1 else "",
            facts=(*_facts(rows, found), *await self._warnings(active)),
            arguments={"runs": state},
            fingerprint=_fingerprint(state),
        )

    async def _named(self, runs: Sequence[str]) -> list[FlowRun]:
        found = await asyncio.gather(*(find_flow_run(self._prefect, text) for text in dict.fromkeys(runs)))
        return list({run.id: run for run in found}.values())

    async def _of_deployment(self, text: str, states: Sequence[Wanted]) -> list[FlowRun]:
        found = await find_deployment(self._prefect, text)
        now = utc_now()
        mine = {"deployment_id": {"any_": [found.deployment.id]}}
        types = [state for state in states if state != "LATE"]
        wanted: list[Mapping[str, Any]] = [{**mine, "state": {"type": {"any_": types}}}] if types else []
        if "LATE" in states and "SCHEDULED" not in states:
            wanted.append({**mine, **overdue_filter(now)})
        pages = await asyncio.gather(
            *(self._prefect.flow_runs({"flow_runs": wish}, limit=MAX_RUNS + 1) for wish in wanted)
        )
        runs = [run for page in pages for run in page if run.state.type in types or late_seconds(run, now)]
        if len(runs) > MAX_RUNS:
            raise BadInput(
                f"{found.full_name} has more than {MAX_RUNS} such runs; no more are cancelled at once.",
                "Name fewer states, or name the runs.",
            )
        return runs

    async def _warnings(self, runs: Sequence[FlowRun]) -> list[Fact]:
        """A worker that is gone cannot stop a process; Prefect gives up waiting for it after 5 minutes."""
        pools = {
            run.work_pool_name for run in runs if run.work_pool_name and _proposed_state(run) == "CANCELLING"
        }
        lonely = [pool for pool in sorted(pools) if not await self._has_worker(pool)]
        return [
            Fact(
                label="Warning",
                value=f"No worker of {pool} is online to stop its processes. Prefect marks the runs as "
                "cancelled after about 5 minutes; a process that still lives goes on.",
            )
            for pool in lonely
        ]

    async def _has_worker(self, name: str) -> bool:
        pool = await self._prefect.work_pool(name)
        workers = await pool_workers(self._prefect, pool)
        return pool_type(pool.type).needs == "nobody" or any(is_alive(w, utc_now()) for w in workers)

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed, naming the runs that are not where they were."""
        before = proposal.arguments["runs"]
        ids = [run["id"] for run in before]
        rows = await self._prefect.flow_runs({"flow_runs": {"id": {"any_": ids}}}, limit=len(ids))
        now = {run.id: run for run in rows}
        moved = [
            f"{run['name']} {_now(now.get(run['id']))}"
            for run in before
            if run["id"] not in now or _phase(now[run["id"]]) != run["phase"]
        ]
        if moved:
            raise Changed(
                f"Not as it was when the card was made: {', '.join(moved[:SAMPLE])}.",
                "Nothing was cancelled. Ask again for what is still to be cancelled.",
            )

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:  # noqa: ARG002 - by state
        """Cancels run by run, each by its state at that moment; doing it twice does no harm."""
        runs = proposal.arguments["runs"]
        message = f"Cancelled by {actor} through ask-marvin."
        results = [await self._cancel(run["id"], run["name"], message) for run in runs]
        counts = Counter(result.outcome for result in results)
        done = [
            run["id"] for run, r in zip(runs, results, strict=True) if r.outcome in ("cancelled", "stopping")
        ]
        return Receipt(
            ok=bool(done) and not counts["failed"],
            text=_told(results),
            url=self._prefect.links.flow_run(runs[0]["id"]) if len(runs) == 1 else "",
            flow_run_ids=tuple(done),
        )

    async def _cancel(self, run_id: str, name: str, message: str) -> Cancellation:
        unanswered: ExpectedError | None = None
        for _ in range(ATTEMPTS):
            try:
                run = await self._prefect.flow_run(run_id)
                if not _is_active(run):
                    return _already(run, asked_before=unanswered is not None)
                return await self._propose(run, message)
            except NotFound:
                return Cancellation(name, "failed", "it has been deleted")
            except Unreachable as error:
                unanswered = error
                await asyncio.sleep(PAUSE)
            except ExpectedError as error:
                return Cancellation(name, "failed", error.message)
        assert unanswered is not None
        return Cancellation(name, "failed", unanswered.message)

    async def _propose(self, run: FlowRun, message: str) -> Cancellation:
        proposed = _proposed_state(run)
        answer, written = await self._prefect.set_state(run.id, type_=proposed, message=message)
        state = answer.state.type if answer.state else ""
        if written and state == "CANCELLED":
            return Cancellation(run.name, "cancelled")
        if written and state == "CANCELLING":
            return Cancellation(run.name, "stopping")
        if state in ENDED:
            return Cancellation(run.name, "ended", state)
        return Cancellation(
            run.name, "failed", answer.details.reason or f"Prefect left it {state or 'as it was'}"
        )


def _proposed_state(run: FlowRun) -> str:
    """CANCELLED only where no process is alive; a run that waits to be retried in its process has one."""
    has_process = run.state.type != "SCHEDULED" or run.empirical_policy.retry_type == "in_process"
    return "CANCELLING" if has_process else "CANCELLED"


def _is_active(run: FlowRun) -> bool:
    return run.state.type not in ENDED and run.state.type != "CANCELLING"


def _phase(run: FlowRun) -> str:
    """What a person would call a change: a run that was about to start and now runs is none."""
    return "IN_PROGRESS" if run.state.type in ("PENDING", "RUNNING") else run.state.type


def _fingerprint(runs: Sequence[Mapping[str, Any]]) -> str:
    phases = sorted((run["id"], run["phase"]) for run in runs)
    return hashlib.sha256(json.dumps(phases).encode()).hexdigest()[:32]


def _already(run: FlowRun, *, asked_before: bool) -> Cancellation:
    if run.state.type == "CANCELLING":
        return Cancellation(run.name, "stopping")
    if run.state.type == "CANCELLED" and asked_before:
        return Cancellation(run.name, "cancelled")
    return Cancellation(run.name, "ended", run.state.type)


def _now(run: FlowRun | None) -> str:
    return f"is now {run.state.name}" if run else "has been deleted"


def _nothing_to_do(found: Sequence[FlowRun], deployment: str) -> str:
    if not found:
        return f"No run of {deployment} is running, pending, paused or late."
    told = [_told_state(run) for run in found[:SAMPLE]]
    return f"There is nothing to cancel: {', '.join(told)}."


def _told_state(run: FlowRun) -> str:
    if run.state.type == "CANCELLING":
        return f"{run.name} is being cancelled already"
    return f"{run.name} has ended ({run.state.name})"


def _facts(rows: Sequence[RunRow], found: Sequence[FlowRun]) -> Iterator[Fact]:
    if len(rows) > 1:
        counts = Counter(row.state for row in rows)
        told = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        yield Fact(label="Runs", value=f"{len(rows)}: {told}")
    for row in rows[:SAMPLE]:
        yield Fact(label=row.name, value=_row_in_words(row))
    if len(rows) > SAMPLE:
        yield Fact(label="And", value=f"{len(rows) - SAMPLE} more")
    left = [run for run in found if not _is_active(run)]
    if left:
        yield Fact(label="Left alone", value=", ".join(_told_state(run) for run in left[:SAMPLE]))


def _row_in_words(row: RunRow) -> str:
    of = f" of {row.deployment}" if row.deployment else f" of flow {row.flow}"
    when = f", started {iso(row.started)}" if row.started else f", due {iso(row.due)}" if row.due else ""
    return f"{row.state}{of}{when}"


def _told(results: Sequence[Cancellation]) -> str:
    groups: dict[Outcome, list[str]] = {"cancelled": [], "stopping": [], "ended": [], "failed": []}
    for result in results:
        groups[result.outcome].append(f"{result.name} ({result.said})" if result.said else result.name)
    sentences = {
        "cancelled": "Cancelled: {}.",
        "stopping": "Being stopped by what runs it: {}.",
        "ended": "Had ended before: {}.",
        "failed": "Not cancelled: {}.",
    }
    return " ".join(sentences[kind].format(", ".join(names)) for kind, names in groups.items() if names)
