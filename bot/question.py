"""What somebody asked, and where."""

from dataclasses import dataclass

from bot.people import Person


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said or done, as far as the rules of a policy look at it."""

    channel: str = ""
    """Slack's id of the channel or direct conversation; empty in the terminal."""
    workspace: str = ""
    """The Prefect workspace's name."""

    @property
    def is_direct(self) -> bool:
        """Whether nobody but the person and the bot reads what is said there; Slack's ids tell it."""
        return self.channel.startswith("D")


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody said to the bot, free of the mention and of Slack's escapes."""

    text: str
    person: Person
    conversation: str
    """Team, channel and thread: what the memory is keyed by."""
    channel: str = ""
    """Slack's id of where it was said; empty in the terminal."""

    private: bool = False
    """Whether the answer is shown to the person alone, whatever the channel."""

    @property
    def is_overheard(self) -> bool:
        """Whether others read the answer."""
        alone = self.private or self.person.is_local or Place(self.channel).is_direct
        return not alone

    def place(self, workspace: str) -> Place:
        """Where it was said, and the workspace that it is about."""
        return Place(self.channel, workspace)
