"""What is late or stuck in the workspace, in one work pool or of one deployment, told by cause."""

from collections.abc import Sequence
from datetime import datetime

from tools.diagnosis.grouping import group_deployments, group_runs
from tools.diagnosis.models import LateDiagnosis, LateGroup
from tools.diagnosis.survey import Scope, Survey
from tools.diagnosis.survey_reading import (
    MAX_ACTIVE,
    MAX_DEPLOYMENTS,
    MAX_OLDEST,
    MAX_POOLS,
    read_survey,
    unread_in,
)
from tools.diagnosis.words import counted
from tools.lateness import late_seconds
from tools.models import FlowRun
from tools.prefect_client import PrefectClient
from tools.resolve import find_deployment, find_work_pool
from tools.run_rows import shorten
from tools.workers import in_words

MAX_SAID = 4
MAX_VERDICT = 1600
SMALLEST_LIMIT = min(MAX_OLDEST, MAX_ACTIVE, MAX_DEPLOYMENTS)


async def scope_of(prefect: PrefectClient, *, deployment: str, work_pool: str) -> Scope:
    if deployment:
        named = await find_deployment(prefect, deployment)
        only = {"id": {"any_": [named.deployment.id]}}
        return Scope(f"deployment {named.full_name}", {"deployments": only}, named.deployment)
    if work_pool:
        pool = await find_work_pool(prefect, work_pool)
        return Scope(
            f"work pool '{pool.name}'", {"work_pools": {"name": {"any_": [pool.name]}}}, None, pool.name
        )
    return Scope("the workspace")


async def diagnose(prefect: PrefectClient, scope: Scope, now: datetime) -> LateDiagnosis:
    survey = await read_survey(prefect, scope, now)
    runs, deployments = group_runs(survey), group_deployments(survey)
    groups = [*runs, *deployments]
    held = sum(group.runs_count for group in runs)
    return LateDiagnosis(
        scope=scope.words,
        verdict=_verdict(scope, survey, runs, deployments),
        runs_held_up=held,
        groups=groups,
        fine=_fine(survey, runs),
        could_not_look=sorted({str(part) for part in unread_in(survey)}),
        truncated=bool(_left_out(survey)),
        looked_at=_looked_at(survey),
    )


def _verdict(scope: Scope, survey: Survey, runs: Sequence[LateGroup], idle: Sequence[LateGroup]) -> str:
    parts = [_headline(scope, survey, runs)]
    parts += [_said(group) for group in runs[:MAX_SAID]]
    if len(runs) > MAX_SAID:
        rest = "; ".join(f"{group.cause.about} ({group.cause.kind})" for group in runs[MAX_SAID:])
        parts.append(f"{counted(len(runs) - MAX_SAID, 'more cause')}: {rest}.")
    if idle:
        parts.append("Besides, some deployments make no runs, which may be meant:")
        parts += [group.cause.summary for group in idle]
    if left := _left_out(survey):
        parts.append(f"Not all was looked at: {left}.")
    if list(unread_in(survey)):
        parts.append("Some of it could not be looked at.")
    return shorten(" ".join(parts), MAX_VERDICT)


def _headline(scope: Scope, survey: Survey, runs: Sequence[LateGroup]) -> str:
    if not runs:
        unseen = not isinstance(survey.overdue, tuple) or not isinstance(survey.active, tuple)
        if unseen:
            return f"Whether runs are late in {scope.words} could not be looked at in full."
        return f"No run is late or stuck in {scope.words}."
    held = sum(group.runs_count for group in runs)
    oldest = max((group.oldest_late_seconds or 0 for group in runs), default=0)
    late = f", the longest late for {in_words(oldest)}" if oldest else ""
    least = "At least " if _beyond(survey.overdue_count, survey.overdue) > 0 else ""
    return f"{least}{counted(held, 'run')} held up in {scope.words}, for {counted(len(runs), 'cause')}{late}."


def _said(group: LateGroup) -> str:
    late = f", up to {in_words(group.oldest_late_seconds)} late" if group.oldest_late_seconds else ""
    likely = (
        "most likely: " if group.cause.certainty == "likely" and "likely" not in group.cause.summary else ""
    )
    return f"{counted(group.runs_count, 'run')}{late}: {likely}{group.cause.summary}"


def _fine(survey: Survey, runs: Sequence[LateGroup]) -> list[str]:
    """What was looked at and is in order, in figures."""
    fine = []
    if isinstance(survey.active, tuple):
        stuck = {row.id for group in runs for row in group.sample}
        well = [run for run in survey.active if run.state.type == "RUNNING" and run.id not in stuck]
        if well and not any(group.runs_count > len(group.sample) for group in runs if _is_running(group)):
            fine.append(f"{counted(len(well), 'RUNNING run')} with nothing wrong to be seen")
    if isinstance(survey.overdue, tuple) and not any(late_seconds(run, survey.now) for run in survey.overdue):
        fine.append("no run is overdue")
    return fine


def _is_running(group: LateGroup) -> bool:
    return any(row.state_type == "RUNNING" for row in group.sample)


def _left_out(survey: Survey) -> str:
    """What there is beyond what was read, in words; empty when nothing."""
    parts = []
    if (more := _beyond(survey.overdue_count, survey.overdue)) > 0:
        parts.append(f"{more} more overdue runs")
    if (more := _beyond(survey.active_count, survey.active)) > 0:
        parts.append(f"{more} more active runs")
    if (more := _beyond(survey.deployments_count, survey.deployments)) > 0:
        parts.append(f"{more} more deployments")
    if (pools := len(_pools_of(survey))) > MAX_POOLS:
        parts.append(f"the workers of {pools - MAX_POOLS} more work pools")
    return ", ".join(parts)


def _beyond(count: object, rows: object) -> int:
    """Rows come and go between two reads, so it is only news where a limit was reached."""
    full = isinstance(rows, tuple) and len(rows) >= SMALLEST_LIMIT
    return count - len(rows) if full and isinstance(count, int) and isinstance(rows, tuple) else 0


def _pools_of(survey: Survey) -> set[str]:
    rows: list[FlowRun] = []
    for part in (survey.overdue, survey.active):
        rows += part if isinstance(part, tuple) else ()
    return {run.work_pool_name for run in rows} - {""}


def _looked_at(survey: Survey) -> str:
    counts = {
        "overdue run": survey.overdue,
        "active run": survey.active,
        "deployment": survey.deployments,
    }
    said = [counted(len(rows), what) for what, rows in counts.items() if isinstance(rows, tuple)]
    return ", ".join(said)
