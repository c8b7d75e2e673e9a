"""Which addresses an answer may link to, and where an address begins and ends in text."""

import re
from collections.abc import Iterable
from urllib.parse import urldefrag

from bot.egress.markup import as_code, defused
from bot.egress.masking import SecretMask

# Bounded repetitions: a long word without an address must not cost quadratic time.
URL = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}://|www\.|(?:[\w-]{1,63}\.){1,8}[a-z]{2,20}/(?=\S))[^\s<>`\[\]|]*",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(r"[A-Za-z0-9._~%-]*")


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


class LinkWriter:
    """Writes links so that only those of `links` can be clicked; the others show their address as code.

    Each method gives (what to show, whether it leads to a source).
    """

    def __init__(self, links: Links, secrets: SecretMask) -> None:
        self._links = links
        self._secrets = secrets

    def link(self, words: str, address: str, line: str, *, picture: bool) -> tuple[str, bool]:
        """`[words](address)`; a picture is fetched by the reader's client, so only its words are shown."""
        plain = self._plain(words, line)
        if not picture and self._links.allows(address):
            return f"[{plain}]({address})", True
        shown = as_code(self._secrets.redact(address))
        return (f"{plain} ({shown})" if plain and not address.endswith(plain) else shown), False

    def autolink(self, address: str, words: str, line: str) -> tuple[str, bool]:
        """`<address>`, or Slack's `<address|words>`."""
        plain = self._plain(words, line)
        if self._links.allows(address):
            return (f"[{plain}]({address})" if words else f"<{address}>"), True
        shown = as_code(self._secrets.redact(address))
        return (f"{plain} ({shown})" if plain else shown), False

    def bare(self, found: str) -> tuple[str, bool]:
        """An address in running text, with the punctuation that ends the sentence."""
        address = without_trailing_punctuation(found)
        if self._links.allows(address):
            return found, True
        return as_code(address) + found[len(address) :], False

    def _plain(self, words: str, line: str) -> str:
        """The words of a link, made harmless: no link, address, code, mention or secret inside it."""
        flat = re.sub(r"[`\[\]\\\n<>|~]", "", words)
        without_secrets = self._secrets.word(flat, line)
        return defused(re.sub(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://|www\.", "", without_secrets)).strip()


def is_address(text: str) -> bool:
    """Whether a link to it could lead anywhere; `d['a'](x)` is code that looks like a link."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|www\.|/|[\w-]+(\.[\w-]+)+(/|$)", text) is not None


def without_trailing_punctuation(address: str) -> str:
    bare = address.rstrip(".,;:!?*_~'\"")
    while bare.endswith(")") and bare.count(")") > bare.count("("):
        bare = bare[:-1].rstrip(".,;:!?*_~'\"")
    return bare
