"""Schedules in words."""

from tools.models import Schedule

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def in_words(schedule: Schedule) -> str:
    """`cron 0 6 * * * (Europe/Lisbon)`, `every 2 hours`, `rrule FREQ=…`; says when it is switched off."""
    detail = schedule.schedule
    zone = detail.get("timezone") or "UTC"
    if cron := detail.get("cron"):
        words = f"cron {cron} ({zone})"
    elif interval := detail.get("interval"):
        words = f"every {_duration(float(interval))}"
    else:
        words = f"rrule {' '.join(str(detail.get('rrule', 'unknown')).split())} ({zone})"
    return words if schedule.active else f"{words}, switched off"


def _duration(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return unit if count == 1 else f"{count} {unit}s"
    return f"{seconds:g} seconds"
