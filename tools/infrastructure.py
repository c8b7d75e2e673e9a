"""Where code runs, where it comes from, and who must be there for it to start; worked out, not guessed."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from knowledge.errors import BadInput
from tools.errors import NotFound
from tools.job_variables import JobVariable, effective_variables
from tools.links import Links
from tools.models import Deployment, FlowRun, WorkPool
from tools.named_deployments import NamedDeployment
from tools.prefect_client import PrefectClient
from tools.resolve import find_deployment, find_flow_run, find_work_pool
from tools.run_rows import Result
from tools.site import (
    Site,
    Starter,
    all_problems,
    code_comes_from,
    image,
    load_site,
    must_be_running,
    python_environment,
    runs_as,
    runs_on,
    starter,
    this_run,
)


class Infrastructure(Result):
    subject: str = Field(description="what is explained: deployment, work pool or flow run, with its name")
    url: str
    summary: str = Field(description="the whole answer in plain words")
    work_pool: str | None = None
    work_pool_url: str | None = None
    work_pool_type: str | None = None
    each_run_is: str = Field(description="which process or container runs the code")
    runs_on: str = Field(description="on whose machine")
    python_environment: str | None = Field(None, description="whose packages the code sees")
    image: str | None = Field(None, description="only where runs are containers")
    entrypoint: str | None = None
    code_comes_from: list[str] = Field(description="what happens before the flow is loaded, in order")
    job_variables: list[JobVariable] = Field(description="in effect, each with the layer that sets it")
    started_by: Starter = Field(description="who has to be running for a run to start")
    must_be_running: str
    online_workers: list[str]
    can_start_now: bool = Field(description="whether anything known keeps a run from starting")
    problem: str | None = None
    this_run: str | None = Field(None, description="where this very run is or was, as far as Prefect knows")


@dataclass(frozen=True, slots=True)
class Subject:
    kind: str
    name: str
    url: str


class InfrastructureReader:
    """Explains infrastructure."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def explain_infrastructure(
        self,
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, or a link")] = "",
        work_pool: Annotated[str, Field(description="a work pool's name or link")] = "",
        flow_run: Annotated[str, Field(description="a flow run's name, id or link")] = "",
    ) -> Infrastructure:
        """Where code runs: which process or container, on whose machine, fetched from where, started by whom.

        Give exactly one of deployment, work_pool or flow_run. The summary answers the question in words; the
        other fields are its evidence.
        """
        if sum(map(bool, (deployment, work_pool, flow_run))) != 1:
            raise BadInput(
                "explain_infrastructure takes exactly one of deployment, work_pool and flow_run.",
                "Name the one thing to explain.",
            )
        if work_pool:
            return await self._explain_pool(await find_work_pool(self._prefect, work_pool))
        if deployment:
            return await self._explain_deployment(await find_deployment(self._prefect, deployment))
        return await self._explain_run(await find_flow_run(self._prefect, flow_run))

    async def _explain_pool(self, pool: WorkPool) -> Infrastructure:
        site = await load_site(self._prefect, pool.name, "")
        url = self._prefect.links.work_pool(pool.name)
        return _explanation(Subject("work pool", pool.name, url), site, self._prefect.links)

    async def _explain_deployment(self, found: NamedDeployment) -> Infrastructure:
        row = found.deployment
        site = await load_site(self._prefect, row.work_pool_name, row.work_queue_name)
        url = self._prefect.links.deployment(row.id)
        return _explanation(Subject("deployment", found.full_name, url), site, self._prefect.links, row)

    async def _explain_run(self, run: FlowRun) -> Infrastructure:
        site, deployment = await asyncio.gather(
            load_site(self._prefect, run.work_pool_name, run.work_queue_name), self._deployment_of(run)
        )
        url = self._prefect.links.flow_run(run.id)
        subject = Subject("flow run", run.name, url)
        return _explanation(subject, site, self._prefect.links, deployment, run)

    async def _deployment_of(self, run: FlowRun) -> Deployment | None:
        if not run.deployment_id:
            return None
        try:
            return await self._prefect.deployment(run.deployment_id)
        except NotFound:
            return None


def _explanation(
    subject: Subject,
    site: Site,
    links: Links,
    deployment: Deployment | None = None,
    run: FlowRun | None = None,
) -> Infrastructure:
    variables = effective_variables(
        site.pool, deployment.job_variables if deployment else None, run.job_variables if run else None
    )
    who = starter(site, deployment, run)
    problem = all_problems(site, deployment, who)
    facts = Infrastructure(
        subject=f"{subject.kind} {subject.name}",
        url=subject.url,
        summary="",
        work_pool=site.pool.name if site.pool else None,
        work_pool_url=links.work_pool(site.pool.name) if site.pool else None,
        work_pool_type=site.pool.type if site.pool else None,
        each_run_is=runs_as(site, who, run),
        runs_on=runs_on(site, who, run),
        python_environment=python_environment(site, who),
        image=image(site, variables),
        entrypoint=(deployment.entrypoint or None) if deployment else None,
        code_comes_from=code_comes_from(deployment, run),
        job_variables=variables,
        started_by=who,
        must_be_running=must_be_running(site, who, run),
        online_workers=site.online,
        can_start_now=not problem and who != "impossible",
        problem=problem or None,
        this_run=this_run(run, site) if run else None,
    )
    return facts.model_copy(update={"summary": _summary(subject, facts)})


def _summary(subject: Subject, facts: Infrastructure) -> str:
    where = f", on {facts.runs_on}" if facts.started_by != "impossible" else ""
    parts = [f"{_lead(subject, facts)}: each run is {facts.each_run_is}{where}."]
    if facts.this_run:
        parts.append(facts.this_run)
    if facts.image:
        parts.append(f"Image: {facts.image}.")
    if facts.python_environment:
        parts.append(f"Python environment: {facts.python_environment}")
    parts.extend(facts.code_comes_from)
    if facts.entrypoint:
        parts.append(f"Then the flow is loaded from {facts.entrypoint}.")
    parts.append(f"For a run to start: {facts.must_be_running}")
    if facts.problem:
        parts.append(f"Problem: {facts.problem}")
    return " ".join(parts)


def _lead(subject: Subject, facts: Infrastructure) -> str:
    if subject.kind == "work pool":
        return f"The work pool {subject.name} has the type {facts.work_pool_type}"
    if facts.work_pool is None:
        return f"The {subject.kind} {subject.name} has no work pool"
    through = f"goes through the work pool {facts.work_pool} (type {facts.work_pool_type})"
    return f"The {subject.kind} {subject.name} {through}"
