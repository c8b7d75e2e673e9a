"""What is done with an inbox item: a question is answered in its thread, a press decides a card.

The one error path is here as well: what people can mend is told as it is, anything else gets one calm
sentence with a reference that stands in the log beside the traceback.
"""

import logging
import secrets
from dataclasses import replace
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.agent import Agent
from bot.events import Answer, Done
from bot.grammar import parse
from bot.inbox import Item, TryLater
from bot.memory import Memory
from bot.question import Question
from bot.slack.blocks import Message, answer_messages, markdown_message, mrkdwn_message
from bot.slack.conversation import Conversation, Target
from bot.slack.errors import CannotDeliver
from bot.slack.mrkdwn import escape, shorten
from bot.slack.people import People
from bot.slack.presses import Presses
from bot.slack.renderer import SlackRenderer
from bot.slack.targets import direct, target_of
from bot.slack.whisper import whisper
from knowledge.errors import ExpectedError
from tools.redact import redact

log = logging.getLogger(__name__)

BROKEN = "Something broke on my side; the log has it as `{reference}`. Ask again; if it stays, tell an admin."
GIVEN_UP = "I was interrupted several times while working on this, so I have given up. Please ask again."
FILES_ONLY = "I can read text, not files. Paste the error or the part of the log that matters."
FILES_TOO = "I can read text, not files, so what you attached is no part of this. Paste what matters of it."
# Answered to the person alone: what they are allowed, and what is of no interest to the channel.
PRIVATE_COMMANDS = ("help", "whoami", "forget me", "audit")
# The same for what is said in a channel: not for the eyes of those who read along.
WHISPERED_COMMANDS = ("audit",)
WEBHOOK_TIMEOUT_S = 10


class SlackSurface:
    """Handles what the inbox hands out, on one Slack workspace."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        agent: Agent,
        memory: Memory,
        people: People,
        renderer: SlackRenderer,
        presses: Presses,
    ) -> None:
        self._client = client
        self._agent = agent
        self._memory = memory
        self._people = people
        self._renderer = renderer
        self._presses = presses

    async def handle(self, item: Item) -> None:
        """Do one item. Every item ends with something that a person sees, or a line in the log."""
        try:
            match item.kind:
                case "message":
                    await self._message(item)
                case "command":
                    await self._slash(item)
                case "press":
                    await self._presses.handle(item)
        except CannotDeliver as error:
            log.warning("no answer could be posted for item %d: %s", item.id, error.message)
            if error.may_pass and error.nothing_posted:
                raise TryLater from error
        except ExpectedError as error:
            await self._say(item, str(error))
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("item %d failed, reference %s", item.id, reference)
            await self._say(item, BROKEN.format(reference=reference))

    async def give_up(self, item: Item) -> None:
        """Tell that an item was tried too often; trying it again could end the process again."""
        log.error("item %d is given up after %d tries", item.id, item.attempt - 1)
        await self._say(item, GIVEN_UP)

    async def _message(self, item: Item) -> None:
        payload = item.payload
        person = await self._people.of(payload)
        text = payload["text"] or (FILES_ONLY if payload["has_files"] else "")
        if text == FILES_ONLY:
            await self._say(item, text)
            return
        target = target_of(payload)
        question = Question(text, person, item.conversation, target.channel, key=item.key)
        command = parse(text)
        if command and command.name in WHISPERED_COMMANDS and question.is_overheard:
            await self._whisper_answer(replace(question, private=True), payload)
            return
        await self._answer(question, target)
        if payload["has_files"]:
            await self._say(item, FILES_TOO)

    async def _slash(self, item: Item) -> None:
        """A slash command shows nothing in the channel by itself, so the question is posted first."""
        payload = item.payload
        person = await self._people.of(payload)
        text, channel = payload["text"] or "help", payload["channel"]
        question = Question(text, person, item.conversation, channel, key=item.key)
        command = parse(question.text)
        if command and command.name in PRIVATE_COMMANDS:
            await self._answer_privately(replace(question, private=True), payload["response_url"])
            return
        words = shorten(escape(redact(question.text)), 300)
        target = await self._open_thread(payload, mrkdwn_message(f"<@{person.id}> asked: {words}"))
        await self._memory.engage(target.conversation, target.team)
        await self._answer(replace(question, conversation=target.conversation), target)

    async def _open_thread(self, payload: dict[str, Any], root: Message) -> Target:
        """Post the root of a thread; in the asker's direct messages where the bot may not write."""
        top = Conversation(self._client, replace(target_of(payload), thread_ts=""))
        try:
            ts = await top.post(root)
        except CannotDeliver:
            # Also a conversation between people, whose id looks like the bot's own with somebody.
            top = Conversation(self._client, await direct(self._client, payload))
            ts = await top.post(root)
        return replace(top.target, thread_ts=ts)

    async def _answer(self, question: Question, target: Target) -> None:
        await self._renderer.render(self._agent.answer(question), target)

    async def _answer_privately(self, question: Question, response_url: str) -> None:
        answer = await _whole(self._agent, question)
        webhook = AsyncWebhookClient(response_url, timeout=WEBHOOK_TIMEOUT_S)
        for message in answer_messages(answer.text):
            await webhook.send(text=message.text, blocks=message.blocks, response_type="ephemeral")

    async def _whisper_answer(self, question: Question, payload: dict[str, Any]) -> None:
        answer = await _whole(self._agent, question)
        for message in answer_messages(answer.text):
            await whisper(self._client, payload, message)

    async def _say(self, item: Item, text: str) -> None:
        """A sentence in the item's thread."""
        try:
            await Conversation(self._client, target_of(item.payload)).post(markdown_message(text))
        except CannotDeliver as error:
            log.warning("item %d: nothing could be said: %s", item.id, error.message)


async def _whole(agent: Agent, question: Question) -> Answer:
    async for event in agent.answer(question):
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("the agent ended without Done")
