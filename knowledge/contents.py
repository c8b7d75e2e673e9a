"""The texts of one generation in a SQLite file: pages, their chunks, and the chunks' vectors.

The search indexes beside it are made from it; a later build takes over from it what has not changed, vectors
included, so that a page is embedded (and with a hosted embedder: paid for) once.
"""

import difflib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.models import Chunk, Page, Vectors

SCHEMA = """
CREATE TABLE pages (
    source TEXT NOT NULL, path TEXT NOT NULL, hash TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (source, path)
) WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, source TEXT NOT NULL, page TEXT NOT NULL,
    record TEXT NOT NULL, vector BLOB
);
CREATE INDEX chunks_of_page ON chunks (source, page);
CREATE INDEX pages_by_path ON pages (path);
"""
CONTENTS = "contents.sqlite"
# Rows read or written at once: bounds memory, and is what a Chroma server in the cloud takes in one request.
BATCH = 300
# Hexadecimal digits: few enough for the metadata of a Chroma server, too many to meet by chance.
FINGERPRINT = 16

INSERT_CHUNK = "INSERT INTO chunks (key, source, page, record, vector) VALUES (?, ?, ?, ?, ?)"
# What a page's metadata tells about how it came, not what it says.
DELIVERY = ("etag", "last_modified")


def content_hash(page: Page) -> str:
    """Tell pages apart by all that their chunks are made of; the headers of their delivery do not count."""
    seen = asdict(page)
    seen["metadata"] = {name: value for name, value in page.metadata.items() if name not in DELIVERY}
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def chunk_key(chunk: Chunk) -> str:
    """Give the chunk's name in all indexes of its generation."""
    return f"{chunk.source}:{chunk.page}#{chunk.position}"


def page_of_key(key: str) -> tuple[str, str]:
    """Give (source, page path) of a chunk's key without a look-up."""
    source, _, rest = key.partition(":")
    return source, rest.rpartition("#")[0]


def page_record(page: Page) -> str:
    return json.dumps(asdict(page), ensure_ascii=False)


def page_from_record(record: str) -> Page:
    fields = json.loads(record)
    return Page(**{**fields, "aliases": tuple(fields["aliases"])})


def chunk_from_record(record: str) -> Chunk:
    fields = json.loads(record)
    return Chunk(**{**fields, "aliases": tuple(fields["aliases"])})


class Contents:
    """An open contents file. Reading is safe from several threads; one build writes, in its own new file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path) -> "Contents":
        connection = sqlite3.connect(path, check_same_thread=False)
        # The whole folder is thrown away when a build dies, so a journal would only cost time.
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(SCHEMA)
        return cls(connection)

    @classmethod
    def open(cls, path: Path) -> "Contents":
        """Open for reading; a finished generation never changes, so `immutable` spares the file locks."""
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        return cls(sqlite3.connect(uri, uri=True, check_same_thread=False))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def commit(self) -> None:
        self._connection.commit()

    def put(self, page: Page, chunks: Sequence[Chunk]) -> None:
        """Write a page that is not there yet, with its chunks, which are still to be embedded."""
        self._connection.execute(
            "INSERT INTO pages VALUES (?, ?, ?, ?)",
            (page.source, page.path, content_hash(page), page_record(page)),
        )
        self.add_chunks(chunks, {})

    def put_again(self, page: Page, older: "Contents") -> None:
        """Write a page whose text is the same in an older generation, with its chunks and vectors there."""
        self.put(page, [])
        rows = older._rows(
            "SELECT key, source, page, record, vector FROM chunks WHERE source = ? AND page = ? ORDER BY id",
            (page.source, page.path),
        )
        self._connection.executemany(INSERT_CHUNK, rows)

    def add_chunks(self, chunks: Iterable[Chunk], vectors: Mapping[str, bytes]) -> None:
        """Write chunks of pages that are there; vectors by chunk key where they are known."""
        keyed = ((chunk_key(chunk), chunk) for chunk in chunks)
        rows = [(key, c.source, c.page, _chunk_record(c), vectors.get(key)) for key, c in keyed]
        self._connection.executemany(INSERT_CHUNK, rows)

    def counts(self, source: str | None = None) -> tuple[int, int]:
        """Give (pages, chunks), of one source or of all."""
        where, values = ("WHERE source = ?", (source,)) if source else ("", ())
        pages = self._rows(f"SELECT count(*) FROM pages {where}", values)  # noqa: S608 - fixed clause
        chunks = self._rows(f"SELECT count(*) FROM chunks {where}", values)  # noqa: S608 - fixed clause
        return pages[0][0], chunks[0][0]

    def sources(self) -> list[str]:
        return [name for (name,) in self._rows("SELECT DISTINCT source FROM pages ORDER BY source")]

    def hashes(self, source: str) -> dict[str, str]:
        """Give the content hash of each page of a source, by path."""
        return dict(self._rows("SELECT path, hash FROM pages WHERE source = ?", (source,)))

    def fingerprint(self, source: str) -> str:
        """Tell whether a source holds the same pages with the same texts as elsewhere."""
        pages = self._rows("SELECT path, hash FROM pages WHERE source = ? ORDER BY path", (source,))
        return hashlib.sha256(json.dumps(pages).encode()).hexdigest()[:FINGERPRINT]

    def pages(self, source: str) -> Iterator[Page]:
        for path in self.hashes(source):
            page = self.page(source, path)
            assert page is not None
            yield page

    def page(self, source: str, path: str) -> Page | None:
        found = self._rows("SELECT record FROM pages WHERE source = ? AND path = ?", (source, path))
        return page_from_record(found[0][0]) if found else None

    def find(self, path: str) -> Page | None:
        """Give the page of that path from whichever source has it."""
        found = self._rows("SELECT record FROM pages WHERE path = ? ORDER BY source LIMIT 1", (path,))
        return page_from_record(found[0][0]) if found else None

    def near(self, path: str, limit: int = 3) -> list[str]:
        """Give the paths that look most like one that is not there."""
        paths = sorted({known for (known,) in self._rows("SELECT path FROM pages")})
        by_name = {known.rpartition("/")[2]: known for known in paths}
        names = difflib.get_close_matches(path.rpartition("/")[2], by_name, limit)
        close = [by_name[name] for name in names] + difflib.get_close_matches(path, paths, limit)
        return list(dict.fromkeys(close))[:limit]

    def chunks(self, keys: Sequence[str]) -> dict[str, Chunk]:
        """Give the chunks of some keys, at most a few hundred."""
        marks = ",".join("?" * len(keys))
        rows = self._rows(f"SELECT key, record FROM chunks WHERE key IN ({marks})", tuple(keys))  # noqa: S608
        return {key: chunk_from_record(record) for key, record in rows}

    def all_chunks(self) -> Iterator[tuple[str, Chunk]]:
        for rows in self._batches("SELECT id, key, record FROM chunks WHERE id > ?"):
            for _, key, record in rows:
                yield key, chunk_from_record(record)

    def vectors(self) -> Iterator[tuple[list[str], Vectors]]:
        """Yield (keys, vectors) in batches of at most BATCH rows; chunks without a vector are left out."""
        for rows in self._batches("SELECT id, key, vector FROM chunks WHERE vector IS NOT NULL AND id > ?"):
            yield (
                [row[1] for row in rows],
                np.stack([np.frombuffer(row[2], dtype=np.float32) for row in rows]),
            )

    def without_vector(self) -> Iterator[list[tuple[str, Chunk]]]:
        """Yield batches of the (key, chunk) pairs that are still to be embedded."""
        for rows in self._batches("SELECT id, key, record FROM chunks WHERE vector IS NULL AND id > ?"):
            yield [(key, chunk_from_record(record)) for _, key, record in rows]

    def count_without_vector(self) -> int:
        return int(self._rows("SELECT count(*) FROM chunks WHERE vector IS NULL")[0][0])

    def dims(self) -> int:
        """Give the length of the vectors, 0 while there are none."""
        found = self._rows("SELECT length(vector) FROM chunks WHERE vector IS NOT NULL LIMIT 1")
        return found[0][0] // np.dtype(np.float32).itemsize if found else 0

    def set_vectors(self, keys: Iterable[str], vectors: Vectors) -> None:
        rows = [(vector.tobytes(), key) for key, vector in zip(keys, vectors.astype(np.float32), strict=True)]
        self._connection.executemany("UPDATE chunks SET vector = ? WHERE key = ?", rows)

    def _batches(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        last = 0
        while rows := self._rows(f"{query} ORDER BY id LIMIT {BATCH}", (last,)):
            yield rows
            last = rows[-1][0]

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()


def _chunk_record(chunk: Chunk) -> str:
    return json.dumps(asdict(chunk), ensure_ascii=False)
