"""What a generation of the index says about itself: `manifest.json` in its folder."""

import base64
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from knowledge.errors import IndexDamaged
from knowledge.evaluation import Scores
from knowledge.models import Vectors

MANIFEST = "manifest.json"
# Raised when the files or the text that is embedded of a chunk change: older generations are then built anew.
LAYOUT = 2
KNOWN_VECTORS = 3
# Looked at to find those; pages that are generated have many chunks alike.
CANDIDATES = 50
# Cosine similarity from which two vectors are taken for one.
TWIN = 0.999
# Chroma writes to its own database on merely opening it; SQLite notices by itself when that file is broken.
UNCHECKED = ("chroma.sqlite3",)
READ_BYTES = 1 << 20

Batch = tuple[list[str], Vectors]


class KnownVector(BaseModel):
    """A vector that must find its own chunk when the generation is opened."""

    model_config = ConfigDict(frozen=True)

    key: str
    vector: str
    """float16 numbers in base64."""

    @classmethod
    def of(cls, key: str, vector: Vectors) -> "KnownVector":
        return cls(key=key, vector=base64.b64encode(vector.astype(np.float16).tobytes()).decode())

    def numbers(self) -> Vectors:
        return np.frombuffer(base64.b64decode(self.vector), dtype=np.float16).astype(np.float32)


class SourceState(BaseModel):
    """One source as the generation holds it."""

    model_config = ConfigDict(frozen=True)

    name: str
    pages: int
    chunks: int
    fetched_at: datetime | None
    """When it last answered (UTC); None when it never did."""
    error: str = ""
    """Why its content is older than the generation; empty when it is not."""
    tried_at: datetime | None = None
    """When it was last asked, whether or not it answered; None when that is not known."""
    failures: int = 0
    """How often in a row it failed since it last answered."""


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)

    generation: int
    layout: int = LAYOUT
    embedder: str
    chunker: str
    dims: int
    pages: int
    chunks: int
    sources: tuple[SourceState, ...]
    known: tuple[KnownVector, ...]
    built_at: datetime
    previous: int = 0
    """The generation that was live when this one was built; 0 when there was none."""
    score: Scores | None = None
    """On the golden questions whose pages it holds, when it was built; None when it holds none of them."""
    files: dict[str, str] = {}
    """Checksum of each file in the folder, by its path there."""

    def same_kind(self, embedder: str, chunker: str) -> bool:
        """Tell whether vectors and chunks can be used beside those made now."""
        return (self.layout, self.embedder, self.chunker) == (LAYOUT, embedder, chunker)


def read_manifest(folder: Path) -> Manifest:
    """Read a generation's manifest; IndexDamaged when it is missing or not understood."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise IndexDamaged(
            f"The index folder {folder} has no readable manifest.", "Run: ask-marvin reindex --full"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with the checksums of all that is in the folder by now."""
    whole = manifest.model_copy(update={"files": checksums(folder)})
    (folder / MANIFEST).write_text(whole.model_dump_json(indent=1))


def checksums(folder: Path) -> dict[str, str]:
    """Give size and CRC-32 of each file; Chroma crashes the process on some broken ones, so they are compared
    before it opens any.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    checked = [path for path in files if path.name not in (*UNCHECKED, MANIFEST) and path.suffix != ".lock"]
    return {
        path.relative_to(folder).as_posix(): f"{path.stat().st_size}:{_crc(path):08x}" for path in checked
    }


def changed_files(folder: Path, manifest: Manifest) -> list[str]:
    """Name the files that are not as the manifest says; files that came in addition do no harm."""
    present = checksums(folder)
    return [name for name, checksum in manifest.files.items() if present.get(name) != checksum]


def pick_known(batches: Callable[[], Iterable[Batch]], total: int) -> tuple[KnownVector, ...]:
    """Choose vectors across the index that no other chunk shares, so that the nearest is unmistakable.

    `batches` gives all `total` vectors anew at each call, so that they need not be in memory together.
    """
    keys, candidates = _sample(batches(), step=max(1, total // CANDIDATES))
    if not keys:
        return ()
    twins = sum((vectors @ candidates.T > TWIN).sum(axis=0) for _, vectors in batches())
    unique = [row for row, count in enumerate(twins) if count == 1]
    spread = unique[:: max(1, len(unique) // KNOWN_VECTORS)][:KNOWN_VECTORS]
    return tuple(KnownVector.of(keys[row], candidates[row]) for row in spread)


def _sample(batches: Iterable[Batch], step: int) -> tuple[list[str], Vectors]:
    numbered = enumerate(
        (key, row) for keys, vectors in batches for key, row in zip(keys, vectors, strict=True)
    )
    chosen = [pair for number, pair in numbered if number % step == 0]
    rows = [row for _, row in chosen]
    return [key for key, _ in chosen], np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            crc = zlib.crc32(block, crc)
    return crc
