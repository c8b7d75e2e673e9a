"""The fake's Web API: one method a Slack method, named after it with underscores."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.slack_blocks import (
    SlackError,
    check_chunks,
    check_markdown_text,
    check_message_blocks,
)
from tests.fakes.slack_views import check_view
from tests.fakes.slack_world import (
    APP,
    BOT_ID,
    BOT_USER,
    STREAM_SECONDS,
    TEAM,
    TRIGGER_SECONDS,
    Channel,
    Message,
    World,
)

Args = dict[str, Any]
Body = dict[str, Any]

TEXT_KEPT = 40_000
UPDATE_TEXT = 4_000
ALT_TEXT = 1_000

# Scopes of which a bot token needs one; methods that are not named need none.
NEEDS: dict[str, tuple[str, ...]] = {
    "chat.postMessage": ("chat:write",),
    "chat.postEphemeral": ("chat:write",),
    "chat.update": ("chat:write",),
    "chat.delete": ("chat:write",),
    "chat.startStream": ("chat:write",),
    "chat.appendStream": ("chat:write",),
    "chat.stopStream": ("chat:write",),
    "assistant.threads.setStatus": ("chat:write", "assistant:write"),
    "assistant.threads.setTitle": ("assistant:write",),
    "assistant.threads.setSuggestedPrompts": ("assistant:write",),
    "agents.sessions.setStatus": ("chat:write",),
    "agents.sessions.rename": ("chat:write",),
    "conversations.open": ("im:write", "mpim:write"),
    "conversations.info": ("channels:read", "groups:read", "im:read", "mpim:read"),
    "files.getUploadURLExternal": ("files:write",),
    "files.completeUploadExternal": ("files:write",),
    "reactions.add": ("reactions:write",),
    "reactions.remove": ("reactions:write",),
    "reactions.get": ("reactions:read",),
    "usergroups.list": ("usergroups:read",),
    "usergroups.users.list": ("usergroups:read",),
    "users.info": ("users:read",),
}
HISTORY = {
    "channel": "channels:history",
    "group": "groups:history",
    "im": "im:history",
    "mpim": "mpim:history",
}
ALL_SCOPES = {scope for scopes in NEEDS.values() for scope in scopes} | set(HISTORY.values()) | {"commands"}


class WebApi:
    """Answers calls from the world's state, as strictly as Slack does; errors are `SlackError`."""

    def __init__(self, world: World, base: str) -> None:
        self.world = world
        self.base = base
        self.scopes = set(ALL_SCOPES)
        self.home_tab = True
        self.agent = False
        """Whether the app is declared an agent: `agents.sessions.*` and prompts work only then."""

    def method(self, name: str) -> Callable[[Args], Body]:
        found = getattr(self, name.replace(".", "_"), None) if "." in name else None
        if found is None:
            raise SlackError("unknown_method", req_method=name)
        self._need(*NEEDS.get(name, ()))
        return found  # type: ignore[no-any-return]

    def _need(self, *scopes: str) -> None:
        if scopes and not self.scopes & set(scopes):
            raise SlackError("missing_scope", needed=scopes[0], provided=",".join(sorted(self.scopes)))

    # -- who and where

    def auth_test(self, args: Args) -> Body:
        names = {"url": self.base, "team": "Home", "team_id": TEAM, "user": "marvin", "user_id": BOT_USER}
        return names | {"bot_id": BOT_ID, "app_id": APP, "is_enterprise_install": False}

    def users_info(self, args: Args) -> Body:
        if args.get("user") not in self.world.people:
            raise SlackError("user_not_found")
        return {"user": self.world.people[args["user"]]}

    def usergroups_list(self, args: Args) -> Body:
        return {"usergroups": [{"id": id, "handle": id.lower()} for id in self.world.groups]}

    def usergroups_users_list(self, args: Args) -> Body:
        if args.get("usergroup") not in self.world.groups:
            raise SlackError("no_such_subteam")
        return {"users": self.world.groups[args["usergroup"]]}

    def conversations_info(self, args: Args) -> Body:
        channel = self._channel(args)
        flags = {f"is_{kind}": channel.kind == kind for kind in ("channel", "group", "im", "mpim")}
        more = {
            "is_private": channel.kind != "channel",
            "is_member": channel.bot,
            "is_ext_shared": channel.shared,
        }
        return {
            "channel": {"id": channel.id, "name": channel.name, "is_archived": channel.archived}
            | flags
            | more
        }

    def conversations_open(self, args: Args) -> Body:
        users = str(args.get("users", "")).split(",")
        if len(users) != 1 or users[0] not in self.world.people:
            raise SlackError("user_not_found")
        return {"channel": {"id": self.world.dm(users[0])}}

    def conversations_replies(self, args: Args) -> Body:
        channel = self._channel(args)
        self._need(HISTORY[channel.kind])
        messages = self.world.thread(channel.id, str(args.get("ts"))).messages
        if not messages:
            raise SlackError("thread_not_found")
        return self._history(messages[: int(args.get("limit", 1_000))])

    def conversations_history(self, args: Args) -> Body:
        channel = self._channel(args)
        self._need(HISTORY[channel.kind])
        messages = [m for m in self.world.channel_thread(channel.id).messages if m.thread_ts in ("", m.ts)]
        return self._history(messages[::-1][: int(args.get("limit", 100))])

    def _history(self, messages: list[Message]) -> Body:
        shown = [message.as_slack() for message in messages]
        return {"messages": shown, "has_more": False, "response_metadata": {"next_cursor": ""}}

    def _channel(self, args: Args) -> Channel:
        channel = self.world.channels.get(str(args.get("channel") or args.get("channel_id")))
        if channel is None or (channel.kind == "group" and not channel.bot):
            raise SlackError("channel_not_found")
        return channel

    def _writable(self, args: Args) -> Channel:
        if args.get("channel") in self.world.people:
            args["channel"] = self.world.dm(args["channel"])
        channel = self._channel(args)
        if channel.archived:
            raise SlackError("is_archived")
        if not channel.bot:
            raise SlackError("not_in_channel")
        return channel

    def _root(self, channel: Channel, args: Args) -> str:
        """The thread's root; a reply's own ts is refused, which Slack warns of as a mistake."""
        thread_ts = str(args.get("thread_ts") or "")
        if thread_ts:
            root = self.world.messages.get((channel.id, thread_ts))
            if root is None or root.thread_ts not in ("", root.ts):
                raise SlackError("invalid_thread_ts")
            root.thread_ts = root.ts
        return thread_ts

    # -- messages

    def chat_postMessage(self, args: Args) -> Body:
        channel = self._writable(args)
        thread_ts = self._root(channel, args)
        text, blocks = self._content(args)
        message = self._message(channel, thread_ts, args, text=text[:TEXT_KEPT], blocks=blocks)
        warning = {"warning": "message_truncated"} if len(text) > TEXT_KEPT else {}
        return {"channel": channel.id, "ts": message.ts, "message": message.as_slack()} | warning

    def _content(self, args: Args) -> tuple[str, list[dict[str, Any]]]:
        text, blocks, markdown = args.get("text") or "", blocks_of(args), args.get("markdown_text")
        if markdown is not None:
            if text or blocks:
                raise SlackError("markdown_text_conflict")
            check_markdown_text(markdown)
            return "", [{"type": "markdown", "text": markdown}]
        if not text and not blocks:
            raise SlackError("no_text")
        check_message_blocks(blocks)
        return text, blocks

    def _message(self, channel: Channel, thread_ts: str, args: Args, **content: Any) -> Message:
        """The app speaks in a thread, which ends the status that is shown there."""
        self.world.statuses.pop((channel.id, thread_ts), None)
        given = {key: value for key, value in args.items() if key not in ("text", "blocks", "chunks")}
        ts = self.world.next_ts()
        identity: dict[str, Any] = {"user": BOT_USER, "bot_id": BOT_ID, "arguments": given}
        return self.world.put(Message(ts, channel.id, thread_ts=thread_ts, **identity, **content))

    def chat_postEphemeral(self, args: Args) -> Body:
        channel = self._writable(args)
        if args.get("user") not in channel.members:
            raise SlackError("user_not_in_channel")
        text, blocks = self._content(args)
        ts = self.world.next_ts()
        message = Message(ts, channel.id, BOT_USER, text, blocks, str(args.get("thread_ts") or ""), BOT_ID)
        message.arguments = {"user": args["user"]}
        self.world.ephemeral.append(message)
        return {"message_ts": ts}

    def chat_update(self, args: Args) -> Body:
        message = self._own(args, "cant_update_message")
        if message.state == "streaming" and not self._expired(message):
            raise SlackError("streaming_state_conflict")
        if len(args.get("text") or "") > UPDATE_TEXT:
            raise SlackError("msg_too_long")
        text, blocks = self._content(args)
        message.text, message.pieces, message.state = text, [], "posted"
        # Without the argument the earlier blocks stay, and a new text is then not to be seen.
        message.blocks = blocks if "blocks" in args or "markdown_text" in args else message.shown
        message.edits += 1
        self.world.changed()
        return {"channel": message.channel, "ts": message.ts, "text": text, "message": message.as_slack()}

    def chat_delete(self, args: Args) -> Body:
        message = self._own(args, "cant_delete_message")
        message.state = "deleted"
        return {"channel": message.channel, "ts": message.ts}

    def chat_getPermalink(self, args: Args) -> Body:
        channel = self._channel(args)
        ts = str(args.get("message_ts"))
        if (channel.id, ts) not in self.world.messages:
            raise SlackError("message_not_found")
        return {"permalink": f"https://home.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"}

    def _own(self, args: Args, refusal: str) -> Message:
        channel = self._channel(args)
        message = self.world.messages.get((channel.id, str(args.get("ts"))))
        if message is None or message.state == "deleted":
            raise SlackError("message_not_found")
        if message.user != BOT_USER:
            raise SlackError(refusal)
        return message

    # -- streams

    def chat_startStream(self, args: Args) -> Body:
        channel = self._writable(args)
        if not args.get("thread_ts"):
            raise SlackError("invalid_thread_ts")
        thread_ts = self._root(channel, args)
        if channel.kind != "im":
            self._recipient(args)
        pieces = self._pieces(args, required=False)
        message = self._message(
            channel, thread_ts, args, pieces=pieces, state="streaming", started=self.world.now()
        )
        return {"channel": channel.id, "ts": message.ts}

    def _recipient(self, args: Args) -> None:
        for key in ("recipient_team_id", "recipient_user_id"):
            if not args.get(key):
                raise SlackError(f"missing_{key}")
        if args["recipient_user_id"] not in self.world.people:
            raise SlackError("user_not_found")

    def _pieces(self, args: Args, *, required: bool) -> list[dict[str, Any]]:
        markdown, chunks = args.get("markdown_text"), args.get("chunks")
        if markdown is not None and (chunks is not None or args.get("blocks")):
            raise SlackError("markdown_text_conflict")
        if chunks is not None:
            check_chunks(chunks)
            return [piece for chunk in chunks for piece in shown(chunk)]
        if markdown is not None:
            check_markdown_text(markdown)
            return [{"type": "markdown", "text": markdown}]
        if required:
            raise SlackError("no_text")
        return []

    def chat_appendStream(self, args: Args) -> Body:
        message = self._live(args)
        message.pieces += self._pieces(args, required=True)
        self.world.changed()
        return {"channel": message.channel, "ts": message.ts}

    def chat_stopStream(self, args: Args) -> Body:
        message = self._live(args)
        blocks = blocks_of(args)
        check_message_blocks(blocks)
        message.pieces += self._pieces(args, required=False)
        message.blocks, message.state = blocks, "stopped"
        self.world.changed()
        return {"channel": message.channel, "ts": message.ts, "message": message.as_slack()}

    def _live(self, args: Args) -> Message:
        message = self._own(args, "message_not_owned_by_app")
        if message.arguments.get("stopped_by_user"):
            raise SlackError("stopped_by_user")
        if message.state != "streaming" or self._expired(message):
            raise SlackError("message_not_in_streaming_state")
        return message

    def _expired(self, message: Message) -> bool:
        return self.world.now() - message.started > STREAM_SECONDS

    # -- decorations

    def assistant_threads_setStatus(self, args: Args) -> Body:
        thread = self._thread(args)
        loading = args.get("loading_messages") or []
        if "status" not in args or len(loading) > 10 or any(not 1 <= len(text) <= 50 for text in loading):
            raise SlackError("invalid_arguments")
        self.world.statuses[thread] = args["status"]
        self.world.changed()
        return {}

    def assistant_threads_setTitle(self, args: Args) -> Body:
        self._thread(args)
        return {}

    def assistant_threads_setSuggestedPrompts(self, args: Args) -> Body:
        if not self.agent:
            raise SlackError("not_agent_app")
        if not 1 <= len(args.get("prompts") or []) <= 4:
            raise SlackError("invalid_arguments")
        return {}

    def agents_sessions_setStatus(self, args: Args) -> Body:
        if not self.agent:
            raise SlackError("feature_disabled")
        self._thread(args)
        if args.get("status") not in ("processing", "active", "suspended", "closed"):
            raise SlackError("invalid_arguments")
        return {"status": args["status"], "agent_status": args["status"], "title": args.get("title", "")}

    def agents_sessions_rename(self, args: Args) -> Body:
        if not self.agent:
            raise SlackError("feature_disabled")
        if not 1 <= len(args.get("title") or "") <= 200:
            raise SlackError("invalid_arguments")
        return {}

    def _thread(self, args: Args) -> tuple[str, str]:
        channel = self._channel(args)
        thread_ts = str(args.get("thread_ts") or "")
        if (channel.id, thread_ts) not in self.world.messages:
            raise SlackError("invalid_thread_ts")
        return channel.id, thread_ts

    def reactions_add(self, args: Args) -> Body:
        users = self._reacted(args).reactions.setdefault(args["name"], set())
        if BOT_USER in users:
            raise SlackError("already_reacted")
        users.add(BOT_USER)
        return {}

    def reactions_remove(self, args: Args) -> Body:
        users = self._reacted(args).reactions.get(args["name"], set())
        if BOT_USER not in users:
            raise SlackError("no_reaction")
        users.remove(BOT_USER)
        return {}

    def reactions_get(self, args: Args) -> Body:
        found = self._reacted(args).reactions
        reactions = [{"name": name, "users": sorted(users)} for name, users in found.items() if users]
        return {"message": {"reactions": reactions}}

    def _reacted(self, args: Args) -> Message:
        message = self.world.messages.get((self._writable(args).id, str(args.get("timestamp"))))
        if message is None:
            raise SlackError("message_not_found")
        return message

    # -- views and files

    def views_open(self, args: Args) -> Body:
        self._use_trigger(str(args.get("trigger_id")))
        return self._view(args, f"V{next(self.world.numbers):08}")

    def views_push(self, args: Args) -> Body:
        return self.views_open(args)

    def views_update(self, args: Args) -> Body:
        known = self.world.views.get(str(args.get("view_id")))
        if known is None:
            raise SlackError("not_found")
        if args.get("hash", known["hash"]) != known["hash"]:
            raise SlackError("hash_conflict")
        return self._view(args, known["id"])

    def views_publish(self, args: Args) -> Body:
        if not self.home_tab:
            raise SlackError("not_enabled")
        if args.get("user_id") not in self.world.people:
            raise SlackError("user_not_found")
        return self._view(args, f"VHOME{args['user_id']}")

    def _use_trigger(self, id: str) -> None:
        if id not in self.world.triggers:
            raise SlackError("invalid_trigger_id")
        made, used = self.world.triggers[id]
        if used:
            raise SlackError("exchanged_trigger_id")
        if self.world.now() - made > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        self.world.triggers[id] = (made, True)

    def _view(self, args: Args, id: str) -> Body:
        view = decoded(args.get("view")) or {}
        check_view(view)
        self.world.views[id] = view | {"id": id, "hash": f"h{next(self.world.numbers)}"}
        self.world.changed()
        return {"view": self.world.views[id]}

    def files_getUploadURLExternal(self, args: Args) -> Body:
        if not args.get("filename") or int(args.get("length") or 0) <= 0:
            raise SlackError("invalid_arguments")
        if len(str(args.get("alt_txt") or "")) > ALT_TEXT:
            raise SlackError("invalid_arguments")
        id = f"F{next(self.world.numbers):08}"
        facts = {"id": id, "name": args["filename"], "length": int(args["length"])}
        self.world.files[id] = facts | {"alt_txt": args.get("alt_txt", ""), "data": None}
        return {"upload_url": f"{self.base}/upload/{id}", "file_id": id}

    def files_completeUploadExternal(self, args: Args) -> Body:
        entries = decoded(args.get("files")) or []
        if not entries:
            raise SlackError("invalid_arguments")
        shared = [self._finished(entry) for entry in entries]
        if args.get("channel_id"):
            channel = self._writable(args | {"channel": args["channel_id"]})
            text = str(args.get("initial_comment") or "")
            files = [{key: value for key, value in file.items() if key != "data"} for file in shared]
            self._message(channel, self._root(channel, args), args, text=text, files=files)
        return {"files": [{"id": file["id"], "title": file.get("title", "")} for file in shared]}

    def _finished(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """A file whose bytes have arrived; it is finished once."""
        file = self.world.files.get(str(entry.get("id")))
        if file is None or file["data"] is None or file.get("finished"):
            raise SlackError("file_not_found")
        file["finished"] = True
        return file | entry


def shown(chunk: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A stream's chunk as blocks of the message."""
    if chunk["type"] == "markdown_text":
        return [{"type": "markdown", "text": chunk["text"]}]
    if chunk["type"] == "blocks":
        return list(chunk["blocks"])
    kinds = {"task_update": "task_card", "plan_update": "plan"}
    return [{**chunk, "type": kinds[chunk["type"]]}]


def decoded(value: Any) -> Any:
    """Structures come as JSON text inside a form or a query, as themselves inside JSON."""
    return json.loads(value) if isinstance(value, str) else value


def blocks_of(args: Args) -> list[dict[str, Any]]:
    blocks = decoded(args.get("blocks")) or []
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    return blocks
