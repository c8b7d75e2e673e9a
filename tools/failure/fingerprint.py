"""When two failures are the same: equal but for numbers, ids, dates, addresses and values. Pure.

Kept apart are other exceptions, other words, and other short names in quotes (a column, a key, a table), as
these say what is wrong. Replaced is what only says which time or which item it was.
"""

import hashlib
import re

# The beginning says what it is; the rest of a long message is data.
MAX_MESSAGE = 400
MAX_READ = 4_000
LENGTH = 12
# `orders_2026_part3` may be a name, an id such as `k7x2m9q4` is none.
MAX_NUMBERS_IN_NAME = 2
# One replacement can bring two others together; more rounds than this were never needed.
MAX_ROUNDS = 5

_QUOTED = re.compile(r"(?<![\w'\"])(?P<quote>['\"])(?P<inside>[^'\"\n]*)(?P=quote)(?![\w'\"])")
_NAME = re.compile(r"[A-Za-z_#][\w.#-]{0,59}")
# In this order: the earlier ones hold what the later ones would take apart.
_VARIES = (
    (re.compile(r"=(['\"])[^'\"\n]*\1"), "=<text>"),
    (re.compile(r"\{[^{}\n]*\}"), "<data>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>)\]]+", re.IGNORECASE), "<url>"),
    (
        re.compile(r"(?<![\w<#])(?:[A-Za-z]:)?[\\/](?:[^\s'\"<>:|?*\\/]+[\\/])+[^\s'\"<>:|?*,;)\\/]*"),
        "<path>",
    ),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "#"),
    (
        re.compile(r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"),
        "#",
    ),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "#"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "#"),
    (re.compile(r"(?<!\w)[+-]?\d+(?:[.,_:]\d+)*(?:e[+-]?\d+)?", re.IGNORECASE), "#"),
    (re.compile(r"\d+"), "#"),
    (re.compile(r"#(?:(?:\s*[,;]\s*|[-./:_ ]?)#)+"), "#"),
    (re.compile(r"\s+"), " "),
)


def fingerprint(error_type: str, message: str) -> str:
    """Twelve hexadecimal digits; equal for the same kind of failure."""
    said = f"{error_type}\n{normalised(message)}"
    return hashlib.sha256(said.encode()).hexdigest()[:LENGTH]


def normalised(message: str) -> str:
    """The message with `#` for numbers, ids and dates, `<path>`, `<url>` and `<text>` for what varies."""
    text = message[:MAX_READ]
    for _round in range(MAX_ROUNDS):
        before = text
        text = _QUOTED.sub(_quoted, text)
        for pattern, replacement in _VARIES:
            text = pattern.sub(replacement, text)
        if text == before:
            break
    return text.strip()[:MAX_MESSAGE].rstrip()


def _quoted(found: re.Match[str]) -> str:
    inside = found["inside"]
    is_name = _NAME.fullmatch(inside) and len(re.findall(r"\d+|#", inside)) <= MAX_NUMBERS_IN_NAME
    return found[0] if is_name and inside.strip("#0123456789") else "<text>"
