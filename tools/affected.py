"""What a proposal touches in the workspace, as the rules of a policy see it."""

from collections.abc import Iterable, Sequence

from tools.models import FlowRun
from tools.named_deployments import NamedDeployment, named_deployments
from tools.prefect_client import PrefectClient
from tools.proposal import Affected

# As many as the client reads of anything.
MAX_DEPLOYMENTS = 2000


def by_deployment(found: NamedDeployment) -> Affected:
    row = found.deployment
    return Affected(deployment=found.full_name, tags=row.tags, work_pool=row.work_pool_name)


def by_runs(runs: Iterable[FlowRun], deployments: Sequence[NamedDeployment]) -> tuple[Affected, ...]:
    """Distinct, each with the pool that its runs are in; runs without a deployment count by their pool."""
    known = {found.deployment.id: found for found in deployments}
    return tuple(dict.fromkeys(_by_run(run, known.get(run.deployment_id)) for run in runs))


def _by_run(run: FlowRun, found: NamedDeployment | None) -> Affected:
    if found is None:
        return Affected(work_pool=run.work_pool_name)
    return by_deployment(found).model_copy(update={"work_pool": run.work_pool_name})


async def by_work_pool(prefect: PrefectClient, pool: str, queue: str = "") -> tuple[Affected, ...]:
    """The pool itself and every deployment whose runs go there; with a queue only those of that queue."""
    rows = await prefect.deployments({"work_pools": {"name": {"any_": [pool]}}}, limit=MAX_DEPLOYMENTS)
    wanted = [row for row in rows if queue in ("", row.work_queue_name)]
    named = await named_deployments(prefect, wanted)
    return (Affected(work_pool=pool), *map(by_deployment, named))
