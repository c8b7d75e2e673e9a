"""Pausing and resuming deployments: their schedules make no runs while they are paused."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from knowledge.errors import BadInput
from tools.affected import by_deployment
from tools.fingerprint import check_unchanged, fingerprint
from tools.lateness import late_seconds, utc_now
from tools.models import Deployment, FlowRun
from tools.named_deployments import NamedDeployment
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal, Receipt
from tools.resolve import find_deployment
from tools.schedule_runs import counted, made_by_schedule, schedule_facts, waiting_runs
from tools.site import load_site, start_problems, starter
from tools.way_back import way_back

PAUSE, RESUME = "pause_deployment", "resume_deployment"
FINGERPRINTED = ("paused", "schedules", "tags", "work_pool_name")


class PauseDeployment:
    """Proposes to pause and to resume deployments, and does it."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def pause_deployment(
        self,
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, an id, or a link")],
    ) -> Proposal:
        """Proposes to pause a deployment: its schedules make no runs, and those made are deleted.

        What runs goes on, and it can still be started by hand. A person has to confirm it on a card.
        """
        found = await find_deployment(self._prefect, deployment)
        if found.deployment.paused:
            raise BadInput(f"{found.full_name} is paused already.", "Nothing has to be done.")
        now = utc_now()
        waiting, going_on = await asyncio.gather(
            waiting_runs(self._prefect, found.deployment), self._under_way(found.deployment)
        )
        facts = (
            *schedule_facts(found.deployment, waiting, now),
            *_pause_facts(waiting, going_on, now),
        )
        return self._proposal(PAUSE, f"Pause {found.full_name}", found, facts)

    async def resume_deployment(
        self,
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, an id, or a link")],
    ) -> Proposal:
        """Proposes to resume a paused deployment, so that its active schedules make runs again.

        A person has to confirm it on a card.
        """
        found = await find_deployment(self._prefect, deployment)
        row = found.deployment
        if not row.paused:
            raise BadInput(f"{found.full_name} is not paused.", _other_reasons(found))
        site = await load_site(self._prefect, row.work_pool_name, row.work_queue_name)
        problems = start_problems(site, row, starter(site, row, None))
        facts = (*schedule_facts(row, (), utc_now()), *_resume_facts(row, problems))
        return self._proposal(RESUME, f"Resume {found.full_name}", found, facts)

    def _proposal(self, action: str, title: str, found: NamedDeployment, facts: tuple[Fact, ...]) -> Proposal:
        return Proposal(
            action=action,
            title=title,
            target=found.full_name,
            target_url=self._prefect.links.deployment(found.deployment.id),
            facts=facts,
            arguments={"deployment_id": found.deployment.id},
            fingerprint=fingerprint(_parts(found.deployment)),
            affected=(by_deployment(found),),
        )

    async def _under_way(self, row: Deployment) -> int:
        wanted = {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}, "deployment_id": {"any_": [row.id]}}
        return await self._prefect.count_flow_runs({"flow_runs": wanted})

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed, naming what is not as it was; NotFound when the deployment is gone."""
        row = await self._prefect.deployment(proposal.arguments["deployment_id"])
        check_unchanged(proposal, _parts(row))

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:  # noqa: ARG002 - idempotent
        """Pauses or resumes; doing it twice does no harm."""
        deployment_id = proposal.arguments["deployment_id"]
        opposite = self.resume_deployment if proposal.action == PAUSE else self.pause_deployment
        if proposal.action == PAUSE:
            await self._prefect.pause_deployment(deployment_id)
            text = f"Paused {proposal.target}. Its schedules make no runs until it is resumed."
        else:
            await self._prefect.resume_deployment(deployment_id)
            text = f"Resumed {proposal.target}. Its active schedules make their next runs within a minute."
        url = self._prefect.links.deployment(deployment_id)
        return Receipt(ok=True, text=text, url=url, undo=await way_back(opposite(deployment_id)))


def _pause_facts(waiting: Sequence[FlowRun], going_on: int, now: datetime) -> Iterator[Fact]:
    made = [run for run in waiting if made_by_schedule(run)]
    overdue = sum(1 for run in made if late_seconds(run, now))
    late = f", {overdue} of them overdue" if overdue else ""
    deleted = f"{counted(len(made), 'scheduled run')}{late}" if made else "no scheduled run, as there is none"
    yield Fact(label="Deletes", value=deleted)
    if kept := len(waiting) - len(made):
        yield Fact(label="Stays", value=f"{counted(kept)}, asked for by hand or begun before")
    yield Fact(
        label="Goes on", value=f"{counted(going_on)} under way" if going_on else "nothing: none is under way"
    )
    yield Fact(label="Meanwhile", value="It can still be started by hand.")


def _resume_facts(row: Deployment, problems: str) -> Iterator[Fact]:
    active = [schedule for schedule in row.schedules if schedule.active]
    then = "Its active schedules make their next runs within a minute; what was missed is not made up for."
    alone = "No schedule is active, so resuming it makes no runs by itself."
    yield Fact(label="Then", value=then if active else alone)
    if problems:
        yield Fact(label="Warning", value=f"As it is now its runs would not start properly. {problems}")


def _other_reasons(found: NamedDeployment) -> str:
    schedules = found.deployment.schedules
    if schedules and not any(schedule.active for schedule in schedules):
        return f"Its schedules are switched off by themselves: `resume schedule {found.full_name}`."
    return "Nothing has to be done."


def _parts(row: Deployment) -> dict[str, Any]:
    data = row.model_dump(mode="json", include=set(FINGERPRINTED))
    return {field: data[field] for field in FINGERPRINTED}
