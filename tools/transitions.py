"""Moving flow runs to another state, one by one, so that an answer that got lost does no harm."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from knowledge.errors import ExpectedError, Unreachable
from tools.errors import NotFound
from tools.models import FlowRun
from tools.prefect_client import PrefectClient

# Each attempt looks at the run first, which tells whether one without an answer had been heard.
ATTEMPTS = 3
PAUSE = 0.5
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run."""

    name: str
    kind: str
    """A key of the sentences that `told` is given."""
    said: str = ""


async def attempt(
    prefect: PrefectClient,
    run_id: str,
    name: str,
    move: Callable[[FlowRun, bool], Awaitable[Outcome]],
) -> Outcome:
    """Calls `move` with the run as it is now, and with whether an earlier try had no answer."""
    unanswered: ExpectedError | None = None
    for _ in range(ATTEMPTS):
        try:
            return await move(await prefect.flow_run(run_id), unanswered is not None)
        except NotFound:
            return Outcome(name, FAILED, "it has been deleted")
        except Unreachable as error:
            unanswered = error
            await asyncio.sleep(PAUSE)
        except ExpectedError as error:
            return Outcome(name, FAILED, error.message)
    assert unanswered is not None
    return Outcome(name, FAILED, unanswered.message)


def told(results: Sequence[Outcome], sentences: Mapping[str, str]) -> str:
    """One sentence a kind of outcome, in the order of `sentences`, each with a {} for the runs."""
    groups: dict[str, list[str]] = {kind: [] for kind in sentences}
    for result in results:
        groups[result.kind].append(f"{result.name} ({result.said})" if result.said else result.name)
    return " ".join(sentences[kind].format(", ".join(names)) for kind, names in groups.items() if names)
