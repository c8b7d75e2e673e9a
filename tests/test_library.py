import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from knowledge.errors import BadInput, EmbedderMismatch, ExpectedError, IndexDamaged, IndexMissing
from knowledge.generations import Generations
from knowledge.library import Library
from knowledge.manifest import KnownVector
from knowledge.sources.config import SourceConfig
from tests.corpora import DIMS, PAGES, WordEmbedder, change_manifest, run_build, write_pages

STRANGER = KnownVector.of("docs:concepts/workers#0", np.ones(DIMS, dtype=np.float32))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    run_build(folder / "index", [write_pages(folder / "docs")], WordEmbedder().embedder)
    return folder / "index"


@pytest.fixture
def index_dir(tmp_path: Path, built: Path) -> Path:
    """A copy of an index of the same pages."""
    return Path(shutil.copytree(built, tmp_path / "index"))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scramble(path: Path) -> None:
    path.write_bytes(b"\x5a" * path.stat().st_size)


@pytest.mark.parametrize("use", [lambda library: library.search("pools"), Library.status])
def test_before_it_is_open_it_says_so(
    tmp_path: Path, words: WordEmbedder, use: Callable[[Library], object]
) -> None:
    library = Library(tmp_path / "index", words.embedder)
    assert not library.ready
    with pytest.raises(IndexMissing) as missing:
        use(library)
    assert "reindex" in missing.value.fix


def test_opening_nothing_is_an_error_and_can_be_tried_again(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    library = Library(tmp_path / "index", words.embedder)
    with pytest.raises(IndexMissing):
        library.open()
    run_build(tmp_path / "index", [docs], words.embedder)
    library.open()
    assert library.ready
    library.close()
    assert not library.ready


def test_another_embedder_is_refused(index_dir: Path) -> None:
    with pytest.raises(EmbedderMismatch) as refused:
        Library(index_dir, WordEmbedder("other").embedder).open()
    assert "'words'" in refused.value.message
    assert "'other'" in refused.value.message
    assert "reindex --full" in refused.value.fix


def test_another_chunker_is_refused(index_dir: Path, words: WordEmbedder) -> None:
    change_manifest(index_dir, chunker="older-1")
    with pytest.raises(IndexDamaged, match="another version"):
        Library(index_dir, words.embedder).open()


@pytest.mark.parametrize("damage", [Path.unlink, truncate, scramble])
@pytest.mark.parametrize(
    "file",
    [
        *("*.bin", "*.pickle", "chroma.sqlite3", "contents.sqlite"),
        *("meta.json", "*.store", "lexicon.json", "manifest.json"),
    ],
)
def test_damage_is_noticed_on_opening(
    index_dir: Path, words: WordEmbedder, file: str, damage: Callable[[Path], None]
) -> None:
    path = max((index_dir / "1").rglob(file), key=lambda found: found.stat().st_size)
    damage(path)
    with pytest.raises(IndexDamaged) as noticed:
        Library(index_dir, words.embedder).open()
    assert "reindex --full" in noticed.value.fix


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"chunks": 5}, id="a chunk is missing"),
        pytest.param(
            {"known": [STRANGER.model_dump()]},
            id="it does not find itself",
        ),
    ],
)
def test_content_that_is_not_what_was_written_is_noticed(
    index_dir: Path, words: WordEmbedder, changed: dict[str, object]
) -> None:
    change_manifest(index_dir, **changed)
    with pytest.raises(IndexDamaged):
        Library(index_dir, words.embedder).open()


def test_a_generation_that_is_gone_is_damage(index_dir: Path, words: WordEmbedder) -> None:
    shutil.rmtree(index_dir / "1")
    with pytest.raises(IndexDamaged):
        Library(index_dir, words.embedder).open()


def test_it_moves_on_to_a_new_generation_once(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    library = Library(index_dir, words.embedder)
    assert library.refresh()
    assert not library.refresh()
    assert docs.path
    write_pages(docs.path, {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(index_dir, [docs], words.embedder)
    assert library.search("zebra")[0].page != "zebra"
    assert library.refresh()
    assert library.search("zebra")[0].page == "zebra"
    assert library.status().generation == 2
    library.close()


def test_a_damaged_new_generation_leaves_the_old_one_in_service(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    library = Library(index_dir, words.embedder)
    library.open()
    run_build(index_dir, [docs], words.embedder, full=True)
    (index_dir / "2" / "lexicon.json").unlink()
    with pytest.raises(IndexDamaged):
        library.refresh()
    assert library.search("cron schedule")[0].page == "how-to-guides/schedules"
    assert library.status().generation == 1
    library.close()


def test_searches_go_on_while_generations_change(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    library = Library(index_dir, words.embedder, keep=1)
    library.open()
    stop = threading.Event()

    def keep_asking() -> int:
        asked = 0
        while not stop.is_set():
            assert library.search("cron schedule")[0].page == "how-to-guides/schedules"
            assert library.page("concepts/workers").title == "Workers"
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(keep_asking) for _ in range(4)]
        try:
            for _ in range(4):
                run_build(index_dir, [docs], words.embedder, full=True, keep=1)
                assert library.refresh()
        finally:
            stop.set()
        assert all(future.result(timeout=30) > 0 for future in asking)
    library.close()
    generations = Generations(index_dir)
    generations.prune(keep=1)  # a search may still have been reading the one before at the last swap
    assert generations.numbers() == [5]


def test_a_generation_that_another_process_deletes_still_answers(
    index_dir: Path, words: WordEmbedder
) -> None:
    library = Library(index_dir, words.embedder)
    library.open()
    shutil.rmtree(index_dir)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: library.search("cron schedule")[0].page, range(100)))
    assert set(found) == {"how-to-guides/schedules"}
    assert library.page("concepts/workers").title == "Workers"
    library.close()


def test_nothing_of_a_generation_stays_open_after_the_next(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    library = Library(index_dir, words.embedder)
    for number in (2, 3, 4):
        run_build(index_dir, [docs], words.embedder, full=True)
        library.refresh()
        library.search("pools")
        assert open_generations_become(index_dir, {str(number)})
    library.close()
    assert open_generations_become(index_dir, set())


def test_a_page_is_given_whole(index_dir: Path, words: WordEmbedder) -> None:
    library = Library(index_dir, words.embedder)
    library.open()
    page = library.page("/concepts/work-pools/")
    assert (page.page, page.title, page.source) == ("concepts/work-pools", "Work pools", "docs")
    assert page.url == "https://docs.example.com/concepts/work-pools"
    assert "bridge between orchestration" in page.markdown
    library.close()


def test_an_unknown_page_is_answered_with_near_ones(index_dir: Path, words: WordEmbedder) -> None:
    library = Library(index_dir, words.embedder)
    library.open()
    with pytest.raises(BadInput) as unknown:
        library.page("guides/work-pool")
    assert "concepts/work-pools" in unknown.value.fix
    library.close()


def test_the_status_counts_what_is_held(index_dir: Path, words: WordEmbedder) -> None:
    library = Library(index_dir, words.embedder)
    library.open()
    status = library.status()
    library.close()
    assert (status.generation, status.embedder) == (1, "words")
    assert (status.pages, status.chunks) == (len(PAGES), len(PAGES))
    assert [(source.name, source.pages, source.error) for source in status.sources] == [
        ("docs", len(PAGES), "")
    ]
    assert status.built_at.utcoffset() is not None


def test_closing_twice_is_harmless(index_dir: Path, words: WordEmbedder) -> None:
    library = Library(index_dir, words.embedder)
    library.open()
    library.close()
    library.close()
    with pytest.raises(ExpectedError):
        library.search("pools")


def open_generations_become(index_dir: Path, wanted: set[str]) -> bool:
    """Waits for it: the libraries close some of their files in threads of their own."""
    deadline = time.monotonic() + 10
    while open_generations(index_dir) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return open_generations(index_dir) == wanted


def open_generations(index_dir: Path) -> set[str]:
    targets = [_target(handle) for handle in Path("/dev/fd").iterdir()]
    inside = [Path(target).relative_to(index_dir) for target in targets if target.startswith(str(index_dir))]
    return {path.parts[0] for path in inside}


def _target(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except OSError:  # closed meanwhile, as the handle of the listing itself
        return ""
