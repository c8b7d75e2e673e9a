"""An answer in words: from the docs and, with a model, from the tools as well."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence

from bot.abstention import abstain, nearest_pages
from bot.commands import Commands
from bot.draft import Draft
from bot.events import Event, Status, TextDelta
from bot.extractive import compose
from bot.loop import DOCS_ONLY, Loop
from bot.memory import Memory
from bot.memory import Turn as Remembered
from bot.policy.policy import Policy
from bot.prompt import Prompt
from bot.question import Question
from bot.retrieval import DOCS_TOOLS, Retrieval, Retriever
from bot.sentences.meant import Meant
from bot.sentences.operate import offers_for, understand
from bot.sentences.topic import Topic
from bot.sentences.worked_out import Known, spoken_of_note, work_out
from bot.store import now
from bot.workspaces import Workspace, Workspaces
from knowledge.errors import ExpectedError
from tools.toolbox import ToolOutcome

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


class Reply:
    """Answers questions that are no commands; without a loop it quotes the docs."""

    def __init__(
        self,
        *,
        workspaces: Workspaces,
        commands: Commands,
        memory: Memory,
        policy: Policy,
        prompt: Prompt,
        retriever: Retriever,
        loop: Loop | None,
    ) -> None:
        self._workspaces = workspaces
        self._commands = commands
        self._memory = memory
        self._policy = policy
        self._prompt = prompt
        self._retriever = retriever
        self._loop = loop

    async def meant(
        self, question: Question, workspace: Workspace, topics: Sequence[Topic], *, near: bool = True
    ) -> Meant:
        """What a sentence comes to that is about something in the workspace under the name it gives."""
        if not self._may_look(question, workspace):
            return Meant()
        return await understand(question.text, workspace, topics=topics, near=near)

    async def events(
        self, question: Question, workspace: Workspace, draft: Draft, topics: Sequence[Topic]
    ) -> AsyncIterator[Event]:
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
        if self._loop is None:
            found = await self._retriever.retrieve(question.searched, history, draft)
        else:
            found, known = await self._looked_up(question, workspace, history, draft, topics)
        if self._may_look(question, workspace):
            draft.offers += self._workspaces.as_typed(
                offers_for(question.text), workspace.name, question.channel
            )
        if self._loop:
            yield Status("is thinking…")
            notes = self._notes(question, workspace, found, known, topics)
            async for event in self._with_model(
                self._loop, question, workspace, history, draft, found, known.outcome, notes
            ):
                yield event
        else:
            for delta in _quote(question, draft, found):
                yield delta

    async def _looked_up(
        self,
        question: Question,
        workspace: Workspace,
        history: Sequence[Remembered],
        draft: Draft,
        topics: Sequence[Topic],
    ) -> tuple[Retrieval, Known]:
        """The docs and the workspace at the same time: neither waits for the other."""
        working_out = asyncio.create_task(self._worked_out(question, workspace, topics))
        try:
            found = await self._retriever.retrieve(question.searched, history, draft)
            known = await working_out
        finally:
            working_out.cancel()
        if known.outcome:
            draft.note_call(known.outcome, known.ms)
            draft.asked, draft.offers = known.asked, [*known.offers]
        return found, known

    async def _with_model(
        self,
        loop: Loop,
        question: Question,
        workspace: Workspace,
        history: Sequence[Remembered],
        draft: Draft,
        found: Retrieval,
        known: ToolOutcome | None,
        notes: Sequence[str],
    ) -> AsyncIterator[Event]:
        draft.egress.label_uncited = True
        messages = self._prompt.messages(
            question.text,
            material=question.material,
            person=question.person,
            history=history,
            evidence=draft.evidence,
            now=now(),
            notes=notes,
        )
        note = "The model said nothing, so this is quoted."
        try:
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

    def _notes(
        self,
        question: Question,
        workspace: Workspace,
        found: Retrieval,
        known: Known,
        topics: Sequence[Topic],
    ) -> list[str]:
        """What the model has to know beside the rules: what is missing, weak or not allowed."""
        notes = [f"The documentation could not be searched: {found.problem}"] if found.problem else []
        notes += [WEAK] if found.weak else []
        notes += [f"{found.versions} Say so where the answer uses it."] if found.versions else []
        if not self._may_look(question, workspace):
            return [*notes, DOCS_ONLY]
        notes += [f"Prefect could not be asked just now: {known.problem}"] if known.problem else []
        return [*notes, spoken_of_note(topics[0])] if topics else notes

    def _may_look(self, question: Question, workspace: Workspace) -> bool:
        return self._policy.may_look(question.person, question.place(workspace.name))

    async def _worked_out(self, question: Question, workspace: Workspace, topics: Sequence[Topic]) -> Known:
        """What the tool says that the model would certainly call first; it words it, and saves a round."""
        meant = await self.meant(question, workspace, topics, near=False)
        return await work_out(meant, self._commands, question, workspace)


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
    return draft.show(f"{compose(numbered, question.searched)}\n\n{found.versions}")


def _name_nearest_pages(draft: Draft) -> Iterator[TextDelta]:
    """Where the model found no answer and cited no page; what it says of the workspace needs none."""
    yield from draft.paragraph()
    looked_further = any(call.ok and call.name not in DOCS_TOOLS for call in draft.calls)
    if draft.egress.verdict == "not_in_passages" and not draft.egress.cited and not looked_further:
        yield from draft.show(nearest_pages(list(draft.evidence.numbered())))
