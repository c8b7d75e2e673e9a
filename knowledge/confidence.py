"""How likely it is that what a search found answers the question at all: four weak signs, added up.

A near miss ("which SCC does the chart need on OpenShift?") shares its subject with the docs but not what it
asks for; no sign alone tells it from a terse real question, so none decides alone. Each is measured in its
own spread around what is typical of questions that the documentation does answer. `ask-marvin eval
abstention` prints these figures for any set of questions, and how well the sum tells the two kinds apart.
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from knowledge.embed import load_static_model

# Looked at of each search; the answer stands hardly ever further down.
LOOKED_AT = 10
# Tokens up to this id of the vocabulary are about equally common; beyond, each is rarer than the one before.
COMMON_TOKENS = 100


@dataclass(frozen=True)
class Signs:
    """What one search shows, from 0 to 1; more is better."""

    said: float
    """Share of the question's words, weighed by rarity, that a passage says in the same or in near words."""
    told: float
    """Best keyword score, as a share of what a passage with all the question's words could have."""
    agreement: float
    """Share of the first pages of both searches that both have."""
    lead: float
    """Fused score of the best chunk: 1 when it is first in both searches."""


TYPICAL = Signs(said=0.778, told=0.267, agreement=0.294, lead=0.955)
SPREAD = Signs(said=0.100, told=0.088, agreement=0.223, lead=0.050)
# One in twelve answerable questions at most is less certain; there a warning is worth more than it annoys.
WEAK_BELOW = 0.27


def confidence(signs: Signs) -> float:
    """Give 0 to 1; half is what a typical question gets that the documentation answers."""
    spreads = zip(astuple(signs), astuple(TYPICAL), astuple(SPREAD), strict=True)
    return 1 / (1 + math.exp(-sum((sign - typical) / spread for sign, typical, spread in spreads) / 4))


def said(question: str, passages: Sequence[str]) -> float:
    """Give the best share of the question's meaning that one of the passages has, word by word."""
    model = load_static_model()
    asked = model.pieces(question)
    if not len(asked) or not passages:
        return 0.0
    weights = np.log1p(asked / COMMON_TOKENS)
    vectors = model.vectors(asked)
    nearest = [(vectors @ model.vectors(model.pieces(text)).T).max(axis=1, initial=0.0) for text in passages]
    return max(float(shares @ weights / weights.sum()) for shares in nearest)
