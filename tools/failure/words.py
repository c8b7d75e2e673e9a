"""A failure in one or two sentences. Pure; what users wrote is masked and cut before it comes here."""

import re

from tools.failure.models import FailedTaskRun, FailureAnalysis, Frame, RaisedError, TaskCounts
from tools.models import FlowRun
from tools.run_rows import shorten

MAX_MESSAGE = 300
MAX_PARTS = 3
_PYDANTIC_LINK = re.compile(r"\n\s+For further information visit \S+")


def summary(run: FlowRun, found: FailureAnalysis) -> str:
    """`Task load_orders failed: ValueError: … (etl.py:25 in load_orders). Retries are exhausted: …`"""
    sentences = [_what_happened(run, found), *_why(found)]
    if found.task:
        sentences += _attempts(found.task)
    elif run.empirical_policy.retries and run.run_count > run.empirical_policy.retries:
        attempts = run.empirical_policy.retries + 1
        sentences.append(f"Retries are exhausted: {run.run_count} of {attempts} attempts.")
    sentences += _cascade(found)
    return " ".join(sentences)


def _what_happened(run: FlowRun, found: FailureAnalysis) -> str:
    if found.task:
        said = _named(found.error) if found.error else one_line(found.task.message or "no message")
        what = "Subflow" if found.task.subflow_url else "Task"
        return f"{what} {found.task.task} failed: {_sentence(said)}"
    how = "crashed" if run.state.type == "CRASHED" else "failed"
    if found.error:
        return f"The run {how}: {_sentence(_named(found.error))}"
    said = one_line(shorten(run.state.message)) or "its state has no message"
    return f"The run {how}: {_sentence(said)}"


def _named(error: RaisedError) -> str:
    message = one_line(error.message)
    place = f" ({place_of(error.user_frame)})" if error.user_frame else ""
    return f"{error.type}{': ' if message else ''}{message}{place}"


def one_line(text: str) -> str:
    return shorten(" ".join(_PYDANTIC_LINK.sub("", text).split()), MAX_MESSAGE)


def place_of(frame: Frame) -> str:
    """`flows/etl.py:25 in load_orders`: the folders above that are the machine's affair."""
    file = "/".join(frame.file.replace("\\", "/").split("/")[-2:])
    return f"{file}:{frame.line} in {frame.function}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "…", "!", "?")) else f"{text}."


def _why(found: FailureAnalysis) -> list[str]:
    sentences = []
    if found.root_cause:
        sentences.append(f"It began with {_sentence(_named(found.root_cause))}")
    if found.parts:
        named = "; ".join(_named(part) for part in found.parts[:MAX_PARTS])
        more = f"; and {len(found.parts) - MAX_PARTS} more" if len(found.parts) > MAX_PARTS else ""
        sentences.append(f"The group holds {len(found.parts)}: {_sentence(named + more)}")
    if found.outcome:
        sentences.append(f"The flow ended with {_sentence(_named(found.outcome))}")
    return sentences


def _attempts(task: FailedTaskRun) -> list[str]:
    if task.retries_exhausted:
        return [f"Retries are exhausted: {task.attempts} of {task.attempts_allowed} attempts."]
    return []


def _tolerated(tasks: TaskCounts) -> list[str]:
    """Task runs that failed, which is not why the flow did."""
    if not tasks.failed:
        return []
    if tasks.subflow and tasks.failed == 1:
        return [f"Before that, a flow run that it had started failed: ask `why {tasks.subflow}`."]
    return [f"Before that, {tasks.failed} of its task runs failed, and the flow went on."]


def _cascade(found: FailureAnalysis) -> list[str]:
    if not found.tasks:
        return []
    if not found.task:
        return _tolerated(found.tasks)
    others, held = found.tasks.failed - 1, found.tasks.held_back
    at_least = "at least " if found.tasks.truncated else ""
    sentences = []
    if others > 0:
        sentences.append(f"It was the first; {at_least}{_task_runs(others)} more failed.")
    if held:
        sentences.append(f"After it, {at_least}{_task_runs(held)} never ran (NotReady).")
    return sentences


def _task_runs(number: int) -> str:
    return "1 task run" if number == 1 else f"{number} task runs"
