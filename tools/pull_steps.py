"""Where flow code is fetched from: pull steps in words. References to secrets stay references."""

from collections.abc import Mapping
from typing import Any

from tools.models import Deployment
from tools.redact import redact

_BUCKETS = {
    "pull_from_s3": "S3 bucket",
    "pull_from_gcs": "Google Cloud Storage bucket",
    "pull_from_azure_blob_storage": "Azure Blob Storage container",
}


def code_source(deployment: Deployment) -> list[str]:
    """What happens in the run's process before the flow is loaded, one sentence a step, in order."""
    if deployment.pull_steps:
        steps = [pair for step in deployment.pull_steps for pair in step.items()]
        return [step_in_words(name, inputs) for name, inputs in steps]
    if deployment.storage_document_id:
        return [f"A storage block (old style, id {deployment.storage_document_id}) is downloaded."]
    if deployment.path:
        return [f"Nothing is fetched: the code must already be at {deployment.path} where the run starts."]
    return ["Nothing is fetched: the code must already be where the run starts."]


def step_in_words(name: str, inputs: Any) -> str:
    """One sentence that says what a pull step does."""
    given: Mapping[str, Any] = inputs if isinstance(inputs, Mapping) else {}
    match name.rpartition(".")[2]:
        case "git_clone":
            return _git_clone(given)
        case "set_working_directory":
            directory = given.get("directory", "?")
            return f"The working directory is set to {directory}, where the code must already be."
        case "pull_with_block":
            block = f"{given.get('block_type_slug', '?')}/{given.get('block_document_name', '?')}"
            return f"The code is downloaded with the block {block}."
        case "pull_from_remote_storage":
            return f"The code is downloaded from {redact(str(given.get('url', '?')))}."
        case "run_shell_script":
            return f"A shell script is run: {redact(str(given.get('script', '?')))[:120]}."
        case "pip_install_requirements":
            return f"Python packages are installed from {given.get('requirements_file', 'requirements.txt')}."
        case short if short in _BUCKETS:
            return _from_bucket(_BUCKETS[short], given)
        case _:
            return f"The step {name} is run{_with(given)}."


def _git_clone(given: Mapping[str, Any]) -> str:
    at = f", commit {given['commit_sha']}" if given.get("commit_sha") else ""
    branch = f", branch {given['branch']}" if given.get("branch") else ""
    repository = redact(str(given.get("repository", "?")))
    return f"The git repository {repository} is cloned{branch}{at}{_signed_in(given)}."


def _signed_in(given: Mapping[str, Any]) -> str:
    """How it signs in, by the name of the reference; a value that stands there plainly is not shown."""
    secret = given.get("credentials") or given.get("access_token")
    if not secret:
        return ", without credentials"
    if isinstance(secret, str) and "{{" in secret:
        return f", with credentials from {secret}"
    return ", with credentials that stand in the deployment (not shown)"


def _from_bucket(kind: str, given: Mapping[str, Any]) -> str:
    bucket = given.get("bucket") or given.get("container") or "?"
    folder = f", folder {given['folder']}" if given.get("folder") else ""
    return f"The code is downloaded from the {kind} {bucket}{folder}{_signed_in(given)}."


def _with(given: Mapping[str, Any]) -> str:
    return f" (inputs: {', '.join(map(str, given))})" if given else ""
