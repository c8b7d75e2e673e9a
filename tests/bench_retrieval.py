"""One way to search, measured in a process of its own: `python -m tests.bench_retrieval WAY --docs … --questions …`.

Prints one JSON object: seconds to index, MB of memory at the most, and the scores. The ways are what a user might
set up instead of this project, over the same pages: BM25 alone and dense vectors alone over the same chunks, and
Chroma's own default, which cuts nothing and is given pieces of 1,000 characters.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from knowledge.chunks import chunk_page
from knowledge.embed import static_embedder
from knowledge.evaluation import Search, evaluate, load_questions
from knowledge.keywords import Keywords, stems_of_words, write_keywords
from knowledge.library import Library
from knowledge.models import Chunk, Page, Passage
from knowledge.sources.config import SourceConfig
from knowledge.sources.files import read_files
from knowledge.vectors import open_folder, write_folder
from knowledge.words import words

BASE_URL = "https://docs.prefect.io"
PIECE_CHARS = 1_000
# What Chroma takes in one call.
BATCH = 1_000
BYTES = 1024

Way = Callable[[list[Page], Path], Search]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--docs", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    options = parser.parse_args()
    pages = list(read_pages(options.docs))
    questions = load_questions(options.questions)
    with tempfile.TemporaryDirectory(prefix="ask-marvin-way-") as folder:
        began = time.perf_counter()
        search = WAYS[options.way](pages, Path(folder))
        seconds = time.perf_counter() - began
        search("warm up", 1)
        scores = evaluate(search, questions)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / BYTES
    document = {"seconds": seconds, "memory": memory, "scores": scores.model_dump(by_alias=True)}
    sys.stdout.write(json.dumps(document))


def read_pages(folder: Path) -> Iterator[Page]:
    source = SourceConfig(name="docs", kind="files", path=folder.resolve(), base_url=BASE_URL)
    return (page for page in read_files(source) if isinstance(page, Page))


def keywords_alone(pages: list[Page], folder: Path) -> Search:
    """BM25 over chunks by heading, asked for the words of the question."""
    chunks = {f"{number}": chunk for number, chunk in enumerate(cut(pages))}
    write_keywords(folder / "keywords", chunks.items())
    index = Keywords(folder / "keywords")
    stem = stems_of_words().analyze

    def search(question: str, top: int) -> list[Passage]:
        stems = dict.fromkeys(stem(" ".join(words(question))), 1.0)
        return [passage(chunks[key].page) for key, _ in index.search(stems, top)]

    return search


def dense_alone(pages: list[Page], folder: Path) -> Search:
    """The default embedder's vectors of chunks by heading."""
    chunks = list(cut(pages))
    embed = static_embedder().embed
    texts = [f"{chunk.title}\n{chunk.heading}\n{chunk.text}" for chunk in chunks]
    batches = (
        (
            [str(key) for key in range(start, min(start + BATCH, len(texts)))],
            embed(texts[start : start + BATCH]),
        )
        for start in range(0, len(texts), BATCH)
    )
    write_folder(folder / "vectors", batches, len(texts), lambda _done: None)
    index = open_folder(folder / "vectors")

    def search(question: str, top: int) -> list[Passage]:
        found = index.nearest(embed([question])[0], top)
        return [passage(chunks[int(key)].page) for key, _ in found]

    return search


def chroma_default(pages: list[Page], folder: Path) -> Search:
    """`collection.add(documents=…)` as its documentation shows it: MiniLM, which it downloads at first use."""
    import chromadb

    collection = chromadb.PersistentClient(str(folder / "chroma")).create_collection("docs")
    pieces = [
        (page.path, page.markdown[start : start + PIECE_CHARS])
        for page in pages
        for start in range(0, len(page.markdown), PIECE_CHARS)
    ]
    for start in range(0, len(pieces), BATCH):
        batch = pieces[start : start + BATCH]
        collection.add(
            ids=[str(start + number) for number in range(len(batch))],
            documents=[text for _, text in batch],
            metadatas=[{"page": path} for path, _ in batch],
        )

    def search(question: str, top: int) -> list[Passage]:
        found = collection.query(query_texts=[question], n_results=top, include=["metadatas"])
        assert found["metadatas"] is not None
        return [passage(str(metadata["page"])) for metadata in found["metadatas"][0]]

    return search


def cut(pages: list[Page]) -> Iterator[Chunk]:
    return (chunk for page in pages for chunk in chunk_page(page))


def passage(page: str) -> Passage:
    return Passage(rank=1, score=0.0, page=page, title="", heading="", url="", source="docs", text="")


def ours(index_dir: Path) -> tuple[Library, Search]:
    library = Library(index_dir, static_embedder())
    library.open()
    library.search("warm up")
    return library, library.search


WAYS: dict[str, Way] = {"bm25": keywords_alone, "dense": dense_alone, "chroma": chroma_default}


if __name__ == "__main__":
    main()
