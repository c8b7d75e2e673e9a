"""For tests of what follows runs: a clock that can be put forward, and watches without a Slack."""

import secrets
from datetime import datetime, timedelta

from bot.cards.table import Card
from bot.store import now
from tools.proposal import Proposal

TEAM, WORKSPACE = "T1", "default"


class Clock:
    """The real time, and what was skipped."""

    def __init__(self) -> None:
        self._skipped = timedelta()

    def __call__(self) -> datetime:
        return now() + self._skipped

    def skip(self, seconds: float) -> None:
        self._skipped += timedelta(seconds=seconds)


def card_that_did(action: str = "trigger_run", *, workspace: str = WORKSPACE) -> Card:
    """A card as it is when its runs begin to be followed."""
    return Card(
        id=secrets.token_hex(6),
        proposal=Proposal(action=action, title="Do it", target="etl/nightly"),
        asked_by="U1ANN",
        expires_at=now(),
        team=TEAM,
        workspace=workspace,
    )
