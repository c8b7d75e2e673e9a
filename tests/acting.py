"""What the tests of actions act on, and how they look at a proposal."""

from typing import Any

from tests.prefect_seed import Seed
from tools.proposal import Proposal

SCHEMA = {
    "type": "object",
    "properties": {
        "rows": {"type": "integer", "position": 0},
        "mode": {"type": "string", "default": "fast", "position": 1},
        "api_token": {"type": "string", "position": 2},
    },
    "required": ["rows"],
}


async def typed(seed: Seed, **more: Any) -> dict[str, Any]:
    """A deployment with parameters of these types, one of which it gives itself."""
    given = {"parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": True, "parameters": {"rows": 1}}
    return await seed.deployment(**{**given, **more})


def facts(proposal: Proposal) -> dict[str, str]:
    return {fact.label: fact.value for fact in proposal.facts}


def values(proposal: Proposal, label: str) -> list[str]:
    """Of a label that may stand there several times."""
    return [fact.value for fact in proposal.facts if fact.label == label]
