"""The actions that causes suggest, one function each."""

import shlex
from collections.abc import Sequence

from tools.diagnosis.models import SuggestedAction
from tools.models import FlowRun


def resume_pool(pool: str) -> SuggestedAction:
    return SuggestedAction(
        tool="resume_work_pool",
        arguments={"work_pool": pool},
        label="Resume the work pool",
        command=f"resume pool {shlex.quote(pool)}",
    )


def resume_queue(pool: str, queue: str) -> SuggestedAction:
    return SuggestedAction(
        tool="resume_work_pool",
        arguments={"work_pool": pool, "work_queue": queue},
        label="Resume the work queue",
        command=f"resume queue {shlex.quote(f'{pool}/{queue}')}",
    )


def resume_deployment(name: str) -> SuggestedAction:
    return SuggestedAction(
        tool="resume_deployment",
        arguments={"deployment": name},
        label="Resume the deployment",
        command=f"resume {shlex.quote(name)}",
    )


def activate_schedule(name: str) -> SuggestedAction:
    return SuggestedAction(
        tool="set_schedule_active",
        arguments={"deployment": name, "active": True},
        label="Switch the schedule on",
        command=f"resume schedule {shlex.quote(name)}",
    )


def cancel(runs: Sequence[FlowRun]) -> SuggestedAction:
    """By id, as names of runs are not unique."""
    what = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    ids = [run.id for run in runs]
    return SuggestedAction(
        tool="cancel_runs", arguments={"runs": ids}, label=f"Cancel {what}", command=f"cancel {' '.join(ids)}"
    )


def start_again(deployment: str) -> SuggestedAction:
    return SuggestedAction(
        tool="trigger_run",
        arguments={"deployment": deployment},
        label="Start a new run",
        command=f"run {shlex.quote(deployment)}",
    )


def retry(run: FlowRun) -> SuggestedAction:
    return SuggestedAction(
        tool="retry_run", arguments={"flow_run": run.id}, label="Retry the run", command=f"retry {run.id}"
    )
