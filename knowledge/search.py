"""Hybrid search: dense and keyword candidates, fused by rank, weighed by kind of page, grouped by page."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urldefrag

from knowledge.contents import page_of_key
from knowledge.errors import BadInput, EmbedderMismatch, IndexDamaged, Refused, Unreachable
from knowledge.index import Index
from knowledge.models import Chunk, Embedder, Passage
from knowledge.question import Query, understand

logger = logging.getLogger(__name__)

MAX_TOP = 50
# Taken from each of the two searches; a right page is hardly ever further down in both.
CANDIDATES = 100
# Read and weighed after the fusion.
CONSIDERED = 60
# Reciprocal rank fusion's constant: how slowly a candidate's weight falls with its rank.
RANK_DAMPING = 10
DENSE_WEIGHT = 0.6
KEYWORD_WEIGHT = 1.0
# More chunks of one page would leave no room for other pages.
CHUNKS_OF_A_PAGE = 3
# Of what a page's second-best chunk scores: several good chunks speak for a page, its best one speaks louder.
SECOND_CHUNK = 0.2
# For a page whose alias is the whole question, in proportion for a part; its beginning says what it is.
NAMED_BY_ALIAS = 2.0
NAMED_FURTHER_DOWN = 1.0
# Of what another page scores that bears the same address.
SAME_ADDRESS = 0.4

# Kinds of page by what stands in their path. Reference pages repeat every word of the product many times, so
# they crowd out the pages that were written to answer; release notes are about one moment.
PRIORS: Sequence[tuple[re.Pattern[str], float]] = (
    (re.compile(r"(^|/)api-ref(/|$)"), 0.6),
    (re.compile(r"(^|/)release-notes(/|$)|changelog"), 0.6),
    (re.compile(r"(^|/)examples(/|$)"), 0.8),
    (re.compile(r"(^|/)integrations/"), 0.85),
)
# A question for a name as it stands in code may well be answered by the reference.
REFERENCE_FOR_IDENTIFIERS = 0.85


def search(index: Index, embedder: Embedder, question: str, top: int) -> list[Passage]:
    """Give the best passages for a question, best first; BadInput for a question without words."""
    query = understand(question, index.lexicon)
    if not query.stems:
        raise BadInput("The question has no words in it.", "Ask in words, such as: what is a work pool?")
    fused = _fused(_dense(index, embedder, query), _keywords(index, query))
    best = sorted(fused, key=lambda key: -fused[key])[:CONSIDERED]
    chunks = index.contents.chunks(best)
    scores = _lifted({key: fused[key] * _prior(chunks[key], query) for key in best}, chunks)
    ranked = _grouped(scores)[: max(1, min(top, MAX_TOP))]
    return [_passage(chunks[key], rank, score) for rank, (key, score) in enumerate(ranked, 1)]


def _dense(index: Index, embedder: Embedder, query: Query) -> list[str]:
    vector = embedder.embed([query.text])[0]
    if not vector.any():
        return []
    if len(vector) != index.manifest.dims:
        raise EmbedderMismatch(
            f"The index has vectors of {index.manifest.dims} numbers, {embedder.name!r} gives {len(vector)}.",
            "Run: ask-marvin reindex --full",
        )
    try:
        return [key for key, _ in index.vectors.nearest(vector, CANDIDATES)]
    except (IndexDamaged, Unreachable, Refused) as error:
        # Half an answer is better than none: the folder was deleted below us, or the Chroma server is away.
        logger.warning("Searching by keywords alone: %s", error.message)
        return []


def _keywords(index: Index, query: Query) -> list[str]:
    return [key for key, _ in index.keywords.search(query.stems, CANDIDATES)]


def _fused(dense: Iterable[str], keywords: Iterable[str]) -> dict[str, float]:
    """Add up 1 / rank, damped, of both lists; 1.0 is the chunk that is first in both."""
    whole = (DENSE_WEIGHT + KEYWORD_WEIGHT) / (RANK_DAMPING + 1)
    scores: dict[str, float] = {}
    for keys, weight in ((dense, DENSE_WEIGHT), (keywords, KEYWORD_WEIGHT)):
        for rank, key in enumerate(keys, 1):
            scores[key] = scores.get(key, 0.0) + weight / (RANK_DAMPING + rank) / whole
    return scores


def _prior(chunk: Chunk, query: Query) -> float:
    named = NAMED_BY_ALIAS if chunk.position == 0 else NAMED_FURTHER_DOWN
    meant = 1.0 + named * query.meant.get(chunk.title, 0.0)
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
