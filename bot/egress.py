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
- the verdict line is taken out and kept in `verdict`
- text inside code fences is otherwise never altered

What is read as code here is also written as code that no Markdown reader can take otherwise: a run of
backticks that does not close on its line is escaped, a fence opens with at most three spaces.
"""

import re
from collections.abc import Callable, Iterable
from urllib.parse import urldefrag

ZERO_WIDTH = "\u200b"
UNCITED = " _(not from the docs)_"
SECRET = "[secret hidden]"  # noqa: S105 - the mask, not a secret

# Bounds on what is held back; what is longer is not that construct, and flows on as text.
MAX_LINK = 2000
MAX_SPAN = 1000
MAX_WORD = 4000
MAX_FENCE_LINE = 4000
# How much of the line before a word can make that word a secret: `password = ` and the like.
SECRET_CONTEXT = 200

# A paragraph with fewer words says nothing that needs a source ("Here you are.").
FEW_WORDS = 4
# A lead-in to a list, or a sigh, is no longer than this.
MANY_WORDS = 25

VERDICTS = ("answered", "partly", "not_in_passages")

_FENCE = re.compile(r"([ \t]*)(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))\n?\Z")
_VERDICT = re.compile(r"[ \t*_`]*VERDICT[*_]*:[ \t*_`]*([a-z_ ]*)", re.IGNORECASE)
_CITATION = re.compile(r"\[\s*\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\s*\]")
_PLAIN_BRACKET = re.compile(r"\[[^\\`<\[\]]*\]")
# How some models cite by themselves; their numbers mean nothing here.
_FOREIGN_CITATION = re.compile(r"【\d[^】]*】")
_AUTOLINK = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:[^\s<>|]*)(?:\|([^<>\n]*))?>\Z")
_TICKS = re.compile(r"`{1,200}")
# Bounded repetitions: a long word without an address must not cost quadratic time.
_URL = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}://|www\.|(?:[\w-]{1,63}\.){1,8}[a-z]{2,20}/(?=\S))[^\s<>`\[\]|]*",
    re.IGNORECASE,
)
_BROADCAST = re.compile(r"@(?=(?:here|channel|everyone)\b)", re.IGNORECASE)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
# Everything that moves a terminal's cursor or colours it; newline and tab stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DELIMITER_ROW = re.compile(r"[ \t>]*[-:| \t]*\|[-:| \t]*")
# What goes on after the first line of a private key.
_KEY_PART = re.compile(r"[A-Za-z0-9+/=]{16,}|-+[A-Z]*|[A-Z]+-+|[A-Z]{2,9}")
_FRAGMENT = re.compile(r"[A-Za-z0-9._~%-]*")
_SPECIAL = frozenset("\\`[!<\n \t")


class Links:
    """The addresses that may be clicked in this answer; it grows while tools build new ones."""

    def __init__(self, urls: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        self._pages: set[str] = set()
        self.add(*urls)

    def add(self, *urls: str) -> None:
        for url in urls:
            self._exact.add(url.rstrip("/"))
            self._pages.add(urldefrag(url).url.rstrip("/"))

    def allows(self, url: str) -> bool:
        """The address itself, or another heading of the same page: a fragment never leaves the browser."""
        page, fragment = urldefrag(url)
        if url.rstrip("/") in self._exact:
            return True
        return page.rstrip("/") in self._pages and _FRAGMENT.fullmatch(fragment) is not None


class EgressFilter:
    """Feed it the text piece by piece, then close it; both give what may be shown."""

    def __init__(
        self,
        *,
        links: Links,
        redact: Callable[[str], str],
        passages: int = 0,
        label_uncited: bool = False,
    ) -> None:
        self.links = links
        self.passages = passages
        """How many numbered passages exist; citations above that are dropped."""
        self.label_uncited = label_uncited
        self.cited: set[int] = set()
        self.verdict = ""
        self._redact = redact
        self._text = ""
        self._carried = ""
        self._final = False
        self._line = ""
        """What came before on this line, as it was written; its end alone where it is long."""
        self._in_table = False
        self._fence = ""
        self._hiding_key = False
        self._gap = ""
        """Blanks and newlines that wait until it is known what follows them."""
        self._block = _Block()
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
        if len(line) > MAX_FENCE_LINE or not _may_be_special(line):
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
        return len(line), self._end_of_block() + self._take_gap() + self._secrets_in_line(_as_fence(line))

    def _in_fence(self, at: int) -> tuple[int, str] | None:
        end = self._text.find("\n", at)
        if end < 0 and len(self._text) - at < MAX_FENCE_LINE and not self._final:
            return None
        line = self._text[at : min(end + 1, at + MAX_FENCE_LINE) if end >= 0 else at + MAX_FENCE_LINE]
        bare = line.strip(" \t\n")
        if self._line == "" and len(bare) >= len(self._fence) and set(bare) == {self._fence[0]}:
            self._fence, self._hiding_key = "", False
            return len(line), _as_fence(line)
        return len(line), self._secrets_in_line(line)

    def _newline(self) -> tuple[int, str]:
        """An empty line ends the paragraph, and its label follows at once."""
        ends = self._gap.rstrip(" \t").endswith("\n")
        self._hiding_key = self._hiding_key and not ends
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
        close = _closing_run(content, run)
        if undecided and (close is None or close + run == len(content)):
            return None  # At the end of what is there, one more backtick would make it another run.
        if close is None:
            return run, self._shown("\\`" * run)
        inner = self._secret_free_word(content[:close], self._line)
        return 2 * run + close, self._shown(ticks[0] + _defuse(inner) + ticks[0])

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
        close = _closing_bracket(window)
        if close is None:
            # Escaped: a bracket that closes on a later line could still become a link there.
            wait = undecided and "\n" not in window
            return None if wait else (len(bang) + 1, self._shown(bang + "\\["))
        following = window[close + 1 : close + 2]
        if not following and undecided:
            return None
        label, end = window[: close + 1], None
        if following == "(":
            end = _closing_parenthesis(window, close + 1)
            if end is None and undecided and "\n" not in window[close:]:
                return None
        address = window[close + 2 : end].strip().split(" ")[0].strip("<>") if end else ""
        if end and _is_address(address):
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
        words = self._plain(label[1:-1])
        if not picture and self.links.allows(address):
            self._block.cited = True
            return f"[{words}]({address})"
        shown = _as_code(self._redact(address))
        return f"{words} ({shown})" if words and not address.endswith(words) else shown

    def _plain(self, words: str) -> str:
        """The words of a link, made harmless: no link, address, code, mention or secret inside it."""
        flat = re.sub(r"[`\[\]\\\n<>|~]", "", words)
        without_secrets = self._secret_free_word(flat, self._line)
        return _defuse(re.sub(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://|www\.", "", without_secrets)).strip()

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
        return stop.end(), self._shown(self._autolink(autolink[1], autolink[2] or ""))

    def _autolink(self, address: str, words: str) -> str:
        if self.links.allows(address):
            self._block.cited = True
            return f"[{self._plain(words)}]({address})" if words else f"<{address}>"
        shown, plain = _as_code(self._redact(address)), self._plain(words)
        return f"{plain} ({shown})" if plain else shown

    def _word(self, at: int) -> tuple[int, str] | None:
        end = at
        while end < len(self._text) and end - at < MAX_WORD and self._text[end] not in _SPECIAL:
            end += 1
        # A bracket, a bang or a backslash ends a word at once; a word at the end may still grow.
        if end == len(self._text) and end - at < MAX_WORD and not self._final:
            return None
        word = self._text[at:end]
        return len(word), self._shown(self._address_free(self._secret_free_word(word, self._line)))

    def _secret_free_word(self, word: str, line: str) -> str:
        if self._hiding_key:
            ends = "KEY-----" in word
            self._hiding_key = not ends and _KEY_PART.fullmatch(word) is not None
            if ends or self._hiding_key:
                return ""
        if _KEY_BLOCK.search(line + word) and not _KEY_BLOCK.search(line):
            self._hiding_key = True
            return SECRET
        before, both = self._redact(line), self._redact(line + word)
        if both == before + word:
            return word
        return both[len(before) :] if both.startswith(before) else SECRET

    def _address_free(self, word: str) -> str:
        # `~~~` after a list's marker would open a fence for a reader, `&#60;` become a bracket.
        harmless = _FOREIGN_CITATION.sub("", word).replace("~~~", "\\~~~").replace("&#", "&amp;#")
        return _URL.sub(self._bare_address, _defuse(harmless))

    def _bare_address(self, match: re.Match[str]) -> str:
        address = _without_trailing_punctuation(match[0])
        tail = match[0][len(address) :]
        if self.links.allows(address):
            self._block.cited = True
            return match[0]
        return _as_code(address) + tail

    def _secrets_in_line(self, line: str) -> str:
        """Inside a fence: only secrets are masked, and a private key as a whole."""
        if self._hiding_key:
            self._hiding_key = "-----END" not in line
            return ""
        if _KEY_BLOCK.search(line):
            self._hiding_key = "-----END" not in line
            return SECRET + "\n"
        return self._redact(line)

    def _shown(self, text: str) -> str:
        """Text of the present paragraph, after the blanks that waited for it."""
        if text.isspace():
            self._gap += text
            return ""
        if not text:
            return ""
        gap = self._take_gap()
        if text.startswith("`") and not gap and self._block.text.endswith(("`", "\\")):
            gap = ZERO_WIDTH  # Touching runs would be read as one longer run, after a backslash as none.
        self._block.text += gap + text
        return gap + text

    def _take_gap(self) -> str:
        gap, self._gap = self._gap, ""
        return gap

    def _end_of_block(self) -> str:
        """The label, where the paragraph that has just ended needs one."""
        block, self._block = self._block, _Block()
        if not self.label_uncited or not block.needs_source():
            return ""
        if block.is_mood() and self._moods == 0:
            self._moods += 1
            return ""
        return f"\n\n{UNCITED.strip()}" if self._in_table or block.is_table else UNCITED


class _Block:
    """The paragraph that is being written, as far as its label needs to know it."""

    def __init__(self) -> None:
        self.text = ""
        self.cited = False
        self.is_table = False

    def needs_source(self) -> bool:
        lines = [line for line in self.text.splitlines() if not line.lstrip().startswith("#")]
        words = " ".join(lines).split()
        if self.cited or sum(word[0].isalpha() for word in words) < FEW_WORDS:
            return False
        is_lead_in = words[-1].endswith(":") and len(words) <= MANY_WORDS
        return not is_lead_in

    def is_mood(self) -> bool:
        """One short line in italics is the persona's sigh, not a fact."""
        words = self.text.strip()
        italic = re.fullmatch(r"([*_])(?![*_\s])[^*_\n]+\1", words)
        return italic is not None and len(words.split()) <= MANY_WORDS


def _may_be_special(line: str) -> bool:
    """Whether the line, as far as it is known, can still turn out to be a fence or the verdict."""
    bare = line.lstrip(" \t")
    if not bare:
        return not line.endswith("\n")
    if bare[0] in "`~" and (set(bare[:3].rstrip("\n")) <= {bare[0]}):
        return True
    word = bare.lstrip("*_` ").upper()
    return "VERDICT".startswith(word[:7].rstrip("\n")) if len(word) < 7 else word.startswith("VERDICT")


def _closing_run(content: str, run: int) -> int | None:
    """Where a run of exactly `run` backticks closes the span."""
    for match in re.finditer(r"`+", content):
        if len(match[0]) == run:
            return match.start()
    return None


def _closing_bracket(window: str) -> int | None:
    """Where the bracket that opens `window` closes, on the same line; brackets may nest."""
    depth = 0
    for index, character in enumerate(window):
        if character == "\n":
            return None
        depth += (character == "[") - (character == "]")
        if depth == 0:
            return index
    return None


def _closing_parenthesis(window: str, opening: int) -> int | None:
    depth = 0
    for index in range(opening, len(window)):
        character = window[index]
        if character == "\n":
            return None
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index
    return None


def _is_address(text: str) -> bool:
    """Whether a link to it could lead anywhere; `d['a'](x)` is code that looks like a link."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|www\.|/|[\w-]+(\.[\w-]+)+(/|$)", text) is not None


def _without_trailing_punctuation(address: str) -> str:
    bare = address.rstrip(".,;:!?*_~'\"")
    while bare.endswith(")") and bare.count(")") > bare.count("("):
        bare = bare[:-1].rstrip(".,;:!?*_~'\"")
    return bare


def _as_fence(line: str) -> str:
    """The line of a fence at the margin, where it ends any list or quote for every reader."""
    return line.lstrip(" \t")


def _as_code(text: str) -> str:
    return f"`{_defuse(text).replace('`', '')}`"


def _defuse(text: str) -> str:
    """Keep mention tokens and broadcasts from notifying anybody; what is seen stays the same."""
    return _BROADCAST.sub("@" + ZERO_WIDTH, re.sub(r"(<|&lt;)(?=[!@#]|$)", r"\1" + ZERO_WIDTH, text))
