"""What a work pool's type says about where code runs and who has to be there for it."""

from dataclasses import dataclass
from typing import Literal

Needs = Literal["worker", "nobody", "impossible"]


@dataclass(frozen=True, slots=True)
class PoolType:
    """`runs_as` and `where` are worded to follow `each run is` and `on`."""

    title: str
    runs_as: str
    where: str
    needs: Needs = "worker"
    telling: tuple[str, ...] = ("image",)
    """The job variables that tell most about the infrastructure."""


PROCESS = PoolType(
    "local processes",
    "a subprocess of the worker",
    "the worker's own machine",
    telling=("working_dir", "command"),
)
LEGACY_AGENT = PoolType(
    "legacy agent pool",
    "not possible: agents were removed in Prefect 3",
    "no machine",
    needs="impossible",
    telling=(),
)

_TYPES: dict[str, PoolType] = {
    "process": PROCESS,
    "docker": PoolType(
        "Docker containers",
        "a Docker container that the worker starts",
        "the Docker host that the worker talks to (usually the worker's own machine)",
        telling=("image", "image_pull_policy", "networks", "volumes", "mem_limit", "privileged"),
    ),
    "kubernetes": PoolType(
        "Kubernetes jobs",
        "a Kubernetes Job (one pod) that the worker creates",
        "a node of the cluster that the worker is connected to",
        telling=(
            *("namespace", "image", "image_pull_policy", "service_account_name"),
            *("cpu_request", "cpu_limit", "memory_request", "memory_limit"),
        ),
    ),
    "ecs": PoolType(
        "AWS ECS tasks",
        "an ECS task that the worker starts",
        "AWS, in the ECS cluster",
        telling=(
            "cluster",
            "image",
            "cpu",
            "memory",
            "launch_type",
            "task_definition_arn",
            "vpc_id",
            "family",
        ),
    ),
    "azure-container-instance": PoolType(
        "Azure Container Instances",
        "a container group that the worker creates",
        "Azure Container Instances",
        telling=("resource_group_name", "subscription_id", "image", "cpu", "memory"),
    ),
    "cloud-run": PoolType(
        "Google Cloud Run jobs (v1)",
        "a Cloud Run job that the worker creates",
        "Google Cloud Run",
        telling=("region", "image", "cpu", "memory", "timeout"),
    ),
    "vertex-ai": PoolType(
        "Google Vertex AI custom jobs",
        "a Vertex AI custom job that the worker creates",
        "Google Vertex AI",
        telling=("region", "image", "machine_type"),
    ),
    "modal": PoolType("Modal sandboxes", "a Modal sandbox", "Modal's cloud"),
    "coiled": PoolType("Coiled", "a machine that Coiled starts", "your cloud account, through Coiled"),
    "prefect-agent": LEGACY_AGENT,
    "prefect:managed": PoolType(
        "Prefect Managed",
        "a container that Prefect Cloud runs itself",
        "Prefect's own infrastructure",
        needs="nobody",
        telling=("image", "pip_packages"),
    ),
}
_TYPES["cloud-run-v2"] = PoolType(
    "Google Cloud Run jobs (v2)",
    _TYPES["cloud-run"].runs_as,
    "Google Cloud Run",
    telling=_TYPES["cloud-run"].telling,
)


def pool_type(name: str) -> PoolType:
    """What is known about a type. `x:push` pools are started by Prefect Cloud, with no worker."""
    if known := _TYPES.get(name):
        return known
    base, _, mode = name.partition(":")
    if mode == "push":
        like = _TYPES.get(base) or PoolType(base, f"a job on {base}", base)
        runs_as = like.runs_as.replace("the worker", "Prefect Cloud").replace("worker", "Prefect Cloud")
        return PoolType(f"{like.title}, push", runs_as, like.where, needs="nobody", telling=like.telling)
    return PoolType(f"custom type {name}", f"what a worker of type {name} starts", "its infrastructure")
