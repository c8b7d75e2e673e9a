"""How fresh sources are, and which are due."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from knowledge.freshness import (
    FIRST_RETRY,
    JITTER,
    Freshness,
    book_text,
    due,
    noted,
    read_book,
    with_freshness,
)
from knowledge.library import Library
from knowledge.manifest import SourceState
from knowledge.report import PageCounts, SourceReport
from knowledge.sources.config import SourceConfig
from tests.corpora import WordEmbedder, run_build

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = NOW + HOUR


def source(name: str, every: timedelta | None = HOUR) -> SourceConfig:
    return SourceConfig(name=name, kind="website", base_url="https://docs.example.com", every=every)


def state(name: str, *, ago: timedelta, failures: int = 0) -> SourceState:
    fetched = NOW - ago
    return SourceState(
        name=name, pages=1, chunks=1, fetched_at=fetched, tried_at=fetched, failures=failures, error="gone"
    )


def report(name: str, error: str = "") -> SourceReport:
    return SourceReport(name=name, ok=not error, error=error, pages=PageCounts())


def test_a_source_is_due_after_its_interval_and_a_little_more() -> None:
    assert due([source("docs")], [state("docs", ago=HOUR * (1 + JITTER))], NOW) == ["docs"]
    assert due([source("docs")], [state("docs", ago=HOUR * 0.99)], NOW) == []


def test_the_longest_overdue_source_comes_first_and_one_never_read_before_all() -> None:
    sources = [source("fresh"), source("old"), source("older"), source("new"), source("manual", None)]
    states = [
        state("fresh", ago=HOUR / 2),
        state("old", ago=HOUR * 3),
        state("older", ago=HOUR * 5),
        state("manual", ago=HOUR * 99),
    ]
    assert due(sources, states, NOW) == ["new", "older", "old"]


def test_a_source_that_fails_is_tried_sooner_and_then_ever_more_seldom() -> None:
    day = [source("docs", 24 * HOUR)]
    waits = []
    for failures in range(1, 12):
        minutes = next(
            minutes
            for minutes in range(1, 3000)
            if due(day, [state("docs", ago=timedelta(minutes=minutes), failures=failures)], NOW)
        )
        waits.append(minutes)
    first = FIRST_RETRY / timedelta(minutes=1)
    assert first <= waits[0] <= first * (1 + JITTER) + 1
    assert waits[:7] == sorted(set(waits[:7]))
    assert max(waits) <= 24 * 60 * (1 + JITTER) + 1


def test_servers_do_not_all_begin_at_the_same_moment() -> None:
    just = [state("docs", ago=HOUR * (1 + JITTER / 2))]
    begun = [due([source("docs")], just, NOW, seed=f"server {number}") for number in range(50)]
    assert ["docs"] in begun
    assert [] in begun


def test_what_a_build_found_is_noted() -> None:
    book = noted({}, [report("a"), report("b", "It is gone.")], held_back="", configured="ab", now=NOW)
    assert book == {
        "a": Freshness(fetched_at=NOW, tried_at=NOW),
        "b": Freshness(tried_at=NOW, error="It is gone.", failures=1),
    }
    book = noted(book, [report("a", "Gone."), report("b")], held_back="", configured="ab", now=LATER)
    assert book == {
        "a": Freshness(fetched_at=NOW, tried_at=LATER, error="Gone.", failures=1),
        "b": Freshness(fetched_at=LATER, tried_at=LATER),
    }
    assert read_book(book_text(book)) == book


def test_what_was_held_back_is_not_what_is_served() -> None:
    book = noted({}, [report("a")], held_back="It finds less.", configured="a", now=NOW)
    assert book["a"] == Freshness(tried_at=NOW, error="It finds less.", failures=1)


def test_a_source_that_is_configured_no_more_is_forgotten() -> None:
    assert noted({"old": Freshness(fetched_at=NOW)}, [], held_back="", configured=["new"], now=NOW) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": {"fetched_at": "yesterday"}}'])
def test_a_book_that_cannot_be_read_is_begun_anew(text: str) -> None:
    assert read_book(text) == {}


def test_a_source_that_is_not_held_any_more_counts_as_never_fetched() -> None:
    (fresh,) = with_freshness([], {"docs": Freshness(fetched_at=NOW, tried_at=NOW)})
    assert (fresh.pages, fresh.fetched_at) == (0, None)
    assert due([source("docs")], [fresh], NOW) == ["docs"]


def test_a_build_that_changes_nothing_still_makes_its_source_fresh(
    tmp_path: Path,
) -> None:
    words = WordEmbedder()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("Some words.")
    docs = SourceConfig(name="docs", kind="files", path=tmp_path / "docs", base_url="https://x.example.com")
    index = tmp_path / "index"
    library = Library(index, words.embedder)
    assert run_build(index, [docs], words.embedder).swapped
    library.open()
    first = library.status()
    assert not run_build(index, [docs], words.embedder).swapped
    second = library.status()
    library.close()
    assert second.generation == first.generation
    before, after = first.sources[0].fetched_at, second.sources[0].fetched_at
    assert before is not None
    assert after is not None
    assert after > before
