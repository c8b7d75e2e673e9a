"""From a question to a stream of events: a typed command, or retrieval and the model's tool loop.

The agent knows no surface. All its text passes one egress filter (in `bot.draft`) before it is yielded.
"""

import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.abstention import abstain, nearest_pages
from bot.cards import CardBook
from bot.commands import Commands
from bot.draft import Draft
from bot.events import AlreadyRunning, Done, Event, Offer, Status, TextDelta
from bot.extractive import compose
from bot.grammar import Command, parse, question_in
from bot.loop import DOCS_ONLY, Loop, offer, picture_of
from bot.memory import Memory
from bot.memory import Turn as Remembered
from bot.operate import LOOKS, Meant, offers_for, understand
from bot.pictures import Pictures
from bot.policy import Policy
from bot.prompt import Prompt
from bot.question import Question
from bot.retrieval import DOCS_TOOLS, Retrieval, Retriever
from bot.rewrite import Rewriter
from bot.store import now
from bot.workspaces import Workspace, Workspaces
from knowledge.errors import ExpectedError
from knowledge.symbols.table import Symbols
from tools.redact import redact
from tools.toolbox import ToolFailure, ToolOutcome

if TYPE_CHECKING:
    # The model's client takes half a second and 40 MB to import; without a model nobody needs it.
    from bot.llm import Model

log = logging.getLogger(__name__)

HISTORY_TURNS = 10

EMPTY = "You called, and said nothing. Ask me about Prefect, or say `help`."
# Without a model nobody answers these in kind, and passages that hold the word would be a bad joke.
_SMALL_TALK = re.compile(
    r"\s*(hi|hello|hey|hey there|good (morning|evening)|thanks?|thank you|thx|cheers|ok(ay)?|great|cool|bye)"
    r"(\W+marvin)?[\s\W]*",
    re.IGNORECASE,
)
HERE = "Here I am. Ask me about Prefect, or say `help`."
WEAK = (
    "The words of the question found little that fits: the passages are probably about something near it "
    "and do not answer it. Search once more, in other words. Unless a passage answers just what was asked, "
    "say that the docs do not, in one paragraph that cites the nearest pages, and guess nothing."
)


class Agent:
    """Answers questions; the same for every surface."""

    def __init__(
        self,
        *,
        workspaces: Workspaces,
        commands: Commands,
        cards: CardBook,
        memory: Memory,
        policy: Policy,
        prompt: Prompt,
        pictures: Pictures,
        model: "Model | None",
        symbols: Callable[[], Symbols | None],
    ) -> None:
        self._workspaces = workspaces
        self._commands = commands
        self._cards = cards
        self._memory = memory
        self._policy = policy
        self._prompt = prompt
        self._pictures = pictures
        self._retriever = Retriever(workspaces.default.toolbox, Rewriter(model) if model else None, symbols)
        self._loop = (
            Loop(model, cards=cards, policy=policy, prompt=prompt, pictures=pictures) if model else None
        )

    async def answer(self, question: Question) -> AsyncIterator[Event]:
        """Yield what happens, then `Done`. Raises only bugs: what people can mend is said in the answer."""
        draft = Draft(question.text)
        workspace, text = self._workspaces.pick(question.channel, question.text)
        question = replace(question, text=question_in(text))
        try:
            command = parse(text)
            if command:
                events = self._command(command, question, workspace, draft)
            elif self._loop:
                events = self._reply(question, workspace, draft)
            else:
                events = self._without_model(question, workspace, draft)
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

    async def _command(
        self, command: Command, question: Question, workspace: Workspace, draft: Draft
    ) -> AsyncIterator[Event]:
        """A typed command: the same tools and the same cards, with no model."""
        started = time.perf_counter()
        result = await self._commands.run(command, question, workspace)
        draft.failure = result.outcome.error if result.outcome else None
        if result.outcome:
            draft.note_call(result.outcome, int((time.perf_counter() - started) * 1000))
        draft.offers += result.offers
        for delta in draft.show(result.text):
            yield delta
        if result.outcome and (drawn := await picture_of(result.outcome, self._pictures, question, draft)):
            yield drawn
        if result.outcome and result.outcome.proposal:
            offered = await offer(self._cards, result.outcome.proposal, question, workspace, draft)
            if isinstance(offered, str):
                draft.failure = ToolFailure("refused", offered)
                for delta in draft.show(offered):
                    yield delta
                return
            if isinstance(offered, AlreadyRunning):
                draft.failure = ToolFailure("busy", offered.text)
            yield offered

    async def _without_model(
        self, question: Question, workspace: Workspace, draft: Draft
    ) -> AsyncIterator[Event]:
        """What the sentence means by its words alone; the docs where it is about nothing in the workspace."""
        meant = await self._meant(question, workspace)
        draft.asked_in_words = bool(meant.commands)
        for command in meant.commands:
            for delta in draft.paragraph():
                yield delta
            async for event in self._command(command, question, workspace, draft):
                yield event
        if meant.commands:
            return
        for delta in draft.show(meant.note):
            yield delta
        for delta in draft.paragraph():
            yield delta
        draft.offers += self._typed(meant.offers, question, workspace)
        async for event in self._reply(question, workspace, draft):
            yield event

    async def _reply(self, question: Question, workspace: Workspace, draft: Draft) -> AsyncIterator[Event]:
        """An answer in words, from the docs and, with a model, from the tools."""
        draft.mode = "llm" if self._loop else "extractive"
        if not question.text.strip():
            for delta in draft.show(EMPTY):
                yield delta
            return
        if self._loop is None and _SMALL_TALK.fullmatch(question.text):
            for delta in draft.show(HERE):
                yield delta
            return
        yield Status("is searching the docs…")
        history = await self._memory.recall(question.conversation, HISTORY_TURNS)
        found = await self._retriever.retrieve(question.text, history, draft)
        if self._may_look(question, workspace):
            draft.offers += self._typed(offers_for(question.text), question, workspace)
        if self._loop:
            yield Status("is thinking…")
            async for event in self._with_model(self._loop, question, workspace, history, draft, found):
                yield event
        else:
            for delta in _quote(question, draft, found):
                yield delta

    async def _with_model(
        self,
        loop: Loop,
        question: Question,
        workspace: Workspace,
        history: Sequence[Remembered],
        draft: Draft,
        found: Retrieval,
    ) -> AsyncIterator[Event]:
        draft.egress.label_uncited = True
        messages = self._prompt.messages(
            question.text,
            person=question.person,
            history=history,
            evidence=draft.evidence,
            now=now(),
            notes=self._notes(question, workspace, found),
        )
        note = "The model said nothing, so this is quoted."
        try:
            known = await self._worked_out(question, workspace, draft)
            async for event in loop.rounds(messages, question, workspace, draft, known):
                yield event
            for delta in _name_nearest_pages(draft):
                yield delta
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
            for delta in [*draft.show(f"_{note}_"), *draft.paragraph(), *_quote(question, draft, found)]:
                yield delta

    def _notes(self, question: Question, workspace: Workspace, found: Retrieval) -> list[str]:
        """What the model has to know beside the rules: what is missing, weak or not allowed."""
        notes = [f"The documentation could not be searched: {found.problem}"] if found.problem else []
        notes += [WEAK] if found.weak else []
        notes += [f"{found.versions} Say so where the answer uses it."] if found.versions else []
        return notes if self._may_look(question, workspace) else [*notes, DOCS_ONLY]

    def _may_look(self, question: Question, workspace: Workspace) -> bool:
        return self._policy.may_look(question.person, question.place(workspace.name))

    def _typed(self, offers: Sequence[Offer], question: Question, workspace: Workspace) -> list[Offer]:
        """As they have to be typed where the question was asked."""
        return [
            replace(one, command=self._workspaces.typed(workspace.name, question.channel, one.command))
            for one in offers
        ]

    async def _meant(self, question: Question, workspace: Workspace) -> Meant:
        """What a sentence comes to that is about something in the workspace under the name it gives."""
        if not self._may_look(question, workspace):
            return Meant()
        return await understand(question.text, workspace)

    async def _worked_out(self, question: Question, workspace: Workspace, draft: Draft) -> ToolOutcome | None:
        """What the tool says that the model would certainly call first; it words it, and saves a round."""
        command = next(iter((await self._meant(question, workspace)).commands), None)
        if command is None or command.name not in LOOKS:
            return None
        started = time.perf_counter()
        result = await self._commands.run(command, question, workspace)
        if result.outcome is None or not result.outcome.ok:
            return None
        draft.note_call(result.outcome, int((time.perf_counter() - started) * 1000))
        draft.offers = [*result.offers]
        return result.outcome


def _quote(question: Question, draft: Draft, found: Retrieval) -> Iterator[TextDelta]:
    """The answer with no model: the best passages, said to be quotes, or the nearest pages alone."""
    draft.mode = "extractive"
    draft.egress.label_uncited = False
    numbered = list(draft.evidence.numbered())
    draft.abstained = found.weak or not numbered
    if found.problem:
        return draft.show(found.problem)
    if draft.abstained:
        return draft.show(abstain(numbered))
    return draft.show(f"{compose(numbered, question.text)}\n\n{found.versions}")


def _name_nearest_pages(draft: Draft) -> Iterator[TextDelta]:
    """Where the model found no answer and cited no page; what it says of the workspace needs none."""
    yield from draft.paragraph()
    looked_further = any(call.ok and call.name not in DOCS_TOOLS for call in draft.calls)
    if draft.egress.verdict == "not_in_passages" and not draft.egress.cited and not looked_further:
        yield from draft.show(nearest_pages(list(draft.evidence.numbered())))
