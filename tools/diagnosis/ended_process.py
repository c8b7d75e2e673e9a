"""Runs whose process or container was ended from outside, broke, or ended by itself without an exception."""

import re

from tools.diagnosis.ended_run import EndedCheck, EndedRun, variable_evidence
from tools.diagnosis.models import Cause, Evidence, evidence
from tools.diagnosis.words import listed
from tools.failure.exit_codes import Ending
from tools.failure.words import one_line
from tools.job_variables import JobVariable
from tools.runs import worker_of

_TERMINATED = "aborted by a termination signal"
_INTERRUPTED = "aborted by an interrupt signal"
_NO_HEARTBEAT = re.compile(r"heartbeat", re.IGNORECASE)
_RUNTIME_CANCELLED = "cancelled by the runtime environment"
_SYSTEM_EXIT = "aborted by Python system exit call"
_API_LOST = re.compile(r"^Request to \S+ failed: |^Request failed while attempting to contact the server")
_MEMORY = re.compile(r"mem", re.IGNORECASE)
# MemoryError; numpy's _ArrayMemoryError; OutOfMemoryError of torch, cupy and others.
_NO_MEMORY = re.compile(r"MemoryError$")
_NOT_RUN = {
    125: "the container could not be run",
    126: "its command may not be executed",
    127: "its command was not found",
}


def it_ran_out_of_memory(ended: EndedRun) -> Cause | None:
    if not _ended_as(ended, "killed", "out_of_memory") or ended.exit is None:
        return None
    is_kill = ended.exit.ending == "killed"
    reason = (
        "the operating system does that to what exceeds the memory; a person or a cancellation can do it too"
        if is_kill
        else "it exceeded its memory limit (out of memory, OOM)"
    )
    memory = [row for row in ended.job_variables(with_pool=True) if _MEMORY.search(row.name)]
    return Cause(
        kind="killed" if is_kill else "out_of_memory",
        summary=f"Its process was killed{_while(ended)}: status code {_code(ended)}; {reason}. "
        f"{_memory_words(ended, memory)}",
        certainty="likely",
        about=ended.name,
        evidence=[*_evidence(ended), *variable_evidence(memory)],
        fix=f"{_more_memory(memory)} Or let it hold less at a time (smaller batches). The machine's kernel "
        "log, or the container's status (OOMKilled), tells for certain.",
    )


def its_code_found_no_memory(ended: EndedRun) -> Cause | None:
    """MemoryError, and what numeric libraries derive from it."""
    error = ended.error
    if error is None or not _NO_MEMORY.search(error.type):
        return None
    memory = [row for row in ended.job_variables(with_pool=True) if _MEMORY.search(row.name)]
    return Cause(
        kind="memory_error",
        summary=f"It ran out of memory. {ended.failure.summary} {_memory_words(ended, memory)}",
        about=ended.name,
        evidence=[*ended.evidence(), *variable_evidence(memory)],
        fix=f"{_more_memory(memory)} Or let it hold less at a time (smaller batches); then retry the run.",
        action=ended.retry,
    )


def _memory_words(ended: EndedRun, memory: list[JobVariable]) -> str:
    if memory:
        return f"It had {', '.join(f'{row.name} = {row.value} ({row.set_by})' for row in memory)}."
    worker = f" of worker '{worker_of(ended.run)}'" if worker_of(ended.run) else ""
    return f"Its job variables set no memory limit, so that of the machine or container{worker} counts."


def _more_memory(memory: list[JobVariable]) -> str:
    if memory:
        return f"Raise {memory[0].name} in the job variables."
    return "Run it where there is more memory."


def it_was_terminated(ended: EndedRun) -> Cause | None:
    by_message = {_TERMINATED: "SIGTERM", _INTERRUPTED: "SIGINT", _RUNTIME_CANCELLED: _RUNTIME_CANCELLED}
    signal = next((name for words, name in by_message.items() if words in ended.message), "")
    if not signal and not _ended_as(ended, "terminated"):
        return None
    return Cause(
        kind="terminated",
        summary=f"Its process was told to stop from outside ({signal or f'status code {_code(ended)}'}), as "
        "when its worker or machine is shut down or redeployed, a container is evicted, or it is stopped.",
        certainty="likely",
        about=ended.name,
        evidence=_evidence(ended),
        fix=f"See what was stopped or redeployed then{_on(ended)}; then retry the run.",
        action=ended.retry,
    )


def its_native_code_broke(ended: EndedRun) -> Cause | None:
    if not _ended_as(ended, "bad_memory_access", "aborted") or ended.exit is None:
        return None
    how = "a memory access error" if ended.exit.ending == "bad_memory_access" else "an abort"
    return Cause(
        kind="native_crash",
        summary=f"Its process broke{_while(ended)}: status code {_code(ended)}, {how} in compiled "
        "code (a driver, a numeric library, the interpreter), of which Python can log nothing.",
        about=ended.name,
        evidence=_evidence(ended),
        fix="Set PYTHONFAULTHANDLER=1 in its env to see the line on its output, and change the version of "
        "the library that is at fault.",
    )


def its_command_did_not_run(ended: EndedRun) -> Cause | None:
    if not _ended_as(ended, "not_started") or ended.exit is None:
        return None
    return Cause(
        kind="command_not_run",
        summary=f"None of its code ran: status code {ended.exit.code}, {_NOT_RUN[ended.exit.code]}.",
        about=ended.name,
        evidence=[*_evidence(ended), *variable_evidence(ended.job_variables(with_pool=False))],
        fix="Check image and command in the job variables; Prefect has to be installed in the image.",
    )


def its_code_called_sys_exit(ended: EndedRun) -> Cause | None:
    if _SYSTEM_EXIT not in ended.message:
        return None
    error = ended.error
    said = f" with {one_line(error.message)!r}" if error and error.message else ""
    place = f" at {error.user_frame}" if error and error.user_frame else ""
    return Cause(
        kind="system_exit",
        summary=f"Its own code, or a library, called sys.exit{said}{place}, which ends a run as CRASHED.",
        about=ended.name,
        evidence=ended.evidence(),
        fix="Return from the flow instead, or raise an exception that says what is wrong.",
    )


def its_code_called_exit(ended: EndedRun) -> Cause | None:
    """Any other code is nobody's convention: only what ran in the process can have chosen it."""
    if not _ended_as(ended, "exit") or ended.exit is None or ended.exit.code in (0, 1):
        return None
    code = ended.exit.code
    return Cause(
        kind="exit_code",
        summary=f"Its process exited with status code: {code}, unexpected: Prefect knows no meaning of it, "
        f"so what ran in the process chose it (`os._exit({code})` in the code, a library, or its launcher). "
        "No exception reached its log.",
        about=ended.name,
        evidence=_evidence(ended),
        fix=f"Search the code and what it starts for an exit with {code}, and raise an exception there "
        f"instead; {ended.output} may say more.",
    )


def it_lost_the_api(ended: EndedRun) -> Cause | None:
    if ended.run.state.type != "CRASHED" or not _API_LOST.match(ended.message):
        return None
    return Cause(
        kind="api_unreachable",
        summary=f"A request of its process to a server failed: {one_line(ended.message)}",
        about=ended.name,
        evidence=ended.evidence(),
        fix="Check the way from where it ran to the Prefect server at that time, then retry the run.",
        action=ended.retry,
    )


def its_heartbeats_stopped(ended: EndedRun) -> Cause | None:
    """What an automation for zombies sets, in the words of Prefect's own example."""
    if ended.run.state.type != "CRASHED" or not _NO_HEARTBEAT.search(ended.message):
        return None
    return Cause(
        kind="heartbeats_stopped",
        summary=f"It stopped sending heartbeats, so it was set to CRASHED ({one_line(ended.message)}): its "
        f"process or container ended without a word{_while(ended)}, as when it is killed, runs out of "
        "memory, or its machine goes down.",
        certainty="likely",
        about=ended.name,
        evidence=_evidence(ended),
        fix=f"See what became of it then{_on(ended)}: memory, an eviction, a restart; then retry the run.",
        action=ended.retry,
    )


def its_process_said_nothing(ended: EndedRun) -> Cause | None:
    """Exit code 1 with neither an exception in the log nor a failed pull step."""
    if ended.exit is None or ended.exit.code != 1:
        return None
    when = "after it had begun" if ended.run.run_count else "before the flow's first line"
    return Cause(
        kind="exit_code",
        summary=f"Its process exited with status code: 1 {when}{_while(ended)}; neither its log nor "
        "its events tell of an exception.",
        certainty="likely",
        about=ended.name,
        evidence=_evidence(ended),
        fix=f"Read {ended.output}: what ended it stands there. `os._exit(1)` in the code looks the same.",
    )


def _ended_as(ended: EndedRun, *endings: Ending) -> bool:
    return ended.exit is not None and ended.exit.ending in endings


def _code(ended: EndedRun) -> str:
    """`-9 (SIGKILL)`."""
    if ended.exit is None:
        return "?"
    return f"{ended.exit.code} ({ended.exit.signal})" if ended.exit.signal else str(ended.exit.code)


def _evidence(ended: EndedRun) -> list[Evidence]:
    run, rows = ended.run, ended.evidence()
    if ended.exit:
        rows.append(evidence("exit code", _code(ended), f"state message of flow run {run.name}"))
    if run.infrastructure_pid:
        rows.append(evidence("infrastructure_pid", run.infrastructure_pid, f"flow run {run.name}"))
    if ended.failure.last_lines:
        rows.append(evidence("last line it logged", ended.failure.last_lines[-1].message, "the run's log"))
    return rows


def _while(ended: EndedRun) -> str:
    """` while task load_orders-048 ran`, as far as its task runs tell."""
    running = ended.failure.tasks.running if ended.failure.tasks else []
    return f" while {listed(running)} ran" if running else ""


def _on(ended: EndedRun) -> str:
    worker = worker_of(ended.run)
    return f" (worker '{worker}')" if worker else ""


CHECKS: tuple[EndedCheck, ...] = (
    it_ran_out_of_memory,
    it_was_terminated,
    its_native_code_broke,
    its_command_did_not_run,
    its_code_called_sys_exit,
    its_code_called_exit,
    it_lost_the_api,
    its_code_found_no_memory,
    its_heartbeats_stopped,
)
