"""What is done with an inbox item: a question is answered in its thread, a press decides a card.

The one error path is here as well: what people can mend is told as it is, anything else gets one calm
sentence with a reference that stands in the log beside the traceback.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.agent import Agent, Question
from bot.cards import Card, CardBook, Press
from bot.commands import parse
from bot.events import Answer, Done
from bot.inbox import Item, TryLater
from bot.memory import Memory
from bot.people import Person
from bot.performer import Report
from bot.slack.blocks import Message, answer_messages, markdown_message, progress_message
from bot.slack.card_blocks import card_message
from bot.slack.conversation import Conversation, Target
from bot.slack.errors import REFUSALS, CannotDeliver, reason
from bot.slack.mrkdwn import escape, shorten
from bot.slack.people import People
from bot.slack.renderer import SlackRenderer
from knowledge.build import Progress
from knowledge.errors import ExpectedError
from tools.redact import redact

log = logging.getLogger(__name__)

BROKEN = "Something broke on my side; the log has it as `{reference}`. Ask again; if it stays, tell an admin."
GIVEN_UP = "I was interrupted several times while working on this, so I have given up. Please ask again."
GONE = "I do not know this card any more. Ask again for a new one."
FILES_ONLY = "I can read text, not files. Paste the error or the part of the log that matters."
# Answered to the person alone: what they are allowed, and what is of no interest to the channel.
PRIVATE_COMMANDS = ("help", "whoami", "forget me")
# Slack advises to rewrite a message no more often.
PROGRESS_EVERY_S = 3.0
WEBHOOK_TIMEOUT_S = 10


class SlackSurface:
    """Handles what the inbox hands out, on one Slack workspace."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        agent: Agent,
        cards: CardBook,
        memory: Memory,
        people: People,
        renderer: SlackRenderer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._agent = agent
        self._cards = cards
        self._memory = memory
        self._people = people
        self._renderer = renderer
        self._clock = clock

    async def handle(self, item: Item) -> None:
        """Do one item. Every item ends with something that a person sees, or a line in the log."""
        try:
            match item.kind:
                case "message":
                    await self._message(item)
                case "command":
                    await self._slash(item)
                case "press":
                    await self._press(item)
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

    async def show(self, card: Card) -> None:
        """Bring the message that shows a card up to date; a decided card loses its buttons."""
        conversation = Conversation(self._client, Target(card.team, card.message_channel, card.asked_by))
        message = card_message(card)
        try:
            await conversation.patiently(
                lambda: conversation.update(card.message_ts, message), repeatable=True
            )
        except REFUSALS as error:
            log.info("card %s could not be rewritten: %s", card.id, reason(error))

    async def _message(self, item: Item) -> None:
        payload = item.payload
        person = await self._person(payload)
        text = payload["text"] or (FILES_ONLY if payload["has_files"] else "")
        if text == FILES_ONLY:
            await self._say(item, text)
            return
        await self._answer(Question(text, person, item.conversation), _target(payload))

    async def _slash(self, item: Item) -> None:
        """A slash command shows nothing in the channel by itself, so the question is posted first."""
        payload = item.payload
        person = await self._person(payload)
        question = Question(payload["text"] or "help", person, item.conversation)
        command = parse(question.text)
        if command and command.name in PRIVATE_COMMANDS:
            await self._answer_privately(question, payload["response_url"])
            return
        words = shorten(escape(redact(question.text)), 300)
        target = await self._open_thread(payload, _plain(f"<@{person.id}> asked: {words}"))
        conversation = f"{target.team}:{target.channel}:{target.thread_ts}"
        await self._memory.engage(conversation, target.team)
        await self._answer(replace(question, conversation=conversation), target)

    async def _open_thread(self, payload: dict[str, Any], root: Message) -> Target:
        """Post the root of a thread; in the asker's direct messages where the bot may not write."""
        top = Conversation(self._client, replace(_target(payload), thread_ts=""))
        try:
            ts = await top.post(root)
        except CannotDeliver:
            # Also a conversation between people, whose id looks like the bot's own with somebody.
            top = Conversation(self._client, await self._direct(payload))
            ts = await top.post(root)
        return replace(top.target, thread_ts=ts)

    async def _answer(self, question: Question, target: Target) -> None:
        delivered = await self._renderer.render(self._agent.answer(question), target)
        for ref in delivered.cards:
            await self._cards.placed(ref.card, channel=ref.channel, ts=ref.ts)

    async def _answer_privately(self, question: Question, response_url: str) -> None:
        answer = await _whole(self._agent, question)
        webhook = AsyncWebhookClient(response_url, timeout=WEBHOOK_TIMEOUT_S)
        for message in answer_messages(answer.text):
            await webhook.send(text=message.text, blocks=message.blocks, response_type="ephemeral")

    async def _press(self, item: Item) -> None:
        payload = item.payload
        person = await self._person(payload)
        card = await self._cards.get(payload["card"], payload["team"])
        if card is None:
            await self._whisper(payload, GONE)
            return
        if payload["confirm"]:
            report = self._reporter(card, payload)
            press = await self._confirm(card, person, report, resumed=item.attempt > 1)
        else:
            press = await self._cards.decline(card, person)
        await self._show_press(press, payload)

    async def _confirm(self, card: Card, person: Person, report: Report, *, resumed: bool) -> Press:
        try:
            return await self._cards.confirm(card, person, report=report, resumed=resumed)
        except Exception:
            # A bug in the deed: the card is closed as unclear, and must not go on showing its buttons.
            if closed := await self._cards.get(card.id, card.team):
                await self.show(closed)
            raise

    async def _show_press(self, press: Press, payload: dict[str, Any]) -> None:
        if press.refusal:
            await self._whisper(payload, press.refusal)
        if press.card.state not in ("open", "running"):
            await self._rewrite(payload["message_ts"], card_message(press.card), _target(payload))

    def _reporter(self, card: Card, payload: dict[str, Any]) -> Report:
        """Shows progress in the card's own message, no more often than Slack likes."""
        last = -PROGRESS_EVERY_S

        async def report(progress: Progress) -> None:
            nonlocal last
            if self._clock() - last < PROGRESS_EVERY_S:
                return
            last = self._clock()
            detail = f"{progress.stage} {progress.source} {progress.done}/{progress.total or '?'}"
            message = progress_message(
                card.proposal.title, done=progress.done, total=progress.total, detail=detail
            )
            try:
                await Conversation(self._client, _target(payload)).update(payload["message_ts"], message)
            except REFUSALS as error:
                log.info("progress could not be shown: %s", reason(error))

        return report

    async def _rewrite(self, ts: str, message: Message, target: Target) -> None:
        """Rewrite a message; where Slack refuses, say the same in a new one."""
        conversation = Conversation(self._client, target)
        try:
            await conversation.update(ts, message)
        except REFUSALS as error:
            log.info("a card could not be rewritten (%s); posted again", reason(error))
            await conversation.post(message)

    async def _whisper(self, payload: dict[str, Any], text: str) -> None:
        """For one person's eyes, where they pressed; in a direct message where that cannot be."""
        try:
            await self._client.chat_postEphemeral(
                channel=payload["channel"],
                user=payload["user"],
                text=escape(text),
                thread_ts=payload["thread_ts"],
            )
        except REFUSALS as error:
            log.info("no ephemeral message (%s); sent directly", reason(error))
            await self._send_directly(payload, text)

    async def _send_directly(self, payload: dict[str, Any], text: str) -> None:
        await Conversation(self._client, await self._direct(payload)).post(_plain(escape(text)))

    async def _direct(self, payload: dict[str, Any]) -> Target:
        try:
            opened = await self._client.conversations_open(users=payload["user"])
        except REFUSALS as error:
            raise CannotDeliver(reason(error)) from error
        return Target(payload["team"], opened["channel"]["id"], payload["user"])

    async def _say(self, item: Item, text: str) -> None:
        """A sentence in the item's thread."""
        try:
            await Conversation(self._client, _target(item.payload)).post(markdown_message(text))
        except CannotDeliver as error:
            log.warning("item %d: nothing could be said: %s", item.id, error.message)

    async def _person(self, payload: dict[str, Any]) -> Person:
        return await self._people.get(
            payload["user"],
            team=payload["team"],
            user_team=payload["user_team"],
            shared=payload.get("shared", False),
        )


async def _whole(agent: Agent, question: Question) -> Answer:
    async for event in agent.answer(question):
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("the agent ended without Done")


def _target(payload: dict[str, Any]) -> Target:
    return Target(
        team=payload["team"],
        channel=payload["channel"],
        user=payload["user"],
        thread_ts=payload.get("thread_ts", ""),
        message_ts=payload.get("ts", ""),
        user_team=payload["user_team"],
    )


def _plain(mrkdwn: str) -> Message:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}}
    return Message(mrkdwn, [section])
