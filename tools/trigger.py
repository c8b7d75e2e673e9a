"""Starting a run: everything is resolved and checked before a person is asked."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from knowledge.errors import BadInput
from tools.errors import Changed
from tools.job_variables import pool_schema
from tools.lateness import utc_now
from tools.models import Deployment, FlowRun, iso
from tools.parameters import check_job_variables, check_parameters, parse_typed
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal, Receipt
from tools.redact import redact_data
from tools.resolve import NamedDeployment, find_deployment
from tools.run_rows import shorten
from tools.site import Site, all_problems, load_site, starter

MAX_TAGS = 20
MAX_VALUE = 300
# A scheduled time may lie this far back: between asking and proposing a minute passes easily.
PAST_ALLOWED = timedelta(minutes=2)
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
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, an id, or a link")],
        parameters: Annotated[
            dict[str, Any] | None,
            Field(description="values by parameter name; the others keep their defaults"),
        ] = None,
        scheduled_time: Annotated[
            str, Field(description="ISO time with zone, such as 2026-11-23T08:00:00+01:00; empty for now")
        ] = "",
        run_name: Annotated[str, Field(max_length=200, description="empty for a random one")] = "",
        tags: Annotated[
            tuple[str, ...], Field(max_length=MAX_TAGS, description="beside the deployment's")
        ] = (),
        job_variables: Annotated[
            dict[str, Any] | None, Field(description="infrastructure settings for this run only")
        ] = None,
    ) -> Proposal:
        """Proposes to start a run of a deployment, now or later. A person has to confirm it on a card.

        Parameters are checked against the deployment's schema first; on an error call it again with mended
        values, or ask the person. Never invent a value that nobody gave.
        """
        found = await find_deployment(self._prefect, deployment)
        row = found.deployment
        merged = check_parameters(row.parameter_openapi_schema, parameters or {}, row.parameters)
        due = _due(scheduled_time)
        site = await load_site(self._prefect, row.work_pool_name, row.work_queue_name)
        _check_job_variables(site, job_variables or {})
        request = {
            "parameters": parameters or {},
            "scheduled_time": due.isoformat() if due else None,
            "name": run_name.strip() or None,
            "tags": list(tags),
            "job_variables": job_variables or {},
        }
        return Proposal(
            action="trigger_run",
            title=f"Start a run of {found.full_name}" + (f" at {iso(due)}" if due else ""),
            target=found.full_name,
            target_url=self._prefect.links.deployment(row.id),
            facts=tuple(_facts(found, site, merged, request)),
            arguments={"deployment_id": row.id, **request},
            fingerprint=_fingerprint(row),
        )

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed, naming what is not as it was; NotFound when the deployment is gone."""
        row = await self._prefect.deployment(proposal.arguments["deployment_id"])
        before, after = _parts(proposal.fingerprint), _parts(_fingerprint(row))
        changed = [field for field in after if before.get(field) != after[field]]
        if changed:
            what = ", ".join(field.replace("_", " ") for field in changed)
            raise Changed(
                f"{proposal.target} has been changed since this card was made: {what}.",
                "Nothing was started. Ask again to get a card for how it is now.",
            )

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
            text=_told(proposal.target, run, created=created),
            url=self._prefect.links.flow_run(run.id),
            flow_run_ids=(run.id,),
        )


async def typed_parameters(
    prefect: PrefectClient, deployment: str, words: Mapping[str, str]
) -> dict[str, Any]:
    """`x=1` as typed in a command, as values for `trigger_run`, by the types of the deployment's schema."""
    found = await find_deployment(prefect, deployment)
    return parse_typed(found.deployment.parameter_openapi_schema, words)


def _check_job_variables(site: Site, given: Mapping[str, Any]) -> None:
    if given and site.pool is None:
        raise BadInput("Job variables need a work pool, and this deployment has none.", "Leave them out.")
    check_job_variables(pool_schema(site.pool), given)


def _due(text: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        due = TypeAdapter(datetime).validate_strings(text.strip())
    except ValidationError:
        raise BadInput(f"{text[:60]!r} is not a time.", "Write it as 2026-11-23T08:00:00+01:00.") from None
    if due.tzinfo is None:
        raise BadInput(f"{text[:60]!r} has no time zone.", "Add it, as in 2026-11-23T08:00:00+01:00 or …Z.")
    if due < utc_now() - PAST_ALLOWED:
        raise BadInput(
            f"{iso(due)} has passed already.", "Give a time to come, or leave it out to start now."
        )
    return due


def _facts(
    found: NamedDeployment, site: Site, merged: Mapping[str, Any], request: Mapping[str, Any]
) -> Iterator[Fact]:
    row = found.deployment
    yield Fact(label="Deployment", value=found.full_name)
    yield from _parameter_facts(row, merged, request["parameters"])
    due = request["scheduled_time"]
    yield Fact(label="When", value=iso(datetime.fromisoformat(due)) if due else "now")
    if request["name"]:
        yield Fact(label="Run name", value=request["name"])
    if request["tags"]:
        yield Fact(label="Tags", value=", ".join(request["tags"]))
    if request["job_variables"]:
        yield Fact(label="Job variables", value=_shown(redact_data(request["job_variables"])))
    yield Fact(label="Runs in", value=_place(site))
    if problem := all_problems(site, row, starter(site, row, None)):
        yield Fact(label="Warning", value=f"As it is now the run would not start properly. {problem}")


def _parameter_facts(row: Deployment, merged: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Fact]:
    """Every parameter of the run, in the signature's order, also those that nobody gave."""
    properties = row.parameter_openapi_schema.get("properties", {})
    ordered = sorted(properties, key=lambda name: properties[name].get("position", 0))
    values = {name: properties[name].get("default") for name in ordered if "default" in properties[name]}
    values.update(merged)
    shown = redact_data({name: values[name] for name in dict.fromkeys([*ordered, *values]) if name in values})
    for name, value in shown.items():
        yield Fact(label=f"Parameter {name}", value=_shown(value) + ("" if name in given else " (default)"))
    if not shown:
        yield Fact(label="Parameters", value="none")


def _shown(value: Any) -> str:
    return shorten(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), MAX_VALUE)


def _place(site: Site) -> str:
    if site.pool is None or site.kind is None:
        return "no work pool"
    queue = f", queue {site.queue.name}" if site.queue else ""
    online = f"; workers online: {', '.join(site.online) or 'none'}" if site.kind.needs == "worker" else ""
    return f"work pool {site.pool.name} ({site.pool.type}){queue}{online}"


def _fingerprint(row: Deployment) -> str:
    """`field=hash` by field, so that a refusal can name what has changed."""
    data = row.model_dump(mode="json", include=set(FINGERPRINTED))
    return " ".join(f"{field}={_hash(data[field])}" for field in FINGERPRINTED)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _parts(fingerprint: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in fingerprint.split())


def _body(wanted: Mapping[str, Any], actor: str) -> dict[str, Any]:
    body = {key: wanted[key] for key in ("parameters", "tags", "job_variables", "name") if wanted[key]}
    if due := wanted["scheduled_time"]:
        body["state"] = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    return {**body, "labels": {"slack.user": actor}}


def _told(target: str, run: FlowRun, *, created: bool) -> str:
    if not created:
        return f"{target} had already been started for this card: run {run.name}."
    due = run.expected_start_time
    if due and due > utc_now() + timedelta(seconds=30):
        return f"Scheduled {target} for {iso(due)} as run {run.name}."
    return f"Started {target} as run {run.name}."
