"""What Slack sent, turned into inbox deliveries. Pure, but for the question whether a thread is engaged.

Field names and shapes are Slack's; see https://docs.slack.dev/reference/events.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

from bot.inbox import Delivery

# What a message may be to count as something that a person said.
SPOKEN = (None, "file_share", "thread_broadcast")
SLACKBOT = "USLACKBOT"
CONFIRM, DECLINE = "card_confirm", "card_decline"
# Opens a form, which has to happen within seconds and so never waits in the inbox.
EDIT = "card_edit"
# A button that types a command for whoever presses it; its value is the command.
SAY = "say"

# How a slash command names a person; by the id alone, as in a message, one can be looked up.
_LABELLED = re.compile(r"<@([A-Z0-9]+)\|[^<>]*>")
_TOKEN = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


def from_event(body: Mapping[str, Any], bot_user: str) -> Delivery | None:
    """A mention, a direct message or a reply in a thread; None for all that nobody said to the bot.

    `app_mention` and `message` copies of one post give the same work key. Whether a reply belongs to a
    thread that the bot is engaged in, the caller has to find out (`is_reply`).
    """
    event = body["event"]
    if event["type"] not in ("app_mention", "message") or not _is_spoken(event, bot_user):
        return None
    team, channel, ts = _installed_in(body), event["channel"], event["ts"]
    thread = event.get("thread_ts") or ts
    payload = {
        "user": event["user"],
        "user_team": event.get("user_team") or event.get("team") or team,
        "team": team,
        "channel": channel,
        "ts": ts,
        "thread_ts": thread,
        "text": readable(event.get("text", ""), bot_user),
        "direct": event.get("channel_type") == "im",
        "addressed": event["type"] == "app_mention" or mentions(event.get("text", ""), bot_user),
        "to_somebody_else": _starts_with_other(event.get("text", ""), bot_user),
        "has_files": bool(event.get("files")),
        "shared": bool(body.get("is_ext_shared_channel")),
    }
    return Delivery(
        delivery_key=f"{team}:event:{body['event_id']}",
        work_key=f"{team}:{channel}:{ts}",
        conversation=f"{team}:{channel}:{thread}",
        kind="message",
        payload=payload,
    )


def _installed_in(body: Mapping[str, Any]) -> str:
    """The workspace that has the app: `team_id` may name the one that a channel is shared with.

    Its people would pass for our own then. See https://github.com/slackapi/bolt-js/issues/935.
    Of an app that a whole organisation has installed it is the organisation, as in `_pressed_in`.
    """
    installed = (body.get("authorizations") or [{}])[0]
    if installed.get("is_enterprise_install") and installed.get("enterprise_id"):
        return str(installed["enterprise_id"])
    return str(installed.get("team_id") or body.get("context_team_id") or body["team_id"])


def is_addressed(delivery: Delivery) -> bool:
    """Mentioned, or written to the bot alone."""
    return bool(delivery.payload["addressed"] or delivery.payload["direct"])


def is_reply(delivery: Delivery) -> bool:
    """A reply that may be for the bot, when it is engaged in the thread."""
    payload = delivery.payload
    return payload["thread_ts"] != payload["ts"] and not payload["to_somebody_else"]


def from_command(body: Mapping[str, Any]) -> Delivery:
    """A slash command. Its trigger id is the only thing that tells two of them apart."""
    # A form has no booleans: https://docs.slack.dev/interactivity/implementing-slash-commands
    is_of_organisation = str(body.get("is_enterprise_install")).lower() == "true"
    own = body.get("team_id") or body.get("enterprise_id") or ""
    team = (is_of_organisation and body.get("enterprise_id")) or own
    return Delivery(
        delivery_key=f"{team}:command:{body['trigger_id']}",
        conversation=f"{team}:{body['channel_id']}:command:{body['trigger_id']}",
        kind="command",
        payload={
            "user": body["user_id"],
            "user_team": own,
            "team": team,
            "channel": body["channel_id"],
            "text": readable(_LABELLED.sub(r"<@\1>", body.get("text", "")), ""),
            "response_url": body.get("response_url", ""),
        },
    )


def from_action(body: Mapping[str, Any]) -> Delivery | None:
    """A press on one of a card's two buttons, or on one that types a command; None for any other."""
    action, where = body["actions"][0], pressed_where(body)
    team, user = where["team"], where["user"]
    if str(action.get("action_id", "")).startswith(f"{SAY}:"):
        return _said_by_button(action, where)
    if action.get("action_id") not in (CONFIRM, DECLINE):
        return None
    card, revision = shown_card(action.get("value", ""))
    return Delivery(
        delivery_key=f"{team}:press:{card}:{user}:{action.get('action_ts', '')}",
        conversation=f"{team}:card:{card}",
        kind="press",
        payload={
            **where,
            "card": card,
            "revision": revision,
            "confirm": action["action_id"] == CONFIRM,
        },
    )


def pressed_where(body: Mapping[str, Any]) -> dict[str, Any]:
    """Who pressed a button, and on which message."""
    team = _pressed_in(body)
    container = body.get("container") or {}
    return {
        "user": body["user"]["id"],
        "user_team": body["user"].get("team_id") or team,
        "team": team,
        "channel": container.get("channel_id") or (body.get("channel") or {}).get("id", ""),
        "message_ts": container.get("message_ts", ""),
        "thread_ts": container.get("thread_ts") or container.get("message_ts", ""),
    }


def _pressed_in(body: Mapping[str, Any]) -> str:
    """The workspace that has the app; the organisation, where that has installed it for all of its own.

    Such a press names no workspace, or that of the presser, which need not be the one of the card.
    """
    enterprise = (body.get("enterprise") or {}).get("id") or body["user"].get("enterprise_id")
    if body.get("is_enterprise_install") and enterprise:
        return str(enterprise)
    return str((body.get("team") or {}).get("id") or body["user"].get("team_id") or "")


def card_value(card: str, revision: int) -> str:
    """What a card's button carries: the card, and which revision of it is on the screen."""
    return f"{card}:{revision}" if revision else card


def shown_card(value: str) -> tuple[str, int]:
    """The card's id and revision out of a button's value."""
    card, _, revision = value.partition(":")
    return card, int(revision) if revision.isdecimal() else 0


def _said_by_button(action: Mapping[str, Any], where: Mapping[str, Any]) -> Delivery:
    """As if whoever pressed had typed the button's command in that thread."""
    team, channel, thread = where["team"], where["channel"], where["thread_ts"]
    return Delivery(
        delivery_key=f"{team}:say:{where['user']}:{action.get('action_ts', '')}",
        conversation=f"{team}:{channel}:{thread}",
        kind="message",
        payload={**where, "text": action.get("value", ""), "has_files": False},
    )


def mentions(text: str, bot_user: str) -> bool:
    return bool(bot_user) and re.search(rf"<@{re.escape(bot_user)}(\|[^>]*)?>", text) is not None


def readable(text: str, bot_user: str) -> str:
    """Slack's text as it was typed: the mention gone, tokens and entities decoded."""
    without_bot = re.sub(rf"<@{re.escape(bot_user)}(\|[^>]*)?>", "", text) if bot_user else text
    return html.unescape(_TOKEN.sub(_typed, without_bot)).strip()


def _typed(match: re.Match[str]) -> str:
    sigil, target, label = match.groups()
    if sigil in ("@", "#"):
        return f"{sigil}{label or target}"
    if sigil == "!":
        return f"@{label or target.split('^')[0]}"
    # `<http://host|host>` is how Slack writes an address that was typed without its scheme.
    return str(target)


def _is_spoken(event: Mapping[str, Any], bot_user: str) -> bool:
    if event.get("subtype") not in SPOKEN or event.get("bot_id") or event.get("bot_profile"):
        return False
    return event.get("user") not in (None, SLACKBOT, bot_user)


def _starts_with_other(text: str, bot_user: str) -> bool:
    first = re.match(r"\s*<(?:@|!subteam\^)([A-Z0-9]+)", text)
    return first is not None and first[1] != bot_user
