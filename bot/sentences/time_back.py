"""How far back words reach: `tonight`, `since yesterday`, `in the last 2 hours`. Pure."""

import re
from datetime import datetime, time, timedelta, tzinfo

from knowledge.errors import BadInput

# A night begins here, for whoever is woken in it.
EVENING = time(18)
_SPAN = re.compile(r"(?:last|past)\s+(\d{1,3})?\s*(h|m|d)", re.IGNORECASE)
_UNITS = {"h": 1.0, "m": 1 / 60, "d": 24.0}
_CLOCK = re.compile(r"since\s+(\d{1,2}):(\d{2})", re.IGNORECASE)


def hours_back(words: str, now: datetime, zone: tzinfo) -> float:
    """From now to the moment at which it begins; times of day are in `zone`. Raises BadInput."""
    if span := _SPAN.search(words):
        return int(span[1] or 1) * _UNITS[span[2].lower()]
    local = now.astimezone(zone)
    today = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if clock := _CLOCK.search(words):
        return _since(_last(_time(clock), local), local)
    if re.search(r"tonight|overnight|last night", words, re.IGNORECASE):
        return _since(_last(EVENING, local), local)
    if "since yesterday" in words.lower():
        return _since(today - timedelta(days=1), local)
    # `today`, `this morning`, `since midnight`; just after midnight that is still some time.
    return max(_since(today, local), 1.0)


def _since(moment: datetime, now: datetime) -> float:
    # By the clock on the wall, an hour may come twice; what goes by does not.
    return (now.timestamp() - moment.timestamp()) / 3600


def _last(at: time, local: datetime) -> datetime:
    """The last time that the clocks showed it."""
    moment = local.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return moment if moment < local else moment - timedelta(days=1)


def _time(clock: re.Match[str]) -> time:
    try:
        return time(int(clock[1]), int(clock[2]))
    except ValueError:
        raise BadInput(f"{clock[1]}:{clock[2]} is not a time.", "Write it as 8:00.") from None
