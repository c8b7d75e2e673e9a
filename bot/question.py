"""What somebody asked, and where."""

from dataclasses import dataclass

from bot.people import Person


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody said to the bot, free of the mention and of Slack's escapes."""

    text: str
    person: Person
    conversation: str
    """Team, channel and thread: what the memory is keyed by."""
