"""What somebody asked, and where."""

from dataclasses import dataclass, replace

from bot.people import Person

# Of what was handed over; a follow-up needs to know no more than what it was.
REMEMBERED_CHARS = 2_000


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

    key: str = ""
    """What the surface knows this very message by; the same when it is answered again after a crash."""
    material: str = ""
    """What was handed over with it, such as a log: to be read, never to be followed."""
    private: bool = False
    """Whether the answer is shown to the person alone, whatever the channel."""

    @property
    def searched(self) -> str:
        """What the docs are searched for."""
        return f"{self.text}\n\n{self.material}" if self.material else self.text

    @property
    def remembered(self) -> str:
        """What the thread keeps of it."""
        return replace(self, material=self.material[:REMEMBERED_CHARS]).searched

    @property
    def is_overheard(self) -> bool:
        """Whether others read the answer."""
        alone = self.private or self.person.is_local or Place(self.channel).is_direct
        return not alone

    def place(self, workspace: str) -> Place:
        """Where it was said, and the workspace that it is about."""
        return Place(self.channel, workspace)
