import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from knowledge.build import build
from knowledge.contents import CONTENTS
from knowledge.errors import BadInput, Refused, Unreachable
from knowledge.generations import Generations
from knowledge.library import Library
from knowledge.models import Embedder, Vectors
from knowledge.report import Progress
from knowledge.sources.config import SourceConfig
from tests.corpora import PAGES, WordEmbedder, first_page, run_build, write_pages
from tests.fakes.website import FakeWebsite, Reply

SLOW_BUILD = """
import asyncio, sys, time
from pathlib import Path
from knowledge.models import Embedder
from tests.corpora import run_build, write_pages

def embed(texts):
    print("embedding", flush=True)
    time.sleep(60)

run_build(Path(sys.argv[1]), [write_pages(Path(sys.argv[2]))], Embedder("words", embed))
"""


def test_a_first_build_indexes_every_page(index_dir: Path, docs: SourceConfig, words: WordEmbedder) -> None:
    report = run_build(index_dir, [docs], words.embedder)
    assert report.swapped
    assert (report.generation, report.pages.added, report.chunks) == (1, len(PAGES), len(PAGES))
    assert [(source.name, source.ok) for source in report.sources] == [("docs", True)]
    assert first_page(index_dir, words, "cron schedule") == "how-to-guides/schedules"


def test_an_index_of_a_single_chunk_opens_again_and_again(
    index_dir: Path, tmp_path: Path, words: WordEmbedder
) -> None:
    run_build(
        index_dir, [write_pages(tmp_path / "docs", {"one": "# One\n\nThe only text.\n"})], words.embedder
    )
    assert [first_page(index_dir, words, "only") for _ in range(3)] == ["one"] * 3


def test_a_build_without_changes_keeps_the_generation_and_embeds_nothing(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    run_build(index_dir, [docs], words.embedder)
    words.texts.clear()
    report = run_build(index_dir, [docs], words.embedder)
    assert not report.swapped
    assert (report.generation, report.pages.unchanged, report.chunks) == (1, len(PAGES), len(PAGES))
    assert words.texts == []
    assert Generations(index_dir).numbers() == [1]


def test_only_what_changed_is_embedded(index_dir: Path, docs: SourceConfig, words: WordEmbedder) -> None:
    run_build(index_dir, [docs], words.embedder)
    words.texts.clear()
    assert docs.path
    write_pages(
        docs.path, {"concepts/workers": "# Workers\n\nA worker is a zebra.\n", "new": "# New\n\nGiraffe.\n"}
    )
    (docs.path / "how-to-guides/schedules.md").unlink()
    report = run_build(index_dir, [docs], words.embedder)
    pages = report.pages
    assert (pages.added, pages.changed, pages.unchanged, pages.removed) == (1, 1, 1, 1)
    assert sorted(text.split()[-1] for text in words.texts) == ["Giraffe.", "zebra."]
    assert first_page(index_dir, words, "zebra") == "concepts/workers"
    library = Library(index_dir, words.embedder)
    library.open()
    assert {passage.page for passage in library.search("cron schedule")} == {
        "concepts/work-pools",
        "concepts/workers",
        "new",
    }
    library.close()


def test_full_embeds_everything_again(index_dir: Path, docs: SourceConfig, words: WordEmbedder) -> None:
    run_build(index_dir, [docs], words.embedder)
    words.texts.clear()
    report = run_build(index_dir, [docs], words.embedder, full=True)
    assert (report.swapped, report.generation, report.pages.unchanged) == (True, 2, len(PAGES))
    assert len(words.texts) == len(PAGES)


def test_another_embedder_builds_everything_anew(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    run_build(index_dir, [docs], words.embedder)
    other = WordEmbedder("other")
    assert run_build(index_dir, [docs], other.embedder).swapped
    assert first_page(index_dir, other, "cron schedule") == "how-to-guides/schedules"


def test_a_source_that_fails_keeps_its_pages(
    index_dir: Path, docs: SourceConfig, tmp_path: Path, words: WordEmbedder
) -> None:
    notes = write_pages(tmp_path / "notes", {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(index_dir, [docs, notes], words.embedder)
    gone = docs.model_copy(update={"path": tmp_path / "nowhere"})
    write_pages(tmp_path / "notes", {"giraffe": "# Giraffe\n\nLong neck.\n"})
    for full in (False, True):
        report = run_build(index_dir, [gone, notes], words.embedder, full=full)
        failed, fine = report.sources
        assert (failed.ok, failed.pages.unchanged, fine.ok) == (False, len(PAGES), True)
        assert "nowhere" in failed.error
        assert first_page(index_dir, words, "cron schedule") == "how-to-guides/schedules"
        assert first_page(index_dir, words, "giraffe") == "giraffe"


def test_the_status_says_which_source_is_stale(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    run_build(index_dir, [docs], words.embedder)
    library = Library(index_dir, words.embedder)
    library.open()
    before = library.status().sources[0]
    gone = docs.model_copy(update={"path": index_dir / "nowhere"})
    run_build(index_dir, [gone], words.embedder, full=True)
    assert library.refresh()
    after = library.status().sources[0]
    library.close()
    assert (before.error, before.pages) == ("", len(PAGES))
    assert "nowhere" in after.error
    assert (after.fetched_at, after.pages) == (before.fetched_at, len(PAGES))


def test_one_source_is_rebuilt_and_the_others_are_carried_over(
    index_dir: Path, docs: SourceConfig, tmp_path: Path, words: WordEmbedder
) -> None:
    notes = write_pages(tmp_path / "notes", {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(index_dir, [docs, notes], words.embedder)
    words.texts.clear()
    assert docs.path
    (docs.path / "concepts/workers.md").unlink()
    write_pages(tmp_path / "notes", {"zebra": "# Zebra\n\nStripes in savannah.\n"})
    report = run_build(index_dir, [docs, notes], words.embedder, only="notes")
    assert [source.name for source in report.sources] == ["notes"]
    assert len(words.texts) == 1
    assert first_page(index_dir, words, "savannah") == "zebra"
    assert first_page(index_dir, words, "worker polls") == "concepts/workers"


def test_a_source_that_is_no_longer_configured_goes(
    index_dir: Path, docs: SourceConfig, tmp_path: Path, words: WordEmbedder
) -> None:
    notes = write_pages(tmp_path / "notes", {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(index_dir, [docs, notes], words.embedder)
    report = run_build(index_dir, [docs], words.embedder)
    assert (report.swapped, report.pages.removed, report.chunks) == (True, 1, len(PAGES))


def test_an_unknown_source_is_answered_with_the_known_ones(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    with pytest.raises(BadInput) as refused:
        run_build(index_dir, [docs], words.embedder, only="dosc")
    assert "'dosc'" in refused.value.message
    assert "docs" in refused.value.fix


def test_nothing_at_all_to_index_is_an_error_that_says_why(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    gone = docs.model_copy(update={"path": index_dir / "nowhere"})
    with pytest.raises(Unreachable, match="nowhere"):
        run_build(index_dir, [gone], words.embedder)
    assert list(index_dir.glob("*.building")) == []


def test_a_failing_embedder_leaves_the_live_generation(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    run_build(index_dir, [docs], words.embedder)

    def refuse(texts: list[str]) -> Vectors:
        raise Unreachable("The embedder is away.")

    with pytest.raises(Unreachable, match="away"):
        run_build(index_dir, [docs], Embedder("words", refuse), full=True)
    assert Generations(index_dir).numbers() == [1]
    assert first_page(index_dir, words, "cron schedule") == "how-to-guides/schedules"
    assert run_build(index_dir, [docs], words.embedder, full=True).generation == 2


def test_old_generations_are_deleted(index_dir: Path, docs: SourceConfig, words: WordEmbedder) -> None:
    for _ in range(4):
        run_build(index_dir, [docs], words.embedder, full=True, keep=2)
    assert Generations(index_dir).numbers() == [3, 4]


@pytest.mark.parametrize("file", [CONTENTS, "tantivy/meta.json", "chroma/chroma.sqlite3", "manifest.json"])
def test_a_damaged_generation_is_replaced_though_nothing_changed(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder, file: str
) -> None:
    run_build(index_dir, [docs], words.embedder)
    (index_dir / "1" / file).write_bytes(b"broken")
    assert run_build(index_dir, [docs], words.embedder).swapped
    assert first_page(index_dir, words, "cron schedule") == "how-to-guides/schedules"


def test_progress_goes_through_the_stages(index_dir: Path, docs: SourceConfig, words: WordEmbedder) -> None:
    seen: list[Progress] = []
    run_build(index_dir, [docs], words.embedder, seen=seen)
    assert list(dict.fromkeys(progress.stage for progress in seen)) == [
        "fetch",
        "embed",
        "write",
        "check",
        "swap",
    ]
    fetched = [progress for progress in seen if progress.stage == "fetch"][-1]
    assert (fetched.source, fetched.done, fetched.total) == ("docs", len(PAGES), len(PAGES))
    assert all(progress.done <= progress.total for progress in seen if progress.total)


def test_a_second_build_at_the_same_time_is_refused(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    with Generations(index_dir).lock(), pytest.raises(Refused, match="already being built"):
        run_build(index_dir, [docs], words.embedder)


def test_a_killed_build_harms_nothing(
    index_dir: Path, docs: SourceConfig, tmp_path: Path, words: WordEmbedder
) -> None:
    run_build(index_dir, [docs], words.embedder)
    write_pages(tmp_path / "docs", {"new": "# New\n\nGiraffe.\n"})
    command = [sys.executable, "-c", SLOW_BUILD, str(index_dir), str(tmp_path / "docs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as building:
        assert building.stdout
        assert building.stdout.readline() == "embedding\n"
        building.send_signal(signal.SIGKILL)
    assert (index_dir / "2.building").exists()
    assert first_page(index_dir, words, "cron schedule") == "how-to-guides/schedules"
    assert run_build(index_dir, [docs], words.embedder).generation == 2
    assert list(index_dir.glob("*.building")) == []


async def test_a_page_that_a_site_says_is_unchanged_is_not_embedded_again(
    index_dir: Path, words: WordEmbedder
) -> None:
    async with FakeWebsite() as site:
        site.put("/llms.txt", f"- [Pools]({site.url}/pools.md)\n- [Zebra]({site.url}/zebra.md)\n")
        site.put("/pools.md", "# Pools\n\nWork pools.\n", content_type="text/markdown", etag='"1"')
        site.put("/zebra.md", "# Zebra\n\nStripes.\n", content_type="text/markdown", etag='"1"')
        source = SourceConfig(name="site", kind="website", base_url=site.url)
        first = await build(index_dir, [source], words.embedder, report=lambda _: None)
        words.texts.clear()
        site.put("/zebra.md", "# Zebra\n\nStripes in savannah.\n", content_type="text/markdown", etag='"2"')
        second = await build(index_dir, [source], words.embedder, report=lambda _: None)
    assert first.pages.added == 2
    assert (second.pages.changed, second.pages.unchanged) == (1, 1)
    assert len(words.texts) == 1
    found = await asyncio.to_thread(first_page, index_dir, words, "work pools")
    assert found == "pools"


async def test_a_page_that_cannot_be_read_keeps_its_old_copy(index_dir: Path, words: WordEmbedder) -> None:
    async with FakeWebsite() as site:
        site.put("/llms.txt", f"- [Pools]({site.url}/pools.md)\n- [Zebra]({site.url}/zebra.md)\n")
        site.put("/pools.md", "# Pools\n\nWork pools.\n", content_type="text/markdown")
        site.put("/zebra.md", "# Zebra\n\nStripes.\n", content_type="text/markdown")
        source = SourceConfig(name="site", kind="website", base_url=site.url)
        await build(index_dir, [source], words.embedder, report=lambda _: None)
        site.always("/zebra.md", Reply(b"no", 403))
        site.put("/pools.md", "# Pools\n\nWork pools and queues.\n", content_type="text/markdown")
        second = await build(index_dir, [source], words.embedder, report=lambda _: None)
    assert (second.pages.changed, second.pages.failed, second.pages.removed) == (1, 1, 0)
    assert await asyncio.to_thread(first_page, index_dir, words, "stripes") == "zebra"


@pytest.mark.parametrize("file", [CONTENTS, "manifest.json", "../current"])
def test_one_source_alone_is_read_and_the_others_stay_though_what_is_live_cannot_be_read(
    tmp_path: Path, index_dir: Path, docs: SourceConfig, words: WordEmbedder, file: str
) -> None:
    notes = write_pages(tmp_path / "notes")
    run_build(index_dir, [docs, notes], words.embedder)
    write_pages(tmp_path / "docs", {"concepts/workers": "# Workers\n\nA worker is a zebra.\n"})
    run_build(index_dir, [docs, notes], words.embedder)
    (index_dir / "2" / file).write_bytes(b"broken")

    report = run_build(index_dir, [docs, notes], words.embedder, only="docs")
    assert (report.generation, report.swapped) == (3, True)
    library = Library(index_dir, words.embedder)
    library.open()
    assert {source.name: source.pages for source in library.status().sources} == {
        "docs": len(PAGES),
        "notes": len(PAGES),
    }
    library.close()
