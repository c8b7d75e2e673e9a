"""One answer while it is being made: everything that belongs to it alone, and the filter in front of it."""

import time
from collections.abc import Iterator
from typing import Any

from bot.cards.table import Card
from bot.egress.filter import EgressFilter
from bot.egress.links import Links
from bot.egress.quotations import Quotations
from bot.events import Answer, Mode, Offer, TextDelta, ToolCall
from bot.evidence import Evidence
from bot.pictures import Picture
from bot.sentences.topic import Thing, Topic, is_partial, things_of
from knowledge.models import Passage
from tools.redact import redact
from tools.toolbox import Toolbox, ToolFailure, ToolOutcome


class Draft:
    """Collects the text, its sources, the calls and the cards of one answer."""

    def __init__(self, question: str) -> None:
        self.evidence = Evidence()
        self.links = Links(_addresses(question))
        self.egress = self._filter()
        self.calls: list[ToolCall] = []
        self.cards: list[Card] = []
        self.pictures: list[Picture] = []
        self.offers: list[Offer] = []
        self.usage: dict[str, int] = {}
        self.timings: dict[str, int] = {}
        self.mode: Mode = "command"
        self.abstained = False
        self.failure: ToolFailure | None = None
        self.asked_in_words = False
        """A sentence was taken for a command: what it comes to is an answer, also that it cannot be done."""
        self.asked = ""
        """The command that the answer is one to, typed or understood."""
        self._things: list[Thing] = []
        self._beside: list[Thing] = []
        self._is_partial = False
        self._started = time.perf_counter()
        self._shown: list[str] = []
        self._closed = False

    def cite(self, passages: list[Passage]) -> list[int]:
        """Number these passages; from now on they may be cited and linked."""
        numbers = self.evidence.add(passages)
        self.links.add(*(passage.url for passage in passages))
        self.egress.passages = len(self.evidence)
        return numbers

    async def call(self, toolbox: Toolbox, name: str, arguments: str | dict[str, Any]) -> ToolOutcome:
        """Run a tool for this answer, and note it."""
        started = time.perf_counter()
        outcome = await toolbox.call(name, arguments)
        self.note_call(outcome, int((time.perf_counter() - started) * 1000))
        return outcome

    def note_call(self, outcome: ToolOutcome, ms: int) -> None:
        self.links.add(*outcome.links)
        self.calls.append(ToolCall(outcome.name, outcome.arguments, outcome.ok, ms))
        things, beside = things_of(outcome)
        self._things += things
        self._beside += beside
        self._is_partial = self._is_partial or is_partial(outcome)

    def show(self, text: str) -> Iterator[TextDelta]:
        """What of the text may be shown by now."""
        return self._emit(self.egress.feed(text))

    def filtered(self, text: str) -> str:
        """A text that stands beside the answer, through the same filter."""
        egress = self._filter()
        return egress.feed(text) + egress.close()

    def paragraph(self) -> Iterator[TextDelta]:
        """Begin a new paragraph, if anything was said before."""
        return self.show("\n\n") if self._shown else iter(())

    def close(self) -> Iterator[TextDelta]:
        """What was held back to the end; harmless when called again."""
        if self._closed:
            return iter(())
        self._closed = True
        return self._emit(self.egress.close())

    def stamp(self, stage: str) -> None:
        """Remember when a stage was over, in milliseconds from the start; the first time counts."""
        self.timings.setdefault(stage, int((time.perf_counter() - self._started) * 1000))

    def add_usage(self, usage: dict[str, int]) -> None:
        for name, tokens in usage.items():
            self.usage[name] = self.usage.get(name, 0) + tokens

    @property
    def is_empty(self) -> bool:
        return not "".join(self._shown).strip()

    def answer(self) -> Answer:
        """The finished answer. Only what was cited is a source."""
        self.stamp("total")
        return Answer(
            text="".join(self._shown).strip(),
            citations=self.evidence.citations(self.egress.cited),
            tool_calls=tuple(self.calls),
            cards=tuple(self.cards),
            pictures=tuple(self.pictures),
            offers=tuple(self.offers),
            mode=self.mode,
            abstained=self.abstained or self.egress.verdict == "not_in_passages",
            failure=None if self.asked_in_words else self.failure,
            timings=self.timings,
            usage=self.usage,
        )

    def topic(self, workspace: str) -> Topic:
        """What the answer was about, for whoever speaks of it next."""
        things = tuple(dict.fromkeys(self._things))
        beside = tuple(one for one in dict.fromkeys(self._beside) if one not in things)
        offers = tuple(offer.command for offer in self.offers)
        return Topic(workspace, things, beside, self.asked, offers, self._is_partial)

    def _filter(self) -> EgressFilter:
        return EgressFilter(links=self.links, redact=redact, quotations=Quotations(self.evidence.text))

    def _emit(self, text: str) -> Iterator[TextDelta]:
        if text:
            self.stamp("first_text")
            self._shown.append(text)
            yield TextDelta(text)


def _addresses(question: str) -> list[str]:
    """The addresses that the asker typed; an answer may link to them."""
    words = question.replace("<", " ").replace(">", " ").replace("|", " ").split()
    return [word.strip(".,;:!?()[]`'\"") for word in words if word.startswith(("http://", "https://"))]


def passages_of(outcome: ToolOutcome) -> list[Passage]:
    """The passages in the result of a docs tool; a page that was read counts as one."""
    if not outcome.ok:
        return []
    if outcome.name == "read_page":
        page = outcome.data
        fields = {name: page[name] for name in ("page", "title", "url", "source")}
        return [Passage(rank=1, score=0.0, heading="", text=page["markdown"], **fields)]
    found = outcome.data.get("passages", ()) if outcome.name == "search_docs" else ()
    return [Passage.model_validate(passage) for passage in found]
