"""A run in FAILED or CRASHED with its analysis: what the checks on it look at, and what all of them say."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from tools.diagnosis import suggestions
from tools.diagnosis.facts import Facts
from tools.diagnosis.models import Cause, Evidence, SuggestedAction, evidence
from tools.failure.exit_codes import Exit, exit_of
from tools.failure.models import FailureAnalysis, Frame, RaisedError
from tools.failure.words import one_line, place_of
from tools.job_variables import JobVariable, effective_variables
from tools.models import Deployment, FlowRun, WorkPool
from tools.runs import worker_of


@dataclass(frozen=True, slots=True)
class EndedRun:
    facts: Facts
    run: FlowRun
    failure: FailureAnalysis

    @property
    def message(self) -> str:
        return self.run.state.message

    @property
    def exit(self) -> Exit | None:
        return exit_of(self.message) if self.run.state.type == "CRASHED" else None

    @property
    def error(self) -> RaisedError | None:
        return self.failure.error

    @property
    def deployment(self) -> Deployment | None:
        return self.facts.deployment if isinstance(self.facts.deployment, Deployment) else None

    @property
    def name(self) -> str:
        """`deployment etl/nightly`; the run where there is none."""
        known = self.facts.deployment_name
        return f"deployment {known}" if known else f"flow run {self.run.name}"

    @property
    def output(self) -> str:
        """Where to read what Prefect was not told."""
        worker, pool = worker_of(self.run), self.facts.pool
        if worker and not self.has_image:
            return f"the output of worker '{worker}'"
        if isinstance(pool, WorkPool) and not self.has_image:
            return f"the output of the worker of work pool '{pool.name}'"
        if isinstance(pool, WorkPool):
            return f"the output of the run's {pool.type} container or job (work pool '{pool.name}')"
        return "the output of the process that ran it"

    @property
    def has_image(self) -> bool:
        """Its code ran in a container or job of its own, not as a process on the worker's machine."""
        return isinstance(self.facts.pool, WorkPool) and self.facts.pool.type != "process"

    @property
    def retry(self) -> SuggestedAction | None:
        """A run without a deployment cannot be retried."""
        return suggestions.retry(self.run) if self.run.deployment_id else None

    def evidence(self) -> list[Evidence]:
        """The state, then what the analysis adds: the task, the place, how often it was seen."""
        run, source = self.run, f"flow run {self.run.name}"
        state = f"{run.state.type} ({run.state.name})"
        rows = [evidence("state", state, source, url=self.facts.links.flow_run(run.id))]
        if self.message:
            rows.append(evidence("state.message", one_line(self.message), source))
        return [*rows, *self._analysed()]

    def _analysed(self) -> Iterable[Evidence]:
        task, error, history = self.failure.task, self.failure.error, self.failure.history
        if task:
            told = f"{task.state}, {task.attempts} of {task.attempts_allowed} attempts"
            yield evidence("task run", told, f"task run {task.name}", url=task.url)
        if error and error.user_frame:
            yield evidence("raised at", error.user_frame, "traceback in the run's log")
        if history:
            yield evidence("history", history.words, history.looked_at)

    def error_evidence(self) -> list[Evidence]:
        error = self.error
        return [evidence(error.type, one_line(error.message), "ERROR line of the run's log")] if error else []

    def entrypoint_evidence(self) -> list[Evidence]:
        deployment = self.deployment
        if deployment is None:
            return []
        url = self.facts.links.deployment(deployment.id)
        return [evidence("entrypoint", deployment.entrypoint or None, self.name, url=url)]

    def job_variables(self, *, with_pool: bool) -> list[JobVariable]:
        """In effect; without the pool only those that the deployment or the run set themselves."""
        pool = self.facts.pool if with_pool and isinstance(self.facts.pool, WorkPool) else None
        own = self.deployment.job_variables if self.deployment else None
        return effective_variables(pool, own, self.run.job_variables)


EndedCheck: TypeAlias = Callable[[EndedRun], Cause | None]


def at(frame: Frame | None) -> str:
    """` (flows/etl.py:25 in load)`, or nothing."""
    return f" ({place_of(frame)})" if frame else ""


def variable_evidence(rows: Iterable[JobVariable]) -> list[Evidence]:
    return [evidence(f"job variable {row.name}", row.value, f"set by: {row.set_by}") for row in rows]
