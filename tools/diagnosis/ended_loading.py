"""Runs that ended because their flow, a module or a block could not be fetched, found or imported."""

import re

from tools.diagnosis.ended_run import EndedCheck, EndedRun, at
from tools.diagnosis.models import Cause, evidence
from tools.diagnosis.words import listed
from tools.failure.models import FailedPullStep
from tools.failure.words import one_line
from tools.pull_steps import code_source

_SCRIPT = re.compile(r"Script at '(?P<path>[^']+)' encountered an exception: (?P<what>.+)", re.DOTALL)
_NO_FUNCTION = re.compile(r"Function with name '(?P<name>[^']+)' not found in '(?P<path>[^']+)'")
_NO_MODULE = re.compile(r"No module named '(?P<module>[^']+)'")
_NO_BLOCK = re.compile(r"Unable to find block document named (?P<name>\S+) for block type (?P<type>\S+)")
_NO_FILE = "No such file or directory"
# Prefect wraps what importing a flow's file raises.
_IMPORT_ERRORS = frozenset({"ModuleNotFoundError", "ImportError", "ScriptError"})
_STEP_EVENT = "event prefect.flow-run.pull-step.failed"

# What to look at when a step of this name fails.
_STEP_ADVICE = {
    "git_clone": "Check that repository and branch exist, that the token is valid and may read it, and that "
    "the host can be reached from where the run starts.",
    "set_working_directory": "Make sure that this directory exists where the run starts: in the image, or on "
    "the worker's machine.",
    "pull_with_block": "Check the block's address and credentials.",
    "run_shell_script": "Run the script by hand where the run starts.",
    "pip_install_requirements": "Check the requirements file, and that the package index can be reached.",
}
_ANY_STEP = "Check the address, the credentials, and that it can be reached from where the run starts."


def a_pull_step_failed(ended: EndedRun) -> Cause | None:
    step = ended.failure.pull_step
    if step is None:
        return None
    missing = f" The block {listed(step.missing_blocks)} does not exist." if step.missing_blocks else ""
    return Cause(
        kind="pull_failed",
        summary=f"Its code could not be fetched: the pull step {step.name} failed, before the flow was "
        f"loaded. What the step does: {step.does}{missing} The step's own error is not kept by Prefect.",
        about=ended.name,
        evidence=[
            *ended.evidence(),
            evidence("step_name", step.name, _STEP_EVENT),
            evidence("inputs", step.does, _STEP_EVENT),
            *[evidence("block document", "does not exist", name) for name in step.missing_blocks],
        ],
        fix=_step_fix(ended, step),
    )


def _step_fix(ended: EndedRun, step: FailedPullStep) -> str:
    look = f"The error itself is in {ended.output}."
    if step.missing_blocks:
        return f"Create the block {listed(step.missing_blocks)}, or name one that exists. {look}"
    if step.package != "prefect":
        package = step.package.replace("_", "-")
        return f"{look} {_ANY_STEP} The package {package} has to be installed there too."
    return f"{look} {_STEP_ADVICE.get(step.name, _ANY_STEP)}"


def a_module_is_missing(ended: EndedRun) -> Cause | None:
    """When the flow was imported, or while it ran."""
    error = ended.error
    found = _NO_MODULE.search(error.message) if error and error.type in _IMPORT_ERRORS else None
    if error is None or found is None:
        return None
    module = found["module"]
    when = "while it ran" if ended.run.run_count else "when its flow was imported"
    return Cause(
        kind="module_missing",
        summary=f"A Python module was missing {when}: ModuleNotFoundError: No module named '{module}'"
        f"{at(error.user_frame)}. The environment in which the run started does not have it.",
        about=ended.name,
        evidence=[*ended.evidence(), *ended.entrypoint_evidence(), *ended.error_evidence()],
        fix=_module_fix(ended, module.partition(".")[0]),
    )


def _module_fix(ended: EndedRun, package: str) -> str:
    entrypoint = ended.deployment.entrypoint if ended.deployment else ""
    if package in re.split(r"[./:\\]", entrypoint):
        return (
            f"'{package}' is part of the entrypoint {entrypoint}: see that the code is fetched or installed "
            "where the run starts, and that its root is the run's working directory."
        )
    place = "the image that the run uses" if ended.has_image else "the Python environment of the worker"
    return (
        f"Install the package that provides '{package}' in {place}; if it is your own code, see that it is "
        "fetched together with the flow."
    )


def the_file_is_missing(ended: EndedRun) -> Cause | None:
    script = _script(ended)
    if script is None or _NO_FILE not in script["what"]:
        return None
    root = ended.failure.root_cause
    detail = one_line(root.message) if root else _NO_FILE
    return Cause(
        kind="flow_file_missing",
        summary=f"The file of its entrypoint, {script['path']}, was not where the run started: {detail}.",
        about=ended.name,
        evidence=[*ended.evidence(), *ended.entrypoint_evidence(), *ended.error_evidence()],
        fix=f"Correct the entrypoint of {ended.name}, or see that {script['path']} is in what its pull steps "
        f"give. {_fetched(ended)}",
    )


def _fetched(ended: EndedRun) -> str:
    return " ".join(code_source(ended.deployment)) if ended.deployment else ""


def the_function_is_missing(ended: EndedRun) -> Cause | None:
    found = _NO_FUNCTION.search(ended.error.message) if ended.error else None
    if found is None:
        return None
    return Cause(
        kind="flow_function_missing",
        summary=f"Its entrypoint names what is not there: Function with name '{found['name']}' not found "
        f"in '{found['path']}'.",
        about=ended.name,
        evidence=[*ended.evidence(), *ended.entrypoint_evidence(), *ended.error_evidence()],
        fix=f"Correct the entrypoint of {ended.name} (file:function), or the function's name in the code.",
    )


def the_file_cannot_be_imported(ended: EndedRun) -> Cause | None:
    script, root, error = _script(ended), ended.failure.root_cause, ended.error
    if script is None or error is None:
        return None
    what = f"{root.type}: {one_line(root.message)}" if root else one_line(script["what"])
    return Cause(
        kind="import_failed",
        summary=f"Its flow could not be imported: {script['path']} ended with {what}{at(error.user_frame)}.",
        about=ended.name,
        evidence=[*ended.evidence(), *ended.entrypoint_evidence(), *ended.error_evidence()],
        fix=f"Correct {script['path']}: its top level has to run without an error where the run starts.",
    )


def a_block_is_missing(ended: EndedRun) -> Cause | None:
    error, task = ended.error, ended.failure.task
    found = _NO_BLOCK.search(error.message) if error else None
    if error is None or found is None:
        return None
    who = f"Task {task.task}" if task else "It"
    return Cause(
        kind="block_missing",
        summary=f"{who} loads a block that does not exist: name '{found['name']}', type '{found['type']}'"
        f"{at(error.user_frame)}.",
        about=f"block {found['type']}/{found['name']}",
        evidence=[*ended.evidence(), *ended.error_evidence()],
        fix=f"Create a block of type '{found['type']}' with the name '{found['name']}' (UI, Blocks), or "
        "correct the name in the code or the parameters.",
    )


def it_has_no_entrypoint(ended: EndedRun) -> Cause | None:
    deployment = ended.deployment
    if deployment is None or deployment.entrypoint or ended.run.run_count or ended.error:
        return None
    if ended.exit is None or ended.exit.code != 1:
        return None
    return Cause(
        kind="no_entrypoint",
        summary=f"{ended.name} has no entrypoint (it is null), so Prefect did not know which flow to load.",
        about=ended.name,
        evidence=[*ended.evidence(), *ended.entrypoint_evidence()],
        fix="Deploy it again with an entrypoint, "
        f"`prefect deploy FILE.py:FUNCTION --name {deployment.name}`, or from code with `flow.deploy()`.",
    )


def _script(ended: EndedRun) -> re.Match[str] | None:
    error = ended.error
    return _SCRIPT.search(error.message) if error and error.type == "ScriptError" else None


CHECKS: tuple[EndedCheck, ...] = (
    a_pull_step_failed,
    a_module_is_missing,
    the_file_is_missing,
    the_function_is_missing,
    the_file_cannot_be_imported,
    a_block_is_missing,
    it_has_no_entrypoint,
)
