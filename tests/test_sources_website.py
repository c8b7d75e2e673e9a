"""A documentation website as a source, against a real HTTP server."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from knowledge.html import read_html
from knowledge.models import Page
from knowledge.sources.config import SourceConfig
from knowledge.sources.discovery import discover, page_path
from knowledge.sources.fetch import FailedPage, Fetched, Total, Unchanged, Validators, fetch
from knowledge.sources.site import Site
from knowledge.sources.website import MAX_SILENT_PAGES
from tests.fakes.website import FakeWebsite, Reply

MARKDOWN = "text/markdown; charset=utf-8"


@pytest.fixture
async def site() -> AsyncIterator[FakeWebsite]:
    async with FakeWebsite() as website:
        yield website


def config(site: FakeWebsite, **options: Any) -> SourceConfig:
    return SourceConfig(**{"name": "docs", "kind": "website", "base_url": site.url, **options})


async def read(
    site: FakeWebsite, known: Mapping[str, Validators] | None = None, **options: Any
) -> list[Fetched]:
    return [
        outcome
        async for outcome in fetch(config(site, **options), known or {})
        if not isinstance(outcome, Total)
    ]


async def pages(site: FakeWebsite, **options: Any) -> dict[str, Page]:
    return {outcome.path: outcome for outcome in await read(site, **options) if isinstance(outcome, Page)}


def put_pages(site: FakeWebsite, count: int) -> None:
    site.put("/llms.txt", "\n".join(f"- [Page {number}](/p{number}.md)" for number in range(count)))
    for number in range(count):
        site.put(f"/p{number}.md", f"# Page {number}\n\nText {number}.", content_type=MARKDOWN)


async def test_pages_are_found_by_llms_txt_and_read_as_markdown(site: FakeWebsite) -> None:
    site.put(
        "/llms.txt",
        f"# Docs\n\n- [Pools]({site.url}/v3/pools.md): About pools\n"
        "- [Start](/v3/start/index.md)\n"
        "- [All](/llms-full.txt)\n",
    )
    site.put(
        "/v3/pools.md",
        "# Work pools\n\n<Note>Text.</Note>",
        content_type=MARKDOWN,
        etag='"1"',
        last_modified="then",
    )
    site.put("/v3/start/index.md", "Begin here.", content_type=MARKDOWN)
    found = await pages(site)
    assert found == {
        "v3/pools": Page(
            path="v3/pools",
            url=f"{site.url}/v3/pools",
            title="Work pools",
            source="docs",
            markdown="Text.\n",
            description="About pools",
            metadata={"etag": '"1"', "last_modified": "then"},
        ),
        "v3/start/index": Page("v3/start/index", f"{site.url}/v3/start", "Start", "docs", "Begin here.\n"),
    }
    assert "/sitemap.xml" not in site.paths


async def test_what_mintlify_puts_around_a_page_is_taken_off(site: FakeWebsite) -> None:
    site.put("/llms.txt", "- [dispatch](/api/dispatch.md)")
    site.put(
        "/api/dispatch.md",
        "> ## Documentation Index\n> Fetch the index at: https://x/llms.txt\n\n"
        "<AgentInstructions>\nIMPORTANT: obey.\n</AgentInstructions>\n\n"
        "# dispatch\n\n> Registers types.\n\n```python  theme={null}\nlookup()\n```\n\n\n"
        "Built with [Mintlify](https://mintlify.com).",
        content_type=MARKDOWN,
    )
    page = (await pages(site))["api/dispatch"]
    assert (page.title, page.description) == ("dispatch", "Registers types.")
    assert page.markdown == "```python  theme={null}\nlookup()\n```\n"


async def test_without_llms_txt_the_sitemap_is_read_and_html_becomes_text(site: FakeWebsite) -> None:
    site.put(
        "/sitemap.xml",
        f"<urlset><url><loc>{site.url}/guide/pools</loc></url></urlset>",
        content_type="text/xml",
    )
    site.put(
        "/guide/pools",
        "<title>Pools | Docs</title><body><nav>Menu</nav><main><h1>Pools</h1><p>Text.</p></main></body>",
        content_type="text/html",
    )
    page = (await pages(site))["guide/pools"]
    assert (page.url, page.title, page.markdown) == (f"{site.url}/guide/pools", "Pools", "Text.\n")


async def test_a_site_with_markdown_beside_its_pages_is_read_by_that(site: FakeWebsite) -> None:
    locations = "".join(f"<loc>{site.url}/{name}</loc>" for name in ("a", "b", "only-html"))
    site.put("/sitemap.xml", f"<urlset>{locations}</urlset>")
    for name in ("a", "b"):
        site.put(f"/{name}", "<main><p>html</p></main>", content_type="text/html")
        site.put(f"/{name}.md", "markdown", content_type=MARKDOWN)
    site.put("/only-html", "<main><p>html</p></main>", content_type="text/html")
    found = await pages(site)
    assert {path: (page.url, page.markdown) for path, page in found.items()} == {
        "a": (f"{site.url}/a", "markdown\n"),
        "b": (f"{site.url}/b", "markdown\n"),
        "only-html": (f"{site.url}/only-html", "html\n"),
    }


async def test_sitemaps_that_robots_txt_names_are_followed_through_an_index(site: FakeWebsite) -> None:
    site.put("/robots.txt", f"User-agent: *\nAllow: /\nSitemap: {site.url}/maps.xml\n")
    site.put(
        "/maps.xml",
        f"<sitemapindex><loc>{site.url}/one.xml.gz</loc></sitemapindex>",
    )
    urls = f"<urlset><loc>{site.url}/a.html</loc><loc>{site.url}/b.html?x=1&amp;y=2</loc></urlset>"
    site.put("/one.xml.gz", gzip.compress(urls.encode()), content_type="application/gzip")
    for name in ("a", "b"):
        site.put(f"/{name}.html", f"<article><h1>{name}</h1><p>text</p></article>", content_type="text/html")
    assert sorted(await pages(site)) == ["a", "b"]


async def test_addresses_elsewhere_are_not_read(site: FakeWebsite) -> None:
    async with FakeWebsite() as other:
        site.put(
            "/docs/llms.txt",
            f"[a](/docs/a.md) [b](/other/b.md) [c]({other.url}/docs/c.md) [d](http://10.0.0.1/docs/d.md) "
            f"[e](ftp://127.0.0.1:{site.port}/docs/e.md) [f](http://u:p@127.0.0.1:{site.port}/docs/f.md) "
            "[g](/docs/g.pdf) [h](http://[::bad/docs/h.md)",
        )
        site.put("/docs/a.md", "text")
        found = await pages(site, base_url=f"{site.url}/docs")
        assert {path: page.url for path, page in found.items()} == {"a": f"{site.url}/docs/a"}
        assert site.paths == ["/robots.txt", "/docs/llms.txt", "/docs/docs.json", "/docs/a.md"]
        assert other.paths == []


async def test_redirects_stay_on_the_host(site: FakeWebsite) -> None:
    put_pages(site, 4)
    site.put("/p3.md", status=302, headers={"location": "http://[::half"})
    site.put("/p0.md", status=307, headers={"location": "/moved"})
    site.put("/moved", "moved text")
    site.put("/p1.md", status=302, headers={"location": f"http://localhost:{site.port}/p2.md"})
    site.put("/p2.md", status=301, headers={"location": "/p2.md"})
    outcomes = {
        getattr(item, "path", "") or getattr(item, "path_or_url", ""): item for item in await read(site)
    }
    assert isinstance(outcomes["p0"], Page)
    assert outcomes["p1"] == FailedPage("p1", "redirects to another host, localhost")
    assert isinstance(outcomes["p3"], FailedPage)
    assert outcomes["p2"] == FailedPage("p2", "redirects more than 5 times")


@pytest.mark.parametrize("named", ["/v3/start", "/v3/start/", "/v3/start/index", "/v3/start.md"])
async def test_a_page_with_pages_below_it_is_their_index_however_the_site_names_it(
    site: FakeWebsite, named: str
) -> None:
    locations = "".join(
        f"<loc>{site.url}{path}</loc>" for path in (named, "/v3/start/install", "/v3/starter")
    )
    site.put("/sitemap.xml", f"<urlset>{locations}</urlset>")
    for path in (named, "/v3/start/install", "/v3/starter"):
        site.put(path, "<main><p>text</p></main>", content_type="text/html")
    assert sorted(await pages(site)) == ["v3/start/index", "v3/start/install", "v3/starter"]


async def test_an_index_that_is_listed_twice_is_read_once(site: FakeWebsite) -> None:
    site.put("/llms.txt", "[a](/start.md) [b](/start/index.md) [c](/start/install.md)")
    for name in ("start", "start/index", "start/install"):
        site.put(f"/{name}.md", "text", content_type=MARKDOWN)
    assert sorted(await pages(site)) == ["start/index", "start/install"]


async def test_the_sites_redirects_give_pages_their_old_addresses(site: FakeWebsite) -> None:
    put_pages(site, 2)
    rows = [
        {"source": "/old", "destination": f"{site.url}/p0"},
        {"source": "/older", "destination": "/old#part"},
    ]
    site.put("/docs.json", json.dumps({"redirects": rows}))
    assert {path: page.metadata for path, page in (await pages(site)).items()} == {
        "p0": {"old_paths": ["old", "older"]},
        "p1": {},
    }


async def test_redirects_that_cannot_be_read_are_done_without(site: FakeWebsite) -> None:
    put_pages(site, 1)
    for reply in (Reply(status=500), Reply(b"<html>not found</html>"), Reply(b'{"redirects": 3}')):
        site.always("/docs.json", reply)
        assert list(await pages(site)) == ["p0"]
    site.put("/robots.txt", "User-agent: *\nDisallow: /docs.json\n")
    site.requests.clear()
    assert list(await pages(site)) == ["p0"]
    assert "/docs.json" not in site.paths


async def test_a_page_that_is_held_is_asked_for_changes_only(site: FakeWebsite) -> None:
    put_pages(site, 3)
    site.put("/p0.md", "old", etag='W/"7"')
    site.put("/p1.md", "old", last_modified="Thu, 01 Oct 2026 10:00:00 GMT")
    known = {
        "p0": Validators(etag='W/"7"'),
        "p1": Validators(last_modified="Thu, 01 Oct 2026 10:00:00 GMT"),
        "p2": Validators(etag='"before"'),
    }
    outcomes = await read(site, known)
    assert [item for item in outcomes if isinstance(item, Unchanged)] == [Unchanged("p0"), Unchanged("p1")]
    assert [item.path for item in outcomes if isinstance(item, Page)] == ["p2"]


async def test_a_held_page_that_the_site_dropped_is_not_mentioned_and_a_dead_link_is(
    site: FakeWebsite,
) -> None:
    put_pages(site, 1)
    site.put("/llms.txt", "[a](/p0.md) [b](/gone.md) [c](/never.md)")
    outcomes = await read(site, {"gone": Validators(etag='"1"')})
    assert [item for item in outcomes if not isinstance(item, Page)] == [FailedPage("never", "answers 404")]


async def test_one_page_that_cannot_be_read_does_not_stop_the_others(site: FakeWebsite) -> None:
    put_pages(site, 5)
    site.put("/p1.md", "", content_type=MARKDOWN)
    site.put("/p2.md", b"%PDF", content_type="application/pdf")
    site.put("/p3.md", "x" * 3_000)
    site.put("/p4.md", b"caf\xe9")
    outcomes = await read(site, max_page_bytes=2_000)
    assert sorted((item.path_or_url, item.reason) for item in outcomes if isinstance(item, FailedPage)) == [
        ("p1", "is empty"),
        ("p2", "is application/pdf, not text"),
        ("p3", "is larger than 2000 bytes (`max_page_bytes`)"),
    ]
    assert {item.path: item.markdown for item in outcomes if isinstance(item, Page)}["p4"] == "caf\ufffd\n"


async def test_a_busy_site_is_asked_again_when_it_says(site: FakeWebsite) -> None:
    put_pages(site, 1)
    site.queue(
        "/p0.md",
        Reply(status=429, headers={"retry-after": "0"}),
        Reply(status=503, headers={"retry-after": "0"}),
    )
    assert list(await pages(site)) == ["p0"]
    assert site.paths.count("/p0.md") == 3


async def test_a_page_that_asks_to_wait_too_long_is_given_up(site: FakeWebsite) -> None:
    put_pages(site, 2)
    site.always("/p0.md", Reply(status=503, headers={"retry-after": "3600"}))
    outcomes = await read(site)
    assert FailedPage("p0", "answers 503 and asks to wait 3600 s") in outcomes
    assert site.paths.count("/p0.md") == 1


async def test_a_connection_that_breaks_is_tried_again(site: FakeWebsite) -> None:
    put_pages(site, 1)
    site.queue("/p0.md", Reply(hangs_up=True))
    assert list(await pages(site)) == ["p0"]


async def test_a_page_that_never_comes_is_given_up_after_the_timeout(site: FakeWebsite) -> None:
    put_pages(site, 2)
    site.always("/p0.md", Reply(stalls=True))
    assert FailedPage("p0", "does not answer within 0.2 s, 3 times") in await read(site, timeout=0.2)


async def test_no_more_requests_run_at_once_than_allowed(site: FakeWebsite) -> None:
    put_pages(site, 12)
    site.meet([f"/p{number}.md" for number in range(12)], 3)
    assert len(await pages(site, concurrency=3)) == 12
    assert site.most_at_once == 3


async def test_no_more_pages_are_read_than_allowed_and_it_is_said(site: FakeWebsite) -> None:
    put_pages(site, 6)
    outcomes = await read(site, max_pages=4)
    assert len([item for item in outcomes if isinstance(item, Page)]) == 4
    assert outcomes[-1] == FailedPage(site.url, "lists 6 pages; only the first 4 are read (`max_pages`)")


async def test_robots_txt_is_respected_and_the_reader_says_who_it_is(site: FakeWebsite) -> None:
    put_pages(site, 3)
    site.put("/robots.txt", "User-agent: *\nDisallow: /p1\n\nUser-agent: ask-marvin\nDisallow: /p2\n")
    assert sorted(await pages(site)) == ["p0", "p1"]
    assert {request.headers["User-Agent"] for request in site.requests} == {"ask-marvin"}


async def test_a_site_that_forbids_all_is_refused(site: FakeWebsite) -> None:
    put_pages(site, 1)
    site.put("/robots.txt", "User-agent: *\nDisallow: /\n")
    with pytest.raises(Refused, match=r"robots\.txt of 127\.0\.0\.1 does not allow"):
        await read(site)
    assert "/p0.md" not in site.paths


@pytest.mark.parametrize(
    ("said", "delay"),
    [
        pytest.param("User-agent: *\nCrawl-delay: 3600\n", 5.0, marks=pytest.mark.slow),
        ("User-agent: *\nCrawl-delay: 2\n", 2.0),
        ("", 0.0),
    ],
)
async def test_the_crawl_delay_is_kept_within_reason(site: FakeWebsite, said: str, delay: float) -> None:
    put_pages(site, 1)
    site.put("/robots.txt", said)
    async with httpx.AsyncClient() as client:
        polite = Site(client, site.url, timeout=5.0)
        await discover(polite, config(site))
    assert polite.delay == delay


async def test_a_failing_robots_txt_forbids_all(site: FakeWebsite) -> None:
    put_pages(site, 1)
    site.always("/robots.txt", Reply(status=500))
    with pytest.raises(Unreachable, match=r"robots\.txt answers 500, so none of its pages may be read"):
        await read(site)
    assert site.paths == ["/robots.txt"]


async def test_a_site_that_is_not_there_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gone = SourceConfig(
            name="docs", kind="website", base_url=f"http://127.0.0.1:{taken.getsockname()[1]}"
        )
        with pytest.raises(Unreachable) as failure:
            [outcome async for outcome in fetch(gone, {})]
    assert "cannot be reached" in failure.value.message
    assert "127.0.0.1" in failure.value.message
    assert "base_url" in failure.value.fix


async def test_a_site_that_dies_halfway_fails_as_a_whole(site: FakeWebsite) -> None:
    put_pages(site, MAX_SILENT_PAGES + 20)
    for number in range(5, MAX_SILENT_PAGES + 20):
        site.always(f"/p{number}.md", Reply(status=503, headers={"retry-after": "0"}))
    with pytest.raises(Unreachable, match="pages in a row failed; the last answers 503"):
        await read(site)
    assert f"/p{MAX_SILENT_PAGES + 19}.md" not in site.paths


async def test_a_site_of_which_not_one_page_can_be_read_fails_as_a_whole(site: FakeWebsite) -> None:
    site.put("/llms.txt", "[a](/a.md) [b](/b.md)")
    with pytest.raises(Unreachable, match="not one of its pages can be read; the last answers 404"):
        await read(site, {"a": Validators(etag='"1"')})


@pytest.mark.parametrize(
    ("listed", "options", "failure"),
    [
        pytest.param("", {}, BadInput, id="lists nothing"),
        pytest.param("[a](/a.md)", {"include": ("v3/*",)}, BadInput, id="wants nothing"),
    ],
)
async def test_a_site_without_pages_is_one_clear_sentence(
    site: FakeWebsite, listed: str, options: dict[str, Any], failure: type[ExpectedError]
) -> None:
    site.put("/llms.txt", listed)
    with pytest.raises(failure) as raised:
        await read(site, **options)
    assert "docs" in raised.value.message + raised.value.fix
    assert "\n" not in raised.value.message


async def test_leaving_off_in_the_middle_leaves_no_request_running(site: FakeWebsite) -> None:
    put_pages(site, 8)
    site.always("/p7.md", Reply(stalls=True))
    outcomes = fetch(config(site, concurrency=8), {})
    async for outcome in outcomes:
        if isinstance(outcome, Page):
            break
    await outcomes.aclose()
    assert "_PageReader.read" not in [
        getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()
    ]


@pytest.mark.parametrize(
    ("url_path", "base", "page"),
    [
        ("/v3/pools.md", "/", "v3/pools"),
        ("/docs/v3/pools.html", "/docs", "v3/pools"),
        ("/docs", "/docs", "index"),
        ("/docs/start/", "/docs/", "start"),
        ("/docsother/a", "/docs", None),
        ("/llms-full.txt", "/", None),
        ("/release/3.6.1", "/", "release/3.6.1"),
        ("/a%20b.md", "/", "a b"),
    ],
)
def test_a_page_path_is_the_address_below_the_base_without_extension(
    url_path: str, base: str, page: str | None
) -> None:
    assert page_path(url_path, base) == page


def test_html_becomes_markdown() -> None:
    page = read_html("""<!doctype html><html><head><title>Pools – Docs</title>
<meta name="description" content="About  pools."><style>p {}</style></head><body>
<header>Logo</header><nav><a href="/">Home</a></nav>
<main><article>
<h1>Work pools<a class="headerlink" href="#top">¶</a></h1>
<p>A <strong>pool</strong> holds <code>job_variables</code>; see <a href="/v3/workers">workers</a>.</p>
<script>alert("x")</script>
<section id="kinds"><h2>Kinds</h2>
<ul><li>Push<ul><li>ECS</li></ul></li><li><p>Pull</p></li></ul>
<ol><li>First<pre><code class="language-bash">prefect worker start
  --pool x</code></pre></li></ol></section>
<h3 id="table">Table</h3>
<table><thead><tr><th>Name</th><th>Meaning</th></tr></thead><tbody><tr><td>a|b</td><td>one<br>two</td></tr></tbody></table>
<p># not a heading &lt;tag&gt;</p><footer>Bye</footer>
</article></main><footer>Contact</footer></body></html>""")
    assert (page.title, page.description) == ("Work pools", "About pools.")
    assert "\n".join(line for line in page.markdown.splitlines() if line.strip()) == (
        "A **pool** holds `job_variables`; see [workers](/v3/workers).\n"
        "## Kinds {#kinds}\n"
        "- Push\n"
        "   - ECS\n"
        "- Pull\n"
        "1. First\n"
        "   ```bash\n"
        "   prefect worker start\n"
        "     --pool x\n"
        "   ```\n"
        "### Table {#table}\n"
        "| Name | Meaning |\n"
        "| --- | --- |\n"
        "| a\\|b | one two |\n"
        "\\# not a heading <tag>"
    )


@pytest.mark.parametrize(
    "text", ["", "<main>", "<p>open <b>tags <pre>x", "</ul></p></table>", "<td>x</td><li>y", "\x00<"]
)
def test_broken_html_is_read_as_far_as_it_goes(text: str) -> None:
    assert read_html(text).markdown.endswith("\n")


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "base64", "no-such"])
async def test_an_encoding_that_reads_no_text_is_taken_for_utf_8(site: FakeWebsite, charset: str) -> None:
    site.put("/llms.txt", "- [One](/one.md)")
    site.put("/one.md", "# Eins\n\nGrüße.", content_type=f"text/markdown; charset={charset}")
    assert (await pages(site))["one"].markdown == "Grüße.\n"


async def test_a_time_to_wait_that_is_no_number_is_not_waited(site: FakeWebsite) -> None:
    site.put("/llms.txt", "- [One](/one.md)")
    site.put("/one.md", "# One\n\nText.", content_type=MARKDOWN)
    site.queue("/one.md", Reply(status=429, headers={"retry-after": "²"}))
    assert (await pages(site))["one"].markdown == "Text.\n"


@pytest.mark.parametrize(
    ("path", "listed"),
    [
        ("/llms.txt", f"{'[' * 300_000}\n- [One](/one.md)"),
        ("/llms.txt", f"{'[](' * 100_000}\n- [One](/one.md)"),
        ("/sitemap.xml", f"<loc>{' ' * 300_000}< <loc> /one.md </loc>"),
        ("/sitemap.xml", "<loc> <![CDATA[ /one.md ]]></loc>"),
    ],
    ids=["brackets", "half links", "a gap", "as CDATA"],
)
async def test_a_list_with_a_line_of_any_length_is_read(site: FakeWebsite, path: str, listed: str) -> None:
    site.put(path, listed.replace("/one.md", f"{site.url}/one.md"))
    site.put("/one.md", "# One\n\nText.", content_type=MARKDOWN)
    assert list(await pages(site)) == ["one"]


def test_lists_in_lists_do_not_make_a_page_longer_without_end() -> None:
    text = "<ul><li>word" * 3_000
    assert len(read_html(text).markdown) < 30 * len(text)
