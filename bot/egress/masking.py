"""Hiding secrets in text that comes word by word, or line by line inside a fence."""

import re
from collections.abc import Callable

SECRET = "[secret hidden]"  # noqa: S105 - the mask, not a secret

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
# What goes on after the first line of a private key.
_KEY_PART = re.compile(r"[A-Za-z0-9+/=]{16,}|-+[A-Z]*|[A-Z]+-+|[A-Z]{2,9}")


class SecretMask:
    """Masks what `redact` knows, and a private key as a whole."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self.redact = redact
        self._hiding_key = False

    def word(self, word: str, line: str) -> str:
        """The word without a secret; what stands before it on the line can make it one."""
        if self._hiding_key:
            ends = "KEY-----" in word
            self._hiding_key = not ends and _KEY_PART.fullmatch(word) is not None
            if ends or self._hiding_key:
                return ""
        if _KEY_BLOCK.search(line + word) and not _KEY_BLOCK.search(line):
            self._hiding_key = True
            return SECRET
        before, both = self.redact(line), self.redact(line + word)
        if both == before + word:
            return word
        return both[len(before) :] if both.startswith(before) else SECRET

    def line(self, line: str) -> str:
        """A line inside a fence: only secrets are masked."""
        if self._hiding_key:
            self._hiding_key = "-----END" not in line
            return ""
        if _KEY_BLOCK.search(line):
            self._hiding_key = "-----END" not in line
            return SECRET + "\n"
        return self.redact(line)

    def end(self) -> None:
        """A paragraph or a fence ends, and with it a key that was not closed."""
        self._hiding_key = False
