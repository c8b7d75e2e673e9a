"""The Slack app's manifest, to paste at https://api.slack.com/apps when creating the app.

Schema: https://docs.slack.dev/reference/app-manifest.
"""

from typing import Any
from urllib.parse import urlsplit

from bot.slack.listeners import COMMAND
from knowledge.errors import BadInput

EVENTS_PATH = "/slack/events"

SCOPES = (
    "app_mentions:read",
    "channels:history",
    "chat:write",
    "commands",
    "files:write",
    "groups:history",
    "im:history",
    "im:write",
    "mpim:history",
    "reactions:write",
    "usergroups:read",
    "users:read",
)
# An agent's status and its Messages tab.
AGENT_SCOPES = ("assistant:write",)
EVENTS = (
    "app_home_opened",
    "app_mention",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
)


def manifest(http_url: str | None = None, agent: bool = False) -> dict[str, Any]:
    """The manifest as JSON data: Socket Mode, unless `http_url` names the app's public address.

    `agent` declares an agent, which cannot be undone and shuts guests out. Raises BadInput for an
    address that Slack would not call.
    """
    url = _request_url(http_url) if http_url else None
    return {
        "display_information": {
            "name": "Marvin",
            "description": "Answers questions about Prefect from its docs, and operates your Prefect server.",
            "background_color": "#1d1c1d",
        },
        "features": _features(url, agent=agent),
        "oauth_config": {"scopes": {"bot": sorted([*SCOPES, *(AGENT_SCOPES if agent else ())])}},
        "settings": _settings(url),
    }


def _features(url: str | None, *, agent: bool) -> dict[str, Any]:
    command = {
        "command": COMMAND,
        "description": "Ask about Prefect, or operate it",
        "usage_hint": "help | pools | runs | run <deployment> | what is a work pool?",
        # Users and channels in the text then come as ids, which nobody can fake by typing a name.
        "should_escape": True,
    }
    features: dict[str, Any] = {
        "app_home": {
            "home_tab_enabled": False,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "bot_user": {"display_name": "Marvin", "always_online": True},
        "slash_commands": [command | ({"url": url} if url else {})],
    }
    if agent:
        features["agent_view"] = {"agent_description": "Knows Prefect's docs, and your Prefect server."}
    return features


def _settings(url: str | None) -> dict[str, Any]:
    address = {"request_url": url} if url else {}
    return {
        "event_subscriptions": {**address, "bot_events": list(EVENTS)},
        "interactivity": {"is_enabled": True, **address},
        "org_deploy_enabled": False,
        "socket_mode_enabled": url is None,
        "token_rotation_enabled": False,
    }


def _request_url(http_url: str) -> str:
    try:
        parts = urlsplit(http_url)
    except ValueError:  # brackets that are no IPv6 address
        parts = urlsplit("")
    if parts.scheme != "https" or not parts.hostname:
        raise BadInput(
            f"Slack calls only https addresses, and {http_url!r} is none.",
            "Give the app's public address, such as https://marvin.example.com.",
        )
    base = f"https://{parts.netloc}{parts.path}".rstrip("/")
    return base if base.endswith(EVENTS_PATH) else f"{base}{EVENTS_PATH}"
