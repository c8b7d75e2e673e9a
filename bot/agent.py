"""From a question to a stream of events: a typed command, or retrieval and the model's tool loop.

The agent knows no surface. All its text passes one egress filter (in `bot.draft`) before it is yielded.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.cards import CardBook
from bot.commands import Command, Commands, parse, question_in
from bot.draft import Draft, passages_of
from bot.events import CardProposed, Done, Event, Status, TextDelta, ToolFinished, ToolStarted
from bot.extractive import compose
from bot.memory import Memory
from bot.memory import Turn as Remembered
from bot.people import Person
from bot.policy import Policy, Role
from bot.prompt import Prompt
from bot.store import now
from bot.turns import RequestedCall, Turn
from knowledge.errors import ExpectedError, Unreachable
from tools.proposal import Proposal
from tools.redact import redact
from tools.toolbox import Toolbox, ToolFailure, ToolOutcome

if TYPE_CHECKING:
    # The model's client takes half a second and 40 MB to import; without a model nobody needs it.
    from bot.llm import Model

log = logging.getLogger(__name__)

MAX_ROUNDS = 6
MAX_CALLS_A_ROUND = 8
MAX_CARDS = 3
HISTORY_TURNS = 10
# "and with Docker?", "how do I change it?": searched together with the question before.
FOLLOW_UP_WORDS = 12
_FOLLOW_UP = re.compile(
    r"\s*(and|but|or|so|then|also|what about|how about|what if|why not|for|with|in|on)\b"
    r"|.*\b(it|its|that|this|those|these|they|them|there|the same|else|instead)\b",
    re.IGNORECASE,
)
# All rounds of one answer together: a stream that trickles would hold a worker for ever.
ANSWER_WITHIN_S = 240.0
CUT_SHORT = "_The answer was longer than the model may write; ask for the part that is missing._"
QUERY_CHARS = 2000
DOCS_TOOLS = frozenset({"search_docs", "read_page"})

EMPTY = "You called, and said nothing. Ask me about Prefect, or say `help`."
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
}


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody said to the bot, free of the mention and of Slack's escapes."""

    text: str
    person: Person
    conversation: str
    """Team, channel and thread: what the memory is keyed by."""


class Agent:
    """Answers questions; the same for every surface."""

    def __init__(
        self,
        *,
        toolbox: Toolbox,
        commands: Commands,
        cards: CardBook,
        memory: Memory,
        policy: Policy,
        prompt: Prompt,
        model: "Model | None",
    ) -> None:
        self._toolbox = toolbox
        self._commands = commands
        self._cards = cards
        self._memory = memory
        self._policy = policy
        self._prompt = prompt
        self._model = model

    async def answer(self, question: Question) -> AsyncIterator[Event]:
        """Yield what happens, then `Done`. Raises only bugs: what people can mend is said in the answer."""
        draft = Draft(question.text)
        command = parse(question.text)
        question = replace(question, text=question_in(question.text))
        try:
            events = self._command(command, question, draft) if command else self._reply(question, draft)
            async for event in events:
                yield event
        except ExpectedError as error:
            draft.failure = ToolFailure(error.code, error.message, error.fix)
            for delta in [*draft.paragraph(), *draft.show(str(error))]:
                yield delta
        for delta in draft.close():
            yield delta
        answer = draft.answer()
        if answer.mode != "command":
            turn = Remembered(redact(question.text), answer.text)
            await self._memory.remember(question.conversation, question.person, turn)
        yield Done(answer)

    async def _command(self, command: Command, question: Question, draft: Draft) -> AsyncIterator[Event]:
        """A typed command: the same tools and the same cards, with no model."""
        started = time.perf_counter()
        result = await self._commands.run(command, question.person)
        draft.failure = result.outcome.error if result.outcome else None
        if result.outcome:
            draft.note_call(result.outcome, int((time.perf_counter() - started) * 1000))
        for delta in draft.show(result.text):
            yield delta
        if result.outcome and result.outcome.proposal:
            offered = await self._propose(result.outcome.proposal, question, draft)
            if isinstance(offered, CardProposed):
                yield offered
            else:
                draft.failure = ToolFailure("refused", offered)
                for delta in draft.show(offered):
                    yield delta

    async def _reply(self, question: Question, draft: Draft) -> AsyncIterator[Event]:
        """An answer in words, from the docs and, with a model, from the tools."""
        draft.mode = "llm" if self._model else "extractive"
        if not question.text.strip():
            for delta in draft.show(EMPTY):
                yield delta
            return
        yield Status("is searching the docs…")
        history = await self._memory.recall(question.conversation, HISTORY_TURNS)
        problem = await self._retrieve(question, history, draft)
        if self._model:
            yield Status("is thinking…")
            async for event in self._with_model(self._model, question, history, draft, problem):
                yield event
        else:
            for delta in self._quote(draft, problem):
                yield delta

    async def _retrieve(self, question: Question, history: Sequence[Remembered], draft: Draft) -> str:
        """Search once before the model is asked, which saves a round trip. Gives the problem, if any."""
        query = question.text
        if history and _leans_on_what_was_said(query):
            query = f"{history[-1].question}\n{query}"
        if len(query) > QUERY_CHARS:
            # Of a long text the question stands at its beginning, and the error at its end.
            query = f"{query[: QUERY_CHARS // 3]}\n{query[-QUERY_CHARS // 2 :]}"
        outcome = await self._timed_call("search_docs", {"question": query}, draft)
        draft.cite(passages_of(outcome))
        draft.stamp("retrieval")
        return f"{outcome.error.message} {outcome.error.fix}" if outcome.error else ""

    def _quote(self, draft: Draft, problem: str) -> Iterator[TextDelta]:
        """The answer with no model: the best passages, said to be quotes."""
        draft.mode = "extractive"
        draft.egress.label_uncited = False
        numbered = list(draft.evidence.numbered())
        draft.abstained = not numbered
        return draft.show(problem or compose(numbered))

    async def _with_model(
        self, model: "Model", question: Question, history: Sequence[Remembered], draft: Draft, problem: str
    ) -> AsyncIterator[Event]:
        draft.egress.label_uncited = True
        messages = self._prompt.messages(
            question.text,
            person=question.person,
            history=history,
            evidence=draft.evidence,
            now=now(),
            notes=self._notes(question.person, problem),
        )
        note = "The model said nothing, so this is quoted."
        try:
            async for event in self._rounds(model, messages, question, draft):
                yield event
        except ExpectedError as error:
            log.warning("the model failed: %s", error.message)
            note = f"{error.message} So this is quoted."
            if not draft.is_empty:
                for delta in [
                    *draft.paragraph(),
                    *draft.show(f"_{error.message} The answer breaks off here._"),
                ]:
                    yield delta
        if draft.is_empty and not draft.cards:
            draft.egress.label_uncited = False
            for delta in [*draft.show(f"_{note}_"), *draft.paragraph(), *self._quote(draft, problem)]:
                yield delta

    async def _rounds(
        self, model: "Model", messages: list[dict[str, Any]], question: Question, draft: Draft
    ) -> AsyncIterator[Event]:
        """Let the model speak and call tools, round after round; the last one has no tools."""
        seen: set[tuple[str, str]] = set()
        until = time.monotonic() + ANSWER_WITHIN_S
        for number in range(MAX_ROUNDS):
            tools = self._schemas(question.person) if number < MAX_ROUNDS - 1 else []
            turn = Turn()
            for delta in draft.paragraph():
                yield delta
            async for text in model.stream(messages, tools, turn):
                if time.monotonic() > until:
                    raise Unreachable("The model took too long.", "Try again.")
                for delta in draft.show(text):
                    yield delta
            draft.add_usage(turn.usage)
            calls = turn.calls[:MAX_CALLS_A_ROUND]
            if not calls and turn.finish_reason == "length":
                for delta in [*draft.paragraph(), *draft.show(CUT_SHORT)]:
                    yield delta
            if not calls:
                return
            messages.append(_assistant_message(turn, calls))
            async for event in self._run(calls, seen, messages, question, draft):
                yield event

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
                event = await self._propose(outcome.proposal, question, draft)
                if isinstance(event, CardProposed):
                    yield event
                messages.append(_tool_message(call, CARD_SHOWN if isinstance(event, CardProposed) else event))
            else:
                messages.append(_tool_message(call, self._result(outcome, draft)))

    async def _permitted_call(self, call: RequestedCall, person: Person, draft: Draft) -> ToolOutcome:
        if self._may_use(person, call.name):
            return await self._timed_call(call.name, call.arguments, draft)
        failure = ToolFailure("refused", DOCS_ONLY)
        return ToolOutcome(ok=False, name=call.name, arguments={}, text=failure.message, error=failure)

    async def _timed_call(self, name: str, arguments: str | dict[str, Any], draft: Draft) -> ToolOutcome:
        started = time.perf_counter()
        outcome = await self._toolbox.call(name, arguments)
        draft.note_call(outcome, int((time.perf_counter() - started) * 1000))
        return outcome

    def _result(self, outcome: ToolOutcome, draft: Draft) -> str:
        """What the model reads of a result: passages get numbers to cite, all else is JSON."""
        passages = passages_of(outcome)
        if passages:
            return self._prompt.passages_text(draft.evidence, draft.cite(passages))
        if outcome.ok:
            # From here on a paragraph may rest on the workspace, which has links and no citations.
            draft.egress.label_uncited = False
        return self._prompt.tool_result(outcome.text)

    async def _propose(self, proposal: Proposal, question: Question, draft: Draft) -> CardProposed | str:
        """Store the card, or say why there is none."""
        if len(draft.cards) >= MAX_CARDS:
            return ENOUGH_CARDS
        try:
            card = await self._cards.propose(proposal, question.person, question.conversation)
        except ExpectedError as error:
            return f"No card was shown. {error}"
        draft.cards.append(card)
        return CardProposed(card)

    def _may_use(self, person: Person, tool: str) -> bool:
        return tool in DOCS_TOOLS or self._policy.role(person) >= Role.VIEWER

    def _schemas(self, person: Person) -> list[dict[str, Any]]:
        return self._toolbox.schemas([name for name in self._toolbox.tools if self._may_use(person, name)])

    def _notes(self, person: Person, problem: str) -> list[str]:
        notes = [f"The documentation could not be searched: {problem}"] if problem else []
        return notes if self._may_use(person, "list_work_pools") else [*notes, DOCS_ONLY]


def _leans_on_what_was_said(question: str) -> bool:
    """Whether a short question cannot be understood, and so not searched, without the one before it."""
    words = len(question.split())
    return words <= 2 or (words < FOLLOW_UP_WORDS and _FOLLOW_UP.match(question) is not None)


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
