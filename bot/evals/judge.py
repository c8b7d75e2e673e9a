"""Whether an answer says what it should: judged by the model, or estimated from words where there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.prompt import persona_text, within_tags
from bot.rewrite import without_fence
from bot.telling import telling_stems
from knowledge.errors import ExpectedError

if TYPE_CHECKING:
    from bot.llm import Model

Verdict = Literal["said", "contradicted", "absent"]
LEXICAL = "lexical"
# One judgement is a word a statement; the rest is room for a model that thinks first.
MAX_TOKENS = 600
WITHIN_S = 60.0
# Of a statement's telling words: an answer with so many of them probably says it. A paraphrase shares
# fewer, an answer about something near seldom as many.
SAID_FROM = 0.6


class Judgement(BaseModel):
    """What came of one statement."""

    model_config = ConfigDict(frozen=True)

    statement: str
    verdict: Verdict
    share: float
    """1 for said and 0 for not where a model judged; the share of its telling words that were found, else."""


Judge = Callable[[str, str, Sequence[str]], Awaitable[list[Judgement]]]
"""Takes the question, the answer and statements; gives a judgement a statement, in their order."""


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    statements: list[Verdict]


class ModelJudge:
    """Asks the model once for each different answer; the same text is not judged twice."""

    def __init__(self, model: "Model") -> None:
        self._model = model
        self._instructions = persona_text("judge")
        self._known: dict[tuple[str, tuple[str, ...]], asyncio.Task[list[Judgement]]] = {}

    async def __call__(self, question: str, answer: str, statements: Sequence[str]) -> list[Judgement]:
        """Raises the ExpectedError tree when the model fails, or says something else than was asked."""
        if not statements:
            return []
        key = (answer, tuple(statements))
        if key not in self._known:
            self._known[key] = asyncio.create_task(self._judge(question, answer, statements))
        return await self._known[key]

    async def _judge(self, question: str, answer: str, statements: Sequence[str]) -> list[Judgement]:
        listed = "\n".join(f"{number}. {statement}" for number, statement in enumerate(statements, 1))
        asked = [("question", question), ("answer", answer), ("statements", listed)]
        messages = [
            {"role": "system", "content": self._instructions},
            {"role": "user", "content": "\n".join(within_tags(tag, text) for tag, text in asked)},
        ]
        turn = await self._model.complete(messages, max_tokens=MAX_TOKENS, within_s=WITHIN_S)
        verdicts = _verdicts(turn.text, len(statements))
        return [
            Judgement(statement=statement, verdict=verdict, share=float(verdict == "said"))
            for statement, verdict in zip(statements, verdicts, strict=True)
        ]


def _verdicts(text: str, count: int) -> list[Verdict]:
    try:
        reply = _Reply.model_validate_json(without_fence(text))
    except ValidationError:
        raise ExpectedError("The judging model's reply cannot be read.", "Try a larger model.") from None
    if len(reply.statements) != count:
        raise ExpectedError("The judging model left out statements.", "Try a larger model.")
    return reply.statements


async def lexical_judge(_question: str, answer: str, statements: Sequence[str]) -> list[Judgement]:
    """An estimate with no model: how many of a statement's telling words stand in the answer.

    It cannot tell a statement from its opposite, so nothing is ever judged contradicted.
    """
    said = telling_stems(answer)
    shares = [_share(telling_stems(statement), said) for statement in statements]
    return [
        Judgement(statement=statement, verdict="said" if share >= SAID_FROM else "absent", share=share)
        for statement, share in zip(statements, shares, strict=True)
    ]


def _share(wanted: set[str], said: set[str]) -> float:
    return round(len(wanted & said) / len(wanted), 4) if wanted else 0.0
