"""The model's turns for one answer: it speaks and calls tools, round after round, within bounds."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from bot.cards import CardBook, StillRunning
from bot.draft import Draft, passages_of
from bot.events import AlreadyRunning, CardProposed, Event, TextDelta, ToolFinished, ToolStarted
from bot.people import Person
from bot.policy import Policy, Role
from bot.prompt import Prompt
from bot.question import Question
from bot.retrieval import DOCS_TOOLS
from bot.turns import RequestedCall, Turn
from knowledge.errors import ExpectedError, Unreachable
from tools.proposal import Proposal
from tools.toolbox import Toolbox, ToolFailure, ToolOutcome

if TYPE_CHECKING:
    # The model's client takes half a second and 40 MB to import; without a model nobody needs it.
    from bot.llm import Model

MAX_ROUNDS = 6
MAX_CALLS_A_ROUND = 8
MAX_CARDS = 3
# All rounds of one answer together: a stream that trickles would hold a worker for ever.
ANSWER_WITHIN_S = 240.0

CUT_SHORT = "_The answer was longer than the model may write; ask for the part that is missing._"
DOCS_ONLY = "This person may have answers from the documentation only, nothing about the workspace."
CARD_SHOWN = "A card with this was shown. Nothing has been done: a person has to press Confirm."
ENOUGH_CARDS = "No card was shown: one answer has at most three. Those have to be decided first."
SEEN = "You made this very call before; its result stands above. Use it, or ask for something else."

# What people read while a tool runs.
TITLES = {
    "search_docs": "Searching the docs",
    "read_page": "Reading a page",
    "workspace_overview": "Looking at the workspace",
    "list_work_pools": "Looking at the work pools",
    "describe_work_pool": "Looking at a work pool",
    "explain_infrastructure": "Working out where the code runs",
    "list_deployments": "Looking at the deployments",
    "describe_deployment": "Looking at a deployment",
    "list_flow_runs": "Looking at the runs",
    "describe_flow_run": "Looking at a run",
    "read_logs": "Reading logs",
    "trigger_run": "Preparing a run",
    "cancel_runs": "Preparing a cancellation",
    "reindex_knowledge": "Preparing a reindex",
    "rollback_knowledge": "Preparing a rollback",
}


class Loop:
    """Lets a model answer with the tools that the asker may use."""

    def __init__(
        self, model: "Model", *, toolbox: Toolbox, cards: CardBook, policy: Policy, prompt: Prompt
    ) -> None:
        self._model = model
        self._toolbox = toolbox
        self._cards = cards
        self._policy = policy
        self._prompt = prompt

    def may_use(self, person: Person, tool: str) -> bool:
        """Everybody may have answers from the docs; the workspace is for those with a role."""
        return tool in DOCS_TOOLS or self._policy.role(person) >= Role.VIEWER

    async def rounds(
        self, messages: list[dict[str, Any]], question: Question, draft: Draft
    ) -> AsyncIterator[Event]:
        """Yield what happens until the model calls no more tools; the last round has none to call.

        Raises the ExpectedError tree when the model's server fails.
        """
        seen: set[tuple[str, str]] = set()
        until = time.monotonic() + ANSWER_WITHIN_S
        for number in range(MAX_ROUNDS):
            tools = self._schemas(question.person) if number < MAX_ROUNDS - 1 else []
            turn = Turn()
            # What a model thinks before it has looked further is no verdict on what it says then.
            draft.egress.verdict = ""
            async for delta in self._speak(messages, tools, turn, draft, until=until):
                yield delta
            calls = turn.calls[:MAX_CALLS_A_ROUND]
            if not calls:
                return
            messages.append(_assistant_message(turn, calls))
            async for event in self._run(calls, seen, messages, question, draft):
                yield event

    async def _speak(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        turn: Turn,
        draft: Draft,
        *,
        until: float,
    ) -> AsyncIterator[TextDelta]:
        """One turn: a paragraph of its own, shown while it comes."""
        for delta in draft.paragraph():
            yield delta
        async for text in self._model.stream(messages, tools, turn):
            if time.monotonic() > until:
                raise Unreachable("The model took too long.", "Try again.")
            for delta in draft.show(text):
                yield delta
        draft.add_usage(turn.usage)
        if not turn.calls and turn.finish_reason == "length":
            for delta in [*draft.paragraph(), *draft.show(CUT_SHORT)]:
                yield delta

    async def _run(
        self,
        calls: Sequence[RequestedCall],
        seen: set[tuple[str, str]],
        messages: list[dict[str, Any]],
        question: Question,
        draft: Draft,
    ) -> AsyncIterator[Event]:
        """Run the calls of one round together; the model gets every result, in the order it asked."""
        tasks: dict[str, asyncio.Task[ToolOutcome]] = {}
        for call in calls:
            if (call.name, call.arguments) not in seen:
                seen.add((call.name, call.arguments))
                yield ToolStarted(call.id, call.name, TITLES.get(call.name, f"Running {call.name}"))
                tasks[call.id] = asyncio.create_task(self._permitted_call(call, question.person, draft))
        for call in calls:
            if call.id not in tasks:
                messages.append(_tool_message(call, SEEN))
                continue
            outcome = await tasks[call.id]
            yield ToolFinished(call.id, call.name, ok=outcome.ok)
            if outcome.proposal:
                event = await offer(self._cards, outcome.proposal, question, draft)
                if not isinstance(event, str):
                    yield event
                messages.append(_tool_message(call, _told(event)))
            else:
                messages.append(_tool_message(call, self._result(outcome, draft)))

    async def _permitted_call(self, call: RequestedCall, person: Person, draft: Draft) -> ToolOutcome:
        if self.may_use(person, call.name):
            return await draft.call(self._toolbox, call.name, call.arguments)
        failure = ToolFailure("refused", DOCS_ONLY)
        return ToolOutcome(ok=False, name=call.name, arguments={}, text=failure.message, error=failure)

    def _result(self, outcome: ToolOutcome, draft: Draft) -> str:
        """What the model reads of a result: passages get numbers to cite, all else is JSON."""
        passages = passages_of(outcome)
        if passages:
            return self._prompt.passages_text(draft.evidence, draft.cite(passages))
        if outcome.ok:
            # From here on a paragraph may rest on the workspace, which has links and no citations.
            draft.egress.label_uncited = False
        return self._prompt.tool_result(outcome.text)

    def _schemas(self, person: Person) -> list[dict[str, Any]]:
        return self._toolbox.schemas([name for name in self._toolbox.tools if self.may_use(person, name)])


async def offer(
    cards: CardBook, proposal: Proposal, question: Question, draft: Draft
) -> CardProposed | AlreadyRunning | str:
    """Store a card for the proposal, or say why there is none."""
    if len(draft.cards) >= MAX_CARDS:
        return ENOUGH_CARDS
    try:
        card = await cards.propose(proposal, question.person, question.conversation)
    except StillRunning as error:
        return AlreadyRunning(error.card, str(error)) if error.card else f"No card was shown. {error}"
    except ExpectedError as error:
        return f"No card was shown. {error}"
    draft.cards.append(card)
    return CardProposed(card)


def _told(offered: CardProposed | AlreadyRunning | str) -> str:
    match offered:
        case CardProposed():
            return CARD_SHOWN
        case AlreadyRunning(text=text):
            return f"No card was shown. {text}"
    return offered


def _assistant_message(turn: Turn, calls: Sequence[RequestedCall]) -> dict[str, Any]:
    requested = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments or "{}"},
        }
        for call in calls
    ]
    return {"role": "assistant", "content": turn.text or None, "tool_calls": requested}


def _tool_message(call: RequestedCall, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call.id, "content": text}
