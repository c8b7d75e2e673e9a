"""The live state that a proposal rests on, one hash a part, so that a refusal can name what has changed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tools.errors import Changed
from tools.proposal import Proposal


def fingerprint(parts: Mapping[str, Any]) -> str:
    """`part=hash part=hash`; the names of the parts hold no space and no `=`."""
    return " ".join(f"{name}={_hash(value)}" for name, value in parts.items())


def changed_parts(before: str, now: Mapping[str, Any]) -> list[str]:
    """The parts that are not as they were when `before` was taken, in the order of `now`."""
    known = dict(part.split("=", 1) for part in before.split())
    return [name for name, value in now.items() if known.get(name) != _hash(value)]


def check_unchanged(proposal: Proposal, now: Mapping[str, Any]) -> None:
    """Raises Changed, naming the parts of the target that are not as they were."""
    changed = changed_parts(proposal.fingerprint, now)
    if changed:
        what = ", ".join(part.replace("_", " ") for part in changed)
        raise Changed(
            f"{proposal.target} has been changed since this card was made: {what}.",
            "Nothing was done. Ask again to get a card for how it is now.",
        )


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
