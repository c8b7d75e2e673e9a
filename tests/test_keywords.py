from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.keywords import Keywords, stems_of_words, write_keywords
from knowledge.models import Chunk
from knowledge.words import compounds, plain_words, words


def chunk(page: str, text: str, *, title: str = "", aliases: tuple[str, ...] = ()) -> tuple[str, Chunk]:
    return page, Chunk(page, title or page, "", f"https://x/{page}", "docs", text, 0, aliases)


CHUNKS = [
    chunk("settings", "Set PREFECT_API_URL to the address of the server."),
    chunk("urls", "Prefect has an API, and this has a URL: the address of the server."),
    chunk("deploy", "Call flow.from_source(...) and then deploy with --job-variable image=x."),
    chunk("sources", "Call it a source of a flow from a repository; then a variable of the job."),
    chunk("pools", "Infrastructure.", title="Work pools", aliases=("k8s pool",)),
    chunk("swimming", "The word pool stands here, and work here, and pool again."),
]


@pytest.fixture(scope="module")
def find(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    folder = tmp_path_factory.mktemp("index") / "tantivy"
    write_keywords(folder, CHUNKS)
    index = Keywords(folder)

    def find(text: str) -> list[str]:
        stems = stems_of_words().analyze(" ".join(words(text)))
        return [key for key, _ in index.search(dict.fromkeys(stems, 1.0), 10)]

    return find


@pytest.mark.parametrize(
    ("text", "first"),
    [
        pytest.param("PREFECT_API_URL", "settings", id="setting"),
        pytest.param("prefect_api_url", "settings", id="setting in lower case"),
        pytest.param("flow.from_source", "deploy", id="dotted name"),
        pytest.param("from_source", "deploy", id="last part of a dotted name"),
        pytest.param("--job-variable", "deploy", id="option"),
        pytest.param("repositories", "sources", id="another form of the word"),
        pytest.param("work pool", "pools", id="title before text"),
        pytest.param("k8s", "pools", id="alias"),
    ],
)
def test_the_page_that_is_meant_comes_first(find: Callable[[str], list[str]], text: str, first: str) -> None:
    assert find(text)[0] == first


def test_an_identifier_is_found_by_its_parts(find: Callable[[str], list[str]]) -> None:
    assert {"settings", "urls"} <= set(find("api url"))


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_no_text_breaks_the_search(find: Callable[[str], list[str]], text: str) -> None:
    assert set(find(text)) <= {key for key, _ in CHUNKS}


@pytest.mark.parametrize("text", ['title:"x', "a AND (b", "body:[a TO", "^2~*?", "\\", "+-!", "\x00"])
def test_the_signs_of_a_query_language_mean_nothing(find: Callable[[str], list[str]], text: str) -> None:
    find(text)


def test_all_chunks_are_counted(tmp_path: Path) -> None:
    write_keywords(tmp_path / "tantivy", CHUNKS)
    assert Keywords(tmp_path / "tantivy").count() == len(CHUNKS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PREFECT_API_URL", ["prefect_api_url", "prefect", "api", "url"]),
        ("flow.from_source()", ["flow.from_source", "flow", "from_source", "from", "source"]),
        ("--job-variable", ["job-variable", "job", "variable"]),
        ("FlowRunNotFound", ["flowrunnotfound", "flow", "run", "not", "found"]),
        ("HTTPError", ["httperror", "http", "error"]),
        ("k8s", ["k8s"]),
        ("prefect-agent", ["prefect-agent", "prefect", "agent"]),
        ("...", []),
    ],
)
def test_identifiers_are_words_whole_and_in_parts(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


def test_words_of_a_title_in_their_order() -> None:
    assert plain_words("Work-pool types, e.g. ECS:push") == ["work", "pool", "types", "e", "g", "ecs", "push"]


def test_compounds_are_learned_from_neighbouring_words() -> None:
    learned = compounds(["Manage work pools", "Set up a worker"], stems_of_words().analyze)
    assert learned["workpool"] == "work pools"
    assert learned["setup"] == "set up"
    assert "poolset" not in learned
