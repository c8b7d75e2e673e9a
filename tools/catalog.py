"""All tools, built over what they read."""

from collections.abc import Sequence

from knowledge.library import Library
from knowledge.sources.config import SourceConfig
from tools.automations import Automations
from tools.cancel import CancelRuns
from tools.concurrency import ConcurrencyLimits
from tools.deployments import Deployments
from tools.diagnosis.diagnosis import Diagnosis
from tools.docs import Docs
from tools.events import Events
from tools.infrastructure import InfrastructureReader
from tools.logs import LogReader
from tools.pause_deployment import PauseDeployment
from tools.pause_pool import PauseWorkPool
from tools.prefect_client import PrefectClient
from tools.reindex import ReindexKnowledge
from tools.retry import RetryRun
from tools.rollback import RollbackKnowledge
from tools.runs import Runs
from tools.schedule_switch import SetScheduleActive
from tools.timeline import Timelines
from tools.toolbox import Toolbox, tool
from tools.trigger import TriggerRun
from tools.work_pools import WorkPools
from tools.workspace import Workspace


def build_toolbox(prefect: PrefectClient, library: Library, sources: Sequence[SourceConfig]) -> Toolbox:
    """Every tool. `PrefectClient(None)` is fine: the Prefect tools then say that nothing is connected.

    `sources` are those that `reindex_knowledge` can read again.
    """
    docs, pools, deployments, runs = Docs(library), WorkPools(prefect), Deployments(prefect), Runs(prefect)
    diagnosis = Diagnosis(prefect)
    trigger, cancel, retry = TriggerRun(prefect), CancelRuns(prefect), RetryRun(prefect)
    pausing, schedules, pool_pausing = (
        PauseDeployment(prefect),
        SetScheduleActive(prefect),
        PauseWorkPool(prefect),
    )
    return Toolbox(
        [
            tool(docs.search_docs),
            tool(docs.read_page),
            tool(Workspace(prefect).workspace_overview),
            tool(pools.list_work_pools),
            tool(pools.describe_work_pool),
            tool(InfrastructureReader(prefect).explain_infrastructure),
            tool(deployments.list_deployments),
            tool(deployments.describe_deployment),
            tool(runs.list_flow_runs),
            tool(runs.describe_flow_run),
            tool(LogReader(prefect).read_logs),
            tool(Timelines(prefect).draw_timeline),
            tool(diagnosis.diagnose_flow_run),
            tool(diagnosis.diagnose_late_runs),
            tool(Automations(prefect).list_automations),
            tool(ConcurrencyLimits(prefect).list_concurrency_limits),
            tool(Events(prefect).list_events),
            tool(trigger.trigger_run, action=trigger),
            tool(cancel.cancel_runs, action=cancel),
            tool(retry.retry_run, action=retry),
            tool(pausing.pause_deployment, action=pausing),
            tool(pausing.resume_deployment, action=pausing),
            tool(schedules.set_schedule_active, action=schedules),
            tool(pool_pausing.pause_work_pool, action=pool_pausing),
            tool(pool_pausing.resume_work_pool, action=pool_pausing),
            tool(ReindexKnowledge(sources, library).reindex_knowledge, writes=True),
            tool(RollbackKnowledge(library).rollback_knowledge, writes=True),
        ]
    )
