"""From a question to a stream of events: a typed command, one in words, or an answer in words.

The agent knows no surface. All its text passes one egress filter (in `bot.draft`) before it is yielded.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.cards.book import CardBook
from bot.commands import Commands
from bot.draft import Draft
from bot.events import AlreadyRunning, Done, Event
from bot.grammar import Command, parse, question_in
from bot.loop import Loop, offer, picture_of
from bot.memory import Memory
from bot.memory import Turn as Remembered
from bot.pictures import Pictures
from bot.policy.policy import Policy
from bot.prompt import Prompt
from bot.question import Question
from bot.reply import Reply
from bot.retrieval import Retriever
from bot.rewrite import Rewriter
from bot.sentences.anaphora import refer
from bot.sentences.topic import Topic
from bot.sentences.topics import Topics
from bot.workspaces import Workspace, Workspaces
from knowledge.errors import ExpectedError
from knowledge.symbols.table import Symbols
from tools.redact import redact
from tools.toolbox import ToolFailure

if TYPE_CHECKING:
    # The model's client takes half a second and 40 MB to import; without a model nobody needs it.
    from bot.llm import Model


class Agent:
    """Answers questions; the same for every surface."""

    def __init__(
        self,
        *,
        workspaces: Workspaces,
        commands: Commands,
        cards: CardBook,
        memory: Memory,
        topics: Topics,
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
        self._topics = topics
        self._pictures = pictures
        self._has_model = model is not None
        self._reply = Reply(
            workspaces=workspaces,
            commands=commands,
            memory=memory,
            policy=policy,
            prompt=prompt,
            retriever=Retriever(workspaces.default.toolbox, Rewriter(model) if model else None, symbols),
            loop=Loop(model, cards=cards, policy=policy, prompt=prompt, pictures=pictures) if model else None,
        )

    async def answer(self, question: Question) -> AsyncIterator[Event]:
        """Yield what happens, then `Done`. Raises only bugs: what people can mend is said in the answer."""
        draft = Draft(question.text)
        workspace, text = self._workspaces.pick(question.channel, question.text)
        says_where = text != question.text
        question = replace(question, text=question_in(text))
        try:
            command = parse(text)
            topics = [] if command else await self._topics_of(question, workspace, says_where=says_where)
            if topics:
                workspace = self._workspaces.get(topics[0].workspace)
            if command:
                events = self._command(command, question, workspace, draft)
            elif self._has_model:
                events = self._reply.events(question, workspace, draft, topics)
            else:
                events = self._without_model(question, workspace, draft, topics)
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
            turn = Remembered(redact(question.remembered), answer.text)
            await self._memory.remember(question.conversation, question.person, turn)
        await self._topics.note(question.conversation, question.person, draft.topic(workspace.name))
        yield Done(answer)

    async def _topics_of(
        self, question: Question, workspace: Workspace, *, says_where: bool
    ) -> Sequence[Topic]:
        """What the thread has spoken of in the workspace that it speaks of now.

        That is the last one, unless the question names another, or is none that refers to anything.
        """
        topics = await self._topics.latest(question.conversation)
        known = [topic for topic in topics if topic.workspace in self._workspaces.names]
        name = workspace.name
        if known and not says_where and refer(question.text, known):
            name = known[0].workspace
        return [topic for topic in known if topic.workspace == name]

    async def _command(
        self, command: Command, question: Question, workspace: Workspace, draft: Draft
    ) -> AsyncIterator[Event]:
        """A typed command: the same tools and the same cards, with no model."""
        started = time.perf_counter()
        draft.asked = command.name
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
        self, question: Question, workspace: Workspace, draft: Draft, topics: Sequence[Topic]
    ) -> AsyncIterator[Event]:
        """What the sentence means by its words alone; the docs where it is about nothing in the workspace."""
        meant = await self._reply.meant(question, workspace, topics)
        draft.asked_in_words = bool(meant.commands)
        for delta in draft.show(meant.note):
            yield delta
        for command in meant.commands:
            for delta in draft.paragraph():
                yield delta
            async for event in self._command(command, question, workspace, draft):
                yield event
        draft.offers += self._workspaces.as_typed(meant.offers, workspace.name, question.channel)
        if meant.commands or meant.asks_back:
            return
        for delta in draft.paragraph():
            yield delta
        async for event in self._reply.events(question, workspace, draft, topics):
            yield event
