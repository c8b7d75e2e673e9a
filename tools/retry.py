"""Running the same flow run again: Prefect calls it a retry, and it keeps the run's id.

It is put back to where it was taken from, so it runs what the deployment says at present, with the parameters
that the run had.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from knowledge.errors import BadInput
from tools.affected import by_runs
from tools.ended_runs import BADLY, EndedBadly, EndedRuns, runs_that_ended
from tools.errors import Changed
from tools.fingerprint import changed_parts, fingerprint
from tools.lateness import utc_now
from tools.models import Deployment, FlowRun
from tools.named_deployments import NamedDeployment, deployments_by_id
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal, Receipt
from tools.rerun import deployment_of
from tools.resolve import find_flow_run
from tools.retry_card import Retriable, retry_facts, warnings
from tools.run_facts import MAX_RUNS, SAMPLE, left_alone, run_facts
from tools.run_rows import run_rows
from tools.runs import ENDED
from tools.site import Site, load_site
from tools.transitions import FAILED, Outcome, attempt, told

AWAITING_RETRY = "AwaitingRetry"
# What the code of a retry depends on. Its pool and queue are those that the run had.
FINGERPRINTED = ("entrypoint", "pull_steps", "path", "storage_document_id", "job_variables", "tags")
SENTENCES = {
    "retrying": "To be run again: {}.",
    "moved": "Left alone, as it has moved on since the card was made: {}.",
    FAILED: "Not to be run again: {}.",
}


class RetryRun:
    """Proposes and retries flow runs."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def retry_run(
        self,
        flow_run: Annotated[str, Field(description="name, id or link of a flow run that has ended")] = "",
        flow_runs: Annotated[
            tuple[str, ...], Field(max_length=MAX_RUNS, description="or several of them")
        ] = (),
        ended_within_hours: Annotated[
            float, Field(ge=0, le=24 * 7, description="or all that ended badly so recently")
        ] = 0,
        deployment: Annotated[str, Field(description="with ended_within_hours: only of this one")] = "",
        work_pool: Annotated[str, Field(description="with ended_within_hours: only in this one")] = "",
        states: Annotated[
            tuple[EndedBadly, ...], Field(description="with ended_within_hours: how they ended")
        ] = BADLY,
    ) -> Proposal:
        """Proposes to run flow runs that failed, crashed or were cancelled again, at most 50 at once.

        A person has to confirm it on a card. The same run runs again, with the deployment's present code and
        the parameters that it had; for other parameters use trigger_run with rerun_of.
        """
        wanted = [text for text in dict.fromkeys((flow_run, *flow_runs)) if text.strip()]
        if not wanted and not ended_within_hours:
            raise BadInput("No flow run to retry was named.", "Give its name, id or link.")
        if wanted and ended_within_hours:
            raise BadInput(
                "retry_run takes either flow runs or ended_within_hours.", "Leave one of them out."
            )
        if wanted:
            return await self._of(await self._named(wanted))
        ended = await runs_that_ended(
            self._prefect,
            within_hours=ended_within_hours,
            deployment=deployment,
            work_pool=work_pool,
            states=states,
            now=utc_now(),
        )
        return await self._of(ended.runs, _chosen_by(ended))

    async def _named(self, wanted: Sequence[str]) -> list[FlowRun]:
        if len(wanted) > MAX_RUNS:
            raise BadInput(
                f"These are {len(wanted)} runs, and no more than {MAX_RUNS} are retried at once.",
                "Name fewer.",
            )
        found = await asyncio.gather(*(find_flow_run(self._prefect, text) for text in wanted))
        return list({run.id: run for run in found}.values())

    async def _of(self, runs: Sequence[FlowRun], by: Sequence[Fact] = ()) -> Proposal:
        chosen, refusals = await self._sorted_out(runs)
        if not chosen:
            raise _combined(refusals)
        others = [error.message.removesuffix(".") for error in refusals]
        proposal = await self._proposal(chosen, others)
        return proposal.model_copy(update={"facts": (*by, *proposal.facts)})

    async def _sorted_out(self, runs: Sequence[FlowRun]) -> tuple[list[Retriable], list[BadInput]]:
        """What can be run again, and why the others cannot."""
        sites: dict[tuple[str, str], Site] = {}
        chosen, refusals = [], []
        for run in runs:
            try:
                _check_state(run)
                found = await deployment_of(self._prefect, run)
            except BadInput as error:
                refusals.append(error)
                continue
            place = (run.work_pool_name, run.work_queue_name)
            if place not in sites:
                sites[place] = await load_site(self._prefect, *place)
            chosen.append(Retriable(run, found, sites[place]))
        return chosen, refusals

    async def _proposal(self, chosen: Sequence[Retriable], others: Sequence[str]) -> Proposal:
        runs = [each.run for each in chosen]
        rows = await run_rows(self._prefect, runs, utc_now())
        what = runs[0].name if len(runs) == 1 else f"{len(runs)} flow runs"
        return Proposal(
            action="retry_run",
            title=f"Retry {what}" + (f" of {chosen[0].found.full_name}" if len(runs) == 1 else ""),
            target=what,
            target_url=rows[0].url if len(rows) == 1 else "",
            facts=(*run_facts(rows), *retry_facts(chosen), *left_alone(others), *warnings(chosen)),
            arguments={"runs": [_argument(run) for run in runs]},
            fingerprint=fingerprint(
                _parts(runs, {each.found.deployment.id: each.found.deployment for each in chosen})
            ),
            affected=by_runs(runs, [each.found for each in chosen]),
        )

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed, naming the runs that moved on and the deployments that are not as they were."""
        wanted = proposal.arguments["runs"]
        ids = [run["id"] for run in wanted]
        runs = await self._prefect.flow_runs({"flow_runs": {"id": {"any_": ids}}}, limit=len(ids))
        deployments = await deployments_by_id(self._prefect, [run["deployment_id"] for run in wanted])
        rows = {found.deployment.id: found for found in deployments}
        parts = _parts(runs, {id_: found.deployment for id_, found in rows.items()})
        missing = {run["id"]: "" for run in wanted if run["id"] not in parts}
        gone = {
            f"{run['deployment_id']}.entrypoint": ""
            for run in wanted
            if run["deployment_id"] and run["deployment_id"] not in rows
        }
        changed = changed_parts(proposal.fingerprint, {**parts, **missing, **gone})
        if changed:
            names = {run["id"]: f"{run['name']} has been deleted" for run in wanted}
            names |= {run.id: f"{run.name} is now {run.state.name}" for run in runs}
            raise Changed(
                f"Not as it was when the card was made: {_named(changed, names, rows)}.",
                "Nothing was started. Ask again to get a card for how it is now.",
            )

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:  # noqa: ARG002 - by state
        """Puts run after run back; one that is not in the state of the card any more is left alone."""
        runs = proposal.arguments["runs"]
        message = f"Retried by {actor} through ask-marvin."
        results = [await self._retry(run, message) for run in runs]
        done = [run["id"] for run, r in zip(runs, results, strict=True) if r.kind == "retrying"]
        kinds = Counter(result.kind for result in results)
        return Receipt(
            ok=len(done) == len(runs),
            text=told(results, SENTENCES),
            url=self._prefect.links.flow_run(runs[0]["id"]) if len(runs) == 1 else "",
            flow_run_ids=tuple(done),
            short="partly" if done and kinds.total() > len(done) else "",
        )

    async def _retry(self, wanted: Mapping[str, Any], message: str) -> Outcome:
        async def move(run: FlowRun, asked_before: bool) -> Outcome:
            if _since(run) == wanted["since"]:
                return await self._propose(run, message)
            # By its message it is this card's own doing: an answer got lost, or the press was repeated.
            if run.state.message == message or (asked_before and run.state.type not in ENDED):
                return Outcome(run.name, "retrying")
            return Outcome(run.name, "moved", f"it is {run.state.name}")

        return await attempt(self._prefect, wanted["id"], wanted["name"], move)

    async def _propose(self, run: FlowRun, message: str) -> Outcome:
        answer, written = await self._prefect.set_state(
            run.id, type_="SCHEDULED", name=AWAITING_RETRY, message=message
        )
        state = answer.state.name if answer.state else ""
        if written and state == AWAITING_RETRY:
            return Outcome(run.name, "retrying")
        return Outcome(run.name, FAILED, answer.details.reason or f"Prefect left it {state or 'as it was'}")


def _chosen_by(ended: EndedRuns) -> list[Fact]:
    children = f"{ended.children} more were begun by other runs, which begin them again"
    left_out = [Fact(label="Left out", value=children)] if ended.children else []
    return [Fact(label="Chosen", value=f"all that ended {ended.words}"), *left_out]


def _check_state(run: FlowRun) -> None:
    """Raises BadInput for a run that Prefect would not run again, or should not."""
    state = run.state
    if state.type not in ENDED:
        if state.name == AWAITING_RETRY:
            raise BadInput(f"{run.name} is waiting to be run again already ({state.name}).")
        fix = "Wait until it has ended" + (", or cancel it first." if state.type != "CANCELLING" else ".")
        raise BadInput(f"{run.name} has not ended: it is {state.name}.", fix)
    if state.type == "COMPLETED" and state.keeps_result:
        raise BadInput(
            f"{run.name} has completed and its result is stored, so Prefect does not run it again.",
            f"Start a new run like it: `rerun {run.name}`.",
        )


def _combined(refusals: Sequence[BadInput]) -> BadInput:
    if len(refusals) == 1:
        return refusals[0]
    said = " ".join(error.message for error in refusals[:SAMPLE])
    return BadInput(f"None of these {len(refusals)} runs can be retried. {said}", refusals[0].fix)


def _argument(run: FlowRun) -> dict[str, str]:
    return {"id": run.id, "name": run.name, "deployment_id": run.deployment_id, "since": _since(run)}


def _since(run: FlowRun) -> str:
    """Of the present state, to the microsecond: what tells two ends of the same run apart."""
    return run.state.timestamp.isoformat() if run.state.timestamp else ""


def _parts(runs: Sequence[FlowRun], deployments: Mapping[str, Deployment]) -> dict[str, Any]:
    parts: dict[str, Any] = {run.id: [run.state.type, _since(run)] for run in runs}
    for id_, row in deployments.items():
        data = row.model_dump(mode="json", include=set(FINGERPRINTED))
        parts |= {f"{id_}.{field}": data[field] for field in FINGERPRINTED}
    return parts


def _named(
    changed: Sequence[str], runs: Mapping[str, str], deployments: Mapping[str, NamedDeployment]
) -> str:
    """`otter is now Running, etl/nightly has another entrypoint`."""
    said = []
    for part in changed:
        id_, _, field = part.partition(".")
        if not field:
            said.append(runs[id_])
        elif id_ in deployments:
            said.append(f"{deployments[id_].full_name} has been changed ({field.replace('_', ' ')})")
        else:
            said.append("its deployment has been deleted")
    return ", ".join(list(dict.fromkeys(said))[:SAMPLE])
