"""Slack's refusals, sorted by what can be done about them.

https://docs.slack.dev/reference/methods names the codes of each method.
"""

import asyncio
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError

from knowledge.errors import Refused

# The method is not there for this workspace, and will not be within the hour.
NO_STREAMS = frozenset({"unknown_method", "method_deprecated", "feature_not_enabled"})
# The bot may not write there, whatever it says.
CANNOT_SPEAK = frozenset(
    {"not_in_channel", "channel_not_found", "is_archived", "messages_tab_disabled", "ekm_access_denied"}
)
RATE_LIMITED = frozenset({"ratelimited", "rate_limited"})
# The stream is an ordinary message by now, or is gone.
STREAM_IS_OVER = frozenset({"message_not_in_streaming_state", "message_not_found"})
STOPPED = "stopped_by_user"
# The workspace takes no files from the app, whatever they are.
NO_UPLOADS = frozenset(
    {
        "file_uploads_disabled",
        "file_uploads_except_images_disabled",
        "missing_scope",
        "not_allowed_token_type",
        "storage_limit_reached",
        "unknown_method",
    }
)
# What can be said more simply.
BLOCKS_REFUSED = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "markdown_text_conflict",
        "msg_blocks_too_long",
        "msg_blocks_too_many",
        "msg_too_long",
    }
)
# Slack's own trouble; such a call may be made again.
TRANSIENT = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
)
# No call of this installation will ever go through again.
DEAD = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "not_authed",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
# Nobody knows whether the call was carried out.
CONNECTION = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


# All that a call can end with, when it does not go through.
REFUSALS = (SlackApiError, *CONNECTION)


class CannotDeliver(Refused):
    """Slack does not take the message, neither where it belongs nor in a direct conversation."""

    code = "cannot_deliver"

    def __init__(self, slack_error: str, *, retry_after: float = 1.0) -> None:
        fix = "Check the app's token, scopes and installation: `ask-marvin doctor`."
        super().__init__(f"Slack did not take the message ({slack_error}).", fix)
        self.slack_error = slack_error
        self.retry_after = retry_after
        """Seconds, where it may pass."""
        self.nothing_posted = False
        """Set by whoever knows that no part of the answer is to be seen."""

    @property
    def may_pass(self) -> bool:
        """Certainly not carried out, and for a reason that goes away: it may be tried again later."""
        code = self.slack_error
        return is_rate_limit(code) or is_transient(code) or code.startswith("ClientConnector")

    @property
    def is_dead(self) -> bool:
        """The installation is gone: do not try again before the token has been replaced."""
        return self.slack_error in DEAD


def reason(error: BaseException) -> str:
    """Why a call did not go through, in one word for the log."""
    return code_of(error) if isinstance(error, SlackApiError) else type(error).__name__


def code_of(error: SlackApiError) -> str:
    """Slack's error code; `http_500` and the like where the answer was not JSON."""
    data = _data(error)
    status = getattr(error.response, "status_code", 0)
    if status == 429:
        return "ratelimited"
    return str(data.get("error") or f"http_{status}")


def _data(error: SlackApiError) -> dict[str, Any]:
    data = getattr(error.response, "data", None)
    return data if isinstance(data, dict) else {}


def retry_after(error: SlackApiError) -> float:
    """Seconds that Slack asks to wait; 1 where it does not say."""
    headers = getattr(error.response, "headers", None) or {}
    value = str(headers.get("Retry-After", "1"))
    return float(value) if value.isdigit() else 1.0


def is_rate_limit(code: str) -> bool:
    return code in RATE_LIMITED


def is_transient(code: str) -> bool:
    return code in TRANSIENT or code.startswith("http_5")


def cannot_speak(code: str) -> bool:
    return code in CANNOT_SPEAK or code.startswith("restricted_action")
