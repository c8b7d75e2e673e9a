"""What a sentence about the workspace comes to."""

from dataclasses import dataclass

from bot.events import Offer
from bot.grammar import Command


@dataclass(frozen=True, slots=True)
class Meant:
    """Nothing at all where it is a question to the docs."""

    commands: tuple[Command, ...] = ()
    note: str = ""
    """What has to be said before the answer, in Markdown."""
    offers: tuple[Offer, ...] = ()
    asks_back: bool = False
    """The note is the whole answer: it asks which of several was meant, or what to do."""
