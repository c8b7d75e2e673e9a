"""Starting a run: everything is resolved and checked before a person is asked."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field

from knowledge.errors import BadInput
from tools.affected import by_deployment
from tools.errors import Changed
from tools.fingerprint import check_unchanged, fingerprint
from tools.job_variables import pool_schema
from tools.lateness import utc_now
from tools.models import Deployment, FlowRun
from tools.named_deployments import NamedDeployment, named_deployments
from tools.parameter_facts import in_short, parameter_facts
from tools.parameter_form import ParameterForm, parameter_form
from tools.parameter_types import parse_typed
from tools.parameters import check_job_variables, check_parameters
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal, Receipt
from tools.redact import redact_data
from tools.rerun import carried_parameters, carried_tags, deployment_of, difference_facts
from tools.resolve import find_deployment, find_flow_run
from tools.site import Site, in_short_words, load_site, start_warning, starter
from tools.when import PAST_ALLOWED, in_zone, parse_when, zone_named

MAX_TAGS = 20
# A run that is due this soon is told as started.
SOON = timedelta(seconds=30)
# What a run is made of. Left out: what changes by itself, such as status and last_polled.
FINGERPRINTED = (
    *("name", "flow_id", "paused", "parameters", "parameter_openapi_schema", "enforce_parameter_schema"),
    *("entrypoint", "pull_steps", "path", "storage_document_id", "job_variables", "tags"),
    *("work_pool_name", "work_queue_name"),
)


class TriggerRun:
    """Proposes and starts runs of deployments."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def trigger_run(
        self,
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, an id, or a link")] = "",
        parameters: Annotated[
            dict[str, Any] | None,
            Field(
                description="values by parameter name; the others keep their defaults, or those of rerun_of"
            ),
        ] = None,
        scheduled_time: Annotated[
            str,
            Field(
                description="ISO time with zone, or in time_zone: 8:00, tomorrow 8:00, in 2 h; empty for now"
            ),
        ] = "",
        run_name: Annotated[str, Field(max_length=200, description="empty for a random one")] = "",
        tags: Annotated[
            tuple[str, ...], Field(max_length=MAX_TAGS, description="beside the deployment's")
        ] = (),
        job_variables: Annotated[
            dict[str, Any] | None, Field(description="infrastructure settings for this run only")
        ] = None,
        rerun_of: Annotated[
            str,
            Field(
                description="instead of deployment: a flow run whose parameters, tags and job variables count"
            ),
        ] = "",
        time_zone: Annotated[
            str, Field(description="the asker's, as an IANA name such as Europe/Lisbon")
        ] = "",
    ) -> Proposal:
        """Proposes to start a run of a deployment, now or later. A person has to confirm it on a card.

        Parameters are checked against the deployment's schema first; on an error call it again with mended
        values, or ask the person. Never invent a value that nobody gave. With rerun_of it is a new run like
        that one, changed by what is given here; to run the same one again use retry_run.
        """
        zone = zone_named(time_zone) if time_zone.strip() else None
        due = parse_when(scheduled_time, zone=zone, now=utc_now()) if scheduled_time.strip() else None
        found, before = await self._what(deployment, rerun_of)
        row = found.deployment
        site = await load_site(self._prefect, row.work_pool_name, row.work_queue_name)
        # What an older run had was allowed then; only what is new comes out of a chat.
        _check_job_variables(site, job_variables or {})
        request = {
            "parameters": {**(carried_parameters(before, row) if before else {}), **(parameters or {})},
            "scheduled_time": due.isoformat() if due else None,
            "time_zone": zone.key if zone else "",
            "name": run_name.strip() or None,
            "tags": list(dict.fromkeys([*(carried_tags(before, row) if before else ()), *tags])),
            "job_variables": {**(before.job_variables if before else {}), **(job_variables or {})},
            "rerun_of": before.id if before else "",
        }
        return self._proposal(found, before, site, request)

    async def _what(self, deployment: str, rerun_of: str) -> tuple[NamedDeployment, FlowRun | None]:
        if not rerun_of.strip():
            if not deployment.strip():
                raise BadInput(
                    "Nothing to start was named.", "Name a deployment, or a run to make another of."
                )
            return await find_deployment(self._prefect, deployment), None
        before = await find_flow_run(self._prefect, rerun_of)
        found = await deployment_of(self._prefect, before)
        if deployment.strip():
            named = await find_deployment(self._prefect, deployment)
            if named.deployment.id != found.deployment.id:
                raise BadInput(
                    f"{before.name} is a run of {found.full_name}, not of {named.full_name}.",
                    "Leave one of the two out.",
                )
        return found, before

    def _proposal(
        self, found: NamedDeployment, before: FlowRun | None, site: Site, request: Mapping[str, Any]
    ) -> Proposal:
        row = found.deployment
        merged = check_parameters(row.parameter_openapi_schema, request["parameters"], row.parameters)
        when = _when(request)
        what = f"Start a new run of {found.full_name} like {before.name}" if before else ""
        return Proposal(
            action="trigger_run",
            title=(what or f"Start a run of {found.full_name}") + (f" at {when}" if when else ""),
            target=found.full_name,
            target_url=self._prefect.links.deployment(row.id),
            facts=tuple(_facts(found, before, site, merged, request)),
            arguments={**request, "deployment_id": row.id},
            fingerprint=fingerprint(_parts(row)),
            affected=(by_deployment(found),),
            editable=bool(row.parameter_openapi_schema.get("properties")),
        )

    async def form(self, proposal: Proposal) -> ParameterForm:
        """The proposal's parameters as a form, by the live schema. Raises NotFound as `revise` does."""
        row = await self._prefect.deployment(proposal.arguments["deployment_id"])
        given = proposal.arguments["parameters"]
        return parameter_form(row.parameter_openapi_schema, defaults=row.parameters, given=given)

    async def revise(self, proposal: Proposal, parameters: Mapping[str, Any]) -> Proposal:
        """The same proposal with these parameter values in place of its own, checked by the live schema.

        Raises BadInput as `trigger_run` does, NotFound when the deployment or the run it follows is gone.
        """
        wanted = proposal.arguments
        row = await self._prefect.deployment(wanted["deployment_id"])
        found = (await named_deployments(self._prefect, [row]))[0]
        before = await self._prefect.flow_run(wanted["rerun_of"]) if wanted["rerun_of"] else None
        site = await load_site(self._prefect, row.work_pool_name, row.work_queue_name)
        request = {**wanted, "parameters": dict(parameters)}
        return self._proposal(found, before, site, request)

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed, naming what is not as it was; NotFound when the deployment is gone."""
        row = await self._prefect.deployment(proposal.arguments["deployment_id"])
        check_unchanged(proposal, _parts(row))
        _check_in_time(proposal.arguments)

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:
        """Starts the run; with the same key it never starts a second one, so a failed try may be repeated."""
        wanted = proposal.arguments
        run, created = await self._prefect.create_flow_run(
            wanted["deployment_id"], _body(wanted, actor), key=key
        )
        if run.deployment_id != wanted["deployment_id"]:
            return Receipt(
                ok=False,
                text=f"Nothing was started: another deployment of the same flow has used this card's key "
                f"for its run {run.name}.",
            )
        return Receipt(
            ok=True,
            text=_told(proposal, run, created=created),
            url=self._prefect.links.flow_run(run.id),
            flow_run_ids=(run.id,),
        )


async def typed_parameters(
    prefect: PrefectClient, deployment: str, words: Mapping[str, str]
) -> dict[str, Any]:
    """`x=1` as typed in a command, as values for `trigger_run`, by the types of the deployment's schema."""
    found = await find_deployment(prefect, deployment)
    return parse_typed(found.deployment.parameter_openapi_schema, words)


async def typed_parameters_of_run(
    prefect: PrefectClient, flow_run: str, words: Mapping[str, str]
) -> dict[str, Any]:
    """The same for a run that another is to be made after."""
    found = await deployment_of(prefect, await find_flow_run(prefect, flow_run))
    return parse_typed(found.deployment.parameter_openapi_schema, words)


def _check_job_variables(site: Site, given: Mapping[str, Any]) -> None:
    if given and site.pool is None:
        raise BadInput("Job variables need a work pool, and this deployment has none.", "Leave them out.")
    check_job_variables(pool_schema(site.pool), given)


def _facts(
    found: NamedDeployment,
    before: FlowRun | None,
    site: Site,
    merged: Mapping[str, Any],
    request: Mapping[str, Any],
) -> Iterator[Fact]:
    row = found.deployment
    yield Fact(label="Deployment", value=found.full_name)
    if before:
        yield from difference_facts(before, row, request)
    yield from parameter_facts(row, merged, request["parameters"])
    yield Fact(label="When", value=_when(request) or "now")
    if request["name"]:
        yield Fact(label="Run name", value=request["name"])
    if request["tags"]:
        yield Fact(label="Tags", value=", ".join(request["tags"]))
    if request["job_variables"]:
        yield Fact(label="Job variables", value=in_short(redact_data(request["job_variables"])))
    yield Fact(label="Runs in", value=in_short_words(site))
    if warning := start_warning(site, row, starter(site, row, None)):
        yield Fact(label="Warning", value=warning)


def _when(request: Mapping[str, Any]) -> str:
    """The time that was asked for, in the asker's zone and in UTC; empty for now."""
    due = request["scheduled_time"]
    return in_zone(datetime.fromisoformat(due), _zone(request)) if due else ""


def _zone(request: Mapping[str, Any]) -> ZoneInfo | None:
    return zone_named(request["time_zone"]) if request["time_zone"] else None


def _check_in_time(request: Mapping[str, Any]) -> None:
    """A time that passed while the card was open would start the run at once, which nobody asked for."""
    due = request["scheduled_time"]
    if due and datetime.fromisoformat(due) < utc_now() - PAST_ALLOWED:
        raise Changed(
            f"{_when(request)} has passed since this card was made.",
            "Nothing was started. Ask again with another time.",
        )


def _parts(row: Deployment) -> dict[str, Any]:
    data = row.model_dump(mode="json", include=set(FINGERPRINTED))
    return {field: data[field] for field in FINGERPRINTED}


def _body(wanted: Mapping[str, Any], actor: str) -> dict[str, Any]:
    body = {key: wanted[key] for key in ("parameters", "tags", "job_variables", "name") if wanted[key]}
    if due := wanted["scheduled_time"]:
        body["state"] = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    return {**body, "labels": {"slack.user": actor}}


def _told(proposal: Proposal, run: FlowRun, *, created: bool) -> str:
    if not created:
        return f"{proposal.target} had already been started for this card: run {run.name}."
    due = run.expected_start_time
    if due and due > utc_now() + SOON:
        when = in_zone(due, _zone(proposal.arguments))
        return f"Scheduled {proposal.target} for {when} as run {run.name}."
    return f"Started {proposal.target} as run {run.name}."
