"""The workspace behind the fake Slack: people, channels, and messages as a reader sees them."""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.slack_blocks import Block

TEAM = "T01HOME"
OTHER_TEAM = "T02OTHER"
APP = "A01MARVIN"
BOT_USER = "U01MARVIN"
BOT_ID = "B01MARVIN"
CHANNEL = "C01ASK"
ELSEWHERE = "C02ELSE"
"""A public channel that the bot is not in."""
ADA = "U01ADA"
"""A full member."""
ADMIN = "U01ADMIN"
OWNER = "U01OWNER"
GUEST = "U01GUEST"
STRANGER = "U02EXT"
"""Somebody of another workspace, met in shared channels."""

# Measured by others in August 2026; Slack promises no number.
STREAM_SECONDS = 300.0
TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 1800.0


@dataclass
class Channel:
    id: str
    name: str
    kind: Literal["channel", "group", "im", "mpim"] = "channel"
    bot: bool = True
    archived: bool = False
    shared: bool = False
    members: set[str] = field(default_factory=set)


@dataclass
class Message:
    """One message with all that came to it; `seen` is what stands on the reader's screen."""

    ts: str
    channel: str
    user: str
    text: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str = ""
    bot_id: str = ""
    state: Literal["posted", "streaming", "stopped", "deleted"] = "posted"
    pieces: list[dict[str, Any]] = field(default_factory=list)
    """A stream's content in the order in which it was appended, as blocks."""
    started: float = 0.0
    edits: int = 0
    reactions: dict[str, set[str]] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)
    """What the call that posted it was given: `unfurl_links`, `metadata` and the like."""

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The blocks on the screen, a stream's content first."""
        return [*self.pieces, *self.blocks]

    @property
    def seen(self) -> str:
        """All that can be read: the blocks' texts, or the text where there are no blocks."""
        return "\n".join(part for block in joined(self.shown) if (part := read(block))) or self.text

    @property
    def markdown(self) -> str:
        """The Markdown in it, joined as it came: an answer without its sources and footer."""
        return "".join(block["text"] for block in self.shown if block["type"] == "markdown")

    @property
    def buttons(self) -> list[dict[str, Any]]:
        rows = [block["elements"] for block in self.shown if block["type"] == "actions"]
        beside = [[block["accessory"]] for block in self.shown if "accessory" in block]
        return [button for button in itertools.chain(*rows, *beside) if button.get("type") == "button"]

    def as_slack(self) -> dict[str, Any]:
        """The message as the Web API and events carry it."""
        body: dict[str, Any] = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        optional = {
            "thread_ts": self.thread_ts,
            "bot_id": self.bot_id,
            "blocks": self.shown,
            "files": self.files,
        }
        return body | {key: value for key, value in optional.items() if value}


def joined(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The blocks, with neighbouring Markdown put together: a stream is cut anywhere."""
    result: list[dict[str, Any]] = []
    for block in blocks:
        if result and block["type"] == result[-1]["type"] == "markdown":
            result[-1] = {"type": "markdown", "text": result[-1]["text"] + block["text"]}
        else:
            result.append(dict(block))
    return result


def read(value: Any) -> str:
    """The words in a block, one line a text."""
    if isinstance(value, Mapping):
        own = value.get("text")
        if isinstance(own, str):
            return own
        return "\n".join(part for key, inner in value.items() if key != "type" and (part := read(inner)))
    if isinstance(value, (list, tuple)):
        return "\n".join(part for inner in value if (part := read(inner)))
    return ""


@dataclass
class Thread:
    """A thread as a reader scrolls it: the root, then the replies in order."""

    messages: list[Message]

    @property
    def bot(self) -> list[Message]:
        return [message for message in self.messages if message.user == BOT_USER]

    @property
    def text(self) -> str:
        """All that the bot says in the thread."""
        return "\n".join(message.seen for message in self.bot)

    @property
    def markdown(self) -> str:
        return "".join(message.markdown for message in self.bot)


class World:
    """State that the Web API changes and that people's doings change; tests read it."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, list[str]] = {}
        self.messages: dict[tuple[str, str], Message] = {}
        self.ephemeral: list[Message] = []
        self.statuses: dict[tuple[str, str], str] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.triggers: dict[str, tuple[float, bool]] = {}
        self.responses: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1)
        self._skipped = 0.0
        self._waiting: set[asyncio.Future[None]] = set()
        self._populate()

    def _populate(self) -> None:
        self.add_person(BOT_USER, "marvin", is_bot=True)
        self.add_person(ADA, "Ada")
        self.add_person(ADMIN, "Trillian", is_admin=True)
        self.add_person(OWNER, "Zaphod", is_admin=True, is_owner=True)
        self.add_person(GUEST, "Arthur", is_restricted=True)
        self.add_person(STRANGER, "Agrajag", team_id=OTHER_TEAM, is_stranger=True)
        self.add_channel(CHANNEL, "ask-marvin", shared=True)
        self.add_channel(ELSEWHERE, "elsewhere", bot=False)

    def add_person(self, id: str, name: str, *, tz: str = "Europe/Lisbon", **facts: Any) -> dict[str, Any]:
        """A user as `users.info` shows them; `facts` are Slack's fields, such as `is_restricted`."""
        flags = ("is_admin", "is_owner", "is_primary_owner", "is_restricted", "is_ultra_restricted", "is_bot")
        profile = {"display_name": name, "real_name": name}
        person = {
            "id": id,
            "team_id": TEAM,
            "name": name.lower(),
            "real_name": name,
            "tz": tz,
            "deleted": False,
        }
        self.people[id] = person | dict.fromkeys(flags, False) | {"profile": profile} | facts
        return self.people[id]

    def add_channel(self, id: str, name: str, **facts: Any) -> Channel:
        """A channel with everybody in it; `facts` are fields of `Channel`."""
        self.channels[id] = Channel(id, name, **({"members": set(self.people)} | facts))
        return self.channels[id]

    def add_group(self, id: str, *members: str) -> None:
        self.groups[id] = list(members)

    def dm(self, user: str) -> str:
        """The id of the direct conversation between the bot and a user."""
        id = f"D{user[1:]}"
        if id not in self.channels:
            self.add_channel(id, "", kind="im", members={user})
        return id

    def now(self) -> float:
        return time.monotonic() + self._skipped

    def skip(self, seconds: float) -> None:
        """Lets time pass for streams, triggers and response addresses."""
        self._skipped += seconds

    def next_ts(self) -> str:
        return f"{1_760_000_000 + next(self.numbers)}.000100"

    def put(self, message: Message) -> Message:
        self.messages[message.channel, message.ts] = message
        self.changed()
        return message

    def thread(self, channel: str, ts: str) -> Thread:
        """The root message and its replies, without deleted ones."""
        here = [m for (c, _), m in self.messages.items() if c == channel and m.state != "deleted"]
        return Thread([m for m in here if ts in (m.ts, m.thread_ts)])

    def channel_thread(self, channel: str) -> Thread:
        """Everything in a channel or direct conversation, as if it were one thread."""
        return Thread([m for (c, _), m in self.messages.items() if c == channel and m.state != "deleted"])

    def message(self, channel: str, ts: str) -> Message:
        return self.messages[channel, ts]

    def status(self, channel: str, thread_ts: str) -> str:
        """What is shown as `<App> …` in the thread; empty when nothing is."""
        return self.statuses.get((channel, thread_ts), "")

    def streaming(self) -> list[Message]:
        return [message for message in self.messages.values() if message.state == "streaming"]

    def changed(self) -> None:
        """Wakes everybody who waits in `until`."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def until(self, condition: Callable[[], Any], *, timeout: float = 5.0, why: str = "") -> Any:
        """Waits until the condition gives something true, and gives that back.

        Looks again whenever a call came in or the world changed; `AssertionError` when time is up.
        """
        deadline = time.monotonic() + timeout
        while not (result := condition()):
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            left = deadline - time.monotonic()
            await asyncio.wait({waiting}, timeout=max(left, 0))
            if left <= 0:
                raise AssertionError(f"Not within {timeout} s: {why or condition}")
        return result
