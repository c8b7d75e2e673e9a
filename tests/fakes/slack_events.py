"""What people do in the fake workspace, as the envelopes that Slack sends for it.

Each act is also put into the world, so that threads, replies and reactions find the message.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.slack_views import state_of
from tests.fakes.slack_world import ADA, APP, BOT_ID, BOT_USER, CHANNEL, TEAM, Message, World

Kind = Literal["events_api", "interactive", "slash_commands"]


@dataclass
class Envelope:
    """One delivery; the same one may be delivered again as a retry, with the same `event_id`."""

    kind: Kind
    payload: dict[str, Any]
    accepts_response: bool = False

    @property
    def event(self) -> dict[str, Any]:
        return self.payload["event"]  # type: ignore[no-any-return]

    @property
    def event_id(self) -> str:
        return str(self.payload["event_id"])


@dataclass
class Post:
    """A message that somebody wrote, and every envelope that Slack sends for it."""

    message: Message
    envelopes: list[Envelope] = field(default_factory=list)

    @property
    def ts(self) -> str:
        return self.message.ts

    @property
    def channel(self) -> str:
        return self.message.channel

    def __iter__(self) -> Iterator[Envelope]:
        return iter(self.envelopes)


class Doings(World):
    """The world with people who write, edit, press and command."""

    base = ""
    organisation = ""
    """Its id, where an organisation of several workspaces has installed the app for all of them."""

    def mention(
        self, text: str, *, channel: str = CHANNEL, user: str = ADA, thread_ts: str = "", **more: Any
    ) -> Post:
        """`@marvin text`: two envelopes with one ts and two event ids, `app_mention` first.

        In a direct conversation Slack sends the `message` alone.
        """
        post = self.post(f"<@{BOT_USER}> {text}", channel=channel, user=user, thread_ts=thread_ts, **more)
        if self.channels[channel].kind != "im":
            post.envelopes.insert(0, self._app_mention(post.envelopes[0]))
        return post

    def _app_mention(self, copy: Envelope) -> Envelope:
        """The second copy as it was seen live: no `channel_type`, no `context_team_id` around it."""
        event = {key: value for key, value in copy.event.items() if key != "channel_type"}
        envelope = self._event(event | {"type": "app_mention"}, shared=copy.payload["is_ext_shared_channel"])
        del envelope.payload["context_team_id"]
        return envelope

    def post(
        self,
        text: str,
        *,
        channel: str = CHANNEL,
        user: str = ADA,
        thread_ts: str = "",
        files: tuple[str, ...] = (),
    ) -> Post:
        """A message in a channel, or a reply when `thread_ts` names a thread's root."""
        if thread_ts:
            self.message(channel, thread_ts).thread_ts = thread_ts
        uploads = [self._upload(name) for name in files]
        message = self.put(Message(self.next_ts(), channel, user, text, thread_ts=thread_ts, files=uploads))
        event = self._message_event(message) | ({"subtype": "file_share"} if files else {})
        return Post(message, [self._event(event, shared=self.channels[channel].shared)])

    def reply(self, text: str, thread_ts: str, *, channel: str = CHANNEL, user: str = ADA) -> Post:
        """A thread reply without a mention."""
        return self.post(text, channel=channel, user=user, thread_ts=thread_ts)

    def say_in_dm(
        self, text: str, *, user: str = ADA, thread_ts: str = "", files: tuple[str, ...] = ()
    ) -> Post:
        """A direct message; without `thread_ts` it is a top-level one, as new apps get them."""
        return self.post(text, channel=self.dm(user), user=user, thread_ts=thread_ts, files=files)

    def file_only(self, name: str = "log.txt", *, channel: str = CHANNEL, user: str = ADA) -> Post:
        """A file without a word: `text` is empty and the subtype is `file_share`."""
        return self.post("", channel=channel, user=user, files=(name,))

    def edit(self, message: Message, text: str) -> Envelope:
        """A `message_changed`; its own ts is the change's, not the message's."""
        before = self._inner(message)
        message.text = text
        message.edits += 1
        changed_at = self.next_ts()
        after = self._inner(message) | {"edited": {"user": message.user, "ts": changed_at}}
        event = {
            "type": "message",
            "subtype": "message_changed",
            "hidden": True,
            "channel": message.channel,
            "channel_type": self.channels[message.channel].kind,
            "message": after,
            "previous_message": before,
            "ts": changed_at,
            "event_ts": changed_at,
        }
        return self._event(event)

    def own_echo(self, message: Message) -> Envelope:
        """The event that the app gets for a message of its own."""
        return self._event(self._message_event(message) | {"bot_id": BOT_ID, "app_id": APP})

    def other_bot(self, text: str, *, channel: str = CHANNEL, thread_ts: str = "") -> Post:
        """Another app's post: it has a `bot_id` and no subtype."""
        if "U01ROBOT" not in self.people:
            self.add_person("U01ROBOT", "robot", is_bot=True)
        post = self.post(text, channel=channel, user="U01ROBOT", thread_ts=thread_ts)
        post.message.bot_id = "B01ROBOT"
        post.envelopes[0].event.update(bot_id="B01ROBOT", app_id="A01ROBOT")
        return post

    def home_opened(self, *, user: str = ADA, tab: str = "home") -> Envelope:
        event = {"type": "app_home_opened", "user": user, "channel": self.dm(user), "tab": tab}
        return self._event(event | {"event_ts": self.next_ts()})

    def slash(self, command: str, text: str = "", *, channel: str = CHANNEL, user: str = ADA) -> Envelope:
        """A slash command: form fields, no `thread_ts`, numbers and booleans as text."""
        payload: dict[str, Any] = {
            "token": "verification",
            "team_id": TEAM,
            "team_domain": "home",
            "channel_id": channel,
            "channel_name": self.channels[channel].name or "directmessage",
            "user_id": user,
            "user_name": self.people[user]["name"],
            "command": command,
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": str(bool(self.organisation)).lower(),
            **({"enterprise_id": self.organisation} if self.organisation else {}),
            "response_url": self.response_url(channel, user),
            "trigger_id": self.trigger(),
        }
        return Envelope("slash_commands", payload, accepts_response=True)

    def press(self, message: Message, action_id: str, *, user: str = ADA) -> Envelope:
        """A press on a button that is really to be seen on the message."""
        for button in message.buttons:
            if button.get("action_id") == action_id:
                return self._block_actions(message, button, user)
        raise AssertionError(f"No button {action_id!r} on the message; there are {message.buttons}")

    def _block_actions(self, message: Message, button: dict[str, Any], user: str) -> Envelope:
        container = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": False,
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        person = self.people[user]
        action = {
            key: button[key] for key in ("type", "action_id", "text", "value", "style") if key in button
        }
        payload: dict[str, Any] = {
            "type": "block_actions",
            "user": {
                "id": user,
                "username": person["name"],
                "name": person["name"],
                "team_id": person["team_id"],
            },
            "api_app_id": APP,
            "token": "verification",
            "container": container,
            "trigger_id": self.trigger(),
            "team": None if self.organisation else {"id": TEAM, "domain": "home"},
            "enterprise": {"id": self.organisation, "name": "Grid"} if self.organisation else None,
            "is_enterprise_install": bool(self.organisation),
            "channel": {
                "id": message.channel,
                "name": self.channels[message.channel].name or "directmessage",
            },
            "message": message.as_slack(),
            "state": {"values": {}},
            "response_url": self.response_url(message.channel, user, message.ts),
            "actions": [action | {"block_id": "b1", "action_ts": self.next_ts()}],
        }
        return Envelope("interactive", payload)

    def submit(self, view: Mapping[str, Any], filled: Mapping[str, Any], *, user: str = ADA) -> Envelope:
        """The submit button of an open modal; `filled` are the fields that were touched, by their labels."""
        person = self.people[user]
        more = {
            "team_id": TEAM,
            "app_id": APP,
            "bot_id": BOT_ID,
            "root_view_id": view["id"],
            "previous_view_id": None,
            "state": {"values": state_of(view, filled)},
        }
        payload: dict[str, Any] = {
            "type": "view_submission",
            "team": {"id": TEAM, "domain": "home"},
            "user": {"id": user, "username": person["name"], "name": person["name"]}
            | {"team_id": person["team_id"]},
            "api_app_id": APP,
            "token": "verification",
            "trigger_id": self.trigger(),
            "view": {**view, **more},
            "response_urls": [],
            "is_enterprise_install": False,
            "enterprise": None,
        }
        return Envelope("interactive", payload, accepts_response=True)

    def trigger(self) -> str:
        id = f"{next(self.numbers)}.trigger"
        self.triggers[id] = (self.now(), False)
        return id

    def response_url(self, channel: str, user: str, message_ts: str = "") -> str:
        id = f"R{next(self.numbers)}"
        facts = {"channel": channel, "user": user, "message_ts": message_ts}
        self.responses[id] = facts | {"made": self.now(), "bodies": []}
        return f"{self.base}/response/{id}"

    def stop_stream_as_user(self, message: Message) -> None:
        """Somebody presses Slack's own stop button."""
        message.arguments["stopped_by_user"] = True
        message.state = "stopped"
        self.changed()

    def _upload(self, name: str) -> dict[str, Any]:
        id = f"F{next(self.numbers):08}"
        private = f"{self.base}/files/{id}/{name}"
        facts = {"id": id, "name": name, "title": name, "mimetype": "text/plain", "filetype": "text"}
        return facts | {"mode": "hosted", "size": 12, "url_private": private, "url_private_download": private}

    def _inner(self, message: Message) -> dict[str, Any]:
        optional = {"thread_ts": message.thread_ts, "files": message.files}
        body: dict[str, Any] = {
            "type": "message",
            "user": message.user,
            "text": message.text,
            "ts": message.ts,
        }
        return body | {"team": self._team(message.user)} | {k: v for k, v in optional.items() if v}

    def _message_event(self, message: Message) -> dict[str, Any]:
        place = {"channel": message.channel, "channel_type": self.channels[message.channel].kind}
        known = {"event_ts": message.ts, "client_msg_id": f"client-{message.ts}"}
        if message.thread_ts:
            known["parent_user_id"] = self.message(message.channel, message.thread_ts).user
        outside = {"user_team": self._team(message.user)} if self._team(message.user) != TEAM else {}
        return self._inner(message) | place | known | outside

    def _team(self, user: str) -> str:
        return str(self.people[user]["team_id"])

    def _installation(self) -> dict[str, Any]:
        """Of an app that a whole organisation has installed, no workspace is named."""
        of_all = bool(self.organisation)
        team = None if of_all else TEAM
        return {
            "enterprise_id": self.organisation or None,
            "team_id": team,
            "is_enterprise_install": of_all,
        }

    def _event(self, event: dict[str, Any], *, shared: bool = False) -> Envelope:
        number = next(self.numbers)
        installed: dict[str, Any] = {"user_id": BOT_USER, "is_bot": True, **self._installation()}
        payload: dict[str, Any] = {
            "token": "verification",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "context_enterprise_id": None,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{number:08}",
            "event_time": 1_760_000_000 + number,
            "authorizations": [installed],
            "is_ext_shared_channel": shared,
            "event_context": f"4-context-{number}",
        }
        return Envelope("events_api", payload)
