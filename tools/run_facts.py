"""Flow runs as lines of a card: how many in which state, and a sample of them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tools.models import iso
from tools.proposal import Fact
from tools.run_rows import RunRow

# No more at once: a person has to see what is about to happen.
MAX_RUNS = 50
SAMPLE = 10


def run_facts(rows: Sequence[RunRow]) -> Iterator[Fact]:
    if len(rows) > 1:
        counts = Counter(row.state for row in rows)
        told = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        yield Fact(label="Runs", value=f"{len(rows)}: {told}")
    for row in rows[:SAMPLE]:
        yield Fact(label=row.name, value=_in_words(row))
    if len(rows) > SAMPLE:
        yield Fact(label="And", value=f"{len(rows) - SAMPLE} more")


def left_alone(reasons: Sequence[str]) -> Iterator[Fact]:
    """Runs that were named and will not be touched, each with its reason."""
    if reasons:
        more = f" and {len(reasons) - SAMPLE} more" if len(reasons) > SAMPLE else ""
        yield Fact(label="Left alone", value=", ".join(reasons[:SAMPLE]) + more)


def _in_words(row: RunRow) -> str:
    of = f", of {row.deployment}" if row.deployment else f", of flow {row.flow}"
    return f"{row.state}{of}{_when(row)}"


def _when(row: RunRow) -> str:
    if row.ended:
        return f", ended {iso(row.ended)}"
    if row.started:
        return f", started {iso(row.started)}"
    return f", due {iso(row.due)}" if row.due else ""
