"""Marks for commands, settings and names that the configured Prefect does not have, put where they stand."""

import re
from collections.abc import Iterable

from knowledge.symbols.mentions import Mention, in_fence, in_span, in_word
from knowledge.symbols.table import Symbols

# What is looked at of one fence; longer ones are logs.
MAX_FENCE = 20_000
# Named after one fence; who has made up more has made up the whole.
MAX_NAMED = 5
# How far back a clause can say that what follows is old.
CLAUSE = 200

# Said of a name, these tell the reader already what the mark would.
_OLD = re.compile(
    r"\b(?:removed|deprecated|obsolete|legacy|old(?:er)?|former(?:ly)?|used to|renamed|no longer|instead of"
    r"|rather than|replac(?:es|ed|ing)|there is no|(?:do|does|did)(?: not|n['’]t)|not? (?:exist|valid)"
    r"|(?:in|of|from|with|for|under|before) (?:prefect )?v?(?:[12]\.(?:x|\d+)|[12]\b))",
    re.IGNORECASE,
)
_OLD_SENTENCE = re.compile(
    r"\s*(?:[-*] |\d+\. )?\**(?:in|with|for|under|before|on|prefect)?\s*(?:prefect )?(?:version )?"
    r"v?[12](?:\.(?:x|\d+))?\b",
    re.IGNORECASE,
)
_OLD_VERSION = re.compile(r"\bv?[12]\.(?:x|\d+)\b|\bprefect v?[12]\b", re.IGNORECASE)
_NEW = re.compile(r"\b(?:instead|now|new|use|run|try|becomes?|replace)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?]\s+|\n")
_CLAUSE = re.compile(r"[,;:()|—–]\s*|\band\b|\bbut\b|\buse\b|\brun\b(?=[^,;]*$)", re.IGNORECASE)
_LANGUAGE = re.compile(r"[`~]{3,}[ \t]*([\w+-]*)")


class SymbolMarks:
    """Looks at spans, words and fences of one answer; with no table it has nothing to say."""

    def __init__(self, symbols: Symbols | None = None) -> None:
        self._symbols = symbols
        self._marked: set[str] = set()
        self._language = ""
        self._code = ""
        self._lead = ""
        self.checked = 0
        self.unknown: list[str] = []

    def after_span(self, code: str, before: str) -> str:
        """The mark for a span of code; `before` is the paragraph up to it."""
        if self._symbols is None:
            return ""
        unknown = self._unknown(in_span(self._symbols, code))
        return self._mark(unknown, code, before)

    def after_word(self, word: str, line: str, before: str) -> str:
        """The mark for a word of running text, after what stands on its line."""
        if self._symbols is None or "://" in word:
            return ""
        unknown = self._unknown(in_word(self._symbols, word, line))
        return self._mark(unknown, word.strip(".,;:!?()*_"), before)

    def open_fence(self, line: str, before: str) -> None:
        """A fence begins; `before` is the paragraph above it, whose last words may say that it is old."""
        language = _LANGUAGE.search(line)
        self._language, self._code, self._lead = language[1] if language else "", "", before

    def fence_line(self, line: str) -> None:
        if self._symbols is not None and len(self._code) < MAX_FENCE:
            self._code += line

    def close_fence(self) -> str:
        """The line to put below the fence; empty when all in it is known."""
        code, self._code = self._code, ""
        if self._symbols is None or not code:
            return ""
        unknown = self._unknown(in_fence(self._symbols, code, self._language))
        if not unknown or leads_to_old(self._lead) or leads_to_old(code.partition("\n")[0]):
            return ""
        self.unknown += unknown
        named = ", ".join(f"`{name}`" for name in unknown[:MAX_NAMED])
        more = ", …" if len(unknown) > MAX_NAMED else ""
        return f"_(not in Prefect {self._symbols.version}: {named}{more})_"

    def end_paragraph(self) -> None:
        """What was marked in one paragraph is marked again in the next, but not twice in one."""
        self._marked.clear()

    def _unknown(self, mentions: Iterable[Mention]) -> list[str]:
        found = list(mentions)
        self.checked += len(found)
        return [mention.text for mention in found if not mention.known]

    def _mark(self, unknown: list[str], shown: str, before: str) -> str:
        new = [name for name in unknown if name not in self._marked]
        if not new or says_old(before):
            return ""
        assert self._symbols is not None
        self._marked.update(new)
        self.unknown += new
        version = f"Prefect {self._symbols.version}"
        pieces = [piece_of(name, shown) for name in new[:MAX_NAMED]]
        if pieces == [shown]:
            return f" _(not in {version})_"
        return f" _({', '.join(f'`{piece}`' for piece in pieces)}: not in {version})_"


def piece_of(name: str, shown: str) -> str:
    """What of the text is meant: of a command the word or flag that does not exist."""
    if name == shown:
        return name
    return name.rpartition(" ")[2] if name.startswith("prefect ") and len(shown) > len(name) else name


def says_old(before: str) -> bool:
    """Whether the clause before a name, or the beginning of its sentence, says that it is an old one."""
    sentence = _SENTENCE.split(before[-CLAUSE:])[-1]
    return _OLD.search(_CLAUSE.split(sentence)[-1]) is not None or _OLD_SENTENCE.match(sentence) is not None


def leads_to_old(text: str) -> bool:
    """Whether the line above code, or its first comment, says that the code is of old: "In 2.x:"."""
    sentence = _SENTENCE.split(text.strip()[-CLAUSE:])[-1]
    is_old = _OLD.search(sentence) or _OLD_VERSION.search(sentence)
    return is_old is not None and _NEW.search(sentence) is None
