"""What a run leaves behind for doing it again: its deployment, and what it was given."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from knowledge.errors import BadInput
from tools.errors import NotFound
from tools.models import Deployment, FlowRun
from tools.named_deployments import NamedDeployment, named_deployments
from tools.parameter_facts import in_short
from tools.parameter_secrets import hide_secrets
from tools.prefect_client import PrefectClient
from tools.proposal import Fact
from tools.redact import redact_data

# Prefect's own mark on what a schedule has made; on a run started by a person it would be a lie.
AUTO_SCHEDULED = "auto-scheduled"
MAX_CHOICES = 5
MAX_VALUE = 80

Values = Mapping[str, Any]


async def deployment_of(prefect: PrefectClient, run: FlowRun) -> NamedDeployment:
    """Raises BadInput, with the way out, for a run that has none (any more)."""
    if run.deployment_id:
        try:
            return (await named_deployments(prefect, [await prefect.deployment(run.deployment_id)]))[0]
        except NotFound:
            raise BadInput(
                f"The deployment of {run.name} has been deleted, so nothing could run it again.",
                await _way_out(prefect, run, "Deploy the flow again"),
            ) from None
    if run.parent_task_run_id:
        raise BadInput(
            f"{run.name} was called by another flow run and has no deployment of its own.",
            "Retry the run that called it.",
        )
    raise BadInput(
        f"{run.name} was started without a deployment, and Prefect can run only those of a deployment again.",
        await _way_out(prefect, run, "Call the flow again where it was called, or deploy it"),
    )


async def _way_out(prefect: PrefectClient, run: FlowRun, otherwise: str) -> str:
    rows = await prefect.deployments({"flows": {"id": {"any_": [run.flow_id]}}}, limit=MAX_CHOICES)
    if not rows:
        return f"{otherwise}."
    names = ", ".join(found.full_name for found in await named_deployments(prefect, rows))
    return f"A new run can be started of {names}."


def carried_parameters(run: FlowRun, row: Deployment) -> dict[str, Any]:
    """The run's own, without those that the deployment takes no more."""
    properties = row.parameter_openapi_schema.get("properties")
    if not isinstance(properties, dict):
        return dict(run.parameters)
    return {name: value for name, value in run.parameters.items() if name in properties}


def carried_tags(run: FlowRun, row: Deployment) -> list[str]:
    """Those that the deployment does not add by itself."""
    return [tag for tag in run.tags if tag != AUTO_SCHEDULED and tag not in row.tags]


def difference_facts(run: FlowRun, row: Deployment, request: Mapping[str, Any]) -> Iterator[Fact]:
    """What sets the new run apart from the one that it is made after."""
    yield Fact(label="Made after", value=f"{run.name} ({run.state.name})")
    schema = row.parameter_openapi_schema
    changes = [
        *_changes(run.parameters, {**row.parameters, **request["parameters"]}, partial(hide_secrets, schema)),
        *(f"tag {tag}: new" for tag in request["tags"] if tag not in run.tags),
        *(
            f"job variable {change}"
            for change in _changes(run.job_variables, request["job_variables"], redact_data)
        ),
    ]
    same = "nothing: the same parameters, tags and job variables"
    yield Fact(label="Differs in", value="; ".join(changes) or same)
    yield Fact(label="Code", value=f"the deployment's present code ({row.entrypoint or 'no entrypoint'})")


def _changes(before: Values, after: Values, masked: Callable[[Values], Values]) -> Iterator[str]:
    """`rows: 5 → 7`, without secrets."""
    old, new = masked(before), masked(after)
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield f"{name}: left out"
        elif name not in before:
            yield f"{name}: {in_short(new[name], MAX_VALUE)}, not given before"
        elif before[name] != after[name]:
            yield f"{name}: {in_short(old[name], MAX_VALUE)} → {in_short(new[name], MAX_VALUE)}"
