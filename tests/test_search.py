import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.embed import static_embedder
from knowledge.errors import BadInput, EmbedderMismatch
from knowledge.lexicon import Lexicon
from knowledge.library import Library
from knowledge.models import Embedder, Passage
from knowledge.question import MAX_CHARS, MAX_STEMS, focus, understand
from knowledge.search import CHUNKS_OF_A_PAGE
from knowledge.sources.config import FIELD_GUIDE
from tests.corpora import WordEmbedder, run_build, write_pages

SECTION = "Artifacts hold tables. " * 30
CORPUS = {
    "concepts/work-pools": (
        "# Work pools\n\nA work pool is a bridge between orchestration and infrastructure. Each work pool has a type.\n"
    ),
    "concepts/workers": "# Workers\n\nA worker polls one work pool and starts its runs.\n",
    "concepts/states": "# States\n\nA run is Late when it was due and nobody has picked it up.\n",
    "how-to-guides/retries": "# Retry a task\n\nSet `retries` and `retry_delay_seconds` on a flow or a task.\n",
    "how-to-guides/deploy": (
        "# Deploy a flow\n\nCall `flow.from_source(...).deploy(name)`, with `--job-variable` for the image.\n"
    ),
    "api-ref/python/flows": (
        "# prefect.flows\n\n## from_source\n\nLoads a flow from a source. Retries, retry delays, flows, tasks, retry.\n"
    ),
    "api-ref/settings": "# Settings\n\n## PREFECT_API_URL\n\nThe address of the API. Flows, deployments, tasks, pools.\n",
    "concepts/context": "# Run context\n\nMissingContextError means that there is no active flow run context.\n",
    "concepts/artifacts": "# Artifacts\n\n"
    + "".join(f"## Part {part}\n\n{SECTION}\n\n" for part in range(12)),
    "recipes/soup": "# Soup\n\nBoil the water, then add salt and a carrot.\n",
    "recipes/workqueues": "# Workqueues\n\nWorkqueues have priorities.\n",
}
SAMPLE_QUESTIONS = {
    "What is prefect and what does it do?": ["v3/get-started"],
    "explain the difference between a worker, workpool, and agent in prefect.": [
        "v3/concepts/workers",
        "v3/concepts/work-pools",
        "v3/how-to-guides/migrate/upgrade-agents-to-workers",
    ],
    'what is a workpool of type "prefect-agent" and how is it different from the other types?': [
        "v3/how-to-guides/migrate/upgrade-agents-to-workers",
        "v3/concepts/work-pools",
    ],
    "please explain the different options for infrastructure and where the flow code is being run?": [
        "v3/concepts/work-pools",
        "v3/concepts/deployments",
        "v3/concepts/workers",
    ],
}


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return static_embedder()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("search")
    run_build(folder / "index", [write_pages(folder / "docs", CORPUS)], embedder)
    opened = Library(folder / "index", embedder)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("guide")
    run_build(folder / "index", [FIELD_GUIDE], embedder)
    opened = Library(folder / "index", embedder)
    opened.open()
    yield opened
    opened.close()


def pages(passages: list[Passage]) -> list[str]:
    return list(dict.fromkeys(passage.page for passage in passages))


def test_a_misspelt_word_is_read_as_the_word_of_a_heading(library: Library) -> None:
    assert library.search("what are workqueuse")[0].page == "recipes/workqueues"
    assert library.search("what are artefacts")[0].page == "concepts/artifacts"


def test_a_word_that_only_resembles_one_of_a_heading_is_left_as_it_is(library: Library) -> None:
    query = understand("eating and parting", Lexicon(words=("creating", "starting")), lambda _: False)
    assert query.text == "eating and parting"


@pytest.mark.parametrize(
    ("question", "page"),
    [
        pytest.param("what is a workpool", "concepts/work-pools", id="joined where the docs write two words"),
        pytest.param("work-pool types", "concepts/work-pools", id="with a hyphen"),
        pytest.param(
            "do work queues have priorities", "recipes/workqueues", id="two words where the docs join"
        ),
        pytest.param("PREFECT_API_URL", "api-ref/settings", id="setting"),
        pytest.param("what does flow.from_source do", "how-to-guides/deploy", id="dotted name"),
        pytest.param("--job-variable", "how-to-guides/deploy", id="option"),
        pytest.param("how do I retry a task?", "how-to-guides/retries", id="guide before reference"),
        pytest.param("why is my run late", "concepts/states", id="plain words"),
    ],
)
def test_the_page_that_answers_comes_first(library: Library, question: str, page: str) -> None:
    assert library.search(question)[0].page == page


def test_a_name_in_code_may_be_answered_by_the_reference(library: Library) -> None:
    assert "api-ref/python/flows" in pages(library.search("from_source"))[:2]


def test_passages_are_ranked_from_one_by_falling_score(library: Library) -> None:
    found = library.search("work pool", 5)
    assert [passage.rank for passage in found] == [1, 2, 3, 4, 5]
    assert all(first.score >= second.score > 0 for first, second in pairwise(found))


def test_a_passage_says_where_it_is_from(library: Library) -> None:
    passage = library.search("what is a work pool")[0]
    assert (passage.title, passage.source) == ("Work pools", "docs")
    assert passage.url.startswith("https://docs.example.com/concepts/work-pools")
    assert "bridge" in passage.text


def test_one_page_does_not_fill_the_list(library: Library) -> None:
    found = library.search("artifacts tables", 8)
    assert len(found) == 8
    assert sum(passage.page == "concepts/artifacts" for passage in found) == CHUNKS_OF_A_PAGE


@pytest.mark.parametrize("top", [-1, 0, 1])
def test_at_least_one_passage_is_given(library: Library, top: int) -> None:
    assert len(library.search("work pool", top)) == 1


@pytest.mark.parametrize(
    "question", ["", "   ", "???", "\n\t", "```", "🚀" * 500, "a" * 100_000, "_._" * 9_999]
)
def test_a_question_without_words_is_refused(library: Library, question: str) -> None:
    with pytest.raises(BadInput):
        library.search(question)


def test_of_a_long_traceback_the_exception_counts(library: Library) -> None:
    frames = '  File "/app/soup.py", line 3, in boil_water\n    carrot(salt=water)\n' * 900
    traceback = (
        f"Traceback (most recent call last):\n{frames}MissingContextError: There is no active context.\n"
    )
    assert len(traceback) > 60_000
    assert library.search(traceback)[0].page == "concepts/context"
    assert library.search(f"help!\n{traceback}\nwhat is this?")[0].page == "concepts/context"


def test_of_a_long_text_both_ends_count() -> None:
    text = "work pools " + "soup " * 50_000 + " late runs"
    assert len(focus(text)) <= MAX_CHARS
    assert focus(text).startswith("work pools")
    assert focus(text).endswith("late runs")


def test_the_work_of_a_query_is_bounded() -> None:
    query = understand(" ".join(f"word{number}" for number in range(5_000)), Lexicon(), lambda _: True)
    assert len(query.stems) <= MAX_STEMS
    assert len(query.text) <= MAX_CHARS


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_question_gives_passages_or_a_clear_refusal(library: Library, question: str) -> None:
    try:
        found = library.search(question)
    except BadInput:
        found = []
    assert len(found) <= 8


@pytest.mark.parametrize(
    "question",
    [
        "\ud800 lone surrogate",
        "\x00 work",
        "work:pool AND (",
        "日本語で質問します",
    ],
)
def test_odd_texts_are_answered(library: Library, question: str) -> None:
    assert library.search(question)


def test_an_alias_leads_to_its_page(guide: Library) -> None:
    found = guide.search("workpool")
    assert found[0].title == "Work pools"


@pytest.mark.parametrize(("question", "answers"), SAMPLE_QUESTIONS.items())
def test_the_field_guide_alone_answers_from_the_right_page(
    guide: Library, question: str, answers: list[str]
) -> None:
    url = guide.search(question)[0].url.partition("#")[0]
    assert url in [f"https://docs.prefect.io/{answer}" for answer in answers]


def test_without_vectors_the_keywords_still_answer(tmp_path: Path, embedder: Embedder) -> None:
    run_build(tmp_path / "index", [write_pages(tmp_path / "docs", CORPUS)], embedder)
    library = Library(tmp_path / "index", embedder)
    library.open()
    shutil.rmtree(tmp_path / "index" / "1" / "chroma")
    assert {library.search("work pool bridge")[0].page for _ in range(20)} == {"concepts/work-pools"}
    library.close()


def test_vectors_of_another_length_are_refused(tmp_path: Path) -> None:
    run_build(tmp_path / "index", [write_pages(tmp_path / "docs", CORPUS)], WordEmbedder("static").embedder)
    library = Library(tmp_path / "index", static_embedder())
    library.open()
    with pytest.raises(EmbedderMismatch, match="256"):
        library.search("work pool")
    library.close()
