"""The words of a text that tell what it is about, as keyword search compares them."""

from knowledge.keywords import stems_of_words
from knowledge.question import STOP
from knowledge.words import plain_words


def telling_stems(text: str) -> set[str]:
    """The stems of all words but the commonest; identifiers in their parts."""
    telling = [word for word in plain_words(text) if word not in STOP]
    return set(stems_of_words().analyze(" ".join(telling)))
