"""What the cards about the knowledge base say before anybody confirms: from a real index."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.grammar import Command, parse
from bot.indexing.receipt import in_words, receipt, stage_in_words
from knowledge.errors import BadInput, IndexMissing, Refused
from knowledge.library import Library
from knowledge.report import BuildReport, PageChange, PageCounts, Progress, SourceReport
from knowledge.rollback import GenerationInfo
from knowledge.sources.config import SourceConfig
from tests.acting import facts
from tests.corpora import WordEmbedder, run_build, write_pages
from tools.proposal import Proposal
from tools.reindex import ReindexKnowledge
from tools.rollback import RollbackKnowledge, going_back


@pytest.fixture
def gone(tmp_path: Path) -> SourceConfig:
    return SourceConfig(
        name="gone", kind="files", path=tmp_path / "nowhere", base_url="https://gone.example.com"
    )


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "index", WordEmbedder().embedder)
    yield library
    library.close()


def generate(tmp_path: Path, *sources: SourceConfig) -> BuildReport:
    return run_build(tmp_path / "index", sources, WordEmbedder().embedder)


def reindex(library: Library, *sources: SourceConfig, source: str = "", force: bool = False) -> Proposal:
    return asyncio.run(ReindexKnowledge(sources, library).reindex_knowledge(source, force))


def test_each_source_is_shown_with_its_kind_its_pages_and_when_it_was_read(
    tmp_path: Path, docs: SourceConfig, gone: SourceConfig, library: Library
) -> None:
    generate(tmp_path, docs, gone)
    library.open()
    proposal = reindex(library, docs, gone)
    assert proposal.arguments == {"source": None, "force": False}
    shown = facts(proposal)
    assert shown["Reads"] == "all sources (2)"
    assert shown["docs"].startswith("folder, 3 pages, fetched 20")
    assert shown["gone"].startswith("folder, 0 pages, never fetched; last try: ")
    assert "generation 1" in shown["Meanwhile"]
    assert not proposal.dangerous


def test_a_single_source_names_those_that_stay_as_they_are(
    docs: SourceConfig, gone: SourceConfig, library: Library
) -> None:
    shown = facts(reindex(library, docs, gone, source="docs"))
    assert shown["Reads"] == "docs alone; as they are: gone"
    assert shown["docs"] == "folder, not indexed yet"
    assert "No index is in use" in shown["Meanwhile"]


def test_an_unknown_source_is_refused_with_the_nearest(docs: SourceConfig, library: Library) -> None:
    with pytest.raises(BadInput) as caught:
        reindex(library, docs, source="doc")
    assert "Did you mean 'docs'?" in caught.value.fix


def test_an_override_says_what_it_overrides(docs: SourceConfig, library: Library) -> None:
    proposal = reindex(library, docs, force=True)
    assert "even if it answers worse" in proposal.title
    assert "Override" in facts(proposal)
    assert (proposal.dangerous, proposal.arguments["force"]) == (True, True)


def test_going_back_names_both_generations(tmp_path: Path, docs: SourceConfig, library: Library) -> None:
    generate(tmp_path, docs)
    assert docs.path
    write_pages(docs.path, {"new": "# New\n\nNews.\n"})
    generate(tmp_path, docs)
    back = RollbackKnowledge(library).rollback_knowledge
    proposal = asyncio.run(back())
    assert proposal.arguments == {"to": 1, "left": 2}
    assert "generation 2" in facts(proposal)["From"]
    assert ", 3 pages" in facts(proposal)["To"]
    assert "--force" in facts(proposal)["Afterwards"]
    with pytest.raises(BadInput, match="no generation 7"):
        asyncio.run(back(7))
    with pytest.raises(BadInput, match="live already"):
        asyncio.run(back(2))


def test_with_nothing_indexed_there_is_no_way_back(library: Library) -> None:
    with pytest.raises(IndexMissing):
        asyncio.run(RollbackKnowledge(library).rollback_knowledge())


def test_what_cannot_be_made_live_is_not_offered() -> None:
    with pytest.raises(Refused, match="Generation 1 cannot be made live"):
        going_back(
            GenerationInfo(generation=1, live=False, problem="damaged"),
            GenerationInfo(generation=2, live=True),
        )


def test_going_forward_keeps_nothing_out() -> None:
    newer = GenerationInfo(generation=3, live=False)
    proposal = going_back(newer, GenerationInfo(generation=2, live=True))
    assert "forward" in proposal.title
    assert "Afterwards" not in facts(proposal)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("reindex", Command("reindex")),
        ("reindex docs", Command("reindex", ("docs",))),
        ("reindex --force", Command("reindex", ("--force",))),
        ("Reindex docs —force", Command("reindex", ("docs", "—force"))),
        ("rollback", Command("rollback")),
        ("roll back to generation 12", Command("rollback", ("12",))),
        ("rollback 12", Command("rollback", ("12",))),
        ("rollback to the last one please", None),
        ("reindex --full", None),
        ("reindex docs now please", None),
    ],
)
def test_only_the_exact_words_are_a_command(text: str, command: Command | None) -> None:
    assert parse(text) == command


# -- reports


def report(*sources: SourceReport, **more: object) -> BuildReport:
    pages = sum((source.pages for source in sources), PageCounts())
    values = {"generation": 7, "previous": 6, "chunks": 9, "seconds": 41.2, "swapped": True} | more
    return BuildReport(pages=pages, sources=sources, **values)  # type: ignore[arg-type]


def source(name: str = "docs", error: str = "", **counts: int) -> SourceReport:
    changes = [
        PageChange(change=change, page=f"p{n}", title=f"Page {n}", url=f"https://x.example/p{n}")
        for change in ("added", "changed", "removed")
        for n in range(min(counts.get(change, 0), 20))
    ]
    return SourceReport(
        name=name, ok=not error, error=error, pages=PageCounts(**counts), changes=tuple(changes)
    )


def test_a_receipt_counts_what_it_does_not_name() -> None:
    told = receipt(report(source(added=1_200, unchanged=3)), force_with="reindex --force")
    assert told.ok
    assert told.text == "Reindexed in 41 s. Pages: 1200 added, 3 unchanged. Generation 7 is live."
    (added,) = told.details
    assert (added.text, len(added.links), added.more) == ("docs: 1200 added", 5, 1195)


def test_pages_that_could_not_be_read_are_told() -> None:
    (failed,) = receipt(report(source(failed=3, unchanged=1)), force_with="").details
    assert failed.text.startswith("docs: 3 could not be read")


@pytest.mark.parametrize(
    ("sources", "ok", "short", "says"),
    [
        ((source(added=1), source("b", "No answer.")), True, "partly", "1 of 2 sources could not be read"),
        ((source("b", "No answer."),), False, "", "No source could be read"),
    ],
    ids=["some", "all"],
)
def test_sources_that_failed_come_first(
    sources: tuple[SourceReport, ...], ok: bool, short: str, says: str
) -> None:
    told = receipt(report(*sources), force_with="")
    assert (told.ok, told.short) == (ok, short)
    assert told.text.startswith(says)
    assert "b failed: No answer." in [detail.text for detail in told.details]
    assert "b: No answer." in in_words(report(*sources))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Progress("fetch", "", 0, 0), "Step 1 of 4, reading the sources"),
        (Progress("fetch", "docs", 1_200, 5_000), "Step 1 of 4, reading docs: 1,200 of 5,000 pages"),
        (Progress("write", "", 3, 9), "Step 3 of 4, writing: 3 of 9 passages"),
        (Progress("check", "", 0, 1), "Step 4 of 4, asking the golden questions"),
        (Progress("swap", "", 1, 1), "Step 4 of 4, making it live"),
    ],
)
def test_each_step_is_told_in_words(step: Progress, words: str) -> None:
    assert stage_in_words(step) == words
