"""The terminal surface: renders the agent's events, asks before a card is confirmed, holds a conversation."""

import re
import sys
from collections.abc import AsyncIterator, Iterable

from rich.console import Console
from rich.markdown import Markdown

from bot.app import App
from bot.cards.book import Press
from bot.cards.performer import KNOWLEDGE
from bot.cards.table import Card
from bot.events import AlreadyRunning, Answer, Done, Event, Status, TextDelta, ToolStarted
from bot.follow.terminal import Foreground, as_wanted
from bot.follow.watch_table import WatchedRun
from bot.indexing.progress import FIRST_TIME, BuildBar, show_build
from bot.lines import Interrupted, read_answer, read_line
from bot.parameter_prompts import ask_parameters
from bot.people import LOCAL
from bot.picture_files import picture_folder, save
from bot.question import Question
from bot.sentences.topic import Thing, Topic
from knowledge.errors import ExpectedError
from knowledge.report import Progress
from tools.proposal import Receipt

PROMPT = "\nyou › "
# Lists, tables and code bring the empty line above them along.
SPACED = re.compile(r"\s*(?:[-*|]\s|\d+\. |```)")
GOODBYE = ("exit", "quit", "bye")


class Terminal:
    """One person at one terminal. Text goes to stdout, all that is only progress to stderr."""

    def __init__(self, app: App, conversation: str) -> None:
        self._app = app
        self._conversation = conversation
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)
        self._has_spoken = False
        self.was_interrupted = False
        """Whether the person pressed Ctrl-C instead of deciding."""
        self.all_well = True
        """Whether all runs that were followed so far came to the end that was wanted."""

    async def ask(
        self, text: str, material: str = "", *, confirm: bool | None = None, wait: bool = False
    ) -> Answer:
        """Answer a question, about the material if there is any, and have its cards decided.

        By `confirm`, or by the person, who is asked y/N.

        What that begins is followed to its end at a terminal, and with `wait` anywhere.
        """
        answer = await self.answer(text, material)
        for card in answer.cards:
            receipt = await self.decide(card, confirm=confirm)
            if self.was_interrupted:
                break
            if receipt and (wait or self._out.is_terminal):
                await self.follow(card, receipt)
            if receipt:
                await self._note(card, receipt)
        return answer

    async def _note(self, card: Card, receipt: Receipt) -> None:
        """From now on `it` is what was begun."""
        runs = tuple(Thing("flow run", id_, "") for id_ in receipt.flow_run_ids)
        await self._app.topics.note(self._conversation, LOCAL, Topic(card.workspace, runs))

    async def follow(self, card: Card, receipt: Receipt) -> tuple[WatchedRun, ...]:
        """Follow the runs of a confirmed card in the foreground; Ctrl-C ends that, and not the runs."""
        if not receipt.flow_run_ids:
            return ()
        foreground = Foreground(self._app.workspaces.get(card.workspace), self._say, self._out)
        runs = await foreground.follow(card.proposal.action, receipt.flow_run_ids)
        self.all_well = self.all_well and as_wanted(card.proposal.action, runs)
        return runs

    async def answer(self, text: str, material: str = "") -> Answer:
        """Answer one question; its cards stay open."""
        question = Question(text, self._app.local, self._conversation, material=material)
        return await self._show(self._app.agent.answer(question))

    async def decide(self, card: Card, *, confirm: bool | None = None) -> Receipt | None:
        """Show the card, ask, and do what was decided; a Ctrl-C decides nothing."""
        self._show_card(card)
        nobody = confirm is None and not sys.stdin.isatty()
        self.was_interrupted = False
        try:
            if confirm is None:
                card, confirm = await self._decision(card)
        except Interrupted:
            self.was_interrupted = True
            self._say("\nNothing was decided, so nothing is done.")
            return None
        if not confirm:
            press = await self._app.cards.decline(card, LOCAL)
        else:
            press = await self._confirm(card)
        text = press.refusal or press.card.outcome or "Nothing was done."
        whole = press.receipt and press.receipt.ok and not press.receipt.short
        mark = "[green]✓[/green]" if whole else "[yellow]–[/yellow]"
        self._out.print(mark, end=" ")
        self._say(f"{text} {press.card.outcome_url}".strip())
        if nobody:
            self._say("  Nobody was there to ask: `--yes` confirms it, as does a person at a terminal.")
        if press.receipt:
            self._show_details(press.receipt)
        return press.receipt

    async def _confirm(self, card: Card) -> Press:
        with BuildBar(self._err) as bar:

            async def report(progress: Progress) -> None:
                bar.show(progress)

            return await self._app.cards.confirm(card, LOCAL, report=report)

    def _show_details(self, receipt: Receipt) -> None:
        for detail in receipt.details:
            self._say(f"  {detail.text}")
            for link in detail.links:
                self._say(f"    {link.title}  {link.url}")
            if detail.more and detail.links:
                self._say(f"    and {detail.more:,} more")
        if receipt.undo and receipt.undo.action in KNOWLEDGE:
            self._say(f"  `rollback` goes back to {receipt.undo.target}.")
        elif receipt.undo:
            self._say(f"  What takes it back: {receipt.undo.title}.")

    async def chat(self) -> None:
        """Ask and answer until the person leaves."""
        while True:
            try:
                text = await read_line(PROMPT)
            except (EOFError, KeyboardInterrupt):
                break
            if text.strip().lower() in GOODBYE:
                break
            if text.strip():
                await self.ask(text)
        self._out.print()

    async def open_index(self) -> None:
        """Open the index, telling on stderr what takes a moment the first time."""
        await show_build(self._app.open_index(), self._err, note=FIRST_TIME)

    async def _show(self, events: AsyncIterator[Event]) -> Answer:
        """Print paragraph by paragraph, rendered, on a terminal; as plain Markdown into a pipe."""
        paragraphs, self._has_spoken = Paragraphs(), False
        with self._out.status("…") as spinner:
            async for event in events:
                match event:
                    case Status(text=text):
                        spinner.update(text.removeprefix("is "))
                    case ToolStarted(title=title):
                        spinner.update(f"{title}…")
                    case TextDelta(text=text):
                        self._print(paragraphs.feed(text))
                    case AlreadyRunning(text=text):
                        self._print([text])
                    case Done(answer=answer):
                        spinner.stop()
                        self._print([paragraphs.rest])
                        if self._has_spoken and (answer.citations or answer.pictures or answer.offers):
                            self._out.print()
                        self._print_sources(answer)
                        self._save_pictures(answer)
                        self._print_offers(answer)
                        return answer
        raise AssertionError("the agent ended without Done")

    def _print(self, paragraphs: Iterable[str]) -> None:
        for paragraph in paragraphs:
            if not paragraph.strip():
                continue
            if self._out.is_terminal:
                if self._has_spoken and not SPACED.match(paragraph):
                    self._out.print()
                self._out.print(Markdown(paragraph), end="\n")
                self._has_spoken = True
            else:
                self._out.print(paragraph.strip("\n"), soft_wrap=True, markup=False, emoji=False, end="\n\n")

    def _print_sources(self, answer: Answer) -> None:
        for citation in answer.citations:
            self._say(f"  [{citation.n}] {citation.title}  {citation.url}")

    def _save_pictures(self, answer: Answer) -> None:
        for picture in answer.pictures:
            self._say(f"  Picture: {save(picture, picture_folder(self._app.settings))}")

    def _print_offers(self, answer: Answer) -> None:
        for offer in answer.offers:
            self._say(f"  → {offer.command}  ({offer.label})")

    def _show_card(self, card: Card) -> None:
        proposal = card.proposal
        self._out.print()
        self._say(f"┌ {proposal.title}", style="bold")
        for fact in proposal.facts:
            value = fact.value.strip().replace("\n", "\n│   ")
            self._say(f"│ {fact.label}: {value}")
        if proposal.target_url:
            self._say(f"│ {proposal.target_url}")
        self._out.print("└")

    def _say(self, text: str, *, style: str = "") -> None:
        """Text of other people: no markup, and nothing that could move the cursor over a card."""
        shown = "".join(character for character in text if character.isprintable() or character in "\n\t")
        self._out.print(shown, markup=False, emoji=False, style=style, soft_wrap=not self._out.is_terminal)

    async def _decision(self, card: Card) -> tuple[Card, bool]:
        """The card, as the person may have changed it, and whether to do it; only a clear yes is a yes.

        Raises Interrupted.
        """
        if not sys.stdin.isatty():
            return card, False
        while True:
            try:
                answer = await read_answer("Do it? [y/N/e] " if card.proposal.editable else "Do it? [y/N] ")
            except EOFError:
                return card, False
            if not (card.proposal.editable and answer.strip().lower() in ("e", "edit")):
                return card, answer.strip().lower() in ("y", "yes")
            card = await self._edit(card)
            self._show_card(card)

    async def _edit(self, card: Card) -> Card:
        """The card with other parameters, asked one by one; as it was where that came to nothing."""
        try:
            form = await self._app.edits.form(card, LOCAL)
            parameters = await ask_parameters(form, ask=read_line, say=self._say)
            if parameters is None:
                self._say("\nNothing was changed.")
                return card
            proposal = await self._app.edits.revised(card, parameters)
            return await self._app.edits.revise(card, LOCAL, proposal)
        except ExpectedError as error:
            self._say(str(error))
            return card


class Paragraphs:
    """Cuts a stream of Markdown at empty lines outside code fences."""

    def __init__(self) -> None:
        self.rest = ""

    def feed(self, delta: str) -> list[str]:
        """The paragraphs that are complete by now."""
        self.rest += delta
        *complete, self.rest = _outside_fences(self.rest)
        return complete


def _outside_fences(markdown: str) -> list[str]:
    parts, fenced = [""], False
    for line in markdown.splitlines(keepends=True):
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        if line.strip() or fenced or not parts[-1]:
            parts[-1] += line
        elif line.endswith("\n"):
            parts.append("")
    return parts
