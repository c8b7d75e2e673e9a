"""What the card of a retry says: which code and parameters run again, who takes it, what is in the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowledge.errors import ExpectedError
from tools.models import FlowRun
from tools.named_deployments import NamedDeployment
from tools.parameter_facts import parameter_facts
from tools.parameters import check_parameters
from tools.proposal import Fact
from tools.run_facts import SAMPLE
from tools.run_rows import shorten
from tools.site import Site, in_short_words, start_warning, starter


@dataclass(frozen=True, slots=True)
class Retriable:
    """A run that can be run again, with what it would be run by."""

    run: FlowRun
    found: NamedDeployment
    site: Site


def retry_facts(chosen: Sequence[Retriable]) -> Iterator[Fact]:
    return _one(chosen[0]) if len(chosen) == 1 else _several(chosen)


def _one(each: Retriable) -> Iterator[Fact]:
    run, row = each.run, each.found.deployment
    if run.state.message:
        yield Fact(label="Ended with", value=shorten(run.state.message))
    yield Fact(label="Attempts so far", value=str(run.run_count))
    yield Fact(label="Code", value=f"the deployment's present code ({row.entrypoint or 'no entrypoint'})")
    yield from parameter_facts(row, run.parameters, run.parameters)
    yield Fact(label="Taken by", value=_taker(each))


def _several(chosen: Sequence[Retriable]) -> Iterator[Fact]:
    yield Fact(label="Code", value="the deployments' present code")
    yield Fact(label="Parameters", value="those that each run had")
    yield Fact(label="Taken by", value="; ".join(list(dict.fromkeys(map(_taker, chosen)))[:SAMPLE]))


def _taker(each: Retriable) -> str:
    served = starter(each.site, each.found.deployment, each.run) == "serve process"
    return f"the serve process of {each.found.full_name}" if served else in_short_words(each.site)


def warnings(chosen: Sequence[Retriable]) -> Iterator[Fact]:
    """One line for the runs that have the same reason."""
    reasons: dict[str, list[str]] = {}
    for each in chosen:
        for problem in _problems(each):
            reasons.setdefault(problem, []).append(each.run.name)
    for problem, names in list(reasons.items())[:SAMPLE]:
        who = "" if len(chosen) == 1 else f"{', '.join(names[:SAMPLE])}: "
        yield Fact(label="Warning", value=f"{who}{problem}")


def _problems(each: Retriable) -> Iterator[str]:
    run, row = each.run, each.found.deployment
    if run.state.type == "COMPLETED":
        yield "It has completed: running it again does its work a second time."
    if warning := start_warning(each.site, row, starter(each.site, row, run)):
        yield warning
    if run.work_pool_name and row.work_pool_name not in ("", run.work_pool_name):
        yield (
            f"It goes back to the work pool {run.work_pool_name}, and the deployment is in "
            f"{row.work_pool_name} by now; only a new run would go there."
        )
    try:
        check_parameters(row.parameter_openapi_schema, run.parameters, {})
    except ExpectedError as error:
        yield f"The deployment's present parameters are others: {error.message}"
