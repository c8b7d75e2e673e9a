"""What a corpus teaches about its readers' words: compounds written both ways, and other names of pages."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from knowledge.keywords import stems_of_words
from knowledge.models import Chunk
from knowledge.words import compounds, plain_words

LEXICON = "lexicon.json"
# "how do I run a flow on my own machine" is no alias; up to this many words may be one.
MAX_ALIAS_WORDS = 5
WORD_CHARS = 5


@dataclass(frozen=True)
class Lexicon:
    compounds: Mapping[str, str] = field(default_factory=dict)
    """Stem of the joined spelling → the two words: {"workpool": "work pool"}."""
    aliases: Mapping[str, list[str]] = field(default_factory=dict)
    """Stems of an alias → titles of the pages that it stands for."""
    words: Sequence[str] = ()
    """Words of titles, headings and aliases, which a misspelt word of a question may stand for."""


def learn(chunks: Iterable[Chunk]) -> Lexicon:
    """Read titles, headings and aliases of a whole corpus."""
    phrases: set[str] = set()
    titles: dict[str, set[str]] = {}
    for chunk in chunks:
        phrases.update((chunk.title, *chunk.heading.split(" > "), *chunk.aliases))
        for alias in chunk.aliases:
            titles.setdefault(alias, set()).add(chunk.title)
    stem = stems_of_words().analyze
    stemmed: dict[str, set[str]] = {}
    for alias, named in titles.items():
        stemmed.setdefault(" ".join(stem(" ".join(plain_words(alias)))), set()).update(named)
    return Lexicon(
        compounds(sorted(phrases), stem),
        {alias: sorted(named) for alias, named in stemmed.items()},
        _words(phrases),
    )


def _words(phrases: Iterable[str]) -> list[str]:
    """Choose the words that are long enough to be misspelt beyond doubt, as plain letters."""
    found = {word for phrase in phrases for word in plain_words(phrase)}
    return sorted(word for word in found if word.isascii() and word.isalpha() and len(word) >= WORD_CHARS)


def save(lexicon: Lexicon, folder: Path) -> None:
    (folder / LEXICON).write_text(json.dumps(asdict(lexicon), ensure_ascii=False))


def load(folder: Path) -> Lexicon:
    return Lexicon(**json.loads((folder / LEXICON).read_text()))
