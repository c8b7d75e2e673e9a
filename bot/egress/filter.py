"""The filter that all text for people passes, while it streams. Pure: text in, text out.

A live Slack stream is append-only, so nothing that was shown can be taken back. The filter therefore
holds back only what is not decided yet (an unclosed link, citation or code span, a word that has not
ended, the end of a paragraph) and lets all else flow. However the text is cut into pieces, the output
is the same.

What it guarantees:

- a link is clickable only if its address is one of `Links`; any other is shown as code
- a citation `[n]` names a passage that exists, or is dropped
- mentions and broadcasts are defused with a zero-width space
- secrets are masked, also inside code
- a paragraph of an answer from the docs that cites nothing is labelled
- a quotation that is not in the passage it cites is labelled
- a command, setting or name that Prefect does not have is marked after its span, or below its fence
- the verdict line is taken out and kept in `verdict`
- text inside code fences is otherwise never altered

What is read as code here is also written as code that no Markdown reader can take otherwise: a run of
backticks that does not close on its line is escaped, a fence opens with at most three spaces.
"""

import re
from collections.abc import Callable

from bot.egress.inline_markup import CITATION, Bracket, angle, bracket, code_span, word
from bot.egress.links import URL, Links, LinkWriter
from bot.egress.markup import ZERO_WIDTH, at_margin, defused, may_be_special
from bot.egress.masking import SecretMask
from bot.egress.paragraph import Paragraphs
from bot.egress.quotations import Quotations
from bot.egress.symbol_marks import SymbolMarks

# What is longer is neither a fence nor the verdict, and flows on as text.
MAX_FENCE_LINE = 4000
# How much of the line before a word can make that word a secret: `password = ` and the like.
SECRET_CONTEXT = 200

VERDICTS = ("answered", "partly", "not_in_passages")

_FENCE = re.compile(r"([ \t]*)(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))\n?\Z")
_VERDICT = re.compile(r"[ \t*_`]*VERDICT[*_]*:[ \t*_`]*([a-z_ ]*)", re.IGNORECASE)
# How some models cite by themselves; their numbers mean nothing here.
_FOREIGN_CITATION = re.compile(r"【\d[^】]*】")
# Everything that moves a terminal's cursor or colours it; newline and tab stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DELIMITER_ROW = re.compile(r"[ \t>]*[-:| \t]*\|[-:| \t]*")


class EgressFilter:
    """Feed it the text piece by piece, then close it; both give what may be shown."""

    def __init__(
        self,
        *,
        links: Links,
        redact: Callable[[str], str],
        passages: int = 0,
        label_uncited: bool = False,
        marks: SymbolMarks | None = None,
        quotations: Quotations | None = None,
    ) -> None:
        self.passages = passages
        """How many numbered passages exist; citations above that are dropped."""
        self.label_uncited = label_uncited
        self.marks = marks or SymbolMarks()
        self.cited: set[int] = set()
        self.verdict = ""
        self._secrets = SecretMask(redact)
        self._writer = LinkWriter(links, self._secrets)
        self._text = ""
        self._carried = ""
        self._final = False
        self._line = ""
        """What came before on this line, as it was written; its end alone where it is long."""
        self._in_table = False
        self._fence = ""
        self._out = Paragraphs(quotations or Quotations())

    def feed(self, delta: str) -> str:
        # A lone carriage return ends a line for a Markdown reader; one at the end may be half of a pair.
        text = self._carried + delta
        self._carried = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r") if self._carried else text
        self._text += _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        return self._drain()

    def close(self) -> str:
        """The rest, with what was still open decided as text, and an open fence closed."""
        self._final = True
        self._text += "\n" if self._carried else ""
        out = self._drain()
        if self._fence:
            out += ("\n" if self._line else "") + self._fence
            self._fence = ""
            mark = self.marks.close_fence()
            out += f"\n{mark}" if mark else ""
        return out + self._end_of_block()

    def _drain(self) -> str:
        out: list[str] = []
        position = 0
        while position < len(self._text):
            step = self._in_fence(position) if self._fence else self._token(position)
            if step is None:
                break
            length, shown = step
            self._remember(self._text[position : position + length])
            position += length
            out.append(shown)
        self._text = self._text[position:]
        return "".join(out)

    def _remember(self, raw: str) -> None:
        before, newline, after = raw.rpartition("\n")
        if newline and _DELIMITER_ROW.fullmatch(self._line + before) and "-" in self._line:
            self._out.present.is_table = True
        line = after if newline else self._line + raw
        if len(line) <= SECRET_CONTEXT:
            self._in_table = line.lstrip().startswith("|")
        self._line = line[-SECRET_CONTEXT:]

    # Every method below gives (characters consumed, text to show), or None to wait for more.

    def _token(self, at: int) -> tuple[int, str] | None:
        if self._line == "":
            step = self._line_start(at)
            if step is None or step[0]:
                return step
        character = self._text[at]
        match character:
            case "\n":
                return self._newline()
            case "\\":
                return self._escape(at)
            case "`":
                return self._code_span(at)
            case "[":
                return self._bracket(at, at)
            case "!":
                return self._image(at)
            case "<":
                return self._angle(at)
            case " " | "\t":
                return 1, self._out.show(character)
        return self._word(at)

    def _line_start(self, at: int) -> tuple[int, str] | None:
        """A fence or the verdict takes a whole line; (0, "") says that it is neither."""
        end = self._text.find("\n", at)
        line = self._text[at:] if end < 0 else self._text[at : end + 1]
        if len(line) > MAX_FENCE_LINE or not may_be_special(line):
            return 0, ""
        if end < 0 and not self._final:
            return None
        verdict = _VERDICT.match(line)
        if verdict:
            said = verdict[1].strip().lower().replace(" ", "_")
            self.verdict = said if said in VERDICTS else self.verdict
            return len(line), ""
        fence = _FENCE.match(line)
        if not fence:
            return 0, ""
        self._fence = fence[2] or fence[4]
        before = self._end_of_block() + self._out.take_gap()
        self.marks.open_fence(line, self._out.lead)
        return len(line), before + self._secrets.line(at_margin(line))

    def _in_fence(self, at: int) -> tuple[int, str] | None:
        end = self._text.find("\n", at)
        if end < 0 and len(self._text) - at < MAX_FENCE_LINE and not self._final:
            return None
        line = self._text[at : min(end + 1, at + MAX_FENCE_LINE) if end >= 0 else at + MAX_FENCE_LINE]
        bare = line.strip(" \t\n")
        if self._line == "" and len(bare) >= len(self._fence) and set(bare) == {self._fence[0]}:
            self._fence = ""
            self._secrets.end()
            return len(line), at_margin(line) + self._mark_of_fence(line)
        self.marks.fence_line(line)
        return len(line), self._secrets.line(line)

    def _mark_of_fence(self, line: str) -> str:
        mark = self.marks.close_fence()
        if not mark:
            return ""
        self._out.leave_empty_line()
        return mark if line.endswith("\n") else f"\n{mark}"

    def _newline(self) -> tuple[int, str]:
        """An empty line ends the paragraph, and its label follows at once."""
        if not self._out.newline():
            return 1, ""
        self._secrets.end()
        return 1, self._end_of_block()

    def _escape(self, at: int) -> tuple[int, str] | None:
        if at + 1 == len(self._text):
            return None if not self._final else (1, self._out.show("\\"))
        following = self._text[at + 1]
        if following in "<@&\n" or following.isalnum():
            # `\<!channel>` and `\@here` may still notify, so what follows is looked at for itself.
            return 1, self._out.show("\\")
        return 2, self._out.show("\\" + following)

    def _code_span(self, at: int) -> tuple[int, str] | None:
        in_table = self._in_table or self._out.present.is_table
        span = code_span(self._text, at, in_table=in_table, final=self._final)
        if span is None:
            return None
        if span.inner is None:
            return span.length, self._out.show("\\`" * span.length)
        inner, before = self._secrets.word(span.inner, self._line), self._out.present.text
        shown = self._out.show(span.ticks + defused(inner) + span.ticks)
        return span.length, shown + self._out.mark(self.marks.after_span(inner, before))

    def _image(self, at: int) -> tuple[int, str] | None:
        """Pictures are fetched by the reader's client from any address: only their words are shown."""
        if at + 1 == len(self._text):
            return None if not self._final else (1, self._out.show("!"))
        if self._text[at + 1] != "[":
            return 1, self._out.show("!")
        return self._bracket(at, at + 1)

    def _bracket(self, start: int, at: int) -> tuple[int, str] | None:
        """A citation, a link, a picture, whose bang stands before it, or a plain bracket."""
        found = bracket(self._text, at, final=self._final)
        if found is None:
            return None
        bang = self._text[start:at]
        if found.address:
            return len(bang) + found.length, self._out.show(self._link(found, picture=bool(bang)))
        if CITATION.fullmatch(found.label):
            kept_apart = ZERO_WIDTH if found.following and found.following in "(:" else ""
            return len(bang) + found.length, self._out.show(bang + self._citation(found.label) + kept_apart)
        # Escaped: a bracket that closes on a later line could still become a link there.
        return len(bang) + 1, self._out.show(bang + ("[" if found.is_plain else "\\["))

    def _citation(self, label: str) -> str:
        numbers = [int(number) for number in re.findall(r"\d+", label)]
        known = [number for number in numbers if 1 <= number <= self.passages]
        self.cited.update(known)
        self._out.present.cited |= bool(known)
        return "".join(f"[{number}]" for number in known)

    def _link(self, found: Bracket, *, picture: bool) -> str:
        if CITATION.fullmatch(found.label) and not picture:
            return self._citation(found.label)
        return self._sourced(self._writer.link(found.label[1:-1], found.address, self._line, picture=picture))

    def _sourced(self, written: tuple[str, bool]) -> str:
        self._out.present.cited |= written[1]
        return written[0]

    def _angle(self, at: int) -> tuple[int, str] | None:
        if at + 1 == len(self._text):
            return None if not self._final else (1, self._out.show("<"))
        following = self._text[at + 1]
        if following in "!@#\\":
            return 1, self._out.show("<" + ZERO_WIDTH)
        if following in "/?":
            return 1, self._out.show("\\<")
        if not following.isalpha():
            return 1, self._out.show("<")
        found = angle(self._text, at, final=self._final)
        if found is None:
            return None
        if not found.address:
            return 1, self._out.show("\\<")  # Escaped: it could be a tag, and a tag an address.
        return found.length, self._out.show(
            self._sourced(self._writer.autolink(found.address, found.label, self._line))
        )

    def _word(self, at: int) -> tuple[int, str] | None:
        raw, before = word(self._text, at, final=self._final), self._out.present.text
        if raw is None:
            return None
        shown = self._out.show(self._address_free(self._secrets.word(raw, self._line)))
        return len(raw), shown + self._out.mark(self.marks.after_word(raw, self._line, before))

    def _address_free(self, word: str) -> str:
        # `~~~` after a list's marker would open a fence for a reader, `&#60;` become a bracket.
        harmless = _FOREIGN_CITATION.sub("", word).replace("~~~", "\\~~~").replace("&#", "&amp;#")
        text, out, done = defused(harmless), "", 0
        for found in URL.finditer(text):
            # Once more: `@herewww.…` is a mention as soon as the address is taken off its end.
            out += defused(text[done : found.start()]) + self._sourced(self._writer.bare(found[0]))
            done = found.end()
        return out + defused(text[done:])

    def _end_of_block(self) -> str:
        """The label, where the paragraph that has just ended needs one."""
        self.marks.end_paragraph()
        return self._out.end(label_uncited=self.label_uncited, in_table=self._in_table)
