"""Messages as Slack takes them: pure functions from an answer to texts and blocks.

An answer goes out as Markdown in `markdown` blocks, which Slack converts itself. `text` is what
notifications show. Where Slack refuses the blocks, `plainer` gives the same in simpler ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.events import Answer, Citation, Offer
from bot.slack.incoming import SAY
from bot.slack.mrkdwn import escape, link, plain_text, sections_of, shorten
from bot.slack.split import split_markdown

Block = dict[str, Any]

# Together with the text of a full part this stays below what Slack refused real messages at.
MESSAGE_CHARACTERS = 12_400
MARKDOWN_CHARACTERS = 12_000
CONTEXT_CHARACTERS = 2_900
TITLE_CHARACTERS = 100
ADDRESS_CHARACTERS = 500
# Nobody reads more sources, and ten elements of a context block hold them whatever their length.
SOURCES = 20
# Sections carry 3,000 characters each.
SECTIONS_A_MESSAGE = 3
BAR_CELLS = 20
OFFERS = 5
# Slack's limits for a button.
LABEL_CHARACTERS = 75
VALUE_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `text` for notifications, `blocks` for the screen."""

    text: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def markdown(self) -> str:
        return "".join(block["text"] for block in self.blocks if block["type"] == "markdown")


def markdown_message(markdown: str, extras: Sequence[Block] = ()) -> Message:
    """One part of an answer; `markdown` is within the limits of a part."""
    return Message(plain_text(markdown), [{"type": "markdown", "text": markdown}, *extras])


def answer_messages(markdown: str, citations: Sequence[Citation] = (), footer: str = "") -> list[Message]:
    """An answer of any length as messages to post one after the other; the last has sources and footer."""
    parts = [part.text for part in split_markdown(markdown) if part.text.strip()]
    extras = answer_extras(citations, footer)
    if not parts:
        return [extras_message(extras)] if extras else []
    *before, last = parts
    messages = [markdown_message(part) for part in before]
    if fits(last, extras):
        return [*messages, markdown_message(last, extras)]
    return [*messages, markdown_message(last), extras_message(extras)]


def answer_extras(
    citations: Sequence[Citation] = (), footer: str = "", offers: Sequence[Offer] = ()
) -> list[Block]:
    """What stands below an answer: its sources, where its words come from, what may be done next."""
    lines = _source_lines(citations)
    elements = [_mrkdwn(text) for text in _packed(lines)]
    blocks: list[Block] = [{"type": "context", "elements": elements}] if elements else []
    return [*blocks, *([context(escape(footer))] if footer else []), *offer_buttons(offers)]


def offer_buttons(offers: Sequence[Offer]) -> list[Block]:
    """One row of buttons that type a command; nothing when there is nothing to offer."""
    fitting = [offer for offer in offers if len(offer.command) <= VALUE_CHARACTERS][:OFFERS]
    elements = [
        {
            "type": "button",
            "action_id": f"{SAY}:{number}",
            "text": plain(shorten(offer.label, LABEL_CHARACTERS)),
            "value": offer.command,
        }
        for number, offer in enumerate(fitting)
    ]
    return [{"type": "actions", "elements": elements}] if elements else []


def extras_message(extras: Sequence[Block]) -> Message:
    texts = [
        element["text"] for block in extras if block["type"] == "context" for element in block["elements"]
    ]
    return Message(shorten("\n".join(texts), CONTEXT_CHARACTERS) or "What next?", list(extras))


def fits(markdown: str, extras: Sequence[Block]) -> bool:
    """Whether one message holds both."""
    below = sum(len(element["text"]) for block in extras for element in block["elements"])
    return len(markdown) <= MARKDOWN_CHARACTERS and len(markdown) + below <= MESSAGE_CHARACTERS


def plain(text: str) -> Block:
    """A text object in which nothing is markup."""
    return {"type": "plain_text", "text": text, "emoji": False}


def characters(blocks: object) -> int:
    """How much text is in blocks, as Slack counts it for a message."""
    if isinstance(blocks, Mapping):
        own = blocks.get("text")
        return len(own) if isinstance(own, str) else sum(map(characters, blocks.values()))
    return sum(map(characters, blocks)) if isinstance(blocks, list) else 0


def context(mrkdwn: str) -> Block:
    """A small grey line; the text is escaped already."""
    return {"type": "context", "elements": [_mrkdwn(shorten(mrkdwn, CONTEXT_CHARACTERS))]}


def _mrkdwn(text: str) -> Block:
    # Without `verbatim` Slack makes channel names, broadcasts and addresses out of plain words.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _source_lines(citations: Sequence[Citation]) -> Iterator[str]:
    """One line a page: `[1] [3] Title`, the title linked; the same page is named once."""
    pages: dict[str, list[Citation]] = {}
    for citation in sorted(citations, key=lambda citation: citation.n):
        pages.setdefault(citation.url or citation.title, []).append(citation)
    for same in list(pages.values())[:SOURCES]:
        numbers = " ".join(f"[{citation.n}]" for citation in same)
        title = same[0].title if len(same[0].title) <= TITLE_CHARACTERS else f"{same[0].title[:99]}…"
        address = same[0].url if len(same[0].url) <= ADDRESS_CHARACTERS else ""
        yield f"{numbers} {link(address, title or address)}"


def _packed(lines: Iterator[str]) -> list[str]:
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + 1 + len(line) <= CONTEXT_CHARACTERS:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def footer(answer: Answer, model: str = "") -> str:
    """Where the words come from, honestly; empty for commands. `model` is empty when none is configured."""
    if answer.mode == "command":
        return ""
    took = f" · {answer.timings['total'] / 1000:.1f} s" if "total" in answer.timings else ""
    if answer.mode == "extractive":
        why = "the model did not answer" if model else "no model is configured"
        return f"From the docs, quoted; {why}{took}"
    passages = len(answer.citations)
    source = f" from {passages} passage{'s' * (passages != 1)}" if passages else ""
    return f"Written by {model or 'a model'}{source}; it can be wrong{took}"


def plain_message(text: str) -> Message:
    """A sentence, shown as it is but for code in backticks."""
    return mrkdwn_message(escape(text))


def mrkdwn_message(mrkdwn: str) -> Message:
    return Message(mrkdwn, [{"type": "section", "text": _mrkdwn(mrkdwn)}])


def progress_message(title: str, *, done: int, total: int, detail: str = "", below: str = "") -> Message:
    """A message that is rewritten while something long goes on; `total` 0: not known yet.

    `below` is a small grey line, in mrkdwn.
    """
    share = min(done / total, 1.0) if total else 0.0
    filled = round(share * BAR_CELLS)
    counted = f"`{'█' * filled}{'░' * (BAR_CELLS - filled)}` {share:.0%}" if total else "`…`"
    lines = [f"*{escape(title)}*", counted, *([escape(detail)] if detail else [])]
    text = {"type": "mrkdwn", "text": shorten("\n".join(lines), CONTEXT_CHARACTERS), "verbatim": True}
    words = f"{title}: {share:.0%}" if total else title
    blocks: list[Block] = [{"type": "section", "text": text}, *([context(below)] if below else [])]
    return Message(shorten(escape(words), CONTEXT_CHARACTERS), blocks)


def plainer(message: Message) -> list[Message]:
    """The same for a Slack that refuses the `markdown` block: mrkdwn sections, in several messages."""
    rest = [block for block in message.blocks if block["type"] != "markdown"]
    texts = sections_of(message.markdown)
    groups = [texts[at : at + SECTIONS_A_MESSAGE] for at in range(0, len(texts), SECTIONS_A_MESSAGE)]
    messages = [Message(group[0], [_section(text) for text in group]) for group in groups]
    if not messages:
        return [Message(message.text, rest)]
    return [*messages[:-1], Message(messages[-1].text, [*messages[-1].blocks, *rest])]


def plainest(message: Message) -> list[Message]:
    """The same with no blocks at all, one message a text; buttons are lost."""
    texts = [
        block["text"]["text"] for block in message.blocks if block["type"] == "section" and "text" in block
    ]
    below = [e["text"] for block in message.blocks if block["type"] == "context" for e in block["elements"]]
    return [Message(text) for text in [*texts, *below]] or [Message(message.text)]


def _section(text: str) -> Block:
    return {"type": "section", "expand": True, "text": _mrkdwn(text)}
