"""The folders of the index: one a generation, a pointer to the live one, and the lock of whoever builds."""

import fcntl
import json
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from knowledge.contents import Contents
from knowledge.errors import BadInput, IndexMissing, Refused
from knowledge.manifest import MANIFEST, Manifest, write_manifest
from knowledge.vectors import DenseIndex, open_folder, write_folder

logger = logging.getLogger(__name__)

POINTER = "current"
LOCK = "build.lock"
BUILDING = ".building"
CHROMA = "chroma"
# The live one, the one before it (some server may not have moved on yet), and one to go back to.
KEEP = 3


class Generations:
    """The index folder; everything in it that has a number is a finished generation."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def current(self) -> int:
        """Give the live generation's number; IndexMissing when there is none."""
        try:
            return int((self.root / POINTER).read_text())
        except (OSError, ValueError) as error:
            raise IndexMissing("Nothing has been indexed yet.", "Run: ask-marvin reindex") from error

    def numbers(self) -> list[int]:
        """Give the finished generations, oldest first."""
        found = self.root.iterdir() if self.root.is_dir() else []
        return sorted(int(path.name) for path in found if path.name.isdecimal() and path.is_dir())

    def folder(self, number: int) -> Path:
        return self.root / str(number)

    def building(self, number: int) -> Path:
        """Give the folder of a generation until it is sealed."""
        return self.root / f"{number}{BUILDING}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the right to build; Refused, naming the holder, when another process has it.

        The operating system frees the lock of a process that dies, so there is no stale one to clear away.
        """
        with self._lock_file() as file:
            if not _locked(file, fcntl.LOCK_EX):
                raise _busy(file)
            file.truncate(0)
            json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}, file)
            file.flush()
            self._clear_leftovers()
            yield

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
        return open_folder(self.folder(number) / CHROMA)

    def ensure(self, number: int) -> None:
        """Have the generation's folder at hand; with an embedded Chroma it always is."""

    def seal(self, number: int, manifest: Manifest) -> None:
        """Finish a generation: its manifest is written, its folder gets its number."""
        building = self.building(number)
        write_manifest(building, manifest)
        _flush(building)
        building.rename(self.folder(number))

    def point_to(self, number: int) -> None:
        """Make a generation the live one, in one step that survives a power cut."""
        fresh = self.root / f"{POINTER}.new"
        with fresh.open("w") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.root / POINTER)
        _sync_folder(self.root)

    def prune(self, keep: int) -> list[int]:
        """Delete old generations and give their numbers; the live one stays, and any that somebody reads."""
        spared = {self.current(), *self.numbers()[-max(keep, 1) :]}
        return [number for number in self.numbers() if number not in spared and self.delete(number)]

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


def _busy(file: IO[str]) -> Refused:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']} UTC"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return Refused(f"The index is already being built by {who}.", "Wait until it is done, then try again.")


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
