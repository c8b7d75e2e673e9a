"""Automations: what Prefect does by itself when something happens, or does not."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from tools.models import Automation
from tools.named_deployments import deployment_names
from tools.prefect_client import PrefectClient
from tools.run_rows import Result, shorten

MAX_LIST = 100
# Notices are often whole templates; what kind of action it is matters here.
NOT_TOLD = frozenset(
    {"type", "source", "parameters", "job_variables", "body", "subject", "payload", "message"}
)
MAX_WHEN = 600
_DEPLOYMENT = re.compile(r"(?:prefect\.deployment\.|deployment_id\W{1,4})([0-9a-f-]{36})")


class AutomationRow(Result):
    name: str
    url: str
    enabled: bool
    description: str | None = None
    when: str = Field(description="the trigger in words")
    then: list[str] = Field(description="what it does")


class AutomationList(Result):
    automations: list[AutomationRow]
    truncated: bool


class Automations:
    """Reads automations."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def list_automations(
        self,
        name: Annotated[str, Field(description="only those whose name holds this text")] = "",
        limit: Annotated[int, Field(ge=1, le=MAX_LIST, description="how many at most")] = 30,
    ) -> AutomationList:
        """Lists automations: on or off, the trigger in words, and the actions.

        An automation can pause deployments, cancel or suspend runs or start others without a person.
        """
        rows = await self._prefect.automations(limit=MAX_LIST + 1)
        found = [row for row in rows if name.casefold() in row.name.casefold()]
        ids = {id_ for row in found[:limit] for id_ in _DEPLOYMENT.findall(row.model_dump_json())}
        names = await deployment_names(self._prefect, ids)
        return AutomationList(
            automations=[self._row(row, names) for row in found[:limit]],
            truncated=len(found) > limit or len(rows) > MAX_LIST,
        )

    def _row(self, row: Automation, names: Mapping[str, str]) -> AutomationRow:
        then = [*row.actions, *row.actions_on_trigger, *row.actions_on_resolve]
        return AutomationRow(
            name=row.name,
            url=self._prefect.links.automation(row.id),
            enabled=row.enabled,
            description=shorten(row.description) or None,
            when=shorten(_with_names(trigger_in_words(row.trigger), names), MAX_WHEN),
            then=[_with_names(_action_in_words(action), names) for action in then],
        )


def trigger_in_words(trigger: Mapping[str, Any]) -> str:
    """`prefect.flow-run.Failed of prefect.flow-run.*, within deployment …`; compound triggers are joined."""
    if parts := trigger.get("triggers"):
        need = trigger.get("require", "all")
        return f"{trigger.get('type')} ({need}): " + "; ".join(trigger_in_words(part) for part in parts)
    if trigger.get("type") == "metric":
        metric = trigger.get("metric", {})
        return f"metric {metric.get('name')} {metric.get('operator')} {metric.get('threshold')}"
    return _event_trigger(trigger)


def _event_trigger(trigger: Mapping[str, Any]) -> str:
    expected = ", ".join(trigger.get("expect", [])) or "any event"
    within = f" within {trigger.get('within', 0):g} s"
    if trigger.get("posture") == "Proactive":
        after = ", ".join(trigger.get("after", []))
        what = f"{expected} does not happen{within}{f' after {after}' if after else ''}"
    else:
        times = trigger.get("threshold", 1)
        what = f"{expected} happens" + (f" {times} times{within}" if times > 1 else "")
    return what + _resources(trigger)


def _resources(trigger: Mapping[str, Any]) -> str:
    of = _labels(trigger.get("match"))
    related = _labels(trigger.get("match_related"))
    return (f", for {of}" if of else "") + (f", related to {related}" if related else "")


def _labels(match: Any) -> str:
    """One object of labels, or a list of alternatives."""
    groups = match if isinstance(match, list) else [match]
    said = [
        ", ".join(str(value) for label, value in group.items() if label != "prefect.resource.role")
        for group in groups
        if isinstance(group, Mapping) and group
    ]
    return " or ".join(said)


def _with_names(text: str, names: Mapping[str, str]) -> str:
    """Deployments by name; an id says nothing to a reader."""
    return _DEPLOYMENT.sub(lambda found: f"deployment {names.get(found[1], found[1])}", text)


def _action_in_words(action: Mapping[str, Any]) -> str:
    details = [f"{key} {value}" for key, value in action.items() if key not in NOT_TOLD and value is not None]
    said = f" ({', '.join(details)})" if details else ""
    return shorten(f"{action.get('type', '?')}{said}")
