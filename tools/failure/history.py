"""How often a failure was seen in the last days, where else, and when it last went well.

Compared are the messages of the runs' states, one request for this deployment and one for all others.
Where a message does not tell ("3/6 states failed.", exit code 1), the task runs or logs do, in one more.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tools.failure.bad_tasks import BAD_TYPES
from tools.failure.exit_codes import exit_of
from tools.failure.fingerprint import fingerprint
from tools.failure.frames import user_frame
from tools.failure.models import Frame, History, SeenOn
from tools.failure.run_log import traceback_of
from tools.failure.told import Told, told
from tools.failure.traceback import CodeFrame
from tools.lateness import utc_now
from tools.models import FlowRun, LogLine
from tools.prefect_client import Filters, PrefectClient
from tools.runs import ERROR_LEVEL

DAYS = 7
MAX_HERE = 200
MAX_ELSEWHERE = 100
# A run is about 2 kB, more with large parameters. With what else is read, all stays below 1 MB.
BYTES_HERE = 350_000
BYTES_ELSEWHERE = 150_000
# Of one run, with room for large parameters.
BYTES_PASSED = 30_000
# Runs whose task runs or logs are looked into.
MAX_LOOKED_INTO = 40
MAX_ROWS_INTO = 120
BYTES_INTO = 100_000
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Past:
    """What was read; the run itself is not among `here`."""

    here: tuple[FlowRun, ...]
    elsewhere: tuple[FlowRun, ...]
    passed: FlowRun | None
    truncated: bool


async def read_past(prefect: PrefectClient, run: FlowRun) -> Past:
    """Failures of the days before the run's end, newest first, and the last run that went well."""
    end = run.end_time or utc_now()
    failed = {
        "state": {"type": {"any_": list(BAD_TYPES)}},
        "end_time": {"after_": (end - timedelta(days=DAYS)).isoformat(), "before_": end.isoformat()},
    }
    (here, here_cut), (elsewhere, elsewhere_cut), (passed, _cut) = await asyncio.gather(
        prefect.last_ended_runs(_of_same(run, failed), limit=MAX_HERE, max_bytes=BYTES_HERE),
        prefect.last_ended_runs(_of_others(run, failed), limit=MAX_ELSEWHERE, max_bytes=BYTES_ELSEWHERE),
        prefect.last_ended_runs(
            _of_same(run, {"state": {"type": {"any_": ["COMPLETED"]}}}), limit=1, max_bytes=BYTES_PASSED
        ),
    )
    return Past(
        here=tuple(other for other in here if other.id != run.id),
        elsewhere=tuple(elsewhere),
        passed=passed[0] if passed else None,
        truncated=here_cut or elsewhere_cut or len(here) == MAX_HERE or len(elsewhere) == MAX_ELSEWHERE,
    )


def _of_same(run: FlowRun, wanted: Mapping[str, Any]) -> Filters:
    """Of the run's deployment; of its flow without a deployment, if it has none."""
    if run.deployment_id:
        return {"flow_runs": {**wanted, "deployment_id": {"any_": [run.deployment_id]}}}
    return {
        "flow_runs": {**wanted, "deployment_id": {"is_null_": True}},
        "flows": {"id": {"any_": [run.flow_id]}},
    }


def _of_others(run: FlowRun, wanted: Mapping[str, Any]) -> Filters:
    if not run.deployment_id:
        return {"flow_runs": {**wanted, "deployment_id": {"is_null_": False}}}
    return {"flow_runs": wanted, "deployments": {"id": {"not_any_": [run.deployment_id]}}}


async def history(
    prefect: PrefectClient, run: FlowRun, past: Past, said: Told, frame: Frame | None
) -> History:
    """`said` is the exception that matters in this run, `frame` where the user's code raised it."""
    alike = [
        other for other in (*past.here, *past.elsewhere) if run.state.message and key_of(other) == key_of(run)
    ]
    same = await _confirmed(prefect, run, alike, said, frame)
    ids = {other.id for other in same}
    here = [other for other in past.here if other.id in ids]
    elsewhere = [other for other in past.elsewhere if other.id in ids]
    ends = [other.end_time for other in (run, *here, *elsewhere) if other.end_time]
    found = History(
        times=1 + len(here) + len(elsewhere),
        days=DAYS,
        first_seen=min(ends, default=utc_now()),
        here=1 + len(here),
        elsewhere=await _named(prefect, run, elsewhere),
        deployments_elsewhere=len({other.deployment_id for other in elsewhere}),
        last_passed=past.passed.end_time if past.passed else None,
        last_passed_run=past.passed.name if past.passed else None,
        last_passed_url=prefect.links.flow_run(past.passed.id) if past.passed else None,
        never_passed=past.passed is None,
        words="",
        looked_at=_looked_at(run, past, len(alike)),
        truncated=past.truncated or (_needs_a_look(run) and len(alike) > MAX_LOOKED_INTO),
    )
    return found.model_copy(update={"words": _in_words(found, run.end_time)})


def key_of(run: FlowRun) -> str:
    """Equal for runs whose states tell of the same failure."""
    if ended := exit_of(run.state.message):
        return f"exit {ended.code}"
    return _key(told(run.state.message))


def _key(said: Told) -> str:
    return fingerprint(said.type, said.message)


def _needs_a_look(run: FlowRun) -> bool:
    ended = exit_of(run.state.message)
    return ended.code == 1 if ended else told(run.state.message).is_second_hand


async def _confirmed(
    prefect: PrefectClient, run: FlowRun, alike: Sequence[FlowRun], said: Told, frame: Frame | None
) -> list[FlowRun]:
    """Those of the runs that look alike which failed with the same exception at the same place."""
    ids = [other.id for other in alike[:MAX_LOOKED_INTO]]
    needs_a_look = _needs_a_look(run)
    if not ids or not (needs_a_look or said.type):
        return list(alike)
    if not said.type:
        explained = {line.flow_run_id for line in await _errors(prefect, ids)}
        # Exit code 1 and no error in the log: on another deployment that may be anything.
        return [
            other
            for other in alike[:MAX_LOOKED_INTO]
            if other.deployment_id == run.deployment_id and other.id not in explained
        ]
    if not needs_a_look:
        # Runs of the same flow run the same code.
        foreign = [other.id for other in alike if other.flow_id != run.flow_id][:MAX_LOOKED_INTO]
        other_place = await _raised_elsewhere(prefect, foreign, said, frame)
        return [other for other in alike if other.id not in other_place]
    if exit_of(run.state.message):
        same = await _same_in_logs(prefect, ids, said)
    else:
        same = await _same_in_tasks(prefect, ids, said)
    return [other for other in alike if other.id in same]


async def _same_in_tasks(prefect: PrefectClient, ids: Sequence[str], said: Told) -> set[str]:
    wanted: Filters = {
        "flow_runs": {"id": {"any_": list(ids)}},
        "task_runs": {"state": {"type": {"any_": list(BAD_TYPES)}}},
    }
    rows, _cut = await prefect.first_task_runs(
        wanted, sort="EXPECTED_START_TIME_DESC", limit=MAX_ROWS_INTO, max_bytes=BYTES_INTO
    )
    wanted_key = _key(said)
    return {row.flow_run_id for row in rows if _key(told(row.state.message)) == wanted_key}


async def _same_in_logs(prefect: PrefectClient, ids: Sequence[str], said: Told) -> set[str]:
    wanted_key = _key(said)
    same: set[str] = set()
    for line in await _errors(prefect, ids):
        parsed = traceback_of([line], Told("", ""))
        if parsed and fingerprint(parsed.last.type, parsed.last.message) == wanted_key:
            same.add(line.flow_run_id)
    return same


async def _raised_elsewhere(
    prefect: PrefectClient, ids: Sequence[str], said: Told, frame: Frame | None
) -> set[str]:
    """Runs whose log shows the same words from another function: `KeyError: 'id'` may be anybody's."""
    if frame is None or not ids:
        return set()
    places: dict[str, set[tuple[str, str]]] = {}
    for line in await _errors(prefect, ids):
        parsed = traceback_of([line], Told("", ""))
        if parsed and parsed.last.type == said.type and (found := user_frame(parsed.last.frames)):
            places.setdefault(line.flow_run_id, set()).add(place(found))
    return {run_id for run_id, seen in places.items() if place(frame) not in seen}


async def _errors(prefect: PrefectClient, ids: Sequence[str]) -> list[LogLine]:
    wanted = {"flow_run_id": {"any_": list(ids)}, "level": {"ge_": ERROR_LEVEL}}
    lines, _cut = await prefect.last_logs(wanted, limit=MAX_ROWS_INTO, max_bytes=BYTES_INTO)
    return lines


def place(frame: Frame | CodeFrame) -> tuple[str, str]:
    """File and function: the folder differs between machines, the line between versions."""
    return frame.file.replace("\\", "/").rpartition("/")[2], frame.function


async def _named(prefect: PrefectClient, run: FlowRun, runs: Sequence[FlowRun]) -> list[SeenOn]:
    """The deployments that it was seen on most; those of the run's own flow by their own name alone."""
    counts = Counter(other.deployment_id for other in runs).most_common(MAX_NAMED)
    if not counts:
        return []
    ids = [id_ for id_, _times in counts]
    rows = await prefect.deployments({"deployments": {"id": {"any_": ids}}}, limit=len(ids))
    flows = await prefect.flow_names([row.flow_id for row in rows if row.flow_id != run.flow_id])
    names = {row.id: f"{flows[row.flow_id]}/{row.name}" if row.flow_id in flows else row.name for row in rows}
    return [
        SeenOn(name=names[id_], url=prefect.links.deployment(id_), times=times)
        for id_, times in counts
        if id_ in names
    ]


def _looked_at(run: FlowRun, past: Past, alike: int) -> str:
    of = "this deployment" if run.deployment_id else "this flow"
    text = (
        f"the other {len(past.here)} failed or crashed runs of {of} and {len(past.elsewhere)} of others, "
        f"in the {DAYS} days up to this one"
    )
    if _needs_a_look(run) and alike:
        text += f"; of those that ended alike, the newest {min(alike, MAX_LOOKED_INTO)} were looked into"
    return text


def _in_words(history: History, run_end: datetime | None) -> str:
    """`7th time in 7 days (first seen …), also on etl/eu and etl/us; last passed … (run x).`"""
    times = "First time" if history.times == 1 else f"{_ordinal(history.times)} time"
    if history.truncated and history.times > 1:
        times = f"At least the {times}"
    seen = f" (first seen {history.first_seen:%Y-%m-%d %H:%M} UTC)" if history.times > 1 else ""
    also = ""
    if history.elsewhere:
        more = history.deployments_elsewhere - len(history.elsewhere)
        names = [row.name for row in history.elsewhere] + ([f"{more} more"] if more else [])
        also = f", also on {_listed(names)}"
    return f"{times} in {history.days} days{seen}{also}; {_passed(history, run_end)}."


def _passed(history: History, run_end: datetime | None) -> str:
    if history.last_passed is None:
        return "it has never passed, as far as the server remembers"
    when = f"{history.last_passed:%Y-%m-%d %H:%M} UTC (run {history.last_passed_run})"
    if run_end and history.last_passed > run_end:
        return f"it has passed since: {when}"
    return f"last passed {when}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
