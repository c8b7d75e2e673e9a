"""Dense vectors in Chroma: a folder of its own for each generation, or collections on a Chroma server.

The only module that knows Chroma. It is imported where it is used, since that takes most of a second and
50 MB, which a command that never searches need not pay.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np

from knowledge.errors import BadInput, ExpectedError, IndexDamaged, Refused, Unreachable
from knowledge.models import Embedder, Vectors

if TYPE_CHECKING:
    from chromadb import Collection
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateCollectionConfiguration
    from chromadb.config import Settings
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

logger = logging.getLogger(__name__)

COLLECTION = "chunks"
# Chroma's default: so many vectors wait to be put into its index together.
WAITING = 100
# Candidates that the approximate search keeps; twice as many as are asked for find nearly all of the nearest.
SEARCH_WIDTH = 400
# Chroma Cloud takes no more records than this in one request.
REQUEST_RECORDS = 300
LISTED = 100
# Chroma's own client waits for ever; a search over 200,000 vectors takes well under a second.
SERVER_TIMEOUT = httpx.Timeout(10.0, connect=5.0)


class DenseIndex:
    """One open collection; safe to search from several threads."""

    def __init__(self, collection: "Collection", where: str, close: Callable[[], None]) -> None:
        self._collection = collection
        self._where = where
        self.close = close

    def count(self) -> int:
        with _failures(self._where):
            return self._collection.count()

    def nearest(self, vector: Vectors, limit: int) -> list[tuple[str, float]]:
        """Give (key, cosine similarity) of the nearest chunks, nearest first; the vector's shape is (dims,).

        Raises IndexDamaged for a folder, Unreachable or Refused for a server.
        """
        with _failures(self._where):
            found = self._collection.query(
                query_embeddings=vector[np.newaxis, :], n_results=limit, include=["distances"]
            )
        assert found["distances"] is not None
        return [(key, 1.0 - gap) for key, gap in zip(found["ids"][0], found["distances"][0], strict=True)]


def write_folder(
    folder: Path, batches: Iterable[tuple[list[str], Vectors]], total: int, wrote: Callable[[int], None]
) -> None:
    """Write (keys, vectors) batches, `total` in all, into a new folder; `wrote` is told how many are done."""
    folder.mkdir(parents=True)
    with _failures(str(folder)), _folder_client(folder) as client:
        collection = client.create_collection(
            COLLECTION,
            embedding_function=None,
            configuration={
                "hnsw": {
                    "space": "cosine",
                    "ef_search": SEARCH_WIDTH,
                    "batch_size": min(WAITING, total),
                    # The index goes to disk when so many have come. What comes later is replayed at every
                    # opening, a millisecond each, and changes the files then; so: exactly at the last one.
                    "sync_threshold": total,
                }
            },
        )
        done = 0
        for keys, vectors in batches:
            collection.add(ids=keys, embeddings=vectors)
            done += len(keys)
            wrote(done)


def open_folder(folder: Path) -> DenseIndex:
    """Open a generation's Chroma folder; IndexDamaged when it cannot be read."""
    if not (folder / "chroma.sqlite3").is_file():  # Chroma would make an empty one
        raise _damaged(str(folder))
    with _failures(str(folder)):
        client = _folder_client(folder)
        try:
            collection = client.get_collection(COLLECTION, embedding_function=None)
        except BaseException:
            client.close()
            raise
    # Chroma keeps memory and files of a folder until its last client is closed.
    return DenseIndex(collection, str(folder), client.close)


def holds(folder: Path, chunks: int) -> bool:
    """Tell whether a generation's Chroma folder is whole, without Chroma, whose import takes a while.

    Its other files are compared by their checksums; this one changes at each opening.
    """
    uri = f"{(folder / 'chroma.sqlite3').absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as database:
            sound = database.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
            return sound and database.execute("SELECT count(*) FROM embeddings").fetchone() == (chunks,)
    except sqlite3.DatabaseError:
        return False


@dataclass(frozen=True)
class Record:
    """What a Chroma server holds for one key."""

    key: str
    document: str
    metadata: dict[str, Any]
    vector: Vectors


class ChromaServer:
    """A connection to a Chroma server or Chroma Cloud; its failures are Unreachable or Refused.

    `url` is `http://host:port`, or with a token and a place: `https://:TOKEN@host/TENANT/DATABASE`.
    """

    def __init__(self, url: str) -> None:
        self.where, options = _server_options(url)
        with _failures(self.where):
            httpx.get(f"{self.where}/api/v2/heartbeat", timeout=SERVER_TIMEOUT).raise_for_status()
            self._client = _server_client(options)

    def close(self) -> None:
        for session in _sessions(self._client):
            session.close()
        self._client.close()

    def names(self) -> list[str]:
        """Give the names of all collections, also those that are not ours."""
        names: list[str] = []
        with _failures(self.where):
            while batch := self._client.list_collections(limit=LISTED, offset=len(names)):
                names += [collection.name for collection in batch]
        return names

    def create(self, name: str, note: dict[str, Any]) -> None:
        configuration: CreateCollectionConfiguration = {
            "hnsw": {"space": "cosine", "ef_search": SEARCH_WIDTH}
        }
        with _failures(self.where):
            self._client.create_collection(
                name, metadata=note, embedding_function=None, configuration=configuration
            )

    def drop(self, name: str) -> None:
        with _failures(self.where):
            self._client.delete_collection(name)

    def note(self, name: str) -> dict[str, Any]:
        """Give a collection's metadata, empty when there is no such collection."""
        from chromadb.errors import NotFoundError

        with _failures(self.where):
            try:
                collection = self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return {}
        return dict(collection.metadata or {})

    def annotate(self, name: str, note: dict[str, Any]) -> None:
        """Replace the metadata of a collection, which is made when it does not exist."""
        with _failures(self.where):
            self._client.get_or_create_collection(name, embedding_function=None).modify(metadata=note)

    def add(self, name: str, records: Iterable[Record]) -> None:
        collection = self._collection(name)
        waiting = iter(records)
        while batch := list(islice(waiting, REQUEST_RECORDS)):
            with _failures(self.where):
                collection.add(
                    ids=[record.key for record in batch],
                    documents=[record.document for record in batch],
                    metadatas=[record.metadata for record in batch] if batch[0].metadata else None,
                    embeddings=np.stack([record.vector for record in batch]),
                )

    def records(self, name: str) -> Iterator[list[Record]]:
        """Yield all records of a collection in batches."""
        collection = self._collection(name)
        offset = 0
        while batch := self._page(collection, offset):
            yield batch
            offset += len(batch)

    def documents(self, name: str, keys: list[str]) -> dict[str, str]:
        """Give the texts of those keys that the collection has."""
        collection = self._collection(name)
        with _failures(self.where):
            got = collection.get(ids=keys, include=["documents"])
        return dict(zip(got["ids"], got["documents"] or [], strict=True))

    def open(self, name: str) -> DenseIndex:
        """Open a collection for searching, through this connection."""
        return DenseIndex(self._collection(name), self.where, lambda: None)

    def _collection(self, name: str) -> "Collection":
        with _failures(self.where):
            return self._client.get_collection(name, embedding_function=None)

    def _page(self, collection: "Collection", offset: int) -> list[Record]:
        with _failures(self.where):
            got = collection.get(
                limit=REQUEST_RECORDS, offset=offset, include=["documents", "metadatas", "embeddings"]
            )
        documents, metadatas, vectors = got["documents"], got["metadatas"], got["embeddings"]
        assert documents is not None
        assert metadatas is not None
        assert vectors is not None
        rows = zip(got["ids"], documents, metadatas, np.asarray(vectors, dtype=np.float32), strict=True)
        return [
            Record(key, document, dict(metadata or {}), vector) for key, document, metadata, vector in rows
        ]


def minilm_embedder() -> Embedder:
    """Make the embedder of Chroma's own ONNX function; downloads 80 MB to ~/.cache at the first text.

    Its `embed` raises Unreachable when the model cannot be downloaded.
    """
    functions: list[ONNXMiniLM_L6_V2] = []
    loading = threading.Lock()

    def embed(texts: list[str]) -> Vectors:
        with loading:
            if not functions:
                functions.append(_load_minilm())
        return np.asarray(functions[0](texts), dtype=np.float32)

    return Embedder(name="minilm", embed=embed)


def _load_minilm() -> "ONNXMiniLM_L6_V2":
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    function = ONNXMiniLM_L6_V2()
    try:
        function(["ready"])
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise Unreachable(
            "The minilm embedder's model could not be downloaded.",
            "Set ASK_MARVIN_EMBEDDER=static, which needs no download.",
        ) from error
    return function


def _settings() -> "Settings":
    from chromadb.config import Settings

    # No telemetry; and the .env file is ours to read, not Chroma's.
    return Settings(anonymized_telemetry=False, _env_file=None)


def _folder_client(folder: Path) -> "Client":
    import chromadb

    return cast("Client", chromadb.PersistentClient(str(folder), settings=_settings()))


def _server_options(url: str) -> tuple[str, dict[str, Any]]:
    try:
        parts = urlsplit(url)
        given = parts.port
    except ValueError:
        raise _no_address() from None  # The error may show the address, and with it the token.
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _no_address()
    secure = parts.scheme == "https"
    port = given or (443 if secure else 8000)
    options: dict[str, Any] = {"host": parts.hostname, "port": port, "ssl": secure}
    if parts.password:
        options["headers"] = {"x-chroma-token": unquote(parts.password)}
    place = [unquote(part) for part in parts.path.split("/") if part]
    options.update(zip(("tenant", "database"), place, strict=False))
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}", options


def _no_address() -> BadInput:
    return BadInput(
        "CHROMA_URL is no address of a Chroma server.", "Set it to something like http://host:8000"
    )


def _server_client(options: dict[str, Any]) -> "Client":
    import chromadb

    client = cast("Client", chromadb.HttpClient(**options, settings=_settings()))
    for session in _sessions(client):
        session.timeout = SERVER_TIMEOUT
    return client


def _sessions(client: "Client") -> list[httpx.Client]:
    """Give the client's two HTTP sessions, which it has no option to set a timeout on and does not close."""
    holders: tuple[Any, ...] = (client, client._admin_client)
    return [holder._server._session for holder in holders]


@contextmanager
def _failures(where: str) -> Iterator[None]:
    """Turn what Chroma raises into our own errors, with the details in the log."""
    try:
        yield
    except Exception as error:
        if not _is_chromas(error):
            raise
        logger.warning("Chroma at %s: %s: %s", where, type(error).__name__, error)
        raise _translated(error, where) from error


def _is_chromas(error: Exception) -> bool:
    from chromadb.errors import ChromaError, InvalidArgumentError

    if isinstance(error, InvalidArgumentError):  # a fault of ours
        return False
    # Its client raises a bare Exception for an answer that it does not know, ValueError when nobody answers.
    return isinstance(error, ChromaError | httpx.HTTPError | ValueError) or type(error) is Exception


def _translated(error: Exception, where: str) -> ExpectedError:
    if not where.startswith(("http://", "https://")):
        return _damaged(where)
    if type(error).__name__ in ("ChromaAuthError", "AuthorizationError"):
        return Refused(f"The Chroma server at {where} refuses our token.", "Correct CHROMA_URL.")
    return Unreachable(f"The Chroma server at {where} did not answer as it should.", "Check that it runs.")


def _damaged(where: str) -> IndexDamaged:
    return IndexDamaged(f"The vectors in {where} cannot be read.", "Run: ask-marvin reindex --full")
