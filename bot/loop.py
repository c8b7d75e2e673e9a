"""The model's turns for one answer: it speaks and calls tools, round after round, within bounds."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.cards.book import CardBook
from bot.cards.busy import StillRunning
from bot.draft import Draft, passages_of
from bot.events import AlreadyRunning, CardProposed, Event, PictureDrawn, TextDelta, ToolFinished, ToolStarted
from bot.pictures import Pictures
from bot.policy.policy import Policy
from bot.prompt import Prompt
from bot.question import Question
from bot.retrieval import DOCS_TOOLS
from bot.turns import RequestedCall, Turn
from bot.workspaces import Workspace
from knowledge.errors import ExpectedError, Unreachable
from tools.proposal import Proposal
from tools.toolbox import ToolFailure, ToolOutcome

if TYPE_CHECKING:
    # The model's client takes half a second and 40 MB to import; without a model nobody needs it.
    from bot.llm import Model

log = logging.getLogger(__name__)

MAX_ROUNDS = 6
MAX_CALLS_A_ROUND = 8
MAX_CARDS = 3
MAX_PICTURES = 3
# All rounds of one answer together: a stream that trickles would hold a worker for ever.
ANSWER_WITHIN_S = 240.0

CUT_SHORT = "_The answer was longer than the model may write; ask for the part that is missing._"
DOCS_ONLY = "Here this person may have answers from the documentation only, nothing about the workspace."
CARD_SHOWN = "A card with this was shown. Nothing has been done: a person has to press Confirm."
ENOUGH_CARDS = "No card was shown: one answer has at most three. Those have to be decided first."
SEEN = "You made this very call before; its result stands above. Use it, or ask for something else."

PICTURE_SHOWN = "\nThe picture of this is shown below your answer: do not describe it bar by bar."
# The tool whose result is drawn.
DRAWING = "draw_timeline"

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
    "diagnose_flow_run": "Working out what is wrong",
    "diagnose_late_runs": "Working out what is late",
    "draw_timeline": "Drawing a picture",
    "list_automations": "Looking at the automations",
    "list_concurrency_limits": "Looking at the limits",
    "list_events": "Looking at what happened",
    "trigger_run": "Preparing a run",
    "retry_run": "Preparing a retry",
    "cancel_runs": "Preparing a cancellation",
    "pause_deployment": "Preparing to pause",
    "resume_deployment": "Preparing to resume",
    "set_schedule_active": "Preparing a change of a schedule",
    "pause_work_pool": "Preparing to pause",
    "resume_work_pool": "Preparing to resume",
    "reindex_knowledge": "Preparing a reindex",
    "rollback_knowledge": "Preparing a rollback",
}


class Loop:
    """Lets a model answer with the tools that the asker may use."""

    def __init__(
        self, model: "Model", *, cards: CardBook, policy: Policy, prompt: Prompt, pictures: Pictures
    ) -> None:
        self._model = model
        self._pictures = pictures
        self._cards = cards
        self._policy = policy
        self._prompt = prompt

    def _may_use(self, tool: str, question: Question, workspace: Workspace) -> bool:
        """Everybody may have answers from the docs; the rest is for whom and where the policy says."""
        may_look = self._policy.may_look(question.person, question.place(workspace.name))
        return tool in DOCS_TOOLS or may_look

    async def rounds(
        self,
        messages: list[dict[str, Any]],
        question: Question,
        workspace: Workspace,
        draft: Draft,
        known: ToolOutcome | None = None,
    ) -> AsyncIterator[Event]:
        """Yield what happens until the model calls no more tools; the last round has none to call.

        `known` is the result of a tool that was run before, as if the model had called it. Raises the
        ExpectedError tree when the model's server fails.
        """
        seen: set[tuple[str, str]] = set()
        if known:
            messages += self._as_called(known, draft)
        until = time.monotonic() + ANSWER_WITHIN_S
        for number in range(MAX_ROUNDS):
            tools = self._schemas(question, workspace) if number < MAX_ROUNDS - 1 else []
            turn = Turn()
            # What a model thinks before it has looked further is no verdict on what it says then.
            draft.egress.verdict = ""
            async for delta in self._speak(messages, tools, turn, draft, until=until):
                yield delta
            calls = turn.calls[:MAX_CALLS_A_ROUND]
            if not calls:
                return
            messages.append(_assistant_message(turn, calls))
            async for event in self._run(calls, seen, messages, question, workspace, draft):
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
        workspace: Workspace,
        draft: Draft,
    ) -> AsyncIterator[Event]:
        """Run the calls of one round together; the model gets every result, in the order it asked."""
        tasks: dict[str, asyncio.Task[ToolOutcome]] = {}
        for call in calls:
            if (call.name, call.arguments) not in seen:
                seen.add((call.name, call.arguments))
                yield ToolStarted(call.id, call.name, TITLES.get(call.name, f"Running {call.name}"))
                permitted = self._permitted_call(call, question, workspace, draft)
                tasks[call.id] = asyncio.create_task(permitted)
        for call in calls:
            if call.id not in tasks:
                messages.append(_tool_message(call, SEEN))
                continue
            outcome = await tasks[call.id]
            yield ToolFinished(call.id, call.name, ok=outcome.ok)
            if outcome.proposal:
                event = await offer(self._cards, outcome.proposal, question, workspace, draft)
                if not isinstance(event, str):
                    yield event
                messages.append(_tool_message(call, _told(event)))
            else:
                drawn = await self._picture_of(outcome, question, draft)
                if drawn:
                    yield drawn
                note = PICTURE_SHOWN if drawn else ""
                messages.append(_tool_message(call, self._result(outcome, draft) + note))

    async def _permitted_call(
        self, call: RequestedCall, question: Question, workspace: Workspace, draft: Draft
    ) -> ToolOutcome:
        if self._may_use(call.name, question, workspace):
            return await draft.call(workspace.toolbox, call.name, call.arguments)
        failure = ToolFailure("refused", DOCS_ONLY)
        return ToolOutcome(ok=False, name=call.name, arguments={}, text=failure.message, error=failure)

    async def _picture_of(
        self, outcome: ToolOutcome, question: Question, draft: Draft
    ) -> PictureDrawn | None:
        """As `picture_of`; the figures are still worth an answer when the picture failed."""
        try:
            return await picture_of(outcome, self._pictures, question, draft)
        except ExpectedError as error:
            log.warning("no picture: %s", error.message)
            return None

    def _as_called(self, known: ToolOutcome, draft: Draft) -> list[dict[str, Any]]:
        call = RequestedCall("worked_out_before", known.name, json.dumps(known.arguments, ensure_ascii=False))
        return [_assistant_message(Turn(), [call]), _tool_message(call, self._result(known, draft))]

    def _result(self, outcome: ToolOutcome, draft: Draft) -> str:
        """What the model reads of a result: passages get numbers to cite, all else is JSON."""
        passages = passages_of(outcome)
        if passages:
            return self._prompt.passages_text(draft.evidence, draft.cite(passages))
        if outcome.ok:
            # From here on a paragraph may rest on the workspace, which has links and no citations.
            draft.egress.label_uncited = False
        return self._prompt.tool_result(outcome.text)

    def _schemas(self, question: Question, workspace: Workspace) -> list[dict[str, Any]]:
        names = [name for name in workspace.toolbox.tools if self._may_use(name, question, workspace)]
        return workspace.toolbox.schemas(names)


async def picture_of(
    outcome: ToolOutcome, pictures: Pictures, question: Question, draft: Draft
) -> PictureDrawn | None:
    """The picture that the tool was called for; None for other tools, and where there is nothing to see.

    Raises Unreachable when it could not be drawn.
    """
    if outcome.name != DRAWING or not outcome.ok or len(draft.pictures) >= MAX_PICTURES:
        return None
    picture = await pictures.draw(outcome.data, time_zone=question.person.timezone)
    if picture is None:
        return None
    picture = replace(picture, table=draft.filtered(picture.table))
    draft.pictures.append(picture)
    return PictureDrawn(picture)


async def offer(
    cards: CardBook, proposal: Proposal, question: Question, workspace: Workspace, draft: Draft
) -> CardProposed | AlreadyRunning | str:
    """Store a card for the proposal, or say why there is none."""
    if len(draft.cards) >= MAX_CARDS:
        return ENOUGH_CARDS
    try:
        card = await cards.propose(
            workspace.named_on(proposal),
            question.person,
            question.conversation,
            question.place(workspace.name),
            key=_key(proposal, question, draft),
        )
    except StillRunning as error:
        return AlreadyRunning(error.card, str(error)) if error.card else f"No card was shown. {error}"
    except ExpectedError as error:
        return f"No card was shown. {error}"
    draft.cards.append(card)
    return CardProposed(card)


def _key(proposal: Proposal, question: Question, draft: Draft) -> str:
    """Counts those of one thing: a message may ask for the same twice, with other parameters."""
    alike = [(card.proposal.action, card.proposal.target) for card in draft.cards]
    return f"{question.key}:{alike.count((proposal.action, proposal.target))}" if question.key else ""


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
