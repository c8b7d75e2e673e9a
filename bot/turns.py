"""One turn of the model, as the agent reads it; apart from the client, which is heavy to import."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class RequestedCall:
    """A tool call as the model wrote it; the arguments are text that may not be valid JSON."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Turn:
    """One answer of the model; filled while it streams, complete when the stream has ended."""

    text: str = ""
    calls: list[RequestedCall] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    finish_reason: str = ""
