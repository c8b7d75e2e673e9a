import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from knowledge.errors import BadInput, IndexDamaged, IndexMissing, Refused
from knowledge.generations import Generations
from knowledge.manifest import Manifest, changed_files, read_manifest, write_manifest

HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from knowledge.generations import Generations
with Generations(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def manifest(number: int) -> Manifest:
    return Manifest(
        generation=number,
        embedder="words",
        chunker="c",
        dims=2,
        pages=0,
        chunks=0,
        sources=(),
        known=(),
        built_at=datetime.now(UTC),
    )


def finish(generations: Generations) -> int:
    with generations.lock():
        number = generations.begin()
        (generations.building(number) / "texts").write_text("x" * 100)
        generations.seal(number, manifest(number))
    return number


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "index")


def test_an_empty_folder_says_how_to_fill_it(generations: Generations) -> None:
    with pytest.raises(IndexMissing) as missing:
        generations.current()
    assert "ask-marvin reindex" in missing.value.fix


def test_a_generation_is_live_once_the_pointer_names_it(generations: Generations) -> None:
    first = finish(generations)
    with pytest.raises(IndexMissing):
        generations.current()
    generations.point_to(first)
    second = finish(generations)
    assert (first, second) == (1, 2)
    assert generations.current() == first


def test_a_number_is_not_used_again_while_its_folder_stands(generations: Generations) -> None:
    finish(generations)
    finish(generations)
    generations.point_to(1)
    assert finish(generations) == 3


def test_a_second_build_is_refused_and_told_who_runs_the_first(generations: Generations) -> None:
    with generations.lock(), pytest.raises(Refused) as refused, Generations(generations.root).lock():
        pass
    assert f"process {os.getpid()}" in refused.value.message


def test_the_lock_of_a_killed_build_is_free(generations: Generations) -> None:
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(generations.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Refused), generations.lock():
            pass
        holder.kill()
    with generations.lock():
        assert generations.numbers() == []


def test_what_a_stopped_build_left_behind_is_removed(generations: Generations) -> None:
    with generations.lock():
        number = generations.begin()
    with generations.lock():
        assert not generations.building(number).exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file"), Generations(tmp_path / "file" / "index").lock():
        pass


def test_the_newest_and_the_live_generation_are_kept(generations: Generations) -> None:
    for _ in range(5):
        finish(generations)
    generations.point_to(2)
    assert generations.prune(keep=2) == [1, 3]
    assert generations.numbers() == [2, 4, 5]


def test_a_generation_that_somebody_reads_is_kept(generations: Generations) -> None:
    for _ in range(3):
        finish(generations)
    generations.point_to(3)
    with generations.reading(1):
        assert generations.prune(keep=1) == [2]
    assert generations.prune(keep=1) == [1]


def test_a_manifest_notices_every_change_of_a_file(generations: Generations) -> None:
    folder = generations.folder(finish(generations))
    assert changed_files(folder, read_manifest(folder)) == []
    (folder / "texts").write_text("y" * 100)
    assert changed_files(folder, read_manifest(folder)) == ["texts"]
    (folder / "texts").unlink()
    assert changed_files(folder, read_manifest(folder)) == ["texts"]


@pytest.mark.parametrize("text", ["", "{", '{"generation": 1}', "\x00\xff"])
def test_a_broken_manifest_is_damage(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(IndexDamaged):
        read_manifest(tmp_path)


def test_another_layout_is_of_another_kind(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest(1))
    held = read_manifest(tmp_path)
    assert held.same_kind("words", "c")
    assert not held.model_copy(update={"layout": 0}).same_kind("words", "c")
    assert not held.same_kind("words", "d")


def test_who_builds_can_be_asked_without_getting_in_the_way(generations: Generations) -> None:
    assert generations.holder() == ""
    with generations.lock():
        assert f"process {os.getpid()} on " in Generations(generations.root).holder()
    assert generations.holder() == ""
    with generations.lock():
        """Asking has left no lock behind."""
