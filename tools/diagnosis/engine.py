"""Runs the checks over the facts of one run and ranks what they find."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.diagnosis import (
    deployment_slots,
    ended,
    place,
    polling,
    running,
    schedules,
    slots,
    starting,
    stopped,
    waiting,
)
from tools.diagnosis.facts import Check, Facts, Unread
from tools.diagnosis.models import Cause, Fine, Hint
from tools.diagnosis.reading import unread_of

# In the order in which things have to be mended: each one holds a run up even if all below are well.
WAY_TO_A_START: tuple[Check, ...] = (*place.CHECKS, *polling.CHECKS)
SLOTS: tuple[Check, ...] = (*slots.CHECKS, *deployment_slots.CHECKS)
ONCE_TAKEN: tuple[Check, ...] = (
    *starting.CHECKS,
    *running.CHECKS,
    *waiting.CHECKS,
    *stopped.CHECKS,
    *ended.CHECKS,
)


@dataclass(frozen=True, slots=True)
class Findings:
    causes: Sequence[Cause]
    hints: Sequence[str]
    fine: Sequence[str]
    could_not_look: Sequence[str]


def judge(facts: Facts) -> Findings:
    """The same facts always give the same findings."""
    found = list(_found(facts))
    causes = [item for item in found if isinstance(item, Cause)]
    if not causes:
        causes = [item for check in polling.LAST_RESORTS if isinstance(item := check(facts), Cause)]
    # A certain cause is worth mending before a likely one; the order of the checks decides the rest.
    causes.sort(key=lambda cause: cause.certainty != "certain")
    return Findings(
        causes=causes,
        hints=[item.text for item in found if isinstance(item, Hint)],
        fine=[item.text for item in found if isinstance(item, Fine)],
        could_not_look=sorted({str(part) for part in unread_of(facts)}),
    )


def _found(facts: Facts) -> Iterable[Cause | Fine | Hint | Unread | None]:
    makes_runs = [check(facts) for check in schedules.CHECKS]
    if facts.run is None:
        yield from makes_runs
    yield from _on_the_way(facts)
    yield from (check(facts) for check in ONCE_TAKEN)
    if facts.run is not None:
        yield from makes_runs


def _on_the_way(facts: Facts) -> Iterable[Cause | Fine | Hint | Unread | None]:
    """For a run that is due later, what is wrong now is only worth knowing, and slots will be other ones."""
    if not facts.is_ahead:
        yield from (check(facts) for check in (*WAY_TO_A_START, *SLOTS))
        return
    for check in WAY_TO_A_START:
        item = check(facts)
        yield (
            Hint(f"Unless that changes before it is due: {item.summary}") if isinstance(item, Cause) else item
        )
