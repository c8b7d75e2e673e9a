"""The paragraph that is being written, as far as what is said about it at its end needs to know it."""

import re

# A paragraph with fewer words says nothing that needs a source ("Here you are.").
FEW_WORDS = 4
# A lead-in to a list, or a sigh, is no longer than this.
MANY_WORDS = 25


class Paragraph:
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
