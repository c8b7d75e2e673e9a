"""Orders about many runs at once: understood whole, or not carried out."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.grammar import Command, parse
from bot.sentences.bulk import bulk_order
from bot.sentences.bulk_commands import in_bulk
from bot.sentences.time_back import hours_back
from knowledge.errors import BadInput

LISBON = ZoneInfo("Europe/Lisbon")
DAY = "in the last 24 hours"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("cancel all late runs", Command("cancel all", ("LATE", "", ""))),
        ("please cancel all the late runs.", Command("cancel all", ("LATE", "", ""))),
        ("cancel the late runs", Command("cancel all", ("LATE", "", ""))),
        ("Kill all running and pending runs", Command("cancel all", ("RUNNING,PENDING", "", ""))),
        ("cancel everything that is late", Command("cancel all", ("LATE", "", ""))),
        ("cancel all runs of etl/nightly", Command("cancel all", ("", "", "etl/nightly"))),
        ("can you stop all runs in the pool k8s-prod?", Command("cancel all", ("", "work pool", "k8s-prod"))),
        ("cancel all late runs of 'x'", None),
        ('cancel all runs of "my flow/prod"', Command("cancel all", ("", "", "my flow/prod"))),
        (
            "retry everything that failed tonight",
            Command("retry all", ("FAILED,CRASHED", "", "", "tonight")),
        ),
        (
            "retry everything that failed in the last 2 hours",
            Command("retry all", ("FAILED,CRASHED", "", "", "in the last 2 hours")),
        ),
        ("retry all failed runs", Command("retry all", ("FAILED,CRASHED", "", "", DAY))),
        ("rerun all crashed runs since 8:00", Command("retry all", ("CRASHED", "", "", "since 8:00"))),
        (
            "retry all failed runs of etl/nightly today",
            Command("retry all", ("FAILED,CRASHED", "", "etl/nightly", "today")),
        ),
        ("pause everything on pool k8s-prod", Command("pause pool", ("k8s-prod",))),
        ("pause everything on the k8s-prod pool", Command("pause pool", ("k8s-prod",))),
        ("resume everything in k8s-prod", Command("resume all", ("", "k8s-prod"))),
        ("pause all schedules of k8s-prod", Command("pause all", ("deployment", "k8s-prod"))),
        ('cancel all runs of "tomorrow"', Command("cancel all", ("", "", "tomorrow"))),
    ],
)
def test_an_order_for_many_is_the_command_whose_card_shows_them(text: str, command: Command | None) -> None:
    bulk = bulk_order(text)
    assert bulk is not None
    commands = in_bulk(bulk).commands
    if command is None:
        assert all(one.name in ("runs", "pools") for one in commands)
    else:
        assert commands == (command,)


@pytest.mark.parametrize(
    "text",
    [
        "cancel all runs but happy-otter",
        "cancel all late runs except those of etl/nightly",
        "cancel all late runs tomorrow",
        "cancel all late runs unless somebody needs them",
        "cancel all late runs?",
        "cancel all scheduled runs for tomorrow",
        "cancel all runs on Monday",
        "cancel all running runs in 2 hours",
        "cancel all failed runs",
        "cancel all runs",
        "cancel all",
        "stop everything",
        "retry all runs",
        "retry all running runs",
        "retry everything that failed yesterday",
        "retry everything that failed with a ValueError",
        "retry all",
        "pause everything",
        "pause all deployments",
        "pause all deployments on pool k8s-prod",
        "pause all deployments except etl/nightly",
        "resume all schedules",
    ],
)
def test_what_is_not_understood_whole_asks_back_or_only_looks(text: str) -> None:
    bulk = bulk_order(text)
    assert bulk is not None
    meant = in_bulk(bulk)
    assert meant.note
    assert all(command.name in ("runs", "pools") for command in meant.commands)
    assert meant.asks_back or meant.commands


@pytest.mark.parametrize(
    "text",
    [
        "how do I cancel all late runs?",
        "should I cancel all late runs?",
        "do not cancel all late runs",
        "what happens if I cancel all runs?",
        "who paused all deployments?",
        "cancel all of them",
        "retry all these",
        "cancel happy-otter",
        "cancel a late run",
        "all late runs",
        "cancel all " + "late " * 100 + "runs",
    ],
)
def test_other_sentences_are_no_orders_for_many(text: str) -> None:
    assert bulk_order(text) is None


def test_what_is_offered_instead_is_understood() -> None:
    for text in ("cancel all", "retry all runs of etl/nightly", "pause everything", "pause all deployments"):
        bulk = bulk_order(text)
        assert bulk is not None
        for offer in in_bulk(bulk).offers:
            again = bulk_order(offer.command)
            assert parse(offer.command) or (again and in_bulk(again).commands), offer.command


@pytest.mark.parametrize(
    ("words", "hours"),
    [
        ("in the last 2 hours", 2.0),
        ("past 30 min", 0.5),
        ("last hour", 1.0),
        ("the last 3 days", 72.0),
        ("tonight", 9.0),
        ("last night", 9.0),
        ("overnight", 9.0),
        ("today", 3.0),
        ("since midnight", 3.0),
        ("since yesterday", 27.0),
        ("since 1:30", 1.5),
        ("since 22:00", 5.0),
    ],
)
def test_words_reach_back_by_the_askers_clock(words: str, hours: float) -> None:
    # Three in the morning in Lisbon, where it is summer.
    assert hours_back(words, datetime(2026, 7, 1, 2, 0, tzinfo=UTC), LISBON) == pytest.approx(hours)


def test_a_time_that_is_none_is_told() -> None:
    with pytest.raises(BadInput, match="25:00"):
        hours_back("since 25:00", datetime(2026, 7, 1, tzinfo=UTC), LISBON)
