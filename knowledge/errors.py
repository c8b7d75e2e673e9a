"""The failures that a person can mend.

ExpectedError                 carries one clear sentence and the way out
├── BadInput                  what was asked or configured is wrong
│   ├── EmbedderMismatch      the index was built by another embedder
│   └── IndexMissing          nothing has been indexed yet
├── Unreachable               a server or site did not answer
├── Refused                   a server or the policy said no
│   └── Busy                  somebody else is building the index
└── IndexDamaged              the index folder cannot be used as it is any more

Anything else that is raised is a bug: it is logged with its traceback and never shown to people.
"""


class ExpectedError(Exception):
    """Says in `message` what is wrong and in `fix` how to mend it; both are safe to show."""

    code = "failed"

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class BadInput(ExpectedError):
    """What was asked for, or configured, cannot be right."""

    code = "bad_input"


class EmbedderMismatch(BadInput):
    """The index was built with another embedder or chunker than the configured one."""

    code = "embedder_mismatch"


class IndexMissing(BadInput):
    """No generation of the index exists yet."""

    code = "index_missing"


class Unreachable(ExpectedError):
    """A server or site did not answer, or not in time."""

    code = "unreachable"


class Refused(ExpectedError):
    """Credentials, permissions or the policy do not allow it."""

    code = "refused"


class Busy(Refused):
    """The index is being built by somebody else; the same can be tried again when that is done."""

    code = "busy"


class IndexDamaged(ExpectedError):
    """The index on disk does not match its manifest, or cannot be read."""

    code = "index_damaged"
