"""Many runs by what holds them up: one group a cause, with counts, instead of one report a run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tools.diagnosis import schedules
from tools.diagnosis.engine import judge
from tools.diagnosis.facts import Facts, Unread
from tools.diagnosis.models import Cause, LateGroup, evidence
from tools.diagnosis.survey import Survey
from tools.diagnosis.words import counted, listed
from tools.lateness import late_seconds
from tools.models import Deployment, FlowRun
from tools.run_rows import RunRow, run_row

# More than a person reads; then causes of one kind are told together.
MAX_GROUPS = 20
MAX_SAMPLE = 3
MAX_NAMES = 10
# Kinds that are the way a run should be, so that a survey of trouble leaves them out.
NO_TROUBLE = frozenset({"retry_pending"})


@dataclass(slots=True)
class Held:
    """The runs of one group, while they are collected."""

    cause: Cause
    also: dict[str, Cause] = field(default_factory=dict)
    runs: list[FlowRun] = field(default_factory=list)


def group_runs(survey: Survey) -> list[LateGroup]:
    """Most runs first. Runs in the same place and state share one judgement."""
    groups: dict[tuple[str, str], Held] = {}
    for runs in _alike(survey).values():
        causes = _causes(survey, runs[0])
        if not causes:
            continue
        first = causes[0]
        held = groups.setdefault((first.kind, first.about), Held(first))
        held.runs += runs
        held.also |= {f"{cause.kind} {cause.about}": cause for cause in causes[1:]}
    rows = sorted((_group(survey, held) for held in groups.values()), key=_most_first)
    return rows if len(rows) <= MAX_GROUPS else sorted(_merged(rows), key=_most_first)


def _most_first(row: LateGroup) -> tuple[int, int]:
    return -row.runs_count, -(row.oldest_late_seconds or 0)


def _merged(rows: Sequence[LateGroup]) -> Iterable[LateGroup]:
    """One group a kind of cause, where there are too many objects at fault to tell each by itself."""
    by_kind: dict[str, list[LateGroup]] = defaultdict(list)
    for row in rows:
        by_kind[row.cause.kind].append(row)
    for alike in by_kind.values():
        yield _as_one(alike) if len(alike) > 1 else alike[0]


def _as_one(alike: Sequence[LateGroup]) -> LateGroup:
    first, about = alike[0], [row.cause.about for row in alike]
    summary = f"The same in {len(alike)} places ({listed(about)}), most runs here: {first.cause.summary}"
    cause = first.cause.model_copy(
        update={
            "summary": summary,
            "about": "; ".join(about[:MAX_NAMES]),
            "fix": f"{first.cause.fix} The others likewise.",
            "action": None,
        }
    )
    return LateGroup(
        cause=cause,
        also=first.also,
        runs_count=sum(row.runs_count for row in alike),
        sample=[row.sample[0] for row in alike[:MAX_SAMPLE]],
        oldest_late_seconds=max((row.oldest_late_seconds or 0 for row in alike), default=0) or None,
    )


def _alike(survey: Survey) -> Mapping[tuple[str, ...], list[FlowRun]]:
    """Overdue runs by place; of runs in progress each is its own case."""
    cases: dict[tuple[str, ...], list[FlowRun]] = defaultdict(list)
    for run in survey.overdue if isinstance(survey.overdue, tuple) else ():
        if late_seconds(run, survey.now):
            place = (run.work_pool_name, run.work_queue_name, run.deployment_id)
            cases[(*place, run.state.name, run.empirical_policy.retry_type)].append(run)
    for run in survey.active if isinstance(survey.active, tuple) else ():
        cases[(run.id,)].append(run)
    return cases


def _causes(survey: Survey, run: FlowRun) -> list[Cause]:
    facts = survey.facts(run)
    causes = [cause for cause in judge(facts).causes if cause.kind not in NO_TROUBLE]
    if causes or not facts.late_seconds:
        return causes
    return [_nothing_seen(facts)]


def _nothing_seen(facts: Facts) -> Cause:
    run = facts.run
    assert run is not None
    missing = isinstance(facts.pool, Unread) or isinstance(facts.workers, Unread)
    where = (
        f" in queue '{run.work_queue_name}' of work pool '{run.work_pool_name}'" if run.work_pool_name else ""
    )
    why = "not everything could be looked at" if missing else "nothing that the API shows holds them up"
    return Cause(
        kind="not_known",
        certainty="likely",
        summary=f"Runs{where} are late, and {why}; a worker may take them at its next poll.",
        about=f"queue {run.work_queue_name} of work pool {run.work_pool_name}" if where else "",
        evidence=[evidence("state", run.state.name, f"flow run {run.name}")],
        fix="Look again in a minute; if they stay, look at the log of the worker.",
    )


def _group(survey: Survey, held: Held) -> LateGroup:
    late = [seconds for run in held.runs if (seconds := late_seconds(run, survey.now))]
    newest_first = sorted(held.runs, key=_since, reverse=True)
    return LateGroup(
        cause=_of_many(held),
        also=list(held.also.values()),
        runs_count=len(held.runs),
        sample=[_row(survey, run) for run in newest_first[:MAX_SAMPLE]],
        oldest_late_seconds=max(late, default=None),
    )


def _of_many(held: Held) -> Cause:
    """What is said of one run stands as an example for the others."""
    if len(held.runs) == 1 or not held.cause.summary.startswith(("It ", "Its ")):
        return held.cause
    return held.cause.model_copy(
        update={"summary": f"For example '{held.runs[0].name}': {held.cause.summary}"}
    )


def _since(run: FlowRun) -> float:
    at = run.expected_start_time or run.created
    return at.timestamp() if at else 0.0


def _row(survey: Survey, run: FlowRun) -> RunRow:
    deployment = survey.deployment_of(run)
    flows = survey.flows if isinstance(survey.flows, Mapping) else {}
    names = {run.deployment_id: survey.name_of(deployment)} if isinstance(deployment, Deployment) else {}
    return run_row(survey.links, run, flows, names, survey.now)


# -- deployments that make no runs --


def group_deployments(survey: Survey) -> list[LateGroup]:
    """One group a kind of cause: paused, switched off, ended. Each may well be meant."""
    by_kind: dict[str, list[tuple[Deployment, Cause]]] = defaultdict(list)
    for deployment in survey.deployments if isinstance(survey.deployments, tuple) else ():
        for cause in _idle(survey.facts_about(deployment)):
            by_kind[cause.kind].append((deployment, cause))
    return [_deployments(survey, kind, found) for kind, found in by_kind.items()]


def _idle(facts: Facts) -> Iterable[Cause]:
    """The first thing that keeps it from making runs; a deployment without schedules makes none anyway."""
    deployment = facts.deployment
    if not isinstance(deployment, Deployment) or not (deployment.schedules or deployment.paused):
        return ()
    causes = [item for check in schedules.CHECKS if isinstance(item := check(facts), Cause)]
    return causes[:1]


_SAID = {
    "deployment_paused": "are paused",
    "schedule_inactive": "have no active schedule",
    "schedule_ended": "have schedules that have ended",
    "next_run_far_ahead": "have schedules that come due only far ahead",
}


def _deployments(survey: Survey, kind: str, found: Sequence[tuple[Deployment, Cause]]) -> LateGroup:
    names = [survey.name_of(deployment) for deployment, _ in found]
    first = found[0][1]
    cause = first
    if len(found) > 1:
        said = _SAID.get(kind, "are held back alike")
        cause = first.model_copy(
            update={
                "summary": f"{counted(len(found), 'deployment')} {said}, so make no runs: {listed(names)}.",
                "about": "deployments",
                "evidence": [line for _, other in found[:MAX_SAMPLE] for line in other.evidence],
                "action": None,
                "fix": f"{first.fix} The others likewise, where it is not meant.",
            }
        )
    return LateGroup(cause=cause, deployments_count=len(found), deployments=names[:MAX_NAMES])
