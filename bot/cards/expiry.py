"""How long a card can be pressed, and what is said when that is over."""

from collections.abc import Mapping
from datetime import timedelta

from bot.cards.table import Card, CardState
from bot.people import Person
from bot.store import now

EXPIRY = timedelta(minutes=10)
# Whoever comes back from a weekend may still take it back; whether it fits by then is checked at the press.
UNDO_EXPIRY = timedelta(days=7)
# Longer than the longest action, a reindex; a card that is still "running" after this was cut off.
CUT_OFF = timedelta(minutes=70)

TOO_LATE: Mapping[CardState, str] = {
    "expired": "This card has expired and nothing was done. Ask again for a new one.",
    "declined": "This was cancelled before; nothing was done.",
    "running": "Somebody has just confirmed this; it is being done.",
}
USED = "This card was used before and works only once; nothing more was done."
CHANGED = "The parameters were changed after this was shown, and nothing was done. Look at the card again."


def is_expired(card: Card) -> bool:
    """Whether nobody decided it in time; also before that has been noted."""
    return card.state == "expired" or (card.state == "open" and card.expires_at <= now())


def too_late(card: Card, *, seen: int) -> str:
    """Why nothing can be done with the card as it is now, or not from the revision that somebody saw."""
    if card.state == "open" and card.revision != seen:
        return CHANGED
    return TOO_LATE.get("expired" if card.state == "open" else card.state, USED)


def was_cut_off(card: Card, person: Person, *, resumed: bool) -> bool:
    """Whether nobody is at it any more: this very press was at it and died, or it is far too long ago."""
    too_long = card.decided_at is not None and card.decided_at < now() - CUT_OFF
    return too_long or (resumed and card.decided_by == person.id)
