"""What the agent tells a surface while it answers; every surface reads the same events.

All text in them has passed the egress filter. Order: any number of `Status`, `ToolStarted`,
`ToolFinished`, `TextDelta`, `PictureDrawn`, `CardProposed` and `AlreadyRunning`, then exactly one `Done`.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from bot.cards.table import Card
from bot.pictures import Picture
from tools.toolbox import ToolFailure


@dataclass(frozen=True, slots=True)
class Citation:
    """A numbered source; `n` is the number that the answer's text uses."""

    n: int
    title: str
    url: str
    source: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is going on, worded to follow the bot's name: `is searching the docs`."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    id: str
    name: str
    title: str
    """For people: `Looking at work pools`."""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    id: str
    name: str
    ok: bool


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer in standard Markdown; pieces join with nothing between them."""

    text: str


@dataclass(frozen=True, slots=True)
class CardProposed:
    """An action card was stored; the surface shows it with its buttons."""

    card: Card


@dataclass(frozen=True, slots=True)
class PictureDrawn:
    """A picture to show in the thread; its `table` says the same where none can be shown."""

    picture: Picture


@dataclass(frozen=True, slots=True)
class AlreadyRunning:
    """No card was stored, because of what somebody else has confirmed; the surface says who, and where."""

    card: Card
    """The other one's."""
    text: str
    """The same in words, for where there is nothing to link to."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the reader may want next; taking it up is typing its command, with the reader's own rights."""

    label: str
    """For a button: `Resume the work pool`."""
    command: str
    """`resume pool etl`"""


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    args: dict[str, Any]
    ok: bool
    ms: int


Mode = Literal["llm", "extractive", "command"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer, as stored in the thread and printed by `ask --json`."""

    text: str
    citations: tuple[Citation, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    cards: tuple[Card, ...] = ()
    pictures: tuple[Picture, ...] = ()
    offers: tuple[Offer, ...] = ()
    mode: Mode = "llm"
    abstained: bool = False
    failure: ToolFailure | None = None
    """Why a typed command came to nothing."""
    timings: dict[str, int] = field(default_factory=dict)
    """Milliseconds by stage: `retrieval`, `first_token`, `total`."""
    usage: dict[str, int] = field(default_factory=dict)
    """Tokens as the model's server counted them."""


@dataclass(frozen=True, slots=True)
class Done:
    answer: Answer


Event = Status | ToolStarted | ToolFinished | TextDelta | PictureDrawn | CardProposed | AlreadyRunning | Done
