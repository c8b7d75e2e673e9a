"""Every trouble that a real server can show, all at once in one workspace, and what is said of each."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests import (
    prefect_states_ended,
    prefect_states_limits,
    prefect_states_schedules,
    prefect_states_stuck,
    prefect_states_waiting,
)
from tests.prefect_server import connection_to
from tests.prefect_states import Labelled, World, eventually, troubled_workspace
from tools.diagnosis.diagnosis import Diagnosis
from tools.prefect_client import PrefectClient
from tools.toolbox import Toolbox, tool
from tools.trigger import TriggerRun

# Those that have to ripen come first.
MODULES = (
    prefect_states_stuck,
    prefect_states_limits,
    prefect_states_waiting,
    prefect_states_ended,
    prefect_states_schedules,
)
State = Callable[[World], Awaitable[Labelled]]
STATES: dict[str, State] = {state.__name__: state for module in MODULES for state in module.STATES}
# What a reader is told in passing, not as what is wrong.
NO_BLAME = frozenset({"run", "fine", "could_not_look", "worth_knowing", "subject", "subject_url", "url"})

# The first test waits until all states are there.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Made:
    """The workspace once everything in it has gone wrong."""

    url: str
    states: Mapping[str, Labelled | BaseException]

    def __getitem__(self, name: str) -> Labelled:
        state = self.states[name]
        if isinstance(state, BaseException):
            raise state
        return state

    def strangers(self, name: str) -> set[str]:
        """Names that are to blame elsewhere only."""
        mine = set(self[name].trouble)
        others = (state for state in self.states.values() if isinstance(state, Labelled))
        return {word for other in others for word in other.trouble} - mine


@pytest.fixture(scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Made]:
    async with troubled_workspace(tmp_path_factory.mktemp("workspace")) as (world, url):
        done = await asyncio.gather(
            *(_made(state, world) for state in STATES.values()), return_exceptions=True
        )
        yield Made(url, dict(zip(STATES, done, strict=True)))


async def _made(state: State, world: World) -> Labelled:
    labelled = await state(world)
    await eventually(labelled.seen)
    return labelled


@pytest.fixture
async def toolbox(made: Made) -> AsyncIterator[Toolbox]:
    async with PrefectClient(connection_to(made.url)) as client:
        diagnosis, trigger = Diagnosis(client), TriggerRun(client)
        yield Toolbox(
            [
                tool(diagnosis.diagnose_flow_run),
                tool(diagnosis.diagnose_late_runs),
                tool(trigger.trigger_run, action=trigger),
            ]
        )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in NO_BLAME:
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def _missing(words: tuple[str, ...], text: str) -> list[str]:
    return [word for word in words if word.lower() not in text.lower()]


@pytest.mark.parametrize("name", [name for name in STATES if name != "parameter_refused"])
async def test_the_diagnosis_names_what_is_wrong_and_nothing_else(
    made: Made, toolbox: Toolbox, name: str
) -> None:
    state = made[name]
    assert await state.seen(), "the server is not in this state any more"
    outcome = await toolbox.call("diagnose_flow_run", {"flow_run": state.flow_run or state.deployment})
    assert outcome.ok, outcome.error
    text = " | ".join(_texts(outcome.data))
    assert _missing(state.expected, text) == []
    assert [word for word in state.not_expected if word.lower() in text.lower()] == []
    assert [word for word in made.strangers(name) if re.search(rf"{re.escape(word)}\b", text)] == []
    assert [cause["kind"] for cause in outcome.data["causes"]][:1] == ([state.kind] if state.kind else [])


async def test_a_value_that_the_schema_refuses_is_told_before_there_is_a_run(
    made: Made, toolbox: Toolbox
) -> None:
    state = made["parameter_refused"]
    outcome = await toolbox.call("trigger_run", state.arguments)
    assert outcome.error is not None
    assert _missing(state.expected, f"{outcome.error.message} {outcome.error.fix}") == []
    assert await state.seen()


async def test_the_workspace_is_told_each_trouble_once_with_its_runs(made: Made, toolbox: Toolbox) -> None:
    outcome = await toolbox.call("diagnose_late_runs", {})
    assert outcome.ok, outcome.error
    by_run = {
        run["id"]: group["cause"]["kind"] for group in outcome.data["groups"] for run in group["sample"]
    }
    waiting = {**_of(made, prefect_states_waiting.STATES), **_of(made, prefect_states_stuck.STATES)}
    assert {run: by_run.get(run) for run in waiting} == waiting
    about = [group["cause"]["about"] for group in outcome.data["groups"]]
    kinds = [group["cause"]["kind"] for group in outcome.data["groups"]]
    assert len(set(zip(about, kinds, strict=True))) == len(about)


def _of(made: Made, states: tuple[State, ...]) -> dict[str, str]:
    """Kinds by run, of those in trouble."""
    labelled = [made[state.__name__] for state in states]
    return {state.flow_run: state.kind for state in labelled if state.kind}


async def test_a_question_about_a_pool_is_answered_with_that_pools_trouble(
    made: Made, toolbox: Toolbox
) -> None:
    state = made["pool_paused"]
    (pool,) = state.trouble
    outcome = await toolbox.call("diagnose_late_runs", {"work_pool": pool})
    assert outcome.ok, outcome.error
    assert [group["cause"]["kind"] for group in outcome.data["groups"]] == ["pool_paused"]
    assert pool in outcome.data["verdict"]
