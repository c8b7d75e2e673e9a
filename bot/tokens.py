"""Counting tokens, so that no section of a prompt grows past its share."""

import logging
import threading

import tiktoken

log = logging.getLogger(__name__)

# Not the newest: it takes half the memory, and a limit needs no exact count.
ENCODING = "cl100k_base"
# Fewer characters a token than in any common language, so that the estimate errs on the safe side.
CHARACTERS_A_TOKEN = 3
CUT = "\n[… {left_out} characters left out …]\n"


class TokenCounter:
    """Counts with tiktoken; estimates until, and unless, its vocabulary is there.

    `exact` is worth asking for where OpenAI's own models count: the vocabulary is theirs, and has to be
    fetched once. An estimate is as good for any other model.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self._encoding: tiktoken.Encoding | None = None
        self._to_load = exact

    def count(self, text: str) -> int:
        """The number of tokens; for long texts an estimate, which is all that a limit needs."""
        self._load_once()
        encoding = self._encoding
        if encoding is None or len(text) > 50_000:
            return len(text) // CHARACTERS_A_TOKEN + 1
        return len(encoding.encode(text, disallowed_special=()))

    def fit(self, text: str, limit: int) -> str:
        """The text within `limit` tokens: its beginning and its end, with the cut marked."""
        if self.count(text) <= limit:
            return text
        keep = limit * CHARACTERS_A_TOKEN
        head, tail = keep // 3, keep - keep // 3
        return text[:head] + CUT.format(left_out=len(text) - keep) + text[-tail:]

    def _load_once(self) -> None:
        """At the first count. Fetching may hang where there is no network, so nobody waits for it."""
        if self._to_load:
            self._to_load = False
            threading.Thread(target=self._load, name="tiktoken", daemon=True).start()

    def _load(self) -> None:
        try:
            self._encoding = tiktoken.get_encoding(ENCODING)
        except (
            OSError,
            ValueError,
        ) as error:  # requests' errors are OSErrors; a damaged cache is a ValueError
            log.info("token counts are estimates: no vocabulary (%s)", type(error).__name__)
