"""How fresh each source is, and which ones are due to be read again.

Kept beside the generations, since a build that finds nothing changed makes none, and yet the source has
answered.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from knowledge.manifest import SourceState
from knowledge.report import SourceReport
from knowledge.sources.config import SourceConfig

# A source that fails is read again after this, then after twice as long, and so on up to its own interval.
FIRST_RETRY = timedelta(minutes=10)
# Sources and servers that share an interval shall not all come at the same moment.
JITTER = 0.1
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Freshness(BaseModel):
    """When a source was read, whether or not anything had changed."""

    model_config = ConfigDict(frozen=True)

    fetched_at: datetime | None = None
    """When it last answered and what it said became what is served (UTC)."""
    tried_at: datetime | None = None
    error: str = ""
    failures: int = 0
    """How often in a row it failed."""


_BOOK = TypeAdapter(dict[str, Freshness])


def read_book(text: str) -> dict[str, Freshness]:
    """The freshness of each source by name; empty when the text is none, as it can all be found out again."""
    try:
        return _BOOK.validate_json(text)
    except ValidationError:
        return {}


def book_text(book: Mapping[str, Freshness]) -> str:
    return json.dumps(_BOOK.dump_python(dict(book), mode="json"))


def noted(
    book: Mapping[str, Freshness],
    reports: Iterable[SourceReport],
    *,
    held_back: str,
    configured: Sequence[str],
    now: datetime,
) -> dict[str, Freshness]:
    """The book after a build; `held_back` is why what was read did not become what is served."""
    fresh = dict(book)
    for report in reports:
        before = book.get(report.name, Freshness())
        error = report.error or held_back
        fresh[report.name] = Freshness(
            fetched_at=before.fetched_at if error else now,
            tried_at=now,
            error=error,
            failures=before.failures + 1 if error else 0,
        )
    return {name: entry for name, entry in fresh.items() if name in configured}


def with_freshness(states: Iterable[SourceState], book: Mapping[str, Freshness]) -> tuple[SourceState, ...]:
    """What a generation says of its sources, brought up to date; and sources that it does not have yet."""
    held = {state.name: state for state in states}
    return tuple(_fresh(held.get(name), name, book.get(name)) for name in sorted({*held, *book}))


def due(
    sources: Iterable[SourceConfig], states: Iterable[SourceState], now: datetime, *, seed: str = ""
) -> list[str]:
    """The names of the sources whose time has come, the longest overdue first.

    `seed` tells servers apart, so that they do not all begin at once.
    """
    held = {state.name: state for state in states}
    times = {
        source.name: _next(source.every, held.get(source.name), f"{seed}{source.name}")
        for source in sources
        if source.every is not None
    }
    return sorted((name for name, time in times.items() if time <= now), key=lambda name: times[name])


def _fresh(state: SourceState | None, name: str, entry: Freshness | None) -> SourceState:
    if entry is None:
        assert state is not None
        return state
    if state is None:
        # What was fetched once and is not held now has to be fetched again.
        state, entry = _absent(name), entry.model_copy(update={"fetched_at": None})
    fetched = max(filter(None, (state.fetched_at, entry.fetched_at)), default=None)
    return state.model_copy(update={**dict(entry), "fetched_at": fetched})


def _absent(name: str) -> SourceState:
    return SourceState(name=name, pages=0, chunks=0, fetched_at=None)


def _next(every: timedelta, state: SourceState | None, seed: str) -> datetime:
    if state is None:
        return _LONG_AGO
    last = state.tried_at if state.failures else state.fetched_at
    if last is None:
        return _LONG_AGO
    wait = min(every, FIRST_RETRY * 2 ** min(state.failures - 1, 20)) if state.failures else every
    return last + wait * (1 + JITTER * _fraction(f"{seed}{last.isoformat()}"))


def _fraction(text: str) -> float:
    """A number from 0 to 1 that is always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
