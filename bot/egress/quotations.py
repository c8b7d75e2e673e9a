"""Checking that what an answer gives as a quotation of a passage stands in that passage.

Text that flows cannot be taken back, so a quotation that is none is labelled, right after its citation.
"""

import re
from collections.abc import Callable

from bot.egress.markup import ZERO_WIDTH

NOT_LITERAL = " _(not a literal quote)_"
# Fewer words are a term or a title in quotes, not a quotation.
MIN_WORDS = 6
# A citation belongs to a quotation when no more than this stands between them.
NEAR = 30
# What is longer was a quote sign that never closed.
MAX_QUOTE = 2000

_CITATIONS = re.compile(r"(?:\[\d{1,3}\])+")
_GAP = re.compile(r"\s*(?:\[?(?:…|\.\.\.)\]?)\s*")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_MARKUP = re.compile(r"<[^<>\n]{1,200}>|[*_`\[\]()>#|\\\u200b\"“”„«»]")
_NOTE = re.compile(r">\s*(?:\*\*|__|\[!|(?:note|tip|warning|important)\b)", re.IGNORECASE)


class Quotations:
    """Follows the text of one answer piece by piece; `passage` gives the text of a numbered passage."""

    def __init__(self, passage: Callable[[int], str] | None = None) -> None:
        self.passage = passage
        self._open = False
        self._quote = ""
        self._waiting = ""
        """A quotation that has closed and is not found yet where it was cited."""
        self._numbers: list[int] = []
        """The citations near to where the text is now."""
        self._distance = 0
        self._block = ""
        self._lead: list[int] = []

    def before(self, piece: str) -> str:
        """The label that is due before this piece is shown: the run of citations is over."""
        if not self._waiting or not self._numbers or _CITATIONS.fullmatch(_bare(piece)):
            return ""
        if 0 < self._distance <= NEAR:
            return ""  # Cited before it was quoted: it may still be cited again.
        return self._settle()

    def see(self, piece: str) -> None:
        """Take in a piece that was shown, with the blanks before it."""
        if self.passage is None:
            return
        self._block = (self._block + piece)[-MAX_QUOTE:]
        bare = _bare(piece)
        if _CITATIONS.fullmatch(bare):
            found = [int(number) for number in re.findall(r"\d+", bare)]
            self._numbers = [*self._numbers, *found] if self._distance == 0 or self._waiting else found
            self._distance = 0
            return
        self._distance += len(bare)
        is_due = bool(self._waiting and self._numbers)
        if self._distance > NEAR and not self._open and not is_due:
            self._waiting, self._numbers = "", []
        if bare.startswith("`"):
            self._quote += piece  # A quote sign in code is no quotation's.
        else:
            self._scan(piece)
        if bare.endswith((".", "!", "?")) and not self._waiting:
            self._numbers = []

    def end_paragraph(self) -> str:
        """The label that is due at the end of the paragraph, also for one that is a quotation as a whole."""
        label = self._settle() if self._waiting and self._numbers else ""
        if self.passage and not label and self._block.lstrip().startswith(">"):
            label = self._of_blockquote()
        ends_with = _CITATIONS.search(self._block.rstrip(": \n")[-20:])
        self._lead = [int(n) for n in re.findall(r"\d+", ends_with[0])] if ends_with else []
        self._open, self._quote, self._waiting, self._block = False, "", "", ""
        self._numbers, self._distance = [], 0
        return label

    def _scan(self, piece: str) -> None:
        for at, character in enumerate(piece):
            before = piece[at - 1] if at else " "
            opens = character in "“„" or (character == '"' and not self._open and not before.isalnum())
            if opens and not self._open:
                self._open, self._quote = True, ""
            elif self._open and character in '”“"':
                self._open = False
                self._closed(self._quote)
            elif self._open:
                self._quote += character
                self._open = len(self._quote) <= MAX_QUOTE

    def _closed(self, quote: str) -> None:
        self._waiting, self._distance = "", 0
        if len(quote.split()) >= MIN_WORDS and not self._stands_in(quote, self._numbers):
            self._waiting = quote
        self._numbers = [] if not self._waiting else self._numbers
        self._distance = 1  # A citation that comes now begins a run of its own.

    def _settle(self) -> str:
        quote, self._waiting = self._waiting, ""
        return "" if self._stands_in(quote, self._numbers) else NOT_LITERAL

    def _of_blockquote(self) -> str:
        numbers = [int(number) for number in re.findall(r"\[(\d{1,3})\]", self._block)] or self._lead
        quote = re.sub(r"^\s*>|\[\d{1,3}\]", "", self._block, flags=re.MULTILINE)
        if not numbers or _NOTE.match(self._block.lstrip()) or len(quote.split()) < MIN_WORDS:
            return ""
        return "" if self._stands_in(quote, numbers) else NOT_LITERAL

    def _stands_in(self, quote: str, numbers: list[int]) -> bool:
        assert self.passage is not None
        parts = [plain(part).rstrip(".,;:!? ") for part in _GAP.split(quote)]
        texts = [plain(self.passage(number)) for number in numbers]
        return any(all(part in text for part in parts) for text in texts)


def _bare(piece: str) -> str:
    """Without blanks, and without what keeps a citation apart from a colon or a bracket after it."""
    return piece.strip().strip(ZERO_WIDTH)


def plain(markdown: str) -> str:
    """The words alone, the same however they are wrapped, marked up or quoted."""
    words = _MARKUP.sub("", _LINK.sub(r"\1", markdown))
    return " ".join(words.replace("’", "'").replace("–", "-").replace("—", "-").casefold().split())
