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

from bot.links import URL, Links, LinkWriter, is_address
from bot.markup import (
    ZERO_WIDTH,
    at_margin,
    closing_bracket,
    closing_parenthesis,
    closing_run,
    defused,
    may_be_special,
)
from bot.masking import SecretMask
from bot.paragraph import Paragraph
from bot.quotations import Quotations
from bot.symbol_marks import SymbolMarks

UNCITED = " _(not from the docs)_"

# Bounds on what is held back; what is longer is not that construct, and flows on as text.
MAX_LINK = 2000
MAX_SPAN = 1000
MAX_WORD = 4000
MAX_FENCE_LINE = 4000
# How much of the line before a word can make that word a secret: `password = ` and the like.
SECRET_CONTEXT = 200

VERDICTS = ("answered", "partly", "not_in_passages")

_FENCE = re.compile(r"([ \t]*)(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))\n?\Z")
_VERDICT = re.compile(r"[ \t*_`]*VERDICT[*_]*:[ \t*_`]*([a-z_ ]*)", re.IGNORECASE)
_CITATION = re.compile(r"\[\s*\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\s*\]")
_PLAIN_BRACKET = re.compile(r"\[[^\\`<\[\]]*\]")
# How some models cite by themselves; their numbers mean nothing here.
_FOREIGN_CITATION = re.compile(r"【\d[^】]*】")
_AUTOLINK = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:[^\s<>|]*)(?:\|([^<>\n]*))?>\Z")
_TICKS = re.compile(r"`{1,200}")
# Everything that moves a terminal's cursor or colours it; newline and tab stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DELIMITER_ROW = re.compile(r"[ \t>]*[-:| \t]*\|[-:| \t]*")
_SPECIAL = frozenset("\\`[!<\n \t")


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
        self.quotations = quotations or Quotations()
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
        self._gap = ""
        """Blanks and newlines that wait until it is known what follows them."""
        self._block = Paragraph()
        self._lead = ""
        """The paragraph before this one; above a fence it says what the fence is."""
        self._below_fence = False
        """A mark was put below a fence, and an empty line after it, where one may come anyway."""
        self._moods = 0

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
            self._block.is_table = True
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
                return 1, self._shown(character)
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
        before = self._end_of_block() + self._take_gap()
        self.marks.open_fence(line, self._lead)
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
        self._gap, self._below_fence = "\n\n", True
        return mark if line.endswith("\n") else f"\n{mark}"

    def _newline(self) -> tuple[int, str]:
        """An empty line ends the paragraph, and its label follows at once."""
        if self._below_fence:
            self._below_fence = False
            return 1, ""
        ends = self._gap.rstrip(" \t").endswith("\n")
        if ends:
            self._secrets.end()
        self._gap += "\n"
        return 1, self._end_of_block() if ends else ""

    def _escape(self, at: int) -> tuple[int, str] | None:
        if at + 1 == len(self._text):
            return None if not self._final else (1, self._shown("\\"))
        following = self._text[at + 1]
        if following in "<@&\n" or following.isalnum():
            # `\<!channel>` and `\@here` may still notify, so what follows is looked at for itself.
            return 1, self._shown("\\")
        return 2, self._shown("\\" + following)

    def _code_span(self, at: int) -> tuple[int, str] | None:
        ticks = _TICKS.match(self._text, at)
        assert ticks is not None
        run = len(ticks[0])
        if ticks.end() == len(self._text) and not self._final:
            return None
        window = self._text[ticks.end() : ticks.end() + MAX_SPAN]
        # In a table row a bar ends the cell, whatever it stands in.
        in_table = self._in_table or self._block.is_table
        content = re.split(r"[\n|]" if in_table else r"\n", window, maxsplit=1)[0]
        undecided = len(content) == len(window) < MAX_SPAN and not self._final
        close = closing_run(content, run)
        if undecided and (close is None or close + run == len(content)):
            return None  # At the end of what is there, one more backtick would make it another run.
        if close is None:
            return run, self._shown("\\`" * run)
        inner, before = self._secrets.word(content[:close], self._line), self._block.text
        shown = self._shown(ticks[0] + defused(inner) + ticks[0])
        return 2 * run + close, shown + self._marked(self.marks.after_span(inner, before))

    def _image(self, at: int) -> tuple[int, str] | None:
        """Pictures are fetched by the reader's client from any address: only their words are shown."""
        if at + 1 == len(self._text):
            return None if not self._final else (1, self._shown("!"))
        if self._text[at + 1] != "[":
            return 1, self._shown("!")
        return self._bracket(at, at + 1)

    def _bracket(self, start: int, at: int) -> tuple[int, str] | None:
        """A citation `[n]`, a link `[text](address)`, a picture `![text](address)`, or a plain bracket."""
        bang = self._text[start:at]
        window = self._text[at : at + MAX_LINK]
        undecided = len(window) < MAX_LINK and not self._final
        close = closing_bracket(window)
        if close is None:
            # Escaped: a bracket that closes on a later line could still become a link there.
            wait = undecided and "\n" not in window
            return None if wait else (len(bang) + 1, self._shown(bang + "\\["))
        following = window[close + 1 : close + 2]
        if not following and undecided:
            return None
        label, end = window[: close + 1], None
        if following == "(":
            end = closing_parenthesis(window, close + 1)
            if end is None and undecided and "\n" not in window[close:]:
                return None
        address = window[close + 2 : end].strip().split(" ")[0].strip("<>") if end else ""
        if end and is_address(address):
            return len(bang) + end + 1, self._shown(self._link(label, address, picture=bool(bang)))
        if _CITATION.fullmatch(label):
            kept_apart = ZERO_WIDTH if following and following in "(:" else ""
            return len(bang) + len(label), self._shown(bang + self._citation(label) + kept_apart)
        is_plain = (
            _PLAIN_BRACKET.fullmatch(label) and len(window) < MAX_LINK and following not in ("(", "[", ":")
        )
        return len(bang) + 1, self._shown(bang + ("[" if is_plain else "\\["))

    def _citation(self, label: str) -> str:
        numbers = [int(number) for number in re.findall(r"\d+", label)]
        known = [number for number in numbers if 1 <= number <= self.passages]
        self.cited.update(known)
        self._block.cited |= bool(known)
        return "".join(f"[{number}]" for number in known)

    def _link(self, label: str, address: str, *, picture: bool) -> str:
        if _CITATION.fullmatch(label) and not picture:
            return self._citation(label)
        return self._sourced(self._writer.link(label[1:-1], address, self._line, picture=picture))

    def _sourced(self, written: tuple[str, bool]) -> str:
        self._block.cited |= written[1]
        return written[0]

    def _angle(self, at: int) -> tuple[int, str] | None:
        if at + 1 == len(self._text):
            return None if not self._final else (1, self._shown("<"))
        following = self._text[at + 1]
        if following in "!@#\\":
            return 1, self._shown("<" + ZERO_WIDTH)
        if following in "/?":
            return 1, self._shown("\\<")
        if not following.isalpha():
            return 1, self._shown("<")
        window = self._text[at : at + MAX_LINK]
        stop = re.search(r"[>\n]", window)
        if stop is None:
            return None if len(window) < MAX_LINK and not self._final else (1, self._shown("\\<"))
        autolink = _AUTOLINK.match(window[: stop.end()])
        if not autolink:
            return 1, self._shown("\\<")  # Escaped: it could be a tag, and a tag an address.
        return stop.end(), self._shown(
            self._sourced(self._writer.autolink(autolink[1], autolink[2] or "", self._line))
        )

    def _word(self, at: int) -> tuple[int, str] | None:
        end = at
        while end < len(self._text) and end - at < MAX_WORD and self._text[end] not in _SPECIAL:
            end += 1
        # A bracket, a bang or a backslash ends a word at once; a word at the end may still grow.
        if end == len(self._text) and end - at < MAX_WORD and not self._final:
            return None
        word, before = self._text[at:end], self._block.text
        shown = self._shown(self._address_free(self._secrets.word(word, self._line)))
        return len(word), shown + self._marked(self.marks.after_word(word, self._line, before))

    def _address_free(self, word: str) -> str:
        # `~~~` after a list's marker would open a fence for a reader, `&#60;` become a bracket.
        harmless = _FOREIGN_CITATION.sub("", word).replace("~~~", "\\~~~").replace("&#", "&amp;#")
        return URL.sub(lambda found: self._sourced(self._writer.bare(found[0])), defused(harmless))

    def _shown(self, text: str) -> str:
        """Text of the present paragraph, after the blanks that waited for it."""
        if text.isspace():
            self._gap += text
            return ""
        if not text:
            return ""
        gap, self._below_fence = self._take_gap(), False
        if text.startswith("`") and not gap and self._block.last.endswith(("`", "\\")):
            gap = ZERO_WIDTH  # Touching runs would be read as one longer run, after a backslash as none.
        label = self.quotations.before(text)
        self.quotations.see(gap + text)
        self._block.add(gap + text)
        return label + gap + text

    def _marked(self, mark: str) -> str:
        """A mark of the filter's own: shown, but not a part of what the paragraph says."""
        self._block.last = mark or self._block.last
        return mark

    def _take_gap(self) -> str:
        gap, self._gap = self._gap, ""
        return gap

    def _end_of_block(self) -> str:
        """The label, where the paragraph that has just ended needs one."""
        block, self._block = self._block, Paragraph()
        self._lead = block.text or self._lead
        self.marks.end_paragraph()
        label = self.quotations.end_paragraph()
        if not self.label_uncited or not block.needs_source():
            return label
        if block.is_mood() and self._moods == 0:
            self._moods += 1
            return label
        return label + (f"\n\n{UNCITED.strip()}" if self._in_table or block.is_table else UNCITED)
