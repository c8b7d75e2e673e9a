"""Generations on a Chroma server, for several replicas: two collections a generation, the pointer in a third.

Vectors are searched on the server. Texts travel with them, and each replica builds its keyword index from
those, in a local folder, when it first opens a generation; so nothing but the server is shared.
"""

import hashlib
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from knowledge.contents import CONTENTS, Contents, chunk_key, page_from_record, page_record
from knowledge.errors import IndexDamaged, IndexMissing
from knowledge.generations import Generations, being_built, rejected_from, rejected_words
from knowledge.index import write_derived
from knowledge.manifest import Manifest, changed_files, read_manifest, write_manifest
from knowledge.models import Chunk, Vectors
from knowledge.symbols.table import SYMBOLS
from knowledge.vectors import ChromaServer, DenseIndex, Record

POINTER = "ask-marvin"
PREFIX = f"{POINTER}-"
FRESHNESS = f"{PREFIX}freshness"
MANIFEST_KEY = "manifest"
# Chroma Cloud takes documents of up to 16,384 bytes, and a character of UTF-8 has up to four.
PART_CHARS = 4_000
# A manifest has some kilobytes: a few hundred bytes a source and a line a file.
MANIFEST_PARTS = 100
# A build writes its batches seconds apart; one that has been silent for so long was killed.
ABANDONED = timedelta(minutes=10)
DOWNLOAD = ".download"
DOWNLOAD_ABANDONED_SECONDS = 3600.0


def generations_at(index_dir: Path, chroma_url: str | None) -> Generations:
    """Give the index in a folder, or on the Chroma server of that URL with the folder as its cache."""
    return ServerGenerations(index_dir, ChromaServer(chroma_url)) if chroma_url else Generations(index_dir)


class ServerGenerations(Generations):
    """Like the folders of an embedded Chroma, with the pointer and the vectors on a server."""

    def __init__(self, index_dir: Path, server: ChromaServer) -> None:
        # Generations of two servers have the same numbers; their copies must not be mixed up.
        super().__init__(index_dir / f"server-{hashlib.sha256(server.where.encode()).hexdigest()[:8]}")
        self._server = server

    def close(self) -> None:
        self._server.close()

    def current(self) -> int:
        number = self._server.note(POINTER).get("generation")
        if number is None:
            raise IndexMissing(
                "Nothing has been indexed on the Chroma server yet.", "Run: ask-marvin reindex"
            )
        return int(number)

    def rejected(self) -> dict[str, str]:
        return rejected_from(self._server.note(POINTER).get("rejected", "").split())

    def stored(self) -> list[int]:
        return sorted(number for number, note in self._notes().items() if "built_at" in note)

    def manifest(self, number: int) -> Manifest:
        keys = [f"{MANIFEST_KEY}#{part}" for part in range(MANIFEST_PARTS)]
        parts = self._server.documents(_pages(number), keys)
        try:
            return Manifest.model_validate_json("".join(parts[key] for key in keys if key in parts))
        except ValidationError as error:
            raise _absent(number) from error

    def size(self, number: int) -> None:
        """A server does not tell."""

    def point_to(self, number: int, rejected: Mapping[str, str] | None = None) -> None:
        note = {"generation": number, "rejected": " ".join(rejected_words(rejected or {}))}
        self._server.annotate(POINTER, note)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the right to build; Busy also when another host is writing a generation."""
        with super().lock():
            for number, note in self._notes().items():
                if "built_at" not in note:
                    self._drop_abandoned(number, note)
            yield

    def holder(self) -> str:
        unfinished = (note for note in self._notes().values() if "built_at" not in note)
        elsewhere = (_builder(note) for note in unfinished if _is_elsewhere(note))
        return super().holder() or next(elsewhere, "")

    def begin(self) -> int:
        number = max([*self._notes(), 0]) + 1
        self.building(number).mkdir()
        return number

    def store_vectors(self, number: int, contents: Contents, wrote: Callable[[int], None]) -> None:
        """Write vectors and texts to the server, saying at each batch that this build is alive."""
        self._server.create(_chunks(number), _alive())
        done = 0
        for keys, vectors in contents.vectors():
            chunks = contents.chunks(keys)
            records = [_of_chunk(chunks[key], vector) for key, vector in zip(keys, vectors, strict=True)]
            self._server.add(_chunks(number), records)
            self._server.annotate(_chunks(number), _alive())
            done += len(keys)
            wrote(done)
        self._server.create(_pages(number), _alive())
        self._server.add(_pages(number), _page_parts(contents))

    def open_vectors(self, number: int) -> DenseIndex:
        return self._server.open(_chunks(number))

    def holds_vectors(self, number: int, chunks: int) -> bool:
        return self.open_vectors(number).count() == chunks

    def seal(self, number: int, manifest: Manifest) -> None:
        self._server.add(_pages(number), _parts(MANIFEST_KEY, manifest.model_dump_json()))
        symbols = self.building(number) / SYMBOLS
        if symbols.exists():
            self._server.add(_pages(number), _parts(SYMBOLS, symbols.read_text(encoding="utf-8")))
        note = {"built_at": manifest.built_at.isoformat(), "previous": manifest.previous}
        # A copy of that number may be left from a build that was killed here, or from another server's life.
        shutil.rmtree(self.folder(number), ignore_errors=True)
        super().seal(number, manifest)
        self._server.annotate(_chunks(number), note)

    def discard(self, number: int) -> None:
        super().discard(number)
        self._drop(number)

    def ensure(self, number: int) -> None:
        """Fetch the generation's texts and build its keyword index, unless that was done before."""
        built_at = self._server.note(_chunks(number)).get("built_at")
        if built_at is None:
            raise _absent(number)
        if self._cached(number, built_at):
            return
        self._clear_downloads()
        folder = self.root / f"{number}-{os.getpid()}{DOWNLOAD}"
        folder.mkdir(parents=True)
        try:
            write_manifest(folder, self._download(number, folder))
        except (KeyError, TypeError, ValueError, sqlite3.IntegrityError) as error:
            shutil.rmtree(folder)
            raise IndexDamaged(
                f"Generation {number} on the Chroma server cannot be read.", "Run: ask-marvin reindex --full"
            ) from error
        shutil.rmtree(self.folder(number), ignore_errors=True)
        folder.rename(self.folder(number))

    def retire(self, keep: int) -> None:
        super().retire(keep)
        numbers = self.stored()
        for number in set(numbers) - self.spared(numbers, keep):
            self._drop(number)

    def freshness(self) -> str:
        return str(self._server.note(FRESHNESS).get("freshness", ""))

    def keep_freshness(self, text: str) -> None:
        self._server.annotate(FRESHNESS, {"freshness": text})

    def before(self, number: int) -> int:
        return int(self._server.note(_chunks(number)).get("previous", 0))

    def _notes(self) -> dict[int, dict[str, Any]]:
        names = {name.removeprefix(PREFIX): name for name in self._server.names() if name.startswith(PREFIX)}
        return {int(number): self._server.note(name) for number, name in names.items() if number.isdecimal()}

    def _drop_abandoned(self, number: int, note: dict[str, Any]) -> None:
        if _is_elsewhere(note):
            raise being_built(_builder(note))
        self._drop(number)

    def _drop(self, number: int) -> None:
        names = self._server.names()
        for name in (_pages(number), _chunks(number)):
            if name in names:
                self._server.drop(name)

    def _cached(self, number: int, built_at: str) -> bool:
        try:
            manifest = read_manifest(self.folder(number))
            return manifest.built_at.isoformat() == built_at and not changed_files(
                self.folder(number), manifest
            )
        except IndexDamaged:
            return False

    def _download(self, number: int, folder: Path) -> Manifest:
        texts = self._texts(_pages(number))
        manifest = Manifest.model_validate_json(texts.pop(MANIFEST_KEY))
        if symbols := texts.pop(SYMBOLS, ""):
            (folder / SYMBOLS).write_text(symbols, encoding="utf-8")
        with closing(Contents.create(folder / CONTENTS)) as contents:
            for record in texts.values():
                contents.put(page_from_record(record), [])
            for batch in self._server.records(_chunks(number)):
                contents.add_chunks(
                    [_to_chunk(record) for record in batch], {r.key: r.vector.tobytes() for r in batch}
                )
            contents.commit()
            write_derived(folder, contents)
        return manifest

    def _texts(self, name: str) -> dict[str, str]:
        parts: dict[str, dict[int, str]] = {}
        for batch in self._server.records(name):
            for record in batch:
                key, _, part = record.key.rpartition("#")
                parts.setdefault(key, {})[int(part)] = record.document
        return {key: "".join(texts[part] for part in sorted(texts)) for key, texts in parts.items()}

    def _clear_downloads(self) -> None:
        for path in self.root.glob(f"*{DOWNLOAD}"):
            if time.time() - path.stat().st_mtime > DOWNLOAD_ABANDONED_SECONDS:
                shutil.rmtree(path)


def _absent(number: int) -> IndexDamaged:
    return IndexDamaged(f"The Chroma server has no generation {number}.", "Run: ask-marvin reindex --full")


def _chunks(number: int) -> str:
    return f"{PREFIX}{number}"


def _pages(number: int) -> str:
    return f"{PREFIX}{number}-pages"


def _is_elsewhere(note: Mapping[str, Any]) -> bool:
    """Whether another host was writing just now; on our own one it is the lock that tells."""
    silent = datetime.now(UTC) - datetime.fromisoformat(note["alive_at"])
    return silent < ABANDONED and note["host"] != socket.gethostname()


def _builder(note: Mapping[str, Any]) -> str:
    return f"process {note['pid']} on {note['host']}"


def _alive() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "alive_at": datetime.now(UTC).isoformat()}


def _of_chunk(chunk: Chunk, vector: Vectors) -> Record:
    metadata = asdict(chunk) | {"aliases": "\n".join(chunk.aliases)}
    return Record(chunk_key(chunk), metadata.pop("text"), metadata, vector)


def _to_chunk(record: Record) -> Chunk:
    aliases = tuple(record.metadata["aliases"].splitlines())
    return Chunk(**{**record.metadata, "text": record.document, "aliases": aliases})


def _page_parts(contents: Contents) -> Iterator[Record]:
    for source in contents.sources():
        for page in contents.pages(source):
            yield from _parts(f"{source}:{page.path}", page_record(page))


def _parts(key: str, text: str) -> list[Record]:
    """Cut a text to what one document may hold; Chroma wants a vector with each, which is not searched."""
    starts = range(0, len(text), PART_CHARS)
    return [
        Record(f"{key}#{part}", text[start : start + PART_CHARS], {}, np.array([part], dtype=np.float32))
        for part, start in enumerate(starts)
    ]
