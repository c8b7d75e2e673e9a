"""What people see in a secret's place."""

from collections.abc import Mapping
from typing import Any

MASK_START = "[secret hidden"


def mask(kind: str) -> str:
    return f"{MASK_START}: {kind}]"


def contains_mask(value: Any) -> bool:
    """Whether a mask is anywhere in JSON-able data; what holds one cannot be sent back to a server."""
    if isinstance(value, Mapping):
        return any(contains_mask(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return any(contains_mask(item) for item in value)
    return isinstance(value, str) and MASK_START in value
