"""The folders of the index: one a generation, a pointer to the live one, and the lock of whoever builds."""

import fcntl
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from knowledge.contents import Contents
from knowledge.errors import BadInput, Busy, IndexDamaged, IndexMissing
from knowledge.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from knowledge.vectors import DenseIndex, holds, open_folder, write_folder

logger = logging.getLogger(__name__)

POINTER = "current"
LOCK = "build.lock"
FRESHNESS = "freshness.json"
BUILDING = ".building"
CHROMA = "chroma"
# The live one, the one before it (some server may not have moved on yet), and one to go back to.
KEEP = 3
# Asking who is building takes microseconds.
A_LOOK_S = 0.02
LOOKS = 3


class Generations:
    """The index folder; everything in it that has a number is a finished generation."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def current(self) -> int:
        """Give the live generation's number; IndexMissing when there is none."""
        try:
            return int((self.root / POINTER).read_text().split()[0])
        except (OSError, ValueError, IndexError) as error:
            raise IndexMissing("Nothing has been indexed yet.", "Run: ask-marvin reindex") from error

    def rejected(self) -> dict[str, str]:
        """Give the fingerprint of what each source held when somebody rolled back from it."""
        try:
            words = (self.root / POINTER).read_text().split()[1:]
        except (OSError, ValueError):
            return {}
        return rejected_from(words)

    def numbers(self) -> list[int]:
        """Give the finished generations, oldest first."""
        found = self.root.iterdir() if self.root.is_dir() else []
        return sorted(int(path.name) for path in found if path.name.isdecimal() and path.is_dir())

    def stored(self) -> list[int]:
        """Give the finished generations that can be made live, oldest first."""
        return self.numbers()

    def to_fall_back_on(self, live: int) -> list[int]:
        """Give the stored ones, the best first: the newest, and last what was rolled back from."""
        return sorted(self.stored(), key=lambda number: (number <= (live or number), number), reverse=True)

    def manifest(self, number: int) -> Manifest:
        """Give what a finished generation says of itself; IndexDamaged when that cannot be read."""
        return read_manifest(self.folder(number))

    def size(self, number: int) -> int | None:
        """Give the bytes that a generation takes on this machine; None where that is not known."""
        return sum(path.stat().st_size for path in self.folder(number).rglob("*") if path.is_file())

    def folder(self, number: int) -> Path:
        return self.root / str(number)

    def building(self, number: int) -> Path:
        """Give the folder of a generation until it is sealed."""
        return self.root / f"{number}{BUILDING}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the right to build; Busy, naming the holder, when another process has it.

        The operating system frees the lock of a process that dies, so there is no stale one to clear away.
        """
        with self._lock_file() as file:
            if not _locked_soon(file):
                raise being_built(_holder(file))
            file.truncate(0)
            json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}, file)
            file.flush()
            self._clear_leftovers()
            yield

    def holder(self) -> str:
        """Say who is building, `process 7 on host, since …`; empty when nobody is."""
        with self._lock_file() as file:
            return "" if _locked(file, fcntl.LOCK_SH) else _holder(file)

    def begin(self) -> int:
        """Make the folder of the next generation, beside the live one, and give its number."""
        number = max([*self.numbers(), 0]) + 1
        self.building(number).mkdir()
        return number

    def store_vectors(self, number: int, contents: Contents, wrote: Callable[[int], None]) -> None:
        """Write the vectors of a generation that is being built to where they are searched.

        `wrote` is told how many chunks are done.
        """
        write_folder(self.building(number) / CHROMA, contents.vectors(), contents.counts()[1], wrote)

    def open_vectors(self, number: int) -> DenseIndex:
        """Open the vectors of a generation, sealed or not."""
        sealed = self.folder(number)
        return open_folder((sealed if sealed.is_dir() else self.building(number)) / CHROMA)

    def holds_vectors(self, number: int, chunks: int) -> bool:
        """Tell whether the vectors of a generation whose files are unchanged are all there; cheap."""
        return holds(self.folder(number) / CHROMA, chunks)

    def ensure(self, number: int) -> None:
        """Have the generation's folder at hand; with an embedded Chroma it always is."""

    def seal(self, number: int, manifest: Manifest) -> None:
        """Finish a generation: its manifest is written, its folder gets its number."""
        building = self.building(number)
        write_manifest(building, manifest)
        _flush(building)
        building.rename(self.folder(number))

    def discard(self, number: int) -> None:
        """Take back what was stored of a generation that is not to be sealed."""
        shutil.rmtree(self.building(number), ignore_errors=True)

    def point_to(self, number: int, rejected: Mapping[str, str] | None = None) -> None:
        """Make a generation the live one, in one step that survives a power cut."""
        fresh = self.root / f"{POINTER}.new"
        with fresh.open("w") as file:
            file.write(f"{' '.join([str(number), *rejected_words(rejected or {})])}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.root / POINTER)
        _sync_folder(self.root)

    def prune(self, keep: int) -> list[int]:
        """Delete old generations and give their numbers; those spared stay, and any that somebody reads."""
        spared = self.spared(self.numbers(), keep)
        return [number for number in self.numbers() if number not in spared and self.delete(number)]

    def spared(self, numbers: list[int], keep: int) -> set[int]:
        """Choose the newest, the live one, and those that were live before it, which one can go back to."""
        live = [self.current()]
        while len(live) < keep and (before := self.before(live[-1])) in numbers:
            live.append(before)
        return {*live, *numbers[-max(keep, 1) :]}

    def before(self, number: int) -> int:
        """Give the generation that was live when that one was built; 0 when it is not known."""
        try:
            return self.manifest(number).previous
        except IndexDamaged:
            return 0

    def freshness(self) -> str:
        """Give what was kept of when each source was read; empty when nothing was."""
        try:
            return (self.root / FRESHNESS).read_text()
        except OSError:
            return ""

    def keep_freshness(self, text: str) -> None:
        """Keep it beside the generations; for whoever holds the lock."""
        fresh = self.root / f"{FRESHNESS}.new"
        fresh.write_text(text)
        fresh.replace(self.root / FRESHNESS)

    def retire(self, keep: int) -> None:
        """Delete what is past retention, for everybody; for whoever has just built."""
        self.prune(keep)

    def close(self) -> None:
        """Let go of what the pointer is read from; a folder needs nothing."""

    def delete(self, number: int) -> bool:
        """Delete a generation unless somebody reads it."""
        try:
            with (self.folder(number) / MANIFEST).open() as file:
                if not _locked(file, fcntl.LOCK_EX):
                    return False
                shutil.rmtree(self.folder(number))
        except FileNotFoundError:
            shutil.rmtree(self.folder(number), ignore_errors=True)
        return True

    def reading(self, number: int) -> IO[str]:
        """Open a file that keeps the generation from being deleted until it is closed."""
        file = (self.folder(number) / MANIFEST).open()
        _locked(file, fcntl.LOCK_SH)
        return file

    def _lock_file(self) -> IO[str]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            return (self.root / LOCK).open("a+")
        except OSError as error:
            raise BadInput(
                f"The index folder {self.root} cannot be written: {error.strerror}.",
                "Set ASK_MARVIN_HOME to a folder of yours.",
            ) from error

    def _clear_leftovers(self) -> None:
        for path in self.root.glob(f"*{BUILDING}"):
            logger.info("Removing %s, left behind by a build that was stopped", path)
            shutil.rmtree(path)


def rejected_words(rejected: Mapping[str, str]) -> list[str]:
    return [f"{source}={fingerprint}" for source, fingerprint in sorted(rejected.items())]


def rejected_from(words: list[str]) -> dict[str, str]:
    return {source: mark for source, equals, mark in (word.partition("=") for word in words) if equals}


def being_built(holder: str) -> Busy:
    return Busy(f"The index is already being built by {holder}.", "Wait until it is done, then try again.")


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']} UTC"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _locked_soon(file: IO[str]) -> bool:
    """Take the lock; who only looks whether somebody has it holds it for an instant."""
    for _ in range(LOOKS):
        if _locked(file, fcntl.LOCK_EX):
            return True
        time.sleep(A_LOOK_S)
    return False


def _locked(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flush(folder: Path) -> None:
    """Bring a folder's files to the disk before a pointer names them."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
