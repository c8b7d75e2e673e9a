"""All tools, built over what they read."""

from collections.abc import Sequence

from knowledge.library import Library
from knowledge.sources.config import SourceConfig
from tools.automations import Automations
from tools.cancel import CancelRuns
from tools.concurrency import ConcurrencyLimits
from tools.deployments import Deployments
from tools.docs import Docs
from tools.events import Events
from tools.infrastructure import InfrastructureReader
from tools.logs import LogReader
from tools.prefect_client import PrefectClient
from tools.reindex import ReindexKnowledge
from tools.rollback import RollbackKnowledge
from tools.runs import Runs
from tools.toolbox import Toolbox, tool
from tools.trigger import TriggerRun
from tools.work_pools import WorkPools
from tools.workspace import Workspace


def build_toolbox(prefect: PrefectClient, library: Library, sources: Sequence[SourceConfig]) -> Toolbox:
    """Every tool. `PrefectClient(None)` is fine: the Prefect tools then say that nothing is connected.

    `sources` are those that `reindex_knowledge` can read again.
    """
    docs, pools, deployments, runs = Docs(library), WorkPools(prefect), Deployments(prefect), Runs(prefect)
    trigger, cancel = TriggerRun(prefect), CancelRuns(prefect)
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
            tool(Automations(prefect).list_automations),
            tool(ConcurrencyLimits(prefect).list_concurrency_limits),
            tool(Events(prefect).list_events),
            tool(trigger.trigger_run, action=trigger),
            tool(cancel.cancel_runs, action=cancel),
            tool(ReindexKnowledge(sources, library).reindex_knowledge, writes=True),
            tool(RollbackKnowledge(library).rollback_knowledge, writes=True),
        ]
    )
