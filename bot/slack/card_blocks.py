"""An action card as a Slack message: what will happen, and two buttons until somebody decides.

Labels and values come from people and from Prefect, so they are shown as they are: as plain text, as
preformatted text, or escaped. Nothing in them becomes a link or calls anybody.
"""

import re
from datetime import UTC, datetime

from bot.cards.performer import KNOWLEDGE
from bot.cards.table import Card, CardState
from bot.slack.blocks import (
    MESSAGE_CHARACTERS,
    Block,
    Message,
    characters,
    context,
    mrkdwn_message,
    plain,
)
from bot.slack.follow_blocks import Followed, followed_blocks, icon
from bot.slack.incoming import CONFIRM, DECLINE, EDIT, card_value
from bot.slack.mrkdwn import escape, link, shorten
from bot.slack.receipt_blocks import details_blocks, undo_blocks
from tools.proposal import Fact, Proposal

# What the buttons say; `Cancel` alone would be misread where cancelling is what the card does.
BUTTONS = {
    "cancel_runs": ("Cancel the runs", "Leave them"),
    "retry_run": ("Retry", "Leave it"),
    "pause_deployment": ("Pause", "Leave it"),
    "resume_deployment": ("Resume", "Leave it"),
    "pause_work_pool": ("Pause", "Leave it"),
    "resume_work_pool": ("Resume", "Leave it"),
    "rollback_knowledge": ("Roll back", "Leave it"),
}
# The label of what may go wrong, said beforehand.
WARNING = "Warning"
DEFAULT_BUTTONS = ("Confirm", "Cancel")
OVERRIDING = "Confirm, even if worse"
EDIT_BUTTON = "Edit parameters…"
# Stops or holds up something that runs: the button is red.
DANGEROUS = frozenset({"cancel_runs", "pause_deployment", "pause_work_pool", "set_schedule_active"})

HEADINGS: dict[CardState, str] = {
    "open": "Waiting for somebody to confirm",
    "running": "Confirmed, being done",
    "done": "Done",
    "partly": "Done in part",
    "held_back": "Not made live; the present index stays",
    "failed": "Failed",
    "declined": "Cancelled, nothing was done",
    "expired": "Expired, nothing was done",
    "refused": "Refused, nothing was done",
    "unclear": "Started, and it is not known how it ended",
}
ICONS: dict[CardState, str] = {
    "open": "⏳",
    "running": "⚙️",
    "done": "✅",
    "partly": "⚠️",
    "held_back": "✋",
    "failed": "❌",
    "declined": "🚫",
    "expired": "⌛",
    "refused": "🚫",
    "unclear": "⚠️",
}

# Where runs are followed: how they get on stands below, and a green tick would be mistaken for that.
FOLLOWED_HEADING = "☑️ *Confirmed*"

SECTION_CHARACTERS = 2_900
# Escaping makes one character five at worst, and with an address both have to stand in one section.
TITLE_CHARACTERS = 900
TARGET_CHARACTERS = 200
LABEL_CHARACTERS = 150
# A value of one short line stands beside its label, any other below it.
SHORT_VALUE = 120
FACTS_A_SECTION = 5
# A message takes about 13,000 characters of text in 50 blocks; what is left out is said.
FACTS_CHARACTERS = 9_000
FACTS = 40
PREFORMATTED_CHARACTERS = 3_000

_USER = re.compile(r"[UW][A-Z0-9]{2,}")


def card_message(card: Card, followed: Followed | None = None) -> Message:
    """The card as it stands: with buttons while it is open, with its outcome after that.

    `followed` are the runs that it led to; what has become of them stands above all that is known already.
    """
    # At night one reads the first lines: how it gets on stands above what was asked for.
    above = [_headline(card), *(followed_blocks(followed) if followed else [])]
    below = [context(_asked(card)), _buttons(card)] if card.state == "open" else _told(card, followed)
    left = min(FACTS_CHARACTERS, MESSAGE_CHARACTERS - characters([*above, *below]))
    facts = _facts(_still_true(card, followed), left)
    mark = icon(followed.watch) if followed else ICONS[card.state]
    text = shorten(escape(f"{mark} {card.proposal.title}"), SECTION_CHARACTERS)
    return Message(text, [*above, *facts, *below])


def _still_true(card: Card, followed: Followed | None) -> tuple[Fact, ...]:
    """What was said to whoever had to decide, without what would be taken for how it is now."""
    facts = card.proposal.facts
    if card.state != "open" and card.proposal.action in KNOWLEDGE:
        return ()
    has_begun = followed and any(run.state_type == "RUNNING" or run.is_over for run in followed.watch.runs)
    return tuple(fact for fact in facts if fact.label != WARNING) if has_begun else facts


def _told(card: Card, followed: Followed | None) -> list[Block]:
    """What has come of a decided card."""
    told = [_outcome(card, followed), *details_blocks(card.details)]
    undo = undo_blocks(card.undo, person(card.undo.decided_by)) if card.undo else []
    # What came last is read first.
    return [*undo, *told] if card.undo and card.undo.decided_by else [*told, *undo]


def running_message(card: Card, url: str) -> Message:
    """Who is at it and since when, for somebody else who wanted the same; `url` leads to the progress."""
    since = f" since {clock_time(card.decided_at)}" if card.decided_at else ""
    title = _bold(shorten(escape(card.proposal.title), 300))
    look = f" {link(url, 'See how far it is')}, and try" if url else " Try"
    return mrkdwn_message(
        f"⚙️ {person(card.decided_by)} has been at it{since}: *{title}*.{look} again when it is done."
    )


def changed_message(card: Card) -> Message:
    """For somebody who pressed a button of a card that says something else by now."""
    by = f" by {person(card.revised_by)}" if card.revised_by else ""
    return mrkdwn_message(
        f"The parameters were changed{by} after this was shown to you, and nothing was done. "
        "Look at the card again."
    )


def _headline(card: Card) -> Block:
    proposal = card.proposal
    title = f"*{_bold(shorten(escape(proposal.title), TITLE_CHARACTERS))}*"
    target = shorten(proposal.target, TARGET_CHARACTERS)
    shown = link(proposal.target_url, target) if len(proposal.target_url) <= 1_000 else escape(target)
    below = f"\n{shown}" if target and (proposal.target_url or proposal.target not in proposal.title) else ""
    return {"type": "section", "text": {"type": "mrkdwn", "text": f"{title}{below}", "verbatim": True}}


def _bold(escaped: str) -> str:
    """Stars inside of bold text would end it."""
    return escaped.replace("*", "∗").replace("\n", " ")


def _asked(card: Card) -> str:
    changed = f" · parameters changed by {person(card.revised_by)}" if card.revised_by else ""
    return f"Asked by {person(card.asked_by)}{changed} · expires at {clock_time(card.expires_at)}"


def clock_time(at: datetime) -> str:
    """In the reader's own time zone, which Slack fills in; the words after the bar are for old clients."""
    fallback = at.astimezone(UTC).strftime("%H:%M UTC")
    return f"<!date^{int(at.timestamp())}^{{time}}|{fallback}>"


def person(user: str) -> str:
    """A mention for a Slack user id, the bare words for anybody else."""
    return f"<@{user}>" if _USER.fullmatch(user) else escape(user)


def _buttons(card: Card) -> Block:
    confirm, decline = _labels(card.proposal)
    stops = card.proposal.action in DANGEROUS and card.proposal.arguments.get("active") is not True
    is_red = card.proposal.dangerous or stops
    style = "danger" if is_red else "primary"
    shown = card_value(card.id, card.revision)
    edit = [_button(EDIT, EDIT_BUTTON, shown)] if card.proposal.editable else []
    elements = [_button(CONFIRM, confirm, shown) | {"style": style}, *edit, _button(DECLINE, decline, shown)]
    return {"type": "actions", "block_id": f"card:{card.id}", "elements": elements}


def _labels(proposal: Proposal) -> tuple[str, str]:
    confirm, decline = BUTTONS.get(proposal.action, DEFAULT_BUTTONS)
    return OVERRIDING if proposal.dangerous else confirm, decline


def _button(action_id: str, label: str, value: str) -> Block:
    return {"type": "button", "action_id": action_id, "text": plain(label), "value": value}


def _outcome(card: Card, followed: Followed | None) -> Block:
    by = f" · {person(card.decided_by)}" if card.decided_by else ""
    is_followed = followed and card.state == "done"
    lines = [f"{FOLLOWED_HEADING if is_followed else f'{ICONS[card.state]} *{HEADINGS[card.state]}*'}{by}"]
    if card.outcome:
        lines.append(shorten(escape(card.outcome), 2_000))
    if card.state == "unclear" and card.proposal.action in KNOWLEDGE:
        lines.append("`status` says which generation is live; reindexing again does no harm.")
    if card.outcome_url and len(card.outcome_url) <= 500:
        lines.append(link(card.outcome_url, "Open in Prefect"))
    return {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines), "verbatim": True}}


def _facts(facts: tuple[Fact, ...], left: int) -> list[Block]:
    """Labels beside short values, five a section; long values preformatted, each below its label.

    `left` is how many characters there is room for.
    """
    blocks: list[Block] = []
    for position, fact in enumerate(facts):
        size = characters(_label(fact)) + len(fact.value)
        if position == FACTS or (size > left and left < SHORT_VALUE):
            blocks.append(context(f"… and {len(facts) - position} more, not shown here"))
            break
        if _is_short(fact):
            _add_fields(blocks, fact)
        else:
            blocks += _long(fact, left)
        left -= min(size, left)
    return blocks


def _is_short(fact: Fact) -> bool:
    return len(fact.value) <= SHORT_VALUE and "\n" not in fact.value


def _add_fields(blocks: list[Block], fact: Fact) -> None:
    if not blocks or len(blocks[-1].get("fields", [])) in (0, 2 * FACTS_A_SECTION):
        blocks.append({"type": "section", "fields": []})
    blocks[-1]["fields"] += [_label(fact), plain(fact.value.strip() or "—")]


def _label(fact: Fact) -> Block:
    label = fact.label.strip()[:LABEL_CHARACTERS] or "—"
    return {"type": "mrkdwn", "text": f"*{_bold(escape(label))}*", "verbatim": True}


def _long(fact: Fact, left: int) -> list[Block]:
    shown = fact.value[: max(left, SHORT_VALUE)]
    pieces = [
        shown[at : at + PREFORMATTED_CHARACTERS] for at in range(0, len(shown), PREFORMATTED_CHARACTERS)
    ]
    blocks: list[Block] = [{"type": "section", "text": _label(fact)}]
    blocks += [_preformatted(piece) for piece in pieces]
    missing = len(fact.value) - len(shown)
    return [*blocks, *([context(f"… {missing:,} more characters, not shown here")] if missing else [])]


def _preformatted(text: str) -> Block:
    code = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [code]}
