"""Runs that ended before their first line, as their parameters do not fit the flow."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tools.diagnosis.ended_run import EndedCheck, EndedRun
from tools.diagnosis.models import Cause, Evidence, evidence
from tools.diagnosis.words import listed
from tools.parameter_secrets import hide_secrets
from tools.run_rows import shorten

MAX_TOLD = 3
MAX_VALUE = 80
MAX_WHY = 160
_REFUSED = re.compile(r"^ ?- (?P<name>[^\s:]+): (?P<why>.+)$", re.MULTILINE)
_UNKNOWN = re.compile(
    r"expects parameters \[(?P<takes>[^\]]*)\] but was provided with parameters \[(?P<given>[^\]]*)\]"
)
_MISSING = re.compile(r"missing a required argument: '(?P<name>\w+)'")
_TOO_EARLY = "It never reached the flow's first line"


def a_parameter_has_a_bad_value(ended: EndedRun) -> Cause | None:
    refused = _found_in(ended, "ParameterTypeError", _REFUSED)
    if not refused:
        return None
    names = [found["name"] for found in refused]
    said = [
        f"parameter {found['name']} is {_value(ended, found['name'])}: {shorten(found['why'], MAX_WHY)}"
        for found in refused
    ]
    return Cause(
        kind="parameter_type",
        summary=f"{_TOO_EARLY}: {'; '.join(said)}.",
        about=ended.name,
        evidence=[*ended.evidence(), *_parameter_evidence(ended, names)],
        fix=f"Start a new run with a valid value for {listed(names)}.{_advice(ended)}",
    )


def a_parameter_is_unknown(ended: EndedRun) -> Cause | None:
    found = next(iter(_found_in(ended, "SignatureMismatchError", _UNKNOWN)), None)
    if found is None:
        return None
    takes, given = _names(found["takes"]), _names(found["given"])
    unknown = [name for name in given if name not in takes]
    what = "a parameter" if len(unknown) == 1 else "parameters"
    return Cause(
        kind="unknown_parameter",
        summary=f"{_TOO_EARLY}: it was given {what} that the flow does not take, {listed(unknown)}; "
        f"it takes {listed(takes) or 'none'} (SignatureMismatchError).",
        about=ended.name,
        evidence=[*ended.evidence(), *ended.error_evidence(), *_parameter_evidence(ended, unknown)],
        fix=f"Start a new run without {listed(unknown)}.{_set_by_deployment(ended, unknown)}",
    )


def a_parameter_is_missing(ended: EndedRun) -> Cause | None:
    found = next(iter(_found_in(ended, "ParameterBindError", _MISSING)), None)
    if found is None:
        return None
    name, given = found["name"], ", ".join(sorted(ended.run.parameters)) or "none"
    return Cause(
        kind="parameter_missing",
        summary=f"{_TOO_EARLY}: it was not given the parameter '{name}', which has no default.",
        about=ended.name,
        evidence=[
            *ended.evidence(),
            evidence("parameters", given, f"flow run {ended.run.name}"),
            *ended.error_evidence(),
        ],
        fix=f"Start a new run with a value for '{name}', or give it a default in the flow or the deployment.",
    )


def _found_in(ended: EndedRun, error_type: str, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    error = ended.error
    if error is None or error.type != error_type:
        return []
    return list(pattern.finditer(error.message))[:MAX_TOLD]


def _value(ended: EndedRun, name: str) -> str:
    """The value that the run was given, masked and cut; of `order.id` the inner one."""
    schema = ended.deployment.parameter_openapi_schema if ended.deployment else {}
    value: Any = hide_secrets(schema, ended.run.parameters)
    for part in re.findall(r"[^.\[\]]+", name):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return "not given"
    return shorten(repr(value), MAX_VALUE)


def _parameter_evidence(ended: EndedRun, names: Sequence[str]) -> list[Evidence]:
    run, deployment = ended.run, ended.deployment
    rows = [evidence(f"parameters.{name}", _value(ended, name), f"flow run {run.name}") for name in names]
    if deployment is None:
        return rows
    url = ended.facts.links.deployment(deployment.id)
    properties = deployment.parameter_openapi_schema.get("properties")
    schema = properties if isinstance(properties, Mapping) else {}
    kinds = {name: schema[name].get("type") for name in names if isinstance(schema.get(name), Mapping)}
    rows += [
        evidence(f"schema of {name}: type", kind, ended.name, url=url) for name, kind in kinds.items() if kind
    ]
    enforced = deployment.enforce_parameter_schema
    return [*rows, evidence("enforce_parameter_schema", enforced, ended.name, url=url)]


def _advice(ended: EndedRun) -> str:
    if ended.deployment is None or ended.deployment.enforce_parameter_schema:
        return ""
    return " With enforce_parameter_schema on, such a run is refused when somebody tries to create it."


def _set_by_deployment(ended: EndedRun, names: Sequence[str]) -> str:
    own = [name for name in names if ended.deployment and name in ended.deployment.parameters]
    return f" The deployment's own parameters hold {listed(own)}: remove it there." if own else ""


def _names(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


CHECKS: tuple[EndedCheck, ...] = (a_parameter_has_a_bad_value, a_parameter_is_unknown, a_parameter_is_missing)
