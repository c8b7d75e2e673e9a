"""Small corpora, an embedder that remembers, and a build in one call, for the tests of the knowledge base."""

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from knowledge.build import build
from knowledge.evaluation import EvalQuestion
from knowledge.library import Library
from knowledge.models import Embedder, Vectors
from knowledge.report import BuildReport, Progress
from knowledge.sources.config import SourceConfig
from knowledge.symbols.package import Origin

DIMS = 32
PAGES = {
    "concepts/work-pools": "# Work pools\n\nA work pool is a bridge between orchestration and infrastructure.\n",
    "concepts/workers": "# Workers\n\nA worker polls a work pool and starts runs.\n",
    "how-to-guides/schedules": "# Create schedules\n\nAdd a cron schedule to a deployment.\n",
}


class WordEmbedder:
    """Embeds by the words of a text, the same everywhere and at no cost; remembers what it was asked."""

    def __init__(self, name: str = "words") -> None:
        self.texts: list[str] = []
        self.embedder = Embedder(name, self._embed)

    def _embed(self, texts: list[str]) -> Vectors:
        self.texts += texts
        return np.stack([_vector(text) for text in texts])


def _vector(text: str) -> Vectors:
    vector = np.zeros(DIMS, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.md5(word.encode(), usedforsecurity=False).digest()
        vector += np.frombuffer(digest * 2, dtype=np.uint8).astype(np.float32) - 127.5
    length = np.linalg.norm(vector)
    return vector / length if length else vector


def write_pages(folder: Path, pages: Mapping[str, str] = PAGES) -> SourceConfig:
    """Write pages as Markdown files and give the source that reads them."""
    for path, text in pages.items():
        file = folder / f"{path}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return SourceConfig(
        name=folder.name, kind="files", path=folder, base_url=f"https://{folder.name}.example.com"
    )


def run_build(
    index_dir: Path,
    sources: Sequence[SourceConfig],
    embedder: Embedder,
    *,
    only: str | None = None,
    full: bool = False,
    force: bool = False,
    golden: Sequence[EvalQuestion] = (),
    prefect: Origin | None = None,
    chroma_url: str | None = None,
    keep: int = 3,
    seen: list[Progress] | None = None,
) -> BuildReport:
    """Build without an event loop of the caller's; progress goes to `seen`."""
    progress: list[Progress] = [] if seen is None else seen
    return asyncio.run(
        build(
            index_dir,
            sources,
            embedder,
            only=only,
            full=full,
            force=force,
            golden=golden,
            prefect=prefect,
            chroma_url=chroma_url,
            keep=keep,
            report=progress.append,
        )
    )


def first_page(index_dir: Path, words: WordEmbedder, question: str) -> str:
    """The first one that a search of the live generation finds."""
    library = Library(index_dir, words.embedder)
    library.open()
    try:
        return library.search(question)[0].page
    finally:
        library.close()


def change_manifest(index_dir: Path, **changed: object) -> None:
    path = index_dir / "1" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
