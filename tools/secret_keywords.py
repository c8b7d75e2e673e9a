"""Where in a text the name of a secret may stand. Pure."""

import re

# A name and its value further apart than this belong to nothing that was seen.
MAX_NAME = 80
# Every name of a secret holds one of these. They are searched as plain words, and only there the patterns
# are tried: many times faster than one pattern over a text of a megabyte.
_KEYWORDS = (
    *("pass", "pwd", "token", "key", "secret", "cred", "auth", "conn", "pat"),
    *("pin", "otp", "code", "cvv", "cvc", "mfa", "2fa"),
)
_NAME = re.compile(rf"[A-Za-z_][\w.-]{{0,{MAX_NAME}}}")
_NAME_BEFORE = re.compile(r"(?<![\w.$])[A-Za-z_][\w.-]*\Z")


def lowered(text: str) -> str:
    # The one letter that is two in lower case, after which the places would not fit.
    return text.replace("İ", "I").lower()


def keywords_in(text: str) -> list[int]:
    """Where they begin, in order."""
    plain = lowered(text)
    # An answer is read word by word, and hardly any word holds one.
    present = [word for word in _KEYWORDS if word in plain]
    return sorted({found.start() for word in present for found in re.finditer(word, plain)})


def name_at(text: str, keyword: int, since: int) -> re.Match[str] | None:
    """The whole name that the keyword is a part of; it begins after `since`."""
    start = _NAME_BEFORE.search(text, max(since, keyword - MAX_NAME), keyword + 1)
    return _NAME.match(text, start.start()) if start else None
