"""Deployments as people name them: `flow/deployment`. A row carries only its flow's id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.models import Deployment
from tools.prefect_client import PrefectClient


@dataclass(frozen=True, slots=True)
class NamedDeployment:
    """A deployment with its flow's name, which its row lacks."""

    deployment: Deployment
    flow: str

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.deployment.name}"


async def named_deployments(prefect: PrefectClient, rows: Sequence[Deployment]) -> list[NamedDeployment]:
    """With their flows' names, in the given order."""
    flows = await prefect.flow_names([row.flow_id for row in rows])
    return [NamedDeployment(row, flows.get(row.flow_id, "?")) for row in rows]


async def deployments_by_id(prefect: PrefectClient, ids: Iterable[str]) -> list[NamedDeployment]:
    """Those that there are; a deleted deployment is missing, and an empty id is passed over."""
    wanted = sorted({id_ for id_ in ids if id_})
    if not wanted:
        return []
    rows = await prefect.deployments({"deployments": {"id": {"any_": wanted}}}, limit=len(wanted))
    return await named_deployments(prefect, rows)


async def deployment_names(prefect: PrefectClient, ids: Iterable[str]) -> dict[str, str]:
    """`flow/deployment` by id; a deleted deployment is missing."""
    return {found.deployment.id: found.full_name for found in await deployments_by_id(prefect, ids)}
