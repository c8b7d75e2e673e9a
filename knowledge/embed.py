"""The default embedder: wordllama's static token vectors, averaged.

The 16 MB of weights come inside wordllama's wheel, so nothing is downloaded. Its package is located but never
imported: importing it sets up logging and would pull in code that is not needed for a table look-up.
"""

import importlib.util
import json
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from knowledge.errors import BadInput
from knowledge.models import Embedder, Vectors

TENSOR = "embedding.weight"
WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
# Tokenised at once: keeps the encodings of a whole corpus from being in memory together.
BATCH = 256


@dataclass(frozen=True)
class StaticModel:
    """One vector a token, in float16 as shipped."""

    table: NDArray[np.float16]
    tokenizer: Tokenizer

    def pieces(self, text: str) -> NDArray[np.int64]:
        """Give the ids of the different tokens of a text; the smaller an id, the more common is the token."""
        return np.unique(np.array(self.tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64))

    def vectors(self, pieces: NDArray[np.int64]) -> Vectors:
        """Give one unit vector a token, shape (tokens, 256)."""
        return unit(self.table[pieces].astype(np.float32))

    def embed(self, texts: list[str]) -> Vectors:
        """Give one unit vector a text, shape (texts, 256); a text without tokens gives zeros."""
        vectors = np.zeros((len(texts), self.table.shape[1]), dtype=np.float32)
        for start in range(0, len(texts), BATCH):
            encodings = self.tokenizer.encode_batch_fast(
                texts[start : start + BATCH], add_special_tokens=False
            )
            for row, encoding in enumerate(encodings, start):
                if encoding.ids:
                    vectors[row] = self.table[encoding.ids].mean(axis=0, dtype=np.float32)
        return unit(vectors)


def unit(vectors: Vectors) -> Vectors:
    """Scale each row to length 1; rows of zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


def static_embedder() -> Embedder:
    """Make the embedder that works offline; its weights are read at the first text."""
    return Embedder(name="static", embed=lambda texts: load_static_model().embed(texts))


@cache  # what was read never changes, and two tokenizers would take 10 MB more than one
def load_static_model() -> StaticModel:
    """Read weights and tokenizer from wordllama's folder, once; BadInput when they are not there."""
    folder = _wordllama_folder()
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return StaticModel(_mapped_table(folder / WEIGHTS), tokenizer)


def _mapped_table(path: Path) -> NDArray[np.float16]:
    """Map the weights into memory: a bot and a build beside it share them, and only the rows used are read.

    The format is https://github.com/huggingface/safetensors#format; its own reader makes a copy.
    """
    with path.open("rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        tensor = json.loads(file.read(header_bytes))[TENSOR]
    offset = 8 + header_bytes + tensor["data_offsets"][0]
    return np.asarray(np.memmap(path, np.float16, "r", offset, tuple(tensor["shape"])))


def _wordllama_folder() -> Path:
    found = importlib.util.find_spec("wordllama")
    folder = Path(found.origin).parent if found and found.origin else Path()
    if not (folder / WEIGHTS).is_file() or not (folder / TOKENIZER).is_file():
        raise BadInput(
            "The static embedder's weights are not installed.", "Run: pip install wordllama==0.2.2.post0"
        )
    return folder
