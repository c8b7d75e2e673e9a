"""A build that is killed, at any point at all: whoever searches notices nothing, and the next build is whole.

The build runs in a process of its own. An audit hook counts what it does to the index folder (each file that is
opened, made, renamed, deleted), its progress is counted likewise, and at one number of that count it sends
itself SIGKILL.
"""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from knowledge.generations import POINTER, Generations
from knowledge.library import Library
from knowledge.sources.config import SourceConfig
from tests.corpora import WordEmbedder, run_build, write_pages

# The modules are loaded once; each build is a fork.
BUILDER = """
import os, signal, sys
from pathlib import Path
import chromadb
from tests.corpora import WordEmbedder, run_build, write_pages

index_dir = sys.argv[1]
docs = write_pages(Path(sys.argv[2]), {})

class Points(list):
    def __init__(self, kill_at):
        self.kill_at, self.count, self.names = kill_at, 0, []

    def reached(self, name):
        self.names.append(name)
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def append(self, progress):
        self.reached(f"{progress.stage} {progress.done}")

    def audit(self, event, arguments):
        touched = [str(argument) for argument in arguments[:2] if isinstance(argument, (str, bytes, Path))]
        if any(index_dir in path for path in touched):
            self.reached(f"{event} {Path(touched[-1]).name}")

def build(kill_at):
    points = Points(kill_at)
    sys.addaudithook(points.audit)
    run_build(Path(index_dir), [docs], WordEmbedder().embedder, seen=points)
    print("\\t".join(points.names), flush=True)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        build(int(line))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "finished", flush=True)
"""
SEED = 20260
RANDOM_POINTS = 60
TIMEOUT_S = 30
# Between two searches, so that the builds get some of the processor as well.
PAUSE_S = 0.02


class Builder:
    """Builds in a process of its own, up to a point."""

    def __init__(self, index_dir: Path, docs: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-c", BUILDER, str(index_dir), str(docs)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def points(self) -> list[str]:
        """Build to the end; gives the name of each point that was passed."""
        lines = self._build(0)
        assert lines[-1] == "finished"
        return lines[0].split("\t")

    def die_at(self, point: int) -> None:
        """Build up to the point of that number, counted from 1, and no further."""
        assert self._build(point) == ["killed"]

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=TIMEOUT_S)
        assert self._process.stdout
        self._process.stdout.close()

    def _build(self, point: int) -> list[str]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{point}\n")
        self._process.stdin.flush()
        lines = [self._process.stdout.readline().strip()]
        while lines[-1] not in ("killed", "finished"):
            assert lines[-1], "the builder ended"
            lines.append(self._process.stdout.readline().strip())
        return lines


@dataclass
class Reader:
    """Searches and follows the pointer all the time, as a server does."""

    library: Library
    stop: threading.Event = field(default_factory=threading.Event)
    searched: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.wait(PAUSE_S):
                self.library.refresh()
                assert self.library.search("cron schedule")[0].page == "how-to-guides/schedules"
                self.searched.set()
        except Exception as failure:
            self.failure = failure
            raise

    def searches_on(self) -> bool:
        """Wait for another search; tells whether it came."""
        self.searched.clear()
        return self.searched.wait(TIMEOUT_S)


@pytest.fixture
def index_dir(tmp_path: Path, docs: SourceConfig, words: WordEmbedder) -> Path:
    run_build(tmp_path / "index", [docs], words.embedder)
    return tmp_path / "index"


@pytest.fixture
def builder(index_dir: Path, docs: SourceConfig) -> Iterator[Builder]:
    assert docs.path
    builder = Builder(index_dir, docs.path)
    yield builder
    builder.close()


@pytest.fixture
def reader(index_dir: Path, words: WordEmbedder) -> Iterator[Reader]:
    library = Library(index_dir, words.embedder)
    library.open()
    reader = Reader(library)
    thread = threading.Thread(target=reader.run)
    thread.start()
    yield reader
    reader.stop.set()
    thread.join(timeout=TIMEOUT_S)
    library.close()


def write_news(docs: SourceConfig, text: str) -> None:
    assert docs.path
    write_pages(docs.path, {"news": f"# News\n\n{text}\n"})


def kill_and_recover(
    index_dir: Path, docs: SourceConfig, builder: Builder, reader: Reader, *, point: int, name: str
) -> None:
    generations = Generations(index_dir)
    before = generations.current()
    write_news(docs, f"Number {point}, {before}.")
    builder.die_at(point)
    assert reader.searches_on(), (name, reader.failure)
    library = Library(index_dir, WordEmbedder().embedder)
    library.open()
    held = library.page("news").markdown
    # Until the pointer is renamed the old one is live, whole; afterwards the new one is.
    assert (f"Number {point}, {before}." in held) == (generations.current() != before), name
    library.close()
    report = run_build(index_dir, [docs], WordEmbedder().embedder)
    assert generations.current() == report.generation > before, name
    assert list(index_dir.glob("*.building")) == [], name
    assert not (index_dir / f"{POINTER}.new").exists(), name
    assert reader.searches_on(), (name, reader.failure)


def chosen(names: list[str]) -> list[int]:
    """The points just before and after the pointer is renamed, and the first of each stage."""
    renamed = names.index(f"os.rename {POINTER}") + 1
    stages = {name.split()[0]: number for number, name in reversed(list(enumerate(names, 1)))}
    return [*(stages[stage] for stage in ("embed", "write", "check")), renamed, renamed + 1]


def test_a_build_that_is_killed_around_each_step_harms_nothing(
    index_dir: Path, docs: SourceConfig, builder: Builder, reader: Reader
) -> None:
    write_news(docs, "First.")
    names = builder.points()
    for point in chosen(names):
        kill_and_recover(index_dir, docs, builder, reader, point=point, name=names[point - 1])
    assert reader.failure is None


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_build_that_is_killed_anywhere_harms_nothing(
    index_dir: Path, docs: SourceConfig, builder: Builder, reader: Reader
) -> None:
    write_news(docs, "First.")
    names = builder.points()
    points = random.Random(SEED).sample(range(1, len(names) + 1), min(RANDOM_POINTS, len(names)))
    for point in sorted({*points, *range(chosen(names)[-2] - 3, len(names) + 1)}):
        kill_and_recover(index_dir, docs, builder, reader, point=point, name=names[point - 1])
    assert reader.failure is None
