"""Times as people write them, in their own zone: `8:00`, `tomorrow 8am`, `in 2 h`, `monday 9:00`, ISO.

What could be meant in two ways is asked back and never guessed: `8` (morning or evening?), an hour that the
clocks skip or pass twice, a moment that has passed.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from knowledge.errors import BadInput

# Between asking and being read a minute passes easily.
PAST_ALLOWED = timedelta(minutes=2)
# Further ahead is a slip of the finger, and near the year 9999 dates overflow.
MAX_AHEAD = timedelta(days=3660)
MAX_SHOWN = 60
# `2026-11-23 at 8:30 pm Europe/Lisbon`, and a word to spare.
MAX_WORDS = 6
# Any will do to tell a time from other words.
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES = "Write it as 8:00, tomorrow 8:00, monday 9:00, in 2 h, or 2026-11-23T08:00:00+01:00."

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# Whole words only, so that `in 2 months` is not taken for minutes.
_AMOUNT = re.compile(
    r"(\d{1,4}|an?)\s?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])\s?"
)
_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2})(?::(\d{2}))?)?(?:\s?([ap])\.?m\.?)?")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d\d?:.*", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# In a sentence `8` may be anything, and `1.30` a version.
_BEGINS = re.compile(
    r"(?:in|at|on|today|tomorrow|noon|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*)\b"
    r"|\d{1,2}:\d{2}|\d{1,2}\s?[ap]\.?m|\d{4}-\d{2}-\d{2}",
    re.IGNORECASE,
)
_ZONE = re.compile(r"(.*\S)\s+(utc|[a-z_]+/[a-z0-9_+/-]+)", re.IGNORECASE)


class NotATime(BadInput):
    """The words are none of those that tell a time."""


def zone_named(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises BadInput."""
    try:
        return ZoneInfo(name.strip())
    # It is looked up as a file, whence the last two, for what could be no zone's name.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(
            f"There is no time zone {name[:MAX_SHOWN]!r}.", "Give an IANA name, such as Europe/Lisbon."
        ) from None


def parse_when(text: str, *, zone: ZoneInfo | None, now: datetime) -> datetime:
    """The moment that is meant, in UTC; times of day are in `zone`, and without a day the next that comes.

    Raises BadInput, in one sentence, for what is no time, has passed, or could be two moments. Without a zone
    only spans (`in 2 h`) and times that name their own zone can be told.
    """
    shown = text.strip()[:MAX_SHOWN]
    moment = _span(text, now) or _iso(text, zone) or _wall_clock(text, zone, now)
    if moment is None:
        raise NotATime(f"{shown!r} is not a time.", EXAMPLES)
    if moment < now - PAST_ALLOWED:
        raise BadInput(f"{shown!r} has passed already.", "Give a time to come, or leave it out for now.")
    if moment > now + MAX_AHEAD:
        raise BadInput(f"{shown!r} is more than ten years ahead.", "Give an earlier time.")
    return moment.astimezone(UTC)


def is_time(text: str) -> bool:
    """Whether it is written as a time, if perhaps one that has passed or that could be two."""
    try:
        parse_when(text, zone=ZoneInfo("UTC"), now=SOME_DAY)
    except NotATime:
        return False
    except BadInput:
        return True
    return True


def time_in(text: str) -> str:
    """The words of a sentence that tell when something is to happen; empty where none do."""
    words = text.strip().rstrip("?.!").split()
    for length in range(min(MAX_WORDS, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            some = " ".join(words[start : start + length])
            if _BEGINS.match(some) and is_time(some):
                return some
    return ""


def in_zone(moment: datetime, zone: ZoneInfo | None) -> str:
    """`2026-11-23 08:00 Europe/Berlin (07:00 UTC)`; in UTC alone where no other zone is known."""
    utc = moment.astimezone(UTC)
    if zone is None or zone.key in ("UTC", "Etc/UTC"):
        return f"{_minutes(utc)} UTC"
    local = moment.astimezone(zone)
    other = _minutes(utc) if utc.date() != local.date() else _minutes(utc).partition(" ")[2]
    return f"{_minutes(local)} {zone.key} ({other} UTC)"


def _minutes(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S" if moment.second else "%Y-%m-%d %H:%M")


def _span(text: str, now: datetime) -> datetime | None:
    """`in 1 h 30 min`: time that goes by, whatever the clocks do meanwhile."""
    words = " ".join(text.lower().split())
    if not words.startswith("in "):
        return None
    rest = words.removeprefix("in ").replace("half an hour", "30 min")
    seconds, at = 0, 0
    while at < len(rest):
        amount = _AMOUNT.match(rest, at)
        if amount is None:
            return None
        seconds += (1 if amount[1].startswith("a") else int(amount[1])) * _UNITS[amount[2][0]]
        at = amount.end()
    return now + timedelta(seconds=seconds)


def _iso(text: str, zone: ZoneInfo | None) -> datetime | None:
    if not _ISO.fullmatch(text.strip()):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else _on_the_clock(moment, zone, text)


def _wall_clock(text: str, zone: ZoneInfo | None, now: datetime) -> datetime | None:
    """A day and a time of day, in either order, and perhaps the zone that they are in."""
    if named := _ZONE.fullmatch(text.strip()):
        text, zone = named[1], zone_named("UTC" if named[2].lower() == "utc" else named[2])
    day, clock = _day_and_clock(text)
    if day and not clock:
        raise BadInput(f"{text.strip()[:MAX_SHOWN]!r} names no time of day.", f"Write it as {day} 8:00.")
    at = _time_of_day(clock)
    if at is None:
        return None
    today = now.astimezone(_known(zone, text)).replace(tzinfo=None)
    return _on_the_clock(_day_at(day, at, today), zone, text)


def _day_and_clock(text: str) -> tuple[str, str]:
    """`tomorrow` and `8:00`; either may be missing."""
    words = [word for word in text.lower().replace(",", " ").split() if word not in ("at", "on")]
    for position in (0, -1):
        if words and _is_day(words[position]):
            day = words.pop(position)
            return day, " ".join(words)
    return "", " ".join(words)


def _is_day(word: str) -> bool:
    return word in ("today", "tomorrow") or _weekday(word) is not None or bool(_DATE.fullmatch(word))


def _weekday(word: str) -> int | None:
    """0 for Monday; also from its first three letters on."""
    matches = (number for number, name in enumerate(_WEEKDAYS) if len(word) > 2 and name.startswith(word))
    return next(matches, None)


def _time_of_day(words: str) -> time | None:
    if words == "noon":
        return time(12)
    clock = _CLOCK.fullmatch(words)
    if clock is None:
        return None
    hour, minute, second = (int(clock[group] or 0) for group in (1, 2, 3))
    if clock[4]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if clock[4] == "p" else 0)
    elif clock[2] is None:
        raise BadInput(f"{words!r} could be a time in the morning or in the evening.", "Write 8:00 or 8pm.")
    try:
        return time(hour, minute, second)
    except ValueError:
        return None


def _day_at(day: str, at: time, today: datetime) -> datetime:
    """`today` is now, by the wall clock; without a day, or on a weekday, the next such time."""
    if _DATE.fullmatch(day):
        return datetime.combine(_date(day), at)
    weekday = _weekday(day)
    ahead = 1 if day == "tomorrow" else 0 if weekday is None else (weekday - today.weekday()) % 7
    moment = datetime.combine(today.date() + timedelta(days=ahead), at)
    if moment > today or day in ("today", "tomorrow"):
        return moment
    return moment + timedelta(days=1 if weekday is None else 7)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"There is no day {text}.", "Write it as 2026-11-23.") from None


def _on_the_clock(moment: datetime, zone: ZoneInfo | None, text: str) -> datetime:
    """The one moment at which the clocks of the zone show this."""
    zone = _known(zone, text)
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise BadInput(
            f"There is no {_minutes(moment)} in {zone.key}: the clocks go forward then.",
            "Give a time an hour earlier or later.",
        )
    raise BadInput(
        f"{_minutes(moment)} comes twice in {zone.key}, as the clocks go back then.",
        f"Write {first.isoformat()} or {second.isoformat()}.",
    )


def _known(zone: ZoneInfo | None, text: str) -> ZoneInfo:
    if zone is None:
        raise BadInput(
            f"{text.strip()[:MAX_SHOWN]!r} has no time zone.",
            "Add it, as in 2026-11-23T08:00:00+01:00, or 8:00 Europe/Lisbon.",
        )
    return zone
