"""The job variables that a run starts with, and the layer that each comes from; never a secret's value."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from tools.models import WorkPool
from tools.pool_types import pool_type
from tools.redact import is_secret_name
from tools.run_rows import Result, shorten

Layer = Literal["pool default", "pool template, fixed", "deployment", "run"]
MAX_VALUE = 200
# Objects that hold credentials under names that do not say so.
HIDDEN = ("credentials", "cluster_config", "registry", "docker_config")


class JobVariable(Result):
    """One job variable, as it takes effect."""

    name: str
    value: str = Field(description="of objects such as env only the keys; of credentials nothing")
    set_by: Layer


def effective_variables(
    pool: WorkPool | None,
    deployment: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
) -> list[JobVariable]:
    """What the pool's type makes worth telling, and everything that a deployment or run sets itself."""
    telling = pool_type(pool.type).telling if pool else ()
    layers: dict[str, tuple[Any, Layer]] = {}
    for name, value in pool_defaults(pool).items():
        if name in telling or name == "env":
            layers[name] = (value, "pool default")
    layers.update({name: (value, "deployment") for name, value in (deployment or {}).items()})
    layers.update({name: (value, "run") for name, value in (run or {}).items()})
    layers.update({name: (value, "pool template, fixed") for name, value in _fixed(pool, telling)})
    return [
        JobVariable(name=name, value=_shown(name, value), set_by=layer)
        for name, (value, layer) in layers.items()
        if value not in (None, "", {}, [])
    ]


def pool_defaults(pool: WorkPool | None) -> dict[str, Any]:
    properties = pool_schema(pool).get("properties")
    if not isinstance(properties, dict):
        return {}
    return {
        name: spec["default"]
        for name, spec in properties.items()
        if isinstance(spec, dict) and "default" in spec
    }


def pool_schema(pool: WorkPool | None) -> dict[str, Any]:
    """JSON schema of the job variables; empty until a worker has started once on a pool made over the API."""
    variables = pool.base_job_template.get("variables") if pool else None
    return variables if isinstance(variables, dict) else {}


def _fixed(pool: WorkPool | None, telling: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Values that an administrator has written into the template, where no variable can reach them."""
    configuration = pool.base_job_template.get("job_configuration") if pool else None
    if not isinstance(configuration, dict):
        return
    for name in telling:
        value = configuration.get(name)
        if isinstance(value, str) and value and "{{" not in value:
            yield name, value


def _shown(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and "$ref" in value:
        return "a block, not shown"
    if isinstance(value, Mapping):
        return f"keys only: {', '.join(map(str, value))}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if (is_secret_name(name) or name in HIDDEN) and "{{" not in text:
        return "set, not shown"
    return shorten(text, MAX_VALUE)
