"""The redirects of a documentation site: from old addresses to pages."""

import json
from pathlib import Path
from typing import Any

import pytest

from knowledge.models import Page
from knowledge.sources.config import SourceConfig
from knowledge.sources.fetch import fetch
from knowledge.sources.redirects import MAX_OLD_PATHS, old_paths, read_redirects

BASE = "https://docs.example.com"


def docs_json(*rows: Any) -> str:
    return json.dumps({"redirects": list(rows), "navigation": {}})


def row(source: Any, destination: Any) -> dict[str, Any]:
    return {"source": source, "destination": destination}


def leads(redirects: dict[str, str], *pages: str) -> dict[str, list[str]]:
    return old_paths(read_redirects(docs_json(*(row(a, b) for a, b in redirects.items())), BASE), set(pages))


def test_an_old_address_belongs_to_the_page_that_it_leads_to() -> None:
    assert leads({"/old/pools": "/v3/pools", "older/pools/": f"{BASE}/v3/pools?x=1#top"}, "v3/pools") == {
        "v3/pools": ["old/pools", "older/pools"]
    }


def test_a_folder_is_its_index_page() -> None:
    assert leads({"/begin": "/v3/start", "/home": "/"}, "v3/start/index", "index") == {
        "v3/start/index": ["begin"],
        "index": ["home"],
    }


def test_redirects_of_redirects_are_followed() -> None:
    redirects = {
        "/a": "/b",
        "/b": "/old/guides/pools",
        "/old/:slug*": "/newer/:slug*",
        "/newer/guides/*": "/v3/how-to/*",
        "/removed/:slug*": "/v3/start",
        "/x": "/removed/long/ago",
    }
    assert leads(redirects, "v3/how-to/pools", "v3/start") == {
        "v3/how-to/pools": ["a", "b"],
        "v3/start": ["x"],
    }


def test_circles_and_dead_ends_belong_to_no_page() -> None:
    redirects = {"/a": "/b", "/b": "/a", "/c": "/nowhere", "/d": "https://elsewhere.example.com/v3/pools"}
    assert leads(redirects, "v3/pools") == {}


def test_a_page_that_exists_is_no_old_address_of_another() -> None:
    assert leads({"/v3/pools": "/v3/start"}, "v3/pools", "v3/start") == {}


def test_where_a_site_sends_everything_without_a_place_gets_no_old_addresses() -> None:
    some = {f"/old/{number}": "/v3/start" for number in range(MAX_OLD_PATHS)}
    assert len(leads(some, "v3/start")["v3/start"]) == MAX_OLD_PATHS
    assert leads({**some, "/one/more": "/v3/start"}, "v3/start") == {}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"redirects": {}}', docs_json(3, None, row(1, "/a"), row("/a", None), {"source": "/a"})],
)
def test_what_is_no_list_of_redirects_is_none(text: str) -> None:
    assert read_redirects(text, BASE) == {}


async def test_pages_of_a_folder_carry_their_old_addresses(tmp_path: Path) -> None:
    (tmp_path / "pools.mdx").write_text("Text.")
    (tmp_path / "start.mdx").write_text("Text.")
    (tmp_path / "docs.json").write_text(docs_json(row("/old/pools", "/pools")))
    config = SourceConfig(name="docs", kind="files", path=tmp_path, base_url=BASE)
    pages = [outcome async for outcome in fetch(config, {}) if isinstance(outcome, Page)]
    assert {page.path: page.metadata for page in pages} == {
        "pools": {"old_paths": ["old/pools"]},
        "start": {},
    }


def test_a_file_that_nests_without_end_has_no_redirects() -> None:
    assert read_redirects("[" * 200_000, BASE) == {}
