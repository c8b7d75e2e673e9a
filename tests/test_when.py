"""Times as people write them: what is meant, and what is asked back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from knowledge.errors import BadInput
from tools.when import in_zone, parse_when, time_in, zone_named

BERLIN = ZoneInfo("Europe/Berlin")
# A Sunday, 22:30 in Berlin.
NOW = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8:00", "2026-11-23 07:00"),
        ("08:00", "2026-11-23 07:00"),
        ("8am", "2026-11-23 07:00"),
        ("8 AM", "2026-11-23 07:00"),
        ("8.30 p.m.", "2026-11-23 19:30"),
        ("12am", "2026-11-22 23:00"),
        ("12pm", "2026-11-23 11:00"),
        ("noon", "2026-11-23 11:00"),
        ("22:45", "2026-11-22 21:45"),
        ("tomorrow 8:00", "2026-11-23 07:00"),
        ("tomorrow at 8:00", "2026-11-23 07:00"),
        ("8:00 tomorrow", "2026-11-23 07:00"),
        ("today 23:00", "2026-11-22 22:00"),
        ("in 2 h", "2026-11-22 23:30"),
        ("in 30 min", "2026-11-22 22:00"),
        ("in 1 h 30 min", "2026-11-22 23:00"),
        ("in 1h30m", "2026-11-22 23:00"),
        ("in half an hour", "2026-11-22 22:00"),
        ("in an hour", "2026-11-22 22:30"),
        ("in 2 days", "2026-11-24 21:30"),
        ("monday 9:00", "2026-11-23 08:00"),
        ("9:00 on Monday", "2026-11-23 08:00"),
        ("tue 9:00", "2026-11-24 08:00"),
        ("sunday 9:00", "2026-11-29 08:00"),
        ("sunday 23:00", "2026-11-22 22:00"),
        ("2026-11-23 8:00", "2026-11-23 07:00"),
        ("2026-11-23T08:00:00", "2026-11-23 07:00"),
        ("2026-11-23T08:00:00Z", "2026-11-23 08:00"),
        ("2026-11-23T08:00+05:30", "2026-11-23 02:30"),
        ("8:00 utc", "2026-11-23 08:00"),
        ("tomorrow 8:00 America/New_York", "2026-11-23 13:00"),
        # The clocks go back on 2026-10-25 and forward on 2027-03-28; both nights have an 8:00 of their own.
        ("2027-03-27 8:00", "2027-03-27 07:00"),
        ("2027-03-28 8:00", "2027-03-28 06:00"),
    ],
)
def test_a_time_is_the_next_such_moment_in_the_askers_zone(text: str, meant: str) -> None:
    moment = parse_when(text, zone=BERLIN, now=NOW)
    assert f"{moment:%Y-%m-%d %H:%M}" == meant
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("soon", "'soon' is not a time"),
        ("", "is not a time"),
        ("in", "is not a time"),
        ("in 2", "is not a time"),
        ("in 2 months", "is not a time"),
        ("25:00", "is not a time"),
        ("13pm", "is not a time"),
        ("8:61", "is not a time"),
        ("2026-11-23T25:00", "is not a time"),
        ("yesterday 8:00", "is not a time"),
        ("8", "morning or in the evening"),
        ("tomorrow 8", "morning or in the evening"),
        ("tomorrow", "names no time of day"),
        ("2026-11-23", "names no time of day"),
        ("2027-02-30 8:00", "no day 2027-02-30"),
        ("today 8:00", "has passed"),
        ("2020-01-01T08:00:00Z", "has passed"),
        ("9999-12-31T23:59:59-12:00", "ten years"),
        ("in 9999 weeks", "ten years"),
        ("2027-03-28 02:30", "There is no 2027-03-28 02:30 in Europe/Berlin"),
        ("2027-10-31 02:30", "comes twice"),
        ("8:00 Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
    ],
)
def test_what_is_no_time_or_could_be_two_is_asked_back(text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        parse_when(text, zone=BERLIN, now=NOW)


def test_an_hour_that_comes_twice_is_offered_as_both_moments() -> None:
    with pytest.raises(BadInput) as caught:
        parse_when("2027-10-31 02:30", zone=BERLIN, now=NOW)
    assert caught.value.fix == "Write 2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01:00."
    first, second = (
        parse_when(text, zone=BERLIN, now=NOW)
        for text in ("2027-10-31T02:30:00+02:00", "2027-10-31T02:30:00+01:00")
    )
    assert (second - first).total_seconds() == 3600


def test_a_span_goes_by_whatever_the_clocks_do() -> None:
    before_the_change = datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
    meant = parse_when("in 2 h", zone=BERLIN, now=before_the_change)
    assert in_zone(meant, BERLIN) == "2027-03-28 04:30 Europe/Berlin (02:30 UTC)"


@pytest.mark.parametrize("text", ["8:00", "monday 9:00", "2026-11-23T08:00:00"])
def test_without_a_zone_a_time_of_day_cannot_be_told(text: str) -> None:
    with pytest.raises(BadInput, match="has no time zone"):
        parse_when(text, zone=None, now=NOW)


@pytest.mark.parametrize("text", ["in 2 h", "2026-11-23T08:00:00Z", "8:00 Europe/Lisbon"])
def test_a_time_that_carries_its_zone_needs_none_beside(text: str) -> None:
    assert parse_when(text, zone=None, now=NOW) > NOW


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", "Europe", "", "x" * 500, "a\0b"])
def test_a_name_of_no_zone_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="There is no time zone"):
        zone_named(name)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Europe/Berlin", "2026-11-23 08:00 Europe/Berlin (07:00 UTC)"),
        ("America/New_York", "2026-11-23 02:00 America/New_York (07:00 UTC)"),
        ("Pacific/Auckland", "2026-11-23 20:00 Pacific/Auckland (07:00 UTC)"),
        ("Pacific/Honolulu", "2026-11-22 21:00 Pacific/Honolulu (2026-11-23 07:00 UTC)"),
        ("UTC", "2026-11-23 07:00 UTC"),
    ],
)
def test_a_moment_is_told_in_the_zone_and_in_utc(zone: str, shown: str) -> None:
    assert in_zone(datetime(2026, 11, 23, 7, tzinfo=UTC), ZoneInfo(zone)) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("please start etl/nightly tomorrow at 8:00", "tomorrow at 8:00"),
        ("at 8:00 start etl/nightly, will you?", "at 8:00"),
        ("can you run etl/nightly in 2 h?", "in 2 h"),
        ("run etl on monday 9:00 with rows=3", "on monday 9:00"),
        ("start etl at 8", "at 8"),
        ("start etl with 8 rows in version 1.30", ""),
        ("start etl in prod", ""),
    ],
)
def test_the_words_for_a_time_are_found_in_a_sentence(text: str, words: str) -> None:
    assert time_in(text) == words
