"""What a state's message tells of an exception. Pure; the wordings are those of Prefect's engine."""

import re
from dataclasses import dataclass

_TYPE = r"(?P<type>[A-Za-z_][\w.<>]*)"
_WITH_EXCEPTION = (
    re.compile(rf"^(?:Flow|Task) run encountered an exception:? {_TYPE}: ?(?P<message>.*)$", re.DOTALL),
    re.compile(rf"^Validation of flow parameters failed with error: {_TYPE}: ?(?P<message>.*)$", re.DOTALL),
    re.compile(
        rf"^Execution was interrupted by an unexpected exception: {_TYPE}: ?(?P<message>.*)$", re.DOTALL
    ),
    re.compile(rf"^Failed to submit flow run to infrastructure: {_TYPE}: ?(?P<message>.*)$", re.DOTALL),
    re.compile(
        rf"^(?:Flow|Task) run failed due to timeout: {_TYPE}\((?P<quote>['\"])(?P<message>.*)(?P=quote)\)$",
        re.DOTALL,
    ),
)
# What asking for the result of a task or flow raises that did not get one; its own failure is the cause.
_SECOND_HAND = frozenset(
    {"UnfinishedRun", "MissingResult", "FailedRun", "CrashedRun", "CancelledRun", "TaskRunTimeoutError"}
)
# These two say it with a sentence of Prefect's own, and log the exception with another.
_TIMEOUT = re.compile(r"^(?P<kind>Flow|Task) run exceeded timeout of ")
PREFECT_TIMEOUTS = frozenset({"FlowRunTimeoutError", "TaskRunTimeoutError"})
_COUNTED = re.compile(r"^\d+/\d+ states (?:failed|are not final)\.?$")


@dataclass(frozen=True, slots=True)
class Told:
    """An exception as a state's message names it; `type` is empty where it names none."""

    type: str
    message: str

    @property
    def is_second_hand(self) -> bool:
        """It only says that something else failed."""
        return self.type in _SECOND_HAND or bool(_COUNTED.match(self.message))


def told(state_message: str) -> Told:
    text = state_message.strip()
    for pattern in _WITH_EXCEPTION:
        if found := pattern.match(text):
            return Told(found["type"].rpartition(".")[2], found["message"].strip())
    if found := _TIMEOUT.match(text):
        return Told(f"{found['kind']}RunTimeoutError", text)
    return Told("", text)
