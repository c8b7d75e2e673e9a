"""Parameters as lines of a card, without secrets."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tools.models import Deployment
from tools.parameter_secrets import hide_secrets
from tools.proposal import Fact
from tools.run_rows import shorten

MAX_VALUE = 300


def parameter_facts(row: Deployment, values: Mapping[str, Any], given: Collection[str]) -> Iterator[Fact]:
    """Every parameter of a run in the signature's order; those not in `given` are called defaults."""
    properties = row.parameter_openapi_schema.get("properties", {})
    ordered = sorted(properties, key=lambda name: properties[name].get("position", 0))
    known = {name: properties[name].get("default") for name in ordered if "default" in properties[name]}
    known.update(values)
    values = {name: known[name] for name in dict.fromkeys([*ordered, *known]) if name in known}
    shown = hide_secrets(row.parameter_openapi_schema, values)
    for name, value in shown.items():
        yield Fact(label=f"Parameter {name}", value=in_short(value) + ("" if name in given else " (default)"))
    if not shown:
        yield Fact(label="Parameters", value="none")


def in_short(value: Any, limit: int = MAX_VALUE) -> str:
    return shorten(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), limit)
