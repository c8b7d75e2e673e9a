"""The run before a run: of the same deployment, or of the same flow where there is none."""

from tools.models import FlowRun
from tools.prefect_client import Filters, PrefectClient

# Some that start in the same moment, and the run itself.
CANDIDATES = 20


async def run_before(prefect: PrefectClient, run_id: str) -> FlowRun | None:
    """By when they started or should have. Raises NotFound for a run that is not there (any more)."""
    run = await prefect.flow_run(run_id)
    moment = run.start_time or run.expected_start_time
    if moment is None:
        return None
    scope: Filters = {"flows": {"id": {"any_": [run.flow_id]}}}
    if run.deployment_id:
        scope = {"deployments": {"id": {"any_": [run.deployment_id]}}}
    earlier = {"start_time": {"before_": moment.isoformat()}}
    rows = await prefect.flow_runs({**scope, "flow_runs": earlier}, limit=CANDIDATES, sort="START_TIME_DESC")
    return next((row for row in rows if row.id != run.id), None)
