"""What is looked up before an answer is begun: the question itself and, where that is not enough, reworded.

An ordinary question costs one search and nothing else. Where a model is there, it words a follow-up, a
question in another language or one that found little; all that was found is put together by rank.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.draft import Draft, passages_of
from bot.egress.symbol_marks import SymbolMarks
from bot.language import is_english
from bot.memory import Turn
from bot.rewrite import Rewriter
from bot.versions import came_with, since
from knowledge.models import Passage
from knowledge.symbols.table import Symbols
from tools.toolbox import Toolbox, ToolOutcome

DOCS_TOOLS = frozenset({"search_docs", "read_page"})

# "and with Docker?", "how do I change it?": searched together with the question before.
FOLLOW_UP_WORDS = 12
_FOLLOW_UP = re.compile(
    r"\s*(and|but|or|so|then|also|what about|how about|what if|why not|for|with|in|on)\b"
    r"|.*\b(it|its|that|this|those|these|they|them|there|the same|else|instead)\b",
    re.IGNORECASE,
)
QUERY_CHARS = 2000
# An answer rests on these; what the others name is hardly a part of it.
READ_FIRST = 3
# Several searches bring more that fits than one; further down they repeat each other.
MAX_PASSAGES = 10
# Reciprocal rank fusion's constant, small for lists of eight: what is first in one list is near the top.
RANK_DAMPING = 5


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How the search went; the passages themselves are in the draft's evidence."""

    problem: str = ""
    """Why nothing could be searched, as a sentence for people; empty when it could."""
    weak: bool = False
    """What was found probably does not answer the question."""
    versions: str = ""
    """Since when there is what the question and the first passages name, where that is known to be new."""


class Retriever:
    def __init__(
        self, toolbox: Toolbox, rewriter: Rewriter | None, symbols: Callable[[], Symbols | None]
    ) -> None:
        self._toolbox = toolbox
        self._rewriter = rewriter
        self._symbols = symbols

    async def retrieve(self, question: str, history: Sequence[Turn], draft: Draft) -> Retrieval:
        """Search, and put what was found into the draft's evidence, best first."""
        is_follow_up = bool(history) and leans_on_what_was_said(question)
        plain = f"{history[-1].question}\n{question}" if is_follow_up else question
        outcomes = [await self._search(_bounded(plain), draft)]
        error = outcomes[0].error
        says_it_all = is_english(question) and not is_follow_up
        if self._rewriter and not error and (_is_weak(outcomes) or not says_it_all):
            rewriting = await self._rewriter.rewrite(question, history)
            draft.add_usage(rewriting.usage)
            outcomes += [await self._search(query, draft) for query in rewriting.queries]
        passages = fused([passages_of(outcome) for outcome in outcomes])
        draft.cite(passages)
        draft.stamp("retrieval")
        if error:
            return Retrieval(f"{error.message} {error.fix}")
        read = "\n".join([_bounded(question), *(passage.text for passage in passages[:READ_FIRST])])
        # A model's words always find something; where the question's own can be searched, they decide.
        weak = _is_weak(outcomes[:1] if says_it_all else outcomes)
        symbols = self._symbols()
        draft.egress.marks = SymbolMarks(symbols)
        return Retrieval(weak=weak, versions=since(came_with(symbols, read)))

    async def _search(self, query: str, draft: Draft) -> ToolOutcome:
        return await draft.call(self._toolbox, "search_docs", {"question": query})


def leans_on_what_was_said(question: str) -> bool:
    """Whether a short question cannot be understood, and so not searched, without the one before it."""
    words = len(question.split())
    return words <= 2 or (words < FOLLOW_UP_WORDS and _FOLLOW_UP.match(question) is not None)


def fused(lists: Sequence[Sequence[Passage]]) -> list[Passage]:
    """The passages of several searches, those first that stand high in them; one of each section."""
    if len(lists) == 1:
        return list(lists[0])
    scores: dict[tuple[str, str], float] = {}
    best: dict[tuple[str, str], Passage] = {}
    for passages in lists:
        sections = dict.fromkeys((passage.page, passage.heading) for passage in passages)
        for rank, section in enumerate(sections, 1):
            scores[section] = scores.get(section, 0.0) + 1 / (RANK_DAMPING + rank)
        for passage in passages:
            best.setdefault((passage.page, passage.heading), passage)
    return [best[section] for section in sorted(scores, key=lambda section: -scores[section])][:MAX_PASSAGES]


def _is_weak(outcomes: Sequence[ToolOutcome]) -> bool:
    """Whether no search found what probably answers."""
    return all(outcome.data["weak"] for outcome in outcomes if outcome.ok)


def _bounded(query: str) -> str:
    """Of a long text the question stands at its beginning, and the error at its end."""
    if len(query) <= QUERY_CHARS:
        return query
    return f"{query[: QUERY_CHARS // 3]}\n{query[-QUERY_CHARS // 2 :]}"
