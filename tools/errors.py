"""What a tool can fail with, beside the tree in `knowledge.errors`.

ExpectedError
├── BadInput
│   ├── NotFound              nothing of that name or id exists
│   └── Ambiguous             several things match; `choices` names them
└── Refused
    └── Changed               what a card was made for is no longer so
"""

from collections.abc import Sequence

from knowledge.errors import BadInput, Refused


class NotFound(BadInput):
    """Nothing of that name or id exists in the workspace."""

    code = "not_found"


class Ambiguous(BadInput):
    """Several objects match; a person has to choose one of `choices`."""

    code = "ambiguous"

    def __init__(self, message: str, choices: Sequence[str], fix: str = "") -> None:
        super().__init__(message, fix or f"Say which one: {', '.join(choices)}.")
        self.choices = tuple(choices)


class Changed(Refused):
    """The live state is not the one that the person saw when confirming."""

    code = "changed"
