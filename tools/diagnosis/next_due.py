"""When a schedule comes due next, as far as that is told by the schedule alone.

The server makes runs only so far ahead: one that comes due later has no scheduled runs, and is well. Pure.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tools.models import Schedule

# PREFECT_SERVER_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME.
LAID_OUT_AHEAD = timedelta(days=100)
# The rarest date is a 29 February, 8 years apart around 2100.
MAX_DAYS = 8 * 366
_BEGINS = re.compile(r"DTSTART(?:;TZID=(?P<zone>[^:;\s]+))?[^:\s]*:(?P<at>\d{8}T\d{6})(?P<utc>Z?)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ALL = frozenset({"*", "?"})
# minute, hour, day of the month, month, day of the week (7 is a Sunday as well)
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def next_due(schedule: Schedule, now: datetime) -> datetime | None:
    """None where the schedule does not tell: of an rrule only that it has yet to begin is known."""
    detail = schedule.schedule
    if cron := detail.get("cron"):
        return _next_of_cron(str(cron).split(), _zone(detail.get("timezone")), now)
    if interval := detail.get("interval"):
        return _next_of_interval(float(interval), str(detail.get("anchor_date") or ""), now)
    begins = _beginning(str(detail.get("rrule") or ""), str(detail.get("timezone") or ""))
    return begins if begins and begins > now else None


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _next_of_interval(seconds: float, anchor: str, now: datetime) -> datetime | None:
    """An anchor is no beginning: the interval reaches back before it as well."""
    try:
        fixed = datetime.fromisoformat(anchor)
    except ValueError:
        return None
    fixed = fixed if fixed.tzinfo else fixed.replace(tzinfo=UTC)
    return now + timedelta(seconds=(fixed - now).total_seconds() % seconds)


def _beginning(rule: str, zone: str) -> datetime | None:
    found = _BEGINS.search(rule)
    if found is None:
        return None
    at = datetime.strptime(found["at"], "%Y%m%dT%H%M%S")
    return at.replace(tzinfo=UTC if found["utc"] else _zone(found["zone"] or zone)).astimezone(UTC)


def _next_of_cron(fields: list[str], zone: ZoneInfo, now: datetime) -> datetime | None:
    """None for what is not the plain five fields (seconds, `L`, `#`, hashed values)."""
    if len(fields) != len(_RANGES):
        return None
    try:
        minutes, hours, days, months, weekdays = (
            frozenset(_values(field.lower(), *within)) for field, within in zip(fields, _RANGES, strict=True)
        )
    except ValueError:
        return None
    either = fields[2] not in _ALL and fields[4] not in _ALL
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    for ahead in range(MAX_DAYS):
        day = today + timedelta(days=ahead)
        fits = (day.day in days, day.isoweekday() % 7 in {weekday % 7 for weekday in weekdays})
        if day.month not in months or not (any(fits) if either else all(fits)):
            continue
        moments = (
            day.replace(hour=hour, minute=minute) for hour in sorted(hours) for minute in sorted(minutes)
        )
        if later := next(
            (at for at in (moment.replace(tzinfo=zone) for moment in moments) if at > now), None
        ):
            return later.astimezone(UTC)
    return None


def _values(field: str, first: int, last: int) -> Iterator[int]:
    """`*/15`, `1-5`, `mon,wed`; raises ValueError for what cron does not have."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        if span in _ALL:
            begin, end = first, last
        else:
            begin = _number(low, last)
            end = _number(high, last) if dash else last if step else begin
        if not first <= begin <= end <= last:
            raise ValueError(field)
        yield from range(begin, end + 1, int(step or 1))


def _number(text: str, last: int) -> int:
    if text in _MONTHS and last == 12:
        return _MONTHS.index(text) + 1
    return _WEEKDAYS.index(text) if text in _WEEKDAYS and last == 7 else int(text)
