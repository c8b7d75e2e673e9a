"""What Slack refuses in the blocks and texts of a message: its limits, as rules that raise."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt

Block = Mapping[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MARKDOWN_CHARACTERS = 12_000
# Not documented: what real messages were refused at (slackapi/bolt-js#2509).
MESSAGE_CHARACTERS = 13_200
SECTION_CHARACTERS = 3_000
TABLE_CHARACTERS = 10_000
TABLE_ROWS = 100

# The properties that each block may have beside `type` and `block_id`; None: not looked into.
KNOWN: dict[str, set[str] | None] = {
    "actions": {"elements"},
    "card": None,
    "carousel": None,
    "container": None,
    "context": {"elements"},
    "context_actions": {"elements"},
    "data_table": None,
    "data_visualization": None,
    "divider": set(),
    "file": {"external_id", "source"},
    "header": {"text"},
    "image": {"image_url", "alt_text", "title", "slack_file"},
    "markdown": {"text"},
    "plan": None,
    "rich_text": {"elements"},
    "section": {"text", "fields", "accessory", "expand"},
    "table": {"rows", "column_settings"},
    "task_card": None,
    "video": None,
}
KNOWN_IN_VIEWS: dict[str, set[str] | None] = KNOWN | {
    "alert": {"text", "level"},
    "input": {"label", "element", "dispatch_action", "hint", "optional"},
}
BUTTON = {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}


class SlackError(Exception):
    """An answer with `ok: false`; `extra` goes into its body."""

    def __init__(self, error: str, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.extra = extra


def invalid(pointer: str, reason: str) -> SlackError:
    message = f"[ERROR] {reason} [json-pointer:{pointer}]"
    return SlackError("invalid_blocks", response_metadata={"messages": [message]}, errors=[message])


def check_message_blocks(blocks: Sequence[Block]) -> None:
    """Raises `SlackError` for anything that a message's `blocks` may not hold."""
    if len(blocks) > MESSAGE_BLOCKS:
        raise invalid("/blocks", "no more than 50 items allowed")
    check_each(blocks, KNOWN)
    markdown = [block["text"] for block in blocks if block["type"] == "markdown"]
    if sum(map(len, markdown)) > MARKDOWN_CHARACTERS:
        raise SlackError("msg_too_long")
    if sum(expanded(block) for block in blocks) > MESSAGE_BLOCKS:
        raise SlackError("msg_blocks_too_many")
    if sum(len(text) for text in texts(blocks)) > MESSAGE_CHARACTERS:
        raise SlackError("msg_blocks_too_long")


def check_view_blocks(blocks: Sequence[Block]) -> None:
    if len(blocks) > VIEW_BLOCKS:
        raise invalid("/blocks", "no more than 100 items allowed")
    check_each(blocks, KNOWN_IN_VIEWS)


def check_each(blocks: Sequence[Block], known: Mapping[str, set[str] | None]) -> None:
    seen: set[str] = set()
    for position, block in enumerate(blocks):
        pointer = f"/blocks/{position}"
        kind = str(block.get("type"))
        if kind not in known:
            raise invalid(pointer, f"unsupported type: {kind}")
        only(block, known[kind], pointer)
        if block.get("block_id", "") in seen - {""}:
            raise invalid(pointer, "block_id already exists")
        seen.add(block.get("block_id", ""))
        length(block, "block_id", 255, pointer)
        if kind in CHECKS:
            CHECKS[kind](block, pointer)


def only(block: Block, properties: set[str] | None, pointer: str) -> None:
    if properties is None:
        return
    unknown = set(block) - properties - {"type", "block_id"}
    if unknown:
        raise invalid(pointer, f"invalid additional property: {sorted(unknown)[0]}")


def length(holder: Block, key: str, most: int, pointer: str, least: int = 0) -> None:
    value = holder.get(key, "" if least == 0 else None)
    if not isinstance(value, str):
        raise invalid(f"{pointer}/{key}", "missing required field" if value is None else "must be a string")
    if len(value) > most:
        raise invalid(f"{pointer}/{key}", f"must be less than {most + 1} characters")
    if len(value) < least:
        raise invalid(f"{pointer}/{key}", "must be more than 0 characters")


def check_text(text: Any, pointer: str, *, most: int, plain: bool = False) -> None:
    """A text object: `mrkdwn` knows `verbatim`, `plain_text` knows `emoji`."""
    if not isinstance(text, Mapping) or text.get("type") not in ("plain_text", "mrkdwn"):
        raise invalid(pointer, "must provide a text object")
    if plain and text["type"] != "plain_text":
        raise invalid(pointer, "must be a plain_text object")
    only(text, {"text", "emoji" if text["type"] == "plain_text" else "verbatim"}, pointer)
    length(text, "text", most, pointer, least=1)


def check_section(block: Block, pointer: str) -> None:
    fields = block.get("fields", [])
    if "text" not in block and not fields:
        raise invalid(pointer, "must define either text or fields")
    if "text" in block:
        check_text(block["text"], f"{pointer}/text", most=SECTION_CHARACTERS)
    if len(fields) > 10:
        raise invalid(f"{pointer}/fields", "no more than 10 items allowed")
    for position, field in enumerate(fields):
        check_text(field, f"{pointer}/fields/{position}", most=2_000)
    if block.get("accessory", {}).get("type") == "button":
        check_button(block["accessory"], f"{pointer}/accessory")


def check_header(block: Block, pointer: str) -> None:
    check_text(block.get("text"), f"{pointer}/text", most=150, plain=True)


def check_markdown(block: Block, pointer: str) -> None:
    length(block, "text", MARKDOWN_CHARACTERS, pointer, least=1)
    rows = [line for line in block["text"].splitlines() if line.lstrip().startswith("|")]
    if sum(map(len, rows)) > TABLE_CHARACTERS or longest_table(block["text"]) > TABLE_ROWS:
        raise invalid(pointer, "table is too large")


def check_context(block: Block, pointer: str) -> None:
    elements = block.get("elements") or []
    if not 1 <= len(elements) <= 10:
        raise invalid(f"{pointer}/elements", "must have 1 to 10 items")
    for position, element in enumerate(elements):
        if element.get("type") != "image":
            check_text(element, f"{pointer}/elements/{position}", most=SECTION_CHARACTERS)


def check_actions(block: Block, pointer: str) -> None:
    elements = block.get("elements") or []
    if not 1 <= len(elements) <= 25:
        raise invalid(f"{pointer}/elements", "must have 1 to 25 items")
    ids = [element.get("action_id") for element in elements]
    if len(set(ids)) < len(ids):
        raise invalid(f"{pointer}/elements", "action_id already exists")
    for position, element in enumerate(elements):
        if element.get("type") == "button":
            check_button(element, f"{pointer}/elements/{position}")


def check_button(button: Block, pointer: str) -> None:
    only(button, BUTTON, pointer)
    check_text(button.get("text"), f"{pointer}/text", most=75, plain=True)
    length(button, "action_id", 255, pointer)
    length(button, "value", 2_000, pointer)
    length(button, "url", 3_000, pointer)
    if button.get("style", "primary") not in ("primary", "danger"):
        raise invalid(f"{pointer}/style", "must be a valid enum value")


def check_context_actions(block: Block, pointer: str) -> None:
    if not 1 <= len(block.get("elements") or []) <= 5:
        raise invalid(f"{pointer}/elements", "must have 1 to 5 items")


def check_rich_text(block: Block, pointer: str) -> None:
    if not block.get("elements"):
        raise invalid(f"{pointer}/elements", "must have at least 1 item")
    for position, element in enumerate(block["elements"]):
        for inner, piece in enumerate(element.get("elements", [])):
            if piece.get("type") == "text":
                length(
                    piece, "text", MARKDOWN_CHARACTERS, f"{pointer}/elements/{position}/elements/{inner}", 1
                )


CHECKS = {
    "actions": check_actions,
    "context": check_context,
    "context_actions": check_context_actions,
    "header": check_header,
    "markdown": check_markdown,
    "rich_text": check_rich_text,
    "section": check_section,
}


def longest_table(markdown: str) -> int:
    runs = re.findall(r"(?:^[ \t]*\|.*\n?)+", markdown, re.MULTILINE)
    return max((len(run.splitlines()) for run in runs), default=0)


def expanded(block: Block) -> int:
    """How many blocks Slack stores: it keeps the translation of a markdown block, not the text."""
    if block["type"] != "markdown":
        return 1
    stored, in_run = 0, False
    for token in MarkdownIt("commonmark").enable("table").parse(block["text"]):
        if token.level or token.nesting < 0:
            continue
        alone = token.type in ("heading_open", "table_open", "hr")
        stored += alone or not in_run
        in_run = not alone
    return stored


def texts(value: Any) -> Iterator[str]:
    """Every `text` in blocks, as deep as it may be."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "text" and isinstance(inner, str):
                yield inner
            else:
                yield from texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts(inner)


def check_chunks(chunks: Any) -> None:
    """Raises for a stream's `chunks` that Slack does not know."""
    if not isinstance(chunks, list) or not chunks:
        raise SlackError("invalid_chunks")
    for chunk in chunks:
        if chunk.get("type") == "markdown_text":
            check_markdown_text(chunk.get("text"), "invalid_chunks")
        elif chunk.get("type") == "blocks":
            check_message_blocks(chunk.get("blocks") or [])
        elif chunk.get("type") == "task_update":
            check_task(chunk)
        elif chunk.get("type") != "plan_update":
            raise SlackError("invalid_chunks")


def check_markdown_text(text: Any, empty: str = "no_text") -> None:
    if not isinstance(text, str) or not text:
        raise SlackError(empty)
    if len(text) > MARKDOWN_CHARACTERS:
        raise SlackError("msg_too_long")


def check_task(chunk: Block) -> None:
    if not chunk.get("id") or not chunk.get("title"):
        raise SlackError("invalid_chunks")
    if chunk.get("status") not in ("pending", "in_progress", "complete", "error"):
        raise SlackError("invalid_chunks")
    if any(len(str(chunk.get(key, ""))) > 256 for key in ("title", "details", "output")):
        raise SlackError("invalid_chunks")
