"""A picture in a thread, or a table in its place where Slack takes no files."""

import logging

from slack_sdk.errors import SlackApiError, SlackRequestError

from bot.pictures import Picture
from bot.slack.blocks import markdown_message
from bot.slack.conversation import Conversation
from bot.slack.errors import NO_UPLOADS, CannotDeliver, code_of
from bot.slack.pace import Workspaces

log = logging.getLogger(__name__)

REFUSED = "Slack did not take the picture, so these are its figures."
NO_SCOPE = "For a picture an admin has to give the app the scope `files:write` and install it again."
REFUSED_BEFORE = "refused before"


async def show_picture(conversation: Conversation, picture: Picture, workspaces: Workspaces) -> None:
    """Upload it to the thread; where that is refused, post the same as a table.

    The answer stands already, so that nothing is raised when neither is taken.
    """
    team = conversation.target.team
    refusal = await _refusal(conversation, picture) if workspaces.may_upload(team) else REFUSED_BEFORE
    if not refusal:
        return
    log.warning("a picture was not uploaded: %s", refusal)
    if refusal in NO_UPLOADS:
        workspaces.refuse_uploads(team)
    note = NO_SCOPE if refusal == "missing_scope" else REFUSED
    try:
        await conversation.post(markdown_message(f"{picture.table}\n\n_{note}_"))
    except CannotDeliver as error:
        log.warning("nor was its table posted: %s", error.slack_error)


async def _refusal(conversation: Conversation, picture: Picture) -> str:
    """Why Slack did not take it; empty when it did."""
    target = conversation.target
    try:
        await conversation.patiently(
            lambda: conversation.client.files_upload_v2(
                content=picture.png,
                filename=picture.filename,
                title=picture.title,
                alt_txt=picture.alt_text,
                channel=target.channel,
                thread_ts=target.thread_ts or None,
            )
        )
    except SlackApiError as error:
        return code_of(error)
    except CannotDeliver as error:
        return error.slack_error
    except SlackRequestError:
        return "the address for the file did not take it"
    return ""
