"""The answer contract: what may reach people, however the text is cut into pieces."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.egress.filter import EgressFilter
from bot.egress.links import Links
from bot.egress.markup import ZERO_WIDTH
from bot.egress.masking import SECRET
from bot.egress.paragraph import UNCITED
from bot.egress.quotations import Quotations
from bot.egress.symbol_marks import SymbolMarks
from knowledge.symbols.table import Scope, Symbols
from tools.redact import redact

DOCS = "https://docs.prefect.io/v3/concepts/work-pools"
TOKEN = "xoxb-" + "123456789012-1234567890123-abcdefghijklmnopqrstuvwx"


# Nothing is known of this one but its name, so that whatever names a symbol is marked.
BARE_PREFECT = Symbols(version="3.8.8", scopes={"prefect": Scope()})
PASSAGES = {1: "A work pool is a bridge between orchestration and infrastructure."}


def make(*, label: bool = False) -> EgressFilter:
    return EgressFilter(
        links=Links([DOCS, f"{DOCS}#types"]),
        redact=redact,
        passages=3,
        label_uncited=label,
        marks=SymbolMarks(BARE_PREFECT),
        quotations=Quotations(lambda number: PASSAGES.get(number, "")),
    )


def shown(text: str, *, label: bool = False) -> str:
    egress = make(label=label)
    return egress.feed(text) + egress.close()


PIECES = st.sampled_from(
    [
        "A work pool ", "is a thing", " ", "\n", "\n\n", "`", "``", "```", "```python\n", "~~~\n", "[", "]", "(", ")",
        "[1]", "[9]", "[1, 2]", "[here](", f"[docs]({DOCS})", "[bad](https://evil.example/x)", f"<{DOCS}>",
        "<https://evil.example|click>", "https://evil.example/?q=1", "www.evil.example", "<!channel>", "<@U123>", "@here",
        "<", "!", "\\", "\\`", "![p](https://evil.example/p.png)", f" {TOKEN}", "password = ", "hunter2secret", "| a | b |\n",
        "VERDICT: answered", "VER", "- item\n", "# Head\n", "_sigh_", "    ", "\t", ">", "&lt;", "*", "é", "🙂", "evil.example/a",
        "`prefect deploy`", "PREFECT_FOUND ", "prefect.x ", "prefect worker", " --all ", "`", '"', "“", "”", "> ", "removed ",
        '"a b c d e f g"', "In Prefect 2, ", "from prefect import x\n",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=25).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 400), max_size=30), label=st.booleans())
def test_any_cut_into_deltas_gives_the_same_output(text: str, cuts: list[int], label: bool) -> None:
    egress, out, start = make(label=label), "", 0
    for cut in sorted({min(cut, len(text)) for cut in cuts}):
        out += egress.feed(text[start:cut])
        start = cut
    out += egress.feed(text[start:]) + egress.close()
    assert out == shown(text, label=label)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_one_character_at_a_time_gives_the_same_output(text: str) -> None:
    egress = make()
    assert "".join(egress.feed(character) for character in text) + egress.close() == shown(text)


def outside_code(markdown: str) -> str:
    """What is left for a Markdown reader to make links and mentions of."""
    kept, fence = [], ""
    for line in markdown.split("\n"):
        opened = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence:
            bare = line.strip()
            if len(bare) >= len(fence) and set(bare) == {fence[0]}:
                fence = ""
        elif opened:
            fence = opened[1]
        else:
            kept.append(re.sub(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", line))
    return "\n".join(kept)


@settings(max_examples=600, deadline=None)
@given(text=TEXTS)
def test_nothing_outside_the_contract_passes(text: str) -> None:
    out = shown(text)
    prose = outside_code(out)
    assert TOKEN not in out
    assert not re.search(r"<[!@#]", prose)
    assert not re.search(r"(?i)@(here|channel|everyone)\b", prose)
    assert not re.search(r"(?i)https?://(?!docs\.prefect\.io/v3/concepts/work-pools)", prose)
    assert "www." not in prose
    assert not re.search(r"!\[[^\]]*\]\(", prose)
    for number in re.findall(r"(?<!\\)\[(\d+)\]", re.sub(r"\\.", "", prose)):
        assert 1 <= int(number) <= 3


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.text(alphabet="abcdefgh`[(<*_|", min_size=1, max_size=6), max_size=20))
def test_no_unclosed_construct_is_lost(words: list[str]) -> None:
    text = " ".join(words)
    letters = re.sub(r"[^a-h]", "", text)
    assert re.sub(r"[^a-h]", "", shown(text)) == letters


@settings(max_examples=200, deadline=None)
@given(code=st.lists(st.text(alphabet="ab[]()<>!@#*_ ./:", max_size=30), max_size=8))
def test_text_inside_a_code_fence_is_never_altered(code: list[str]) -> None:
    text = "```python\n" + "\n".join(code) + "\n```\n"
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"See [pools]({DOCS}).", f"See [pools]({DOCS}).", id="own-address"),
        pytest.param(f"See [types]({DOCS}#other).", f"See [types]({DOCS}#other).", id="other-heading"),
        pytest.param(
            "See [it](https://evil.example/a).", "See it (`https://evil.example/a`).", id="foreign-link"
        ),
        pytest.param(f"{DOCS}?leak=1", f"`{DOCS}?leak=1`", id="query-added"),
        pytest.param("Go to https://evil.example.", "Go to `https://evil.example`.", id="bare-address"),
        pytest.param("A fact [1].", "A fact [1].", id="citation"),
        pytest.param("A fact [7].", "A fact .", id="invented-citation"),
        pytest.param("A fact [1, 3].", "A fact [1][3].", id="two-citations"),
        pytest.param("<!channel> hi", f"<{ZERO_WIDTH}!channel> hi", id="broadcast-token"),
        pytest.param("hi @here", f"hi @{ZERO_WIDTH}here", id="broadcast-word"),
        pytest.param(f"token {TOKEN} end", None, id="secret"),
        pytest.param("`a` and `b", "`a` and \\`b", id="unclosed-span"),
        pytest.param("d['a'](x) and f(**kw)", "d\\['a'](x) and f(**kw)", id="code-in-prose"),
        pytest.param("the flow.from_source method", "the flow.from_source method", id="dotted-name"),
        pytest.param("run `flows/etl.py:main` now", "run `flows/etl.py:main` now", id="entrypoint"),
        pytest.param("```\nopen", "```\nopen\n```", id="unclosed-fence"),
    ],
)
def test_each_kind_of_construct_has_one_outcome(text: str, expected: str | None) -> None:
    out = shown(text)
    if expected is None:
        assert TOKEN not in out
        assert "hidden" in out
    else:
        assert out == expected


def test_a_secret_in_several_words_is_masked_by_what_stands_before_it() -> None:
    assert "hunter2" not in shown("the setting password = hunter2supersecret was used")


def test_a_private_key_is_masked_as_a_whole_inside_a_fence() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----\n"
    out = shown(f"```\n{key}after\n```\n")
    assert "MIIEow" not in out
    assert "abc" not in out
    assert SECRET in out
    assert "after" in out


def test_what_is_decided_flows_at_once() -> None:
    egress = make()
    assert egress.feed("A work pool holds [1] runs ") == "A work pool holds [1] runs"
    assert egress.feed("and `co") == " and"
    assert egress.feed("de` x") == " `code`"
    assert egress.close() == " x"


def test_the_verdict_is_taken_out_and_kept() -> None:
    egress = make()
    out = egress.feed("All of it [1].\n\nVERDICT: not in passages") + egress.close()
    assert out == "All of it [1]."
    assert egress.verdict == "not_in_passages"


def test_a_paragraph_without_a_source_is_labelled() -> None:
    out = shown("A work pool is a queue of robots.\n\nA worker polls it [2].", label=True)
    assert out == f"A work pool is a queue of robots.{UNCITED}\n\nA worker polls it [2]."


def test_one_sigh_in_italics_is_not_labelled_but_a_second_one_is() -> None:
    sigh = "_I have a brain the size of a planet, and they ask me this._"
    assert shown(f"Workers poll [1].\n\n{sigh}", label=True).endswith(sigh)
    assert shown(f"{sigh}\n\n{sigh}", label=True).endswith(UNCITED)


def test_the_numbers_that_were_cited_are_known_at_the_end() -> None:
    egress = make()
    egress.feed("One [1]. Two [2][9].")
    egress.close()
    assert egress.cited == {1, 2}


HOSTILE = [
    "[<http://evil.example>](http://other.example)",
    f"[<http://evil.example>]({DOCS})",
    "[https://evil.example/a](https://evil.example/a)",
    "<http://x.example|http://evil.example/?q=1>",
    "[see \\] docs](//evil.example)",
    "[a `]` b](mailto:a@evil.example)",
    "[a\\]b]: //evil.example\n\nsee [a\\]b] now",
    "![see \\] docs](//evil.example/p.png)",
    "[" + "a" * 1998 + "](//evil.example)",
    "- a\n  ```\n[x](http://evil.example) <!channel>\n  ```",
    "- ~~~\n  ~~~\n[x](http://evil.example) <!channel>",
    "```\ncode\n```\u00a0\ntext\n```\n[x](http://evil.example) <!channel>",
    "~~~a\r~~~\r[x](http://evil.example)",
    "`a\r\r[x](http://evil.example)`",
    "~~~" + "a" * 5000 + "\n~~~\n[x](http://evil.example)",
    "<div>\n```\n\n[x](http://evil.example)\n```",
    '<a href="//evil.example">x</a>',
    "<bob@evil.example>",
    "a | b\n--|--\n`x | <http://evil.example>` | c",
    "> | a |\n> |--|\n> | `x | <http://evil.example>` |",
    "&#60;!channel&#62;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_markdown_reader_makes_nothing_foreign_of_what_passes(text: str) -> None:
    html = MarkdownIt("commonmark").enable("table").render(shown(text))
    prose = re.sub(r"<pre>.*?</pre>", "", html, flags=re.DOTALL)
    assert not re.search(r'(href|src)="(?!https://docs\.prefect\.io)', prose)
    assert "&lt;!channel" not in prose


def test_a_secret_in_a_links_words_or_in_code_is_masked_by_what_stands_before_it() -> None:
    assert "hunter2" not in shown(f"[password = hunter2supersecret]({DOCS})")
    assert "hunter2" not in shown("password = `hunter2supersecret`")


def test_what_moves_a_terminals_cursor_is_taken_out() -> None:
    assert shown("run \x1b[1A\x1b[2K started") == "run \\[1A\\[2K started"


def test_a_mention_is_defused_also_where_an_address_follows_at_once() -> None:
    assert "@here" not in shown("@herewww.evil.example")
