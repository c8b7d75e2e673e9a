"""Writes paragraph after paragraph, and at the end of each the label that it needs. Pure."""

import re

from bot.egress.markup import ZERO_WIDTH
from bot.egress.quotations import Quotations

UNCITED = " _(not from the docs)_"

# A paragraph with fewer words says nothing that needs a source ("Here you are.").
FEW_WORDS = 4
# A lead-in to a list, or a sigh, is no longer than this.
MANY_WORDS = 25


class Paragraph:
    """The one that is being written, as far as what is said about it at its end needs to know it."""

    def __init__(self) -> None:
        self.text = ""
        """What was shown of it, without what the filter itself added."""
        self.last = ""
        """The last piece that was shown, whoever it came from."""
        self.cited = False
        self.is_table = False

    def add(self, piece: str) -> None:
        self.text += piece
        self.last = piece

    def needs_source(self) -> bool:
        lines = [line for line in self.text.splitlines() if not line.lstrip().startswith("#")]
        words = " ".join(lines).split()
        if self.cited or sum(word[0].isalpha() for word in words) < FEW_WORDS:
            return False
        is_lead_in = words[-1].endswith(":") and len(words) <= MANY_WORDS
        return not is_lead_in

    def is_mood(self) -> bool:
        """One short line in italics is the persona's sigh, not a fact."""
        words = self.text.strip()
        italic = re.fullmatch(r"([*_])(?![*_\s])[^*_\n]+\1", words)
        return italic is not None and len(words.split()) <= MANY_WORDS


class Paragraphs:
    """What is shown, with the blanks between; a quotation that is not literal is labelled as well."""

    def __init__(self, quotations: Quotations) -> None:
        self.present = Paragraph()
        self.lead = ""
        """The paragraph before this one; above a fence it says what the fence is."""
        self._quotations = quotations
        self._gap = ""
        """Blanks and newlines that wait until it is known what follows them."""
        self._below_fence = False
        """A mark was put below a fence, and an empty line after it, where one may come anyway."""
        self._moods = 0

    def show(self, text: str) -> str:
        """Text of the present paragraph, after the blanks that waited for it."""
        if text.isspace():
            self._gap += text
            return ""
        if not text:
            return ""
        gap, self._below_fence = self.take_gap(), False
        if text.startswith("`") and not gap and self.present.last.endswith(("`", "\\")):
            gap = ZERO_WIDTH  # Touching runs would be read as one longer run, after a backslash as none.
        label = self._quotations.before(text)
        self._quotations.see(gap + text)
        self.present.add(gap + text)
        return label + gap + text

    def mark(self, mark: str) -> str:
        """A mark of the filter's own: shown, but not a part of what the paragraph says."""
        self.present.last = mark or self.present.last
        return mark

    def newline(self) -> bool:
        """Whether it is an empty line, which ends the paragraph."""
        if self._below_fence:
            self._below_fence = False
            return False
        ends = self._gap.rstrip(" \t").endswith("\n")
        self._gap += "\n"
        return ends

    def leave_empty_line(self) -> None:
        """Below a fence, for the mark that was put there."""
        self._gap, self._below_fence = "\n\n", True

    def take_gap(self) -> str:
        gap, self._gap = self._gap, ""
        return gap

    def end(self, *, label_uncited: bool, in_table: bool) -> str:
        """The label, where the paragraph that has just ended needs one."""
        ended, self.present = self.present, Paragraph()
        self.lead = ended.text or self.lead
        label = self._quotations.end_paragraph()
        if not label_uncited or not ended.needs_source():
            return label
        if ended.is_mood() and self._moods == 0:
            self._moods += 1
            return label
        return label + (f"\n\n{UNCITED.strip()}" if in_table or ended.is_table else UNCITED)
