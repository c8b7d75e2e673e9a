"""The index on a real Chroma server, as several replicas share it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from knowledge.errors import BadInput, IndexDamaged, IndexMissing, Refused, Unreachable
from knowledge.evaluation import EvalQuestion
from knowledge.library import Library
from knowledge.rollback import fall_back, list_generations, rollback
from knowledge.sources.config import SourceConfig
from knowledge.symbols.package import Origin
from knowledge.vectors import ChromaServer, Record
from tests.corpora import PAGES, WordEmbedder, run_build, write_pages
from tests.fakes.prefect_wheel import write_wheel

START_SECONDS = 30


class RunningChroma:
    """A Chroma server with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        chroma = Path(sys.executable).with_name("chroma")
        command = [str(chroma), "run", "--host", "127.0.0.1", "--port", str(port), "--path", str(folder)]
        environment = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, env=environment
        )
        self._wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the Chroma server ended at its start"
            try:
                httpx.get(f"{self.url}/api/v2/heartbeat", timeout=1, trust_env=False)
                return
            except httpx.TransportError:
                continue
        raise AssertionError("the Chroma server did not answer")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChroma]:
    chroma = RunningChroma(tmp_path_factory.mktemp("chroma"))
    yield chroma
    chroma.stop()


@pytest.fixture
def url(running: RunningChroma) -> Iterator[str]:
    """The server, emptied afterwards."""
    yield running.url
    server = ChromaServer(running.url)
    for name in server.names():
        server.drop(name)
    server.close()


def generations_on(server: ChromaServer) -> list[str]:
    return sorted(name for name in server.names() if re.match(r"ask-marvin-\d", name))


def library_at(folder: Path, words: WordEmbedder, url: str) -> Library:
    library = Library(folder, words.embedder, chroma_url=url)
    library.open()
    return library


def test_a_replica_finds_what_another_has_indexed(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    report = run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    assert (report.swapped, report.chunks) == (True, len(PAGES))
    replica = library_at(tmp_path / "b", words, url)
    assert replica.search("cron schedule")[0].page == "how-to-guides/schedules"
    assert "bridge" in replica.page("concepts/work-pools").markdown
    assert replica.status().pages == len(PAGES)
    replica.close()


def test_a_replica_moves_on_when_another_has_built(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    replica = library_at(tmp_path / "b", words, url)
    assert not replica.refresh()
    assert docs.path
    write_pages(docs.path, {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    assert replica.refresh()
    assert replica.search("zebra")[0].page == "zebra"
    replica.close()


def test_another_host_builds_on_what_is_there(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    words.texts.clear()
    assert not run_build(tmp_path / "b", [docs], words.embedder, chroma_url=url).swapped
    assert docs.path
    write_pages(docs.path, {"zebra": "# Zebra\n\nStripes.\n"})
    report = run_build(tmp_path / "b", [docs], words.embedder, chroma_url=url)
    assert (report.generation, report.pages.added, report.pages.unchanged) == (2, 1, len(PAGES))
    assert len(words.texts) == 1


def test_all_replicas_know_that_a_source_answered_though_nothing_had_changed(
    url: str, docs: SourceConfig, tmp_path: Path, words: WordEmbedder
) -> None:
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    replica = Library(tmp_path / "b", words.embedder, chroma_url=url)
    replica.open()
    (before,) = replica.status().sources
    assert not run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url).swapped
    (after,) = replica.status().sources
    replica.close()
    assert before.fetched_at is not None
    assert after.fetched_at is not None
    assert after.fetched_at > before.fetched_at


def test_the_symbols_of_prefect_reach_all_replicas(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    origin = Origin(path=write_wheel(tmp_path))
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url, prefect=origin)
    one, other = library_at(tmp_path / "a", words, url), library_at(tmp_path / "b", words, url)
    assert one.symbols() is not None
    assert one.symbols() == other.symbols()
    one.close()
    other.close()
    assert not run_build(tmp_path / "c", [docs], words.embedder, chroma_url=url, prefect=origin).swapped


def test_long_pages_and_many_chunks_arrive_whole(tmp_path: Path, words: WordEmbedder, url: str) -> None:
    sections = "".join(f"## Part {part}\n\nZebra {part} {'stripes ' * 200}\n\n" for part in range(400))
    docs = write_pages(tmp_path / "docs", {"long": f"# Long\n\n{sections}"})
    report = run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    assert report.chunks > 300
    replica = library_at(tmp_path / "b", words, url)
    assert replica.status().chunks == report.chunks
    assert replica.page("long").markdown.count("## Part") == 400
    replica.close()


def test_old_generations_leave_the_server(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    for _ in range(3):
        run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url, full=True, keep=2)
    server = ChromaServer(url)
    assert generations_on(server) == [
        "ask-marvin-2",
        "ask-marvin-2-pages",
        "ask-marvin-3",
        "ask-marvin-3-pages",
    ]
    server.close()


def test_an_empty_server_says_how_to_fill_it(tmp_path: Path, words: WordEmbedder, url: str) -> None:
    with pytest.raises(IndexMissing, match="Chroma server"):
        library_at(tmp_path, words, url)


def test_a_server_with_the_same_numbers_but_other_content_is_read_anew(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    library_at(tmp_path / "b", words, url).close()
    server = ChromaServer(url)
    for name in server.names():
        server.drop(name)
    server.close()
    zebra = write_pages(tmp_path / "docs2", {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(tmp_path / "c", [zebra], words.embedder, chroma_url=url)
    replica = library_at(tmp_path / "b", words, url)
    assert replica.status().pages == 1
    replica.close()


def test_vectors_that_are_missing_on_the_server_are_noticed(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    server = ChromaServer(url)
    server.add("ask-marvin-1", [Record("stray#0", "", {}, np.ones(32, dtype=np.float32))])
    server.close()
    with pytest.raises(IndexDamaged):
        library_at(tmp_path / "a", words, url)


@pytest.mark.parametrize(
    ("host", "silent", "refused"),
    [
        pytest.param("elsewhere", timedelta(seconds=5), True, id="another host is writing"),
        pytest.param("elsewhere", timedelta(hours=1), False, id="another host was killed"),
        pytest.param(socket.gethostname(), timedelta(seconds=5), False, id="a build of ours was killed"),
    ],
)
def test_an_unfinished_generation_is_respected_while_its_builder_lives(
    tmp_path: Path,
    docs: SourceConfig,
    words: WordEmbedder,
    url: str,
    host: str,
    silent: timedelta,
    refused: bool,
) -> None:
    server = ChromaServer(url)
    alive_at = (datetime.now(UTC) - silent).isoformat()
    server.create("ask-marvin-1", {"host": host, "pid": 7, "alive_at": alive_at})
    server.close()
    if refused:
        with pytest.raises(Refused, match="process 7 on elsewhere"):
            run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    else:
        assert run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url).swapped


def test_a_server_that_goes_away_leaves_the_keywords(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    (tmp_path / "chroma").mkdir()
    chroma = RunningChroma(tmp_path / "chroma")
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=chroma.url)
    library = library_at(tmp_path / "a", words, chroma.url)
    chroma.stop()
    assert library.search("cron schedule")[0].page == "how-to-guides/schedules"
    with pytest.raises(Unreachable):
        library.refresh()
    library.close()


def test_a_server_that_is_not_there_is_named_without_its_token(tmp_path: Path, words: WordEmbedder) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://:s3cret@127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(Unreachable) as away:
            library_at(tmp_path, words, url)
    assert "127.0.0.1" in away.value.message
    assert "s3cret" not in str(away.value)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "nonsense"])
def test_an_address_that_is_none_is_bad_input(tmp_path: Path, words: WordEmbedder, url: str) -> None:
    with pytest.raises(BadInput, match="CHROMA_URL"):
        library_at(tmp_path, words, url)


def test_the_texts_on_the_server_can_be_read_by_others(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    server = ChromaServer(url)
    records = [record for batch in server.records("ask-marvin-1") for record in batch]
    server.close()
    found = next(record for record in records if record.metadata["page"] == "concepts/workers")
    assert "polls a work pool" in found.document
    assert found.metadata["url"] == "https://docs.example.com/concepts/workers"
    assert json.dumps(found.metadata)


def test_a_generation_that_was_held_back_leaves_nothing_on_the_server(
    tmp_path: Path, words: WordEmbedder, url: str
) -> None:
    pages = {f"page-{n}": f"# Page {n}\n\nText {n}.\n" for n in range(20)}
    docs = write_pages(tmp_path / "docs", pages)
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    assert docs.path
    for n in range(12):
        (docs.path / f"page-{n}.md").unlink()
    report = run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    assert "shrinks from 20 to 8 pages" in report.held_back
    server = ChromaServer(url)
    assert generations_on(server) == ["ask-marvin-1", "ask-marvin-1-pages"]
    server.close()
    forced = run_build(tmp_path / "b", [docs], words.embedder, chroma_url=url, force=True)
    assert (forced.swapped, forced.generation) == (True, 2)


def test_all_replicas_go_back_together_and_the_next_build_respects_it(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    golden = [EvalQuestion(id="1", question="cron schedule", gold=("how-to-guides/schedules",))]
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url, golden=golden)
    assert docs.path
    write_pages(docs.path, {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url, golden=golden)
    replica = library_at(tmp_path / "b", words, url)
    first, second = list_generations(tmp_path / "c", words.embedder, chroma_url=url)
    assert (first.generation, first.live, first.pages) == (1, False, len(PAGES))
    assert (second.generation, second.live, second.bytes) == (2, True, None)
    assert second.score
    assert second.score.hit_at_5 == 1.0
    assert rollback(tmp_path / "c", words.embedder, chroma_url=url) == 1
    assert replica.refresh()
    assert replica.status().generation == 1
    replica.close()
    report = run_build(tmp_path / "d", [docs], words.embedder, chroma_url=url, golden=golden)
    assert "'docs' still holds what was rolled back from" in report.held_back


def test_a_generation_that_is_broken_on_the_server_is_passed_over(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    for _ in range(2):
        run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url, full=True)
    server = ChromaServer(url)
    server.add("ask-marvin-2", [Record("stray#0", "", {}, np.ones(32, dtype=np.float32))])
    server.close()
    assert fall_back(tmp_path / "b", words.embedder, chroma_url=url) == 1
    library_at(tmp_path / "c", words, url).close()


def test_nobody_goes_back_while_another_host_builds(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    for _ in range(2):
        run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url, full=True)
    server = ChromaServer(url)
    now = datetime.now(UTC).isoformat()
    server.create("ask-marvin-3", {"host": "elsewhere", "pid": 7, "alive_at": now})
    server.close()
    with pytest.raises(Refused, match="process 7 on elsewhere"):
        rollback(tmp_path / "a", words.embedder, chroma_url=url)


def test_a_copy_left_by_a_build_that_was_killed_while_it_was_sealed_is_in_nobodys_way(
    tmp_path: Path, docs: SourceConfig, words: WordEmbedder, url: str
) -> None:
    run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url)
    cache = next((tmp_path / "a").glob("server-*"))
    shutil.copytree(cache / "1", cache / "2")
    assert run_build(tmp_path / "a", [docs], words.embedder, chroma_url=url, full=True).generation == 2
    library_at(tmp_path / "a", words, url).close()


@pytest.mark.parametrize(
    "url", ["http://[", "https://:hunter2@host:abc", "http://host:99999", "ftp://host", "http://"]
)
def test_a_chroma_url_that_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(BadInput, match="CHROMA_URL is no address") as refused:
        ChromaServer(url)
    assert "hunter2" not in str(refused.value)


def test_a_chroma_server_may_be_named_by_an_ipv6_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://[::1]:{unused.getsockname()[1]}"
        with pytest.raises(Unreachable, match=re.escape(f"{url} did not answer")):
            ChromaServer(url)
