"""One small model call that words a question as the docs would: for search alone, never shown.

What comes back is data. It is read strictly, and whatever is wrong with it, or with the call, the
question as it was asked has to do.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.memory import Turn
from bot.prompt import persona_text, within_tags
from knowledge.errors import ExpectedError
from tools.redact import redact

if TYPE_CHECKING:
    from bot.llm import Model

log = logging.getLogger(__name__)

# Somebody is waiting for the answer itself; a model that is slower than this adds more delay than sense.
WITHIN_S = 4.0
MAX_TOKENS = 200
MAX_QUERIES = 3
# What a follow-up leans on stands in the last exchanges, and at the beginning of their answers.
EXCHANGES = 2
QUESTION_CHARS = 2_000
ANSWER_CHARS = 600
# Some models put JSON into a fence, whatever they are told.
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)

Query = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    queries: list[Query] = Field(max_length=MAX_QUERIES)


@dataclass(frozen=True, slots=True)
class Rewriting:
    queries: tuple[str, ...] = ()
    """One to three, in English; none when the call came to nothing."""
    usage: dict[str, int] = field(default_factory=dict)


class Rewriter:
    """Asks the model for search queries."""

    def __init__(self, model: "Model") -> None:
        self._model = model
        self._instructions = persona_text("rewrite")

    async def rewrite(self, question: str, history: Sequence[Turn]) -> Rewriting:
        """Raises nothing that a model can do: no query comes of what failed."""
        messages = self._messages(question, history)
        try:
            turn = await self._model.complete(messages, max_tokens=MAX_TOKENS, within_s=WITHIN_S)
        except ExpectedError as error:
            log.info("the question is searched as it was asked: %s", error.message)
            return Rewriting()
        return Rewriting(queries_in(turn.text), turn.usage)

    def _messages(self, question: str, history: Sequence[Turn]) -> list[dict[str, Any]]:
        earlier = "\n".join(
            within_tags("earlier_question", _ends(turn.question, QUESTION_CHARS))
            + "\n"
            + within_tags("earlier_answer", turn.answer[:ANSWER_CHARS])
            for turn in history[-EXCHANGES:]
        )
        asked = within_tags("question", _ends(redact(question), QUESTION_CHARS))
        return [
            {"role": "system", "content": self._instructions},
            {"role": "user", "content": f"{earlier}\n{asked}".strip()},
        ]


def queries_in(text: str) -> tuple[str, ...]:
    """The queries in the model's reply, each once; none when it is anything else than was asked for."""
    try:
        reply = _Reply.model_validate_json(without_fence(text))
    except ValidationError:
        log.info("the model's rewriting of a question cannot be read; it is searched as it was asked")
        return ()
    return tuple(dict.fromkeys(reply.queries))


def without_fence(text: str) -> str:
    """The JSON that a model was asked for, where it put that into a fence."""
    fenced = _FENCE.match(text)
    return fenced[1] if fenced else text


def _ends(text: str, limit: int) -> str:
    """Of a long text the question stands at its beginning, and the error at its end."""
    return text if len(text) <= limit else f"{text[: limit // 3]}\n…\n{text[-limit // 2 :]}"
