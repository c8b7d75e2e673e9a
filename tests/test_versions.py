"""Naming the version that something came with."""

import pytest

from bot.draft import Draft
from bot.retrieval import Retriever
from bot.versions import came_with, since
from knowledge.symbols.table import Symbols
from tests.house import AppFactory

SYMBOLS = Symbols(
    version="3.8.8",
    first_seen={
        "prefect flow-run watch": "3.6",
        "prefect automation delete --all": "3.4",
        "flow.generate_mermaid_graph": "3.7",
        "PREFECT_WORKER_DEBUG_MODE": "3.6",
    },
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run `prefect flow-run watch my-run`", {"prefect flow-run watch": "3.6"}),
        ("prefect flow-run watcher", {}),
        ("prefect automation delete my-automation", {}),
        ("`prefect automation delete --yes --all`", {"prefect automation delete --all": "3.4"}),
        ("print(my_flow.generate_mermaid_graph())", {}),
        ("**`flow.generate_mermaid_graph()`** returns text", {"flow.generate_mermaid_graph": "3.7"}),
        ("PREFECT_WORKER_DEBUG_MODE=1 prefect worker start", {"PREFECT_WORKER_DEBUG_MODE": "3.6"}),
    ],
)
def test_only_whole_names_are_found(text: str, found: dict[str, str]) -> None:
    assert came_with(SYMBOLS, text) == found


def test_no_table_and_no_name_give_no_sentence() -> None:
    assert since(came_with(None, "prefect flow-run watch")) == ""
    assert since(came_with(SYMBOLS, "what is a work pool?")) == ""


def test_the_sentence_names_each_with_its_version() -> None:
    text = "prefect flow-run watch, PREFECT_WORKER_DEBUG_MODE"
    assert since(came_with(SYMBOLS, text)) == (
        "By the release notes: `prefect flow-run watch` since Prefect 3.6, "
        "`PREFECT_WORKER_DEBUG_MODE` since Prefect 3.6."
    )


async def test_what_a_question_names_is_looked_up_beside_the_search(app_for: AppFactory) -> None:
    question = "what does `prefect flow-run watch` do?"
    async with app_for() as app:
        found = await Retriever(app.toolbox, None, lambda: SYMBOLS).retrieve(question, [], Draft(question))
    assert "`prefect flow-run watch` since Prefect 3.6" in found.versions
