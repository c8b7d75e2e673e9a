"""When schedules come due that are too rare for the server to have made runs of."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.diagnosing import a_pool_at_work, kinds, why
from tests.prefect_seed import Seed
from tools.diagnosis.next_due import next_due
from tools.models import Schedule
from tools.prefect_client import PrefectClient

NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("cron", "zone", "due"),
    [
        ("0 7 29 2 *", "UTC", "2028-02-29T07:00:00"),
        ("30 1 * * *", "UTC", "2026-11-24T01:30:00"),
        ("*/20 2-3 * * mon-fri", "UTC", "2026-11-23T02:00:00"),
        ("0 0 1 jul,jan *", "Europe/Vienna", "2026-12-31T23:00:00"),
        ("0 0 13 * 5", "UTC", "2026-11-27T00:00:00"),
        ("0 12 * * 7", "America/New_York", "2026-11-29T17:00:00"),
        ("15 10 1 4/6 ?", "UTC", "2027-04-01T10:15:00"),
    ],
)
def test_a_cron_comes_due_at_its_next_moment_in_its_own_zone(cron: str, zone: str, due: str) -> None:
    assert next_due(Schedule(schedule={"cron": cron, "timezone": zone}), NOW) == at(due)


@pytest.mark.parametrize(
    "cron", ["0 0 30 2 *", "0 0 L * *", "0 0 * * mon#2", "@daily", "* * * * * 5", "61 * * * *"]
)
def test_a_cron_that_never_comes_or_is_not_plain_is_left_open(cron: str) -> None:
    assert next_due(Schedule(schedule={"cron": cron}), NOW) is None


def test_an_anchor_in_the_future_is_no_beginning() -> None:
    anchored = {"interval": 86400, "anchor_date": "2027-08-01T05:00:00Z"}
    assert next_due(Schedule(schedule=anchored), NOW) == at("2026-11-23T05:00:00")
    rare = {"interval": 86400 * 365, "anchor_date": "2027-08-01T05:00:00Z"}
    assert next_due(Schedule(schedule=rare), NOW) == at("2027-08-01T05:00:00")


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ("DTSTART:20270325T080000Z\nRRULE:FREQ=DAILY;COUNT=4", "2027-03-25T08:00:00"),
        ("DTSTART;TZID=Europe/Vienna:20270325T080000\nFREQ=DAILY", "2027-03-25T07:00:00"),
        ("DTSTART:20250325T080000Z\nRRULE:FREQ=DAILY;COUNT=4", None),
        ("FREQ=DAILY", None),
    ],
)
def test_of_an_rrule_only_its_beginning_is_known(rule: str, due: str | None) -> None:
    assert next_due(Schedule(schedule={"rrule": rule}), NOW) == (at(due) if due else None)


@pytest.mark.parametrize("schedule", [{}, {"interval": 60, "anchor_date": "soon"}, {"rrule": "DTSTART:x"}])
def test_what_is_not_understood_is_left_open(schedule: dict[str, Any]) -> None:
    assert next_due(Schedule(schedule=schedule), NOW) is None


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"cron": "0 7 29 2 *", "timezone": "UTC"}, "-02-29T07:00:00Z"),
        ({"rrule": "DTSTART:20800325T080000Z\nRRULE:FREQ=DAILY;COUNT=4"}, "2080-03-25T08:00:00Z"),
    ],
    ids=["cron", "rrule"],
)
async def test_a_deployment_whose_next_run_is_far_away_says_when(
    prefect: PrefectClient, seed: Seed, schedule: dict[str, str], words: str
) -> None:
    pool = await a_pool_at_work(seed)
    deployment = await seed.deployment(pool=pool, schedules=[{"schedule": schedule, "active": True}])
    found = await why(prefect, deployment["full_name"])
    assert kinds(found) == ["next_run_far_ahead"]
    assert words in found.verdict
    assert "at most 100 days ahead" in found.verdict
