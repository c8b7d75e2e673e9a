"""Hybrid search: dense and keyword candidates, fused by score, weighed by kind of page, grouped by page."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urldefrag

from knowledge.confidence import LOOKED_AT, WEAK_BELOW, Signs, confidence, said
from knowledge.contents import page_of_key
from knowledge.errors import BadInput, EmbedderMismatch, IndexDamaged, Refused, Unreachable
from knowledge.index import Index
from knowledge.models import Chunk, Embedder, Passage
from knowledge.question import Query, understand
from knowledge.sources.config import FIELD_GUIDE

logger = logging.getLogger(__name__)

MAX_TOP = 50
# Taken from each of the two searches; a right page is hardly ever further down in both.
CANDIDATES = 200
# Read and weighed after the fusion: reading them is what takes the time.
CONSIDERED = 120
# Scores are fused rather than ranks: how far the first is ahead of the second says a lot in both searches.
# Keywords count for more, since questions about a tool are full of its own names.
DENSE_WEIGHT = 0.6
KEYWORD_WEIGHT = 1.0
# More chunks of one page would leave no room for other pages.
CHUNKS_OF_A_PAGE = 3
# Of what a page's second-best chunk scores: several good chunks speak for a page, its best one speaks louder.
SECOND_CHUNK = 0.2
# Added for a page whose alias is the whole question, in proportion for a part of it; more to its beginning,
# which says what it is, when that is what is asked.
NAMED_BY_ALIAS = 1.0
DEFINED_BY_ALIAS = 2.0
# A page of the field guide begins with a summary, which has all its words and answers nothing else.
SUMMARY = 0.85
# Of what another page scores that bears the same address.
SAME_ADDRESS = 0.3

# Kinds of page by what stands in their path. Reference pages repeat every word of the product many times, so
# they crowd out the pages that were written to answer; release notes are about one moment.
PRIORS: Sequence[tuple[re.Pattern[str], float]] = (
    (re.compile(r"(^|/)api-ref(/|$)"), 0.6),
    (re.compile(r"(^|/)release-notes(/|$)|changelog"), 0.6),
    (re.compile(r"^github/.*/releases/"), 0.6),
    # What somebody ran into, which may long be mended, and with luck the way around it.
    (re.compile(r"^github/.*/issues/"), 0.75),
    (re.compile(r"(^|/)examples(/|$)"), 0.8),
    (re.compile(r"(^|/)integrations/"), 0.85),
)
# A question for a name as it stands in code may well be answered by the reference.
REFERENCE_FOR_IDENTIFIERS = 0.85


Ranking = Sequence[tuple[str, float]]
"""(chunk key, score), best first."""


@dataclass(frozen=True)
class Found:
    """What a search gives."""

    passages: list[Passage]
    """Best first."""
    signs: Signs
    confidence: float
    """From 0 to 1: how likely it is that the question is answered here at all."""
    weak: bool
    """The passages are probably only near the question; nothing here may answer it."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    """One search before anything is made of it."""

    query: Query
    dense: Ranking
    keywords: Ranking
    fused: dict[str, float]
    chunks: Mapping[str, Chunk]
    order: list[tuple[str, float]]
    """Chunk keys with their scores, best first."""

    def passages(self, top: int) -> list[Passage]:
        shown = self.order[: max(1, min(top, MAX_TOP))]
        return [_passage(self.chunks[key], place, score) for place, (key, score) in enumerate(shown, 1)]


def search(index: Index, embedder: Embedder, question: str, top: int) -> list[Passage]:
    """Give the best passages for a question, best first; BadInput for a question without words."""
    return _rank(index, embedder, question).passages(top)


def find(
    index: Index, embedder: Embedder, question: str, top: int, *, weak_below: float = WEAK_BELOW
) -> Found:
    """Search, and tell how sure it is that the answer is in what was found; BadInput as above."""
    ranked = _rank(index, embedder, question)
    signs = Signs(
        said=said(ranked.query.text, [_whole(ranked.chunks[key]) for key, _ in ranked.order[:LOOKED_AT]]),
        told=_told(index, ranked),
        agreement=_agreement(ranked.dense, ranked.keywords),
        lead=max(ranked.fused.values(), default=0.0),
    )
    sure = confidence(signs)
    return Found(ranked.passages(top), signs, sure, weak=sure < weak_below)


def _rank(index: Index, embedder: Embedder, question: str) -> _Ranked:
    query = understand(question, index.lexicon, index.keywords.knows)
    if not query.stems:
        raise BadInput("The question has no words in it.", "Ask in words, such as: what is a work pool?")
    dense, keywords = _dense(index, embedder, query), index.keywords.search(query.stems, CANDIDATES)
    fused = _fused(dense, keywords)
    best = sorted(fused, key=lambda key: -fused[key])[:CONSIDERED]
    chunks = index.contents.chunks(best)
    scores = _lifted({key: fused[key] * _prior(chunks[key], query) for key in best}, chunks)
    return _Ranked(query, dense, keywords, fused, chunks, _grouped(scores))


def _told(index: Index, ranked: _Ranked) -> float:
    """The best keyword score as a share of what a chunk with all the words would have."""
    if not ranked.keywords:
        return 0.0
    return ranked.keywords[0][1] / index.keywords.possible(ranked.query.stems)


def _agreement(dense: Ranking, keywords: Ranking) -> float:
    pages = [{page_of_key(key) for key, _ in ranking[:LOOKED_AT]} for ranking in (dense, keywords)]
    return len(pages[0] & pages[1]) / max(len(pages[0] | pages[1]), 1)


def _whole(chunk: Chunk) -> str:
    return f"{chunk.title}\n{chunk.heading}\n{chunk.text}"


def _dense(index: Index, embedder: Embedder, query: Query) -> Ranking:
    vector = embedder.embed([query.text])[0]
    if not vector.any():
        return []
    if len(vector) != index.manifest.dims:
        raise EmbedderMismatch(
            f"The index has vectors of {index.manifest.dims} numbers, {embedder.name!r} gives {len(vector)}.",
            "Run: ask-marvin reindex --full",
        )
    try:
        return index.vectors.nearest(vector, CANDIDATES)
    except (IndexDamaged, Unreachable, Refused) as error:
        # Half an answer is better than none: the folder was deleted below us, or the Chroma server is away.
        logger.warning("Searching by keywords alone: %s", error.message)
        return []


def _fused(dense: Ranking, keywords: Ranking) -> dict[str, float]:
    """Add up each chunk's shares of the best scores of both rankings; 1.0 is first in both."""
    scores = dict.fromkeys([key for key, _ in (*dense, *keywords)], 0.0)
    for ranking, weight in ((dense, DENSE_WEIGHT), (keywords, KEYWORD_WEIGHT)):
        shares, rest = _shares(ranking)
        for key in scores:
            scores[key] += weight * shares.get(key, rest) / (DENSE_WEIGHT + KEYWORD_WEIGHT)
    return scores


def _shares(ranking: Ranking) -> tuple[dict[str, float], float]:
    """Give the scores as shares of the best one, and what a chunk has at most that is not among them."""
    if not ranking or ranking[0][1] <= 0:
        return {}, 0.0
    best = ranking[0][1]
    shares = {key: max(score, 0.0) / best for key, score in ranking}
    return shares, min(shares.values()) if len(ranking) >= CANDIDATES else 0.0


def _prior(chunk: Chunk, query: Query) -> float:
    named = DEFINED_BY_ALIAS if query.asks_what_it_is and chunk.position == 0 else NAMED_BY_ALIAS
    meant = 1.0 + named * query.meant.get(chunk.title, 0.0)
    if chunk.source == FIELD_GUIDE.name and chunk.position == 0 and not query.asks_what_it_is:
        return SUMMARY * meant
    for pattern, prior in PRIORS:
        if pattern.search(chunk.page):
            return meant * (max(prior, REFERENCE_FOR_IDENTIFIERS) if query.identifiers else prior)
    return meant


def _lifted(scores: Mapping[str, float], chunks: Mapping[str, Chunk]) -> dict[str, float]:
    """Let pages that bear one address speak for each other: the field guide's bear their official page's."""
    best: dict[str, dict[tuple[str, str], float]] = {}
    for key, score in scores.items():
        pages = best.setdefault(_address(chunks[key]), {})
        pages[page_of_key(key)] = max(score, pages.get(page_of_key(key), 0.0))

    def lift(key: str) -> float:
        others = (score for page, score in best[_address(chunks[key])].items() if page != page_of_key(key))
        return SAME_ADDRESS * max(others, default=0.0)

    return {key: score + lift(key) for key, score in scores.items()}


def _address(chunk: Chunk) -> str:
    return urldefrag(chunk.url).url


def _grouped(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """Order chunks so that the first of each page carries what the page's second adds; few chunks a page."""
    pages: dict[tuple[str, str], list[str]] = {}
    for key in sorted(scores, key=lambda key: -scores[key]):
        pages.setdefault(page_of_key(key), []).append(key)
    ranked: list[tuple[str, float]] = []
    for keys in pages.values():
        bonus = SECOND_CHUNK * scores[keys[1]] if len(keys) > 1 else 0.0
        ranked.append((keys[0], scores[keys[0]] + bonus))
        ranked += [(key, scores[key]) for key in keys[1:CHUNKS_OF_A_PAGE]]
    return sorted(ranked, key=lambda found: -found[1])


def _passage(chunk: Chunk, rank: int, score: float) -> Passage:
    return Passage(
        rank=rank,
        score=round(score, 4),
        page=chunk.page,
        title=chunk.title,
        heading=chunk.heading,
        url=chunk.url,
        source=chunk.source,
        text=chunk.text,
    )
