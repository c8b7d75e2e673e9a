"""Switching one schedule of a deployment on or off."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from knowledge.errors import BadInput
from tools.affected import by_deployment
from tools.errors import Ambiguous, NotFound
from tools.fingerprint import check_unchanged, fingerprint
from tools.lateness import late_seconds, utc_now
from tools.models import Deployment, FlowRun, Schedule
from tools.named_deployments import NamedDeployment
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal, Receipt
from tools.resolve import find_deployment
from tools.schedule_runs import counted, made_by_schedule, schedule_in_words, waiting_runs
from tools.schedules import in_words
from tools.way_back import way_back

ACTION = "set_schedule_active"
# Tags and pool are what policies look at.
FINGERPRINTED = ("paused", "schedules", "tags", "work_pool_name")
# Enough to tell a deployment's schedules apart.
SHORT_ID = 8


class SetScheduleActive:
    """Proposes to switch a schedule on or off, and does it."""

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect

    async def set_schedule_active(
        self,
        deployment: Annotated[str, Field(description="flow/deployment, a part of it, an id, or a link")],
        active: Annotated[bool, Field(description="true switches it on, false off")],
        schedule: Annotated[
            str,
            Field(description="which: its id, or words of it such as the cron text; empty for the only one"),
        ] = "",
    ) -> Proposal:
        """Proposes to switch one schedule of a deployment on or off. A person has to confirm it on a card.

        To stop all of a deployment's schedules use pause_deployment.
        """
        found = await find_deployment(self._prefect, deployment)
        chosen = _chosen(found, schedule, active)
        waiting = await waiting_runs(self._prefect, found.deployment)
        verb = "on" if active else "off"
        return Proposal(
            action=ACTION,
            title=f"Switch a schedule of {found.full_name} {verb}: {_plain(chosen)}",
            target=found.full_name,
            target_url=self._prefect.links.deployment(found.deployment.id),
            facts=tuple(_facts(found.deployment, chosen, waiting, utc_now())),
            arguments={
                "deployment_id": found.deployment.id,
                "schedule_id": chosen.id,
                "active": active,
                "words": _plain(chosen),
            },
            fingerprint=fingerprint(_parts(found.deployment)),
            affected=(by_deployment(found),),
        )

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed, naming what is not as it was; NotFound when the deployment is gone."""
        row = await self._prefect.deployment(proposal.arguments["deployment_id"])
        check_unchanged(proposal, _parts(row))

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:  # noqa: ARG002 - idempotent
        """Switches it; doing it twice does no harm."""
        wanted = proposal.arguments
        await self._prefect.set_schedule_active(
            wanted["deployment_id"], wanted["schedule_id"], wanted["active"]
        )
        verb = "on" if wanted["active"] else "off"
        return Receipt(
            ok=True,
            text=f"The schedule {wanted['words']} of {proposal.target} is switched {verb}.",
            url=self._prefect.links.deployment(wanted["deployment_id"]),
            undo=await way_back(
                self.set_schedule_active(wanted["deployment_id"], not wanted["active"], wanted["schedule_id"])
            ),
        )


def _chosen(found: NamedDeployment, text: str, active: bool) -> Schedule:
    schedules = found.deployment.schedules
    if not schedules:
        raise BadInput(f"{found.full_name} has no schedule.", "Nothing has to be done.")
    matching = _matching(schedules, text)
    if not matching:
        raise NotFound(
            f"{found.full_name} has no schedule {text!r}.", f"It has {', '.join(map(in_words, schedules))}."
        )
    to_switch = [schedule for schedule in matching if schedule.active != active]
    if not to_switch:
        verb = "on" if active else "off"
        which = f"The schedule {_plain(matching[0])}" if len(matching) == 1 else "Every schedule"
        raise BadInput(f"{which} of {found.full_name} is switched {verb} already.", "Nothing has to be done.")
    if len(to_switch) > 1:
        raise Ambiguous(
            f"{found.full_name} has {len(to_switch)} schedules that could be meant; add which.",
            [_choice(schedule, to_switch) for schedule in to_switch],
        )
    return to_switch[0]


def _matching(schedules: Sequence[Schedule], text: str) -> list[Schedule]:
    """All for an empty text; the strongest kind of match that occurs at all."""
    wanted = " ".join(text.casefold().split())
    if not wanted:
        return list(schedules)
    exact = [schedule for schedule in schedules if wanted in _names(schedule)]
    return exact or [schedule for schedule in schedules if any(wanted in name for name in _names(schedule))]


def _names(schedule: Schedule) -> list[str]:
    detail = schedule.schedule
    names = (
        schedule.id,
        schedule.slug,
        str(detail.get("cron", "")),
        str(detail.get("rrule", "")),
        _plain(schedule),
    )
    return [" ".join(name.casefold().split()) for name in names if name]


def _plain(schedule: Schedule) -> str:
    """In words, without whether it is on."""
    return in_words(schedule.model_copy(update={"active": True}))


def _choice(schedule: Schedule, others: Sequence[Schedule]) -> str:
    alike = [other for other in others if _plain(other) == _plain(schedule)]
    return _plain(schedule) + (f", id {schedule.id[:SHORT_ID]}" if len(alike) > 1 else "")


def _facts(row: Deployment, chosen: Schedule, waiting: Sequence[FlowRun], now: datetime) -> Iterator[Fact]:
    yield Fact(label="Schedule", value=schedule_in_words(chosen, waiting, now))
    if chosen.parameters:
        yield Fact(label="Its parameters", value=", ".join(chosen.parameters))
    for other in row.schedules:
        if other.id != chosen.id:
            yield Fact(label="Other schedule", value=schedule_in_words(other, waiting, now))
    if chosen.active:
        yield from _off_facts(row, chosen, waiting, now)
    elif not row.paused:
        yield Fact(label="Then", value="Prefect makes its next runs within a minute.")
    if row.paused:
        yield Fact(
            label="Warning", value="The deployment is paused as well, so none of its schedules makes runs."
        )


def _off_facts(
    row: Deployment, chosen: Schedule, waiting: Sequence[FlowRun], now: datetime
) -> Iterator[Fact]:
    """Prefect deletes what is laid out for all schedules, and makes anew what the others need."""
    ahead = [run for run in waiting if made_by_schedule(run) and not late_seconds(run, now)]
    mine = [run for run in ahead if run.created_by.id == chosen.id]
    yield Fact(label="Deletes", value=f"{counted(len(mine), 'run')} scheduled ahead")
    if not row.paused and any(other.active for other in row.schedules if other.id != chosen.id):
        yield Fact(label="The others", value="Their runs ahead are laid out again within a minute.")
    if overdue := sum(1 for run in waiting if late_seconds(run, now)):
        yield Fact(label="Stays", value=f"{counted(overdue)} overdue")


def _parts(row: Deployment) -> dict[str, Any]:
    data = row.model_dump(mode="json", include=set(FINGERPRINTED))
    return {field: data[field] for field in FINGERPRINTED}
