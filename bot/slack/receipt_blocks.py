"""What came of a card, below it: its details with links, and the button that takes it back."""

from collections.abc import Sequence

from bot.cards.performer import KNOWLEDGE
from bot.cards.table import Card, CardState
from bot.slack.blocks import Block, context, plain
from bot.slack.incoming import CONFIRM
from bot.slack.mrkdwn import escape, link, shorten
from tools.proposal import Detail, Fact

SECTION_CHARACTERS = 2_900
TITLE_CHARACTERS = 80
ADDRESS_CHARACTERS = 500
LINE_CHARACTERS = 1_500
# Two sections; what is left out is said.
DETAILS_CHARACTERS = 5_500
# Slack's limit of the text in a dialog.
DIALOG_CHARACTERS = 300

UNDO_HEADINGS: dict[CardState, str] = {
    "running": "⚙️ *Being rolled back*",
    "done": "↩️ *Rolled back*",
    "failed": "❌ *Not rolled back*",
    "refused": "🚫 *Not rolled back*",
    "unclear": "⚠️ *It is not known whether it was rolled back*; `status` says what is live",
}
TOO_LATE = "This button's time is over; `rollback` still goes back."
# Of anything else than the knowledge base, the title says what happened: `Resume etl/nightly`.
UNDO_TITLED: dict[CardState, str] = {
    "running": "⚙️ *Being taken back*: {}",
    "done": "↩️ *Taken back*: {}",
    "failed": "❌ *Not taken back*: {}",
    "refused": "🚫 *Not taken back*: {}",
    "unclear": "⚠️ *It is not known whether it was taken back*: {}",
}
TOO_LATE_TITLED = "This button's time is over."


def details_blocks(details: Sequence[Detail]) -> list[Block]:
    """One line each, packed into sections; bounded, and what is left out is said."""
    texts: list[str] = []
    left = DETAILS_CHARACTERS
    for position, detail in enumerate(details):
        line = _line(detail)
        if len(line) > left:
            texts.append(f"… and {len(details) - position} more lines, not shown here")
            break
        left -= len(line) + 1
        if texts and len(texts[-1]) + 1 + len(line) <= SECTION_CHARACTERS:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return [_section(text) for text in texts]


def _line(detail: Detail) -> str:
    """`• docs: 12 added: A, B and 10 more`, with as many of the links as there is room for."""
    text = f"• {shorten(escape(detail.text), LINE_CHARACTERS)}"
    named: list[str] = []
    for each in detail.links:
        title = shorten(" ".join(each.title.split()) or "untitled", TITLE_CHARACTERS)
        shown = link(each.url, title) if len(each.url) <= ADDRESS_CHARACTERS else escape(title)
        if sum(map(len, [text, *named, shown])) > LINE_CHARACTERS:
            break
        named.append(shown)
    more = detail.more + len(detail.links) - len(named)
    if not named:
        return text
    return f"{text}: {', '.join(named)}{f' and {more:,} more' if more else ''}"


def undo_blocks(undo: Card, by: str) -> list[Block]:
    """The button while it can be pressed, and then what came of it; `by` is who pressed, as mrkdwn."""
    if undo.state == "open":
        return [{"type": "actions", "block_id": f"card:{undo.id}", "elements": [_button(undo)]}]
    is_rollback = undo.proposal.action in KNOWLEDGE
    headings = UNDO_HEADINGS if is_rollback else UNDO_TITLED
    if undo.state not in headings:
        return [context(TOO_LATE if is_rollback else TOO_LATE_TITLED)]
    heading = headings[undo.state].format(shorten(escape(undo.proposal.title), TITLE_CHARACTERS))
    said = f"\n{shorten(escape(undo.outcome), 2_000)}" if undo.outcome else ""
    return [_section(f"{heading}{f' · {by}' if by else ''}{said}")]


def _button(undo: Card) -> Block:
    """Slack asks back before it sends the press, so one message does for both."""
    proposal = undo.proposal
    is_rollback = proposal.action in KNOWLEDGE
    title = f"Roll back to {proposal.target}" if is_rollback else proposal.title
    dialog = {
        "title": plain(shorten(f"{title}?", 100)),
        "text": plain(_facts(proposal.facts)),
        "confirm": plain("Roll back" if is_rollback else "Take it back"),
        "deny": plain("Leave it"),
    }
    return {
        "type": "button",
        "action_id": CONFIRM,
        "text": plain(shorten(title, 75)),
        "value": undo.id,
        "confirm": dialog,
    }


def _facts(facts: Sequence[Fact]) -> str:
    """As many whole lines as the dialog takes."""
    text = ""
    for fact in facts:
        # A value of several lines must not look like further facts.
        line = " ".join(f"{fact.label}: {fact.value}".split())
        if len(text) + 1 + len(line) > DIALOG_CHARACTERS:
            break
        text = f"{text}\n{line}".strip()
    return text or "It will be as it was before."


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
