"""BM25 over titles, headings, aliases and text, in tantivy."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from tantivy import (
    Document,
    Filter,
    Index,
    Occur,
    Query,
    Schema,
    SchemaBuilder,
    TextAnalyzer,
    TextAnalyzerBuilder,
    Tokenizer,
)

from knowledge.models import Chunk
from knowledge.words import MAX_WORD, words

# `text` has title, headings and path as well, since BM25 over one field of all words ranks better than the
# sum over several, where a word that is rare in one of them counts for more than the subject. Title and path
# count a little more on their own: they say what a whole page is about.
BOOSTS: Mapping[str, float] = {"text": 1.0, "title": 0.25, "path": 0.25}
ANALYZER = "stems"
# tantivy's k1 of BM25: however often a passage has a word, it counts for at most k1 + 1 times its rarity.
SATURATION = 1.2
# tantivy takes at least 15 MB for its one writing thread; more only spares merges.
WRITER_BYTES = 15_000_000


def stems_of_words() -> TextAnalyzer:
    """Make the analyzer for texts that are words with blanks between: English stems of each."""
    builder = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.remove_long(MAX_WORD + 1))
    return builder.filter(Filter.stemmer("english")).build()


def write_keywords(folder: Path, chunks: Iterable[tuple[str, Chunk]]) -> None:
    """Index (id, chunk) pairs in a new folder."""
    folder.mkdir(parents=True)
    index = Index(_schema(), str(folder))
    index.register_tokenizer(ANALYZER, stems_of_words())
    writer = index.writer(WRITER_BYTES, num_threads=1)
    for key, chunk in chunks:
        writer.add_document(_document(key, chunk))
    writer.commit()
    writer.wait_merging_threads()


class Keywords:
    """The open keyword index of one generation; safe to search from several threads."""

    def __init__(self, folder: Path) -> None:
        self._index = Index.open(str(folder))
        self._index.register_tokenizer(ANALYZER, stems_of_words())
        self._searcher = self._index.searcher()

    def count(self) -> int:
        return self._searcher.num_docs

    def search(self, terms: Mapping[str, float], limit: int) -> list[tuple[str, float]]:
        """Give (id, BM25 score), best first, for stems with their weights."""
        parts = [
            (Occur.Should, Query.boost_query(self._term(field, stem), boost * weight))
            for stem, weight in terms.items()
            for field, boost in BOOSTS.items()
        ]
        found = self._searcher.search(Query.boolean_query(parts), limit, count=False)
        return [(self._searcher.doc(address)["key"][0], score) for score, address in found.hits]

    def knows(self, stem: str) -> bool:
        return bool(self._searcher.doc_freq("text", stem))

    def possible(self, terms: Mapping[str, float]) -> float:
        """Give the score of an endless passage with all these stems, those that no passage has included."""
        return sum(weight * self._rarity(stem) * (SATURATION + 1) for stem, weight in terms.items())

    def _rarity(self, stem: str) -> float:
        having = self._searcher.doc_freq("text", stem)
        return math.log(1 + (self.count() - having + 0.5) / (having + 0.5))

    def _term(self, field: str, stem: str) -> Query:
        return Query.term_query(self._index.schema, field, stem, index_option="freq")


def _schema() -> Schema:
    builder = SchemaBuilder().add_text_field("key", stored=True, tokenizer_name="raw", index_option="basic")
    for field in BOOSTS:
        builder = builder.add_text_field(field, tokenizer_name=ANALYZER, index_option="freq")
    return builder.build()


def _document(key: str, chunk: Chunk) -> Document:
    texts = {
        "text": "\n".join((chunk.title, chunk.heading, chunk.page, *chunk.aliases, chunk.text)),
        "title": chunk.title,
        "path": chunk.page,
    }
    return Document(key=key, **{field: " ".join(words(text)) for field, text in texts.items()})
