"""Releases and issues of GitHub as a source, against a strict server of its REST API."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from knowledge.build import build
from knowledge.chunks import chunk_page
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from knowledge.models import Page
from knowledge.report import BuildReport
from knowledge.sources.config import SourceConfig
from knowledge.sources.fetch import FailedPage, Fetched, Total, Unchanged, Validators, fetch
from knowledge.sources.github_api import limit_wait
from knowledge.sources.site import Answer
from tests.corpora import WordEmbedder
from tests.fakes.github import TOKEN, FakeGitHub, Repository, comment

REPO = "acme/flow"
ISSUES = f"/repos/{REPO}/issues"
RELEASES = f"/repos/{REPO}/releases"


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with FakeGitHub() as server:
        yield server


@pytest.fixture
def repo(github: FakeGitHub) -> Repository:
    return github.repo(REPO)


def config(github: FakeGitHub, *, token: str = "", **options: Any) -> SourceConfig:
    given = {"name": "code", "kind": "github", "repo": REPO, "api_url": github.url, **options}
    return SourceConfig(**given, token=SecretStr(token) if token else None)


class Reader:
    """Reads again and again as builds do: what it was given is held."""

    def __init__(self, github: FakeGitHub, **options: Any) -> None:
        self.config = config(github, **options)
        self.held: dict[str, Page] = {}
        self.outcomes: list[Fetched] = []

    async def read(self) -> dict[str, Page]:
        """The pages that are held after it, oldest first; those of a reading that broke off stay."""
        self.outcomes = []
        taken: dict[str, Page] = {}
        try:
            async for outcome in fetch(self.config, self._known()):
                self.outcomes.append(outcome)
                if isinstance(outcome, Page):
                    taken[outcome.path] = outcome
                elif isinstance(outcome, Unchanged):
                    taken[outcome.path] = self.held[outcome.path]
        except ExpectedError:
            self.held |= taken
            raise
        self.held = taken
        return taken

    @property
    def fetched(self) -> list[str]:
        return [outcome.path for outcome in self.outcomes if isinstance(outcome, Page)]

    def _known(self) -> Mapping[str, Validators]:
        return {
            path: Validators(page.metadata["etag"], page.metadata["last_modified"])
            for path, page in self.held.items()
        }


def issue_page_of(number: int) -> str:
    return f"github/{REPO}/issues/{number}"


async def test_a_release_is_a_page_with_its_tag_date_and_notes(github: FakeGitHub, repo: Repository) -> None:
    repo.release(
        "3.4.0", "## Fixes\n\n- Workers <b>poll</b>.\n<!-- hidden -->", name="Smooth operator", day=2
    )
    repo.release("3.5.0rc1", None, prerelease=True, day=3)
    repo.release("draft", draft=True)
    pages = await Reader(github, what=("releases",)).read()
    page = pages[f"github/{REPO}/releases/3.4.0"]
    assert (page.title, page.url) == (
        "3.4.0 Smooth operator",
        f"https://github.example/{REPO}/releases/tag/3.4.0",
    )
    assert page.markdown == (
        f"Release 3.4.0 of {REPO} · Published: 2026-01-03\n\n## Fixes\n\n- Workers poll.\n"
    )
    assert {chunk.url for chunk in chunk_page(page)} == {page.url}
    pre = pages[f"github/{REPO}/releases/3.5.0rc1"]
    assert (pre.title, pre.markdown) == (
        "3.5.0rc1",
        f"Release 3.5.0rc1 of {REPO} · Published: 2026-01-04 · Pre-release\n",
    )
    assert list(pages) == [pre.path, page.path]


async def test_an_issue_is_a_page_with_its_state_labels_and_comments(
    github: FakeGitHub, repo: Repository
) -> None:
    repo.issue(
        7,
        "`worker` crashes",
        "### Bug summary\nIt stops.\n\n```python\n# not a heading\n```",
        day=4,
        state="closed",
        reason="not_planned",
        labels=("bug", "ui"),
        comments=[
            comment("Same here.", day=1, by="reporter"),
            comment("# Fix\nSet `PREFECT_X`.", day=2, role="MEMBER"),
            comment("stale", day=3, by="stale[bot]"),
        ],
    )
    page = (await Reader(github).read())[issue_page_of(7)]
    assert (page.title, page.url) == ("worker crashes (#7)", f"https://github.example/{REPO}/issues/7")
    assert page.markdown == (
        "State: closed (not planned) · Labels: bug, ui · Opened: 2026-01-01 · Closed: 2026-01-05\n\n"
        "**Bug summary**\n\nIt stops.\n\n```python\n# not a heading\n```\n\n"
        "## Comment by the reporter, 2026-01-02 {#issuecomment-7000}\n\nSame here.\n\n"
        "## Comment by a maintainer, 2026-01-03 {#issuecomment-7001}\n\n**Fix**\n\nSet `PREFECT_X`.\n\n"
        "(1 more comments are on GitHub.)\n"
    )
    assert [chunk.url for chunk in chunk_page(page)] == [page.url, f"{page.url}#issuecomment-7000"]


async def test_pull_requests_are_left_out(github: FakeGitHub, repo: Repository) -> None:
    repo.issue(1)
    repo.issue(2, pull_request=True)
    assert list(await Reader(github).read()) == [issue_page_of(1)]


async def test_of_many_comments_the_first_and_last_stay_and_maintainers_come_first(
    github: FakeGitHub, repo: Repository
) -> None:
    talk = [comment(f"word {number}", day=number) for number in range(250)]
    talk[99] = comment("official", day=99, role="COLLABORATOR")
    talk[120] = comment("unseen", day=120, role="OWNER")
    repo.issue(1, comments=talk)
    page = (await Reader(github).read())[issue_page_of(1)]
    said = [line for line in page.markdown.splitlines() if line.startswith(("word", "official", "unseen"))]
    assert said == ["word 0", "word 1", "word 2", "official", "word 245", "word 246", "word 247", "word 248"]
    assert "(242 more comments are on GitHub.)" in page.markdown
    assert github.paths.count(f"{ISSUES}/1/comments") == 2


async def test_lists_are_read_to_their_end(github: FakeGitHub, repo: Repository) -> None:
    github.page_size = 2
    for number in range(1, 6):
        repo.issue(number, day=number)
        repo.release(f"1.{number}", day=number)
    pages = await Reader(github).read()
    assert (len(pages), github.paths) == (10, [RELEASES] * 3 + [ISSUES] * 3)


async def test_only_issues_of_the_wanted_state_labels_and_patterns_are_read(
    github: FakeGitHub, repo: Repository
) -> None:
    repo.issue(1, labels=("Bug", "ui"))
    repo.issue(2, labels=("bug",))
    repo.issue(3, labels=("bug", "ui"), state="closed")
    repo.issue(40, labels=("bug", "ui"))
    wanted = {"state": "open", "labels": ("bug", "UI"), "exclude": ("*/issues/4*",)}
    assert list(await Reader(github, **wanted).read()) == [issue_page_of(1)]


async def test_the_second_reading_asks_for_changes_only(github: FakeGitHub, repo: Repository) -> None:
    repo.release("1.0")
    for number in (1, 2, 3):
        repo.issue(number, day=number, comments=[comment("Hm.")])
    reader = Reader(github, token=TOKEN)
    assert len(await reader.read()) == 4
    github.asked.clear()
    left = github.allowed
    assert len(await reader.read()) == 4
    assert (github.paths, reader.fetched) == ([RELEASES, ISSUES], [])
    assert github.asked[0].status == 304
    assert github.allowed == left - 1
    repo.issue(1, "Renamed", day=9, comments=[comment("New.")])
    repo.release("1.1", day=5)
    await reader.read()
    assert sorted(reader.fetched) == [
        issue_page_of(1),
        f"github/{REPO}/releases/1.0",
        f"github/{REPO}/releases/1.1",
    ]
    assert reader.held[issue_page_of(1)].title == "Renamed (#1)"


async def test_an_issue_that_is_of_the_choice_no_more_is_dropped(
    github: FakeGitHub, repo: Repository
) -> None:
    repo.issue(1, labels=("bug",), day=1)
    repo.issue(2, labels=("bug",), day=2)
    reader = Reader(github, state="open", labels=("bug",))
    await reader.read()
    repo.issue(1, labels=("bug",), state="closed", day=3)
    repo.issue(3, labels=("question",), day=4)
    assert list(await reader.read()) == [issue_page_of(2)]


async def test_another_choice_lists_everything_anew(github: FakeGitHub, repo: Repository) -> None:
    repo.issue(1, state="closed", day=1)
    repo.issue(2, day=2)
    reader = Reader(github, state="open")
    assert list(await reader.read()) == [issue_page_of(2)]
    reader.config = reader.config.model_copy(update={"state": "all"})
    assert sorted(await reader.read()) == [issue_page_of(1), issue_page_of(2)]


async def test_the_issues_that_changed_last_are_read_when_there_are_too_many(
    github: FakeGitHub, repo: Repository
) -> None:
    github.page_size = 2
    repo.release("1.0")
    for number in range(1, 9):
        repo.issue(number, day=number)
    reader = Reader(github, max_pages=4)
    assert list(await reader.read())[1:] == [issue_page_of(number) for number in (6, 7, 8)]
    assert FailedPage(f"github/{REPO}/issues", "has more; the 3 changed last are read (`max_pages`)") in (
        reader.outcomes
    )
    assert github.paths.count(ISSUES) == 2
    repo.issue(1, day=20)
    assert list(await reader.read())[1:] == [issue_page_of(number) for number in (7, 8, 1)]


async def test_a_reading_that_the_limit_breaks_off_goes_on_from_there(
    github: FakeGitHub, repo: Repository
) -> None:
    for number in range(1, 5):
        repo.issue(number, day=number, comments=[comment("Hm.")])
    github.allowed = 4
    reader = Reader(github)
    with pytest.raises(Unreachable, match="limit of requests is used up until") as failure:
        await reader.read()
    assert "GITHUB_TOKEN" in failure.value.fix
    assert list(reader.held) == [issue_page_of(1), issue_page_of(2)]
    github.allowed = 4
    assert len(await reader.read()) == 4
    assert reader.fetched == [issue_page_of(3), issue_page_of(4)]


async def test_a_short_wait_for_a_limit_is_waited(github: FakeGitHub, repo: Repository) -> None:
    repo.issue(1)
    github.next(403, {"retry-after": "0"}, "You have exceeded a secondary rate limit.")
    github.next(429, {"retry-after": "0"})
    assert list(await Reader(github, what=("issues",)).read()) == [issue_page_of(1)]
    assert github.paths == [ISSUES] * 3


async def test_a_limit_that_does_not_end_is_given_up(github: FakeGitHub, repo: Repository) -> None:
    for _ in range(10):
        github.next(429, {"retry-after": "0"})
    with pytest.raises(Unreachable, match="limit of requests"):
        await Reader(github).read()
    assert len(github.asked) == 4


@pytest.mark.parametrize(
    ("status", "headers", "body", "wait"),
    [
        (403, {"retry-after": "7"}, b"", 7.0),
        (429, {}, b"", 60.0),
        (429, {"retry-after": "²"}, b"", 60.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "²"}, b"rate limit", 60.0),
        (403, {}, b'{"message": "You have exceeded a secondary rate limit."}', 60.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1030"}, b"", 31.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900"}, b"", 1.0),
        (403, {"x-ratelimit-remaining": "12"}, b'{"message": "SSO is needed"}', None),
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1030"}, b"[]", None),
    ],
)
def test_how_long_a_limit_lasts(
    status: int, headers: dict[str, str], body: bytes, wait: float | None
) -> None:
    assert limit_wait(Answer("", status, headers, body), now=1000.0) == wait


async def test_a_limit_until_a_time_that_no_calendar_has_is_still_one_clear_sentence(
    github: FakeGitHub, repo: Repository
) -> None:
    repo.issue(1)
    github.next(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 20})
    with pytest.raises(Unreachable, match="limit of requests is used up until"):
        await Reader(github).read()


async def test_headings_of_an_issue_with_gaps_of_any_size_are_read(
    github: FakeGitHub, repo: Repository
) -> None:
    repo.issue(1, "Runs are late", f"## a{' ' * 60_000}b\n\n## Steps ##\n\nText.")
    (page,) = (await Reader(github, what=["issues"]).read()).values()
    assert "**Steps**" in page.markdown


@pytest.mark.parametrize(
    ("status", "message", "kind", "says"),
    [
        pytest.param(403, "Your organization enforces SSO.", Refused, "enforces SSO", id="sso"),
        pytest.param(451, "", Refused, "refuses to give acme/flow", id="legal"),
        pytest.param(500, "", Unreachable, "answers 500", id="broken"),
        pytest.param(200, "not a list", BadInput, "does not speak GitHub's REST API", id="something else"),
    ],
)
async def test_an_answer_that_is_no_list_is_one_clear_sentence(
    github: FakeGitHub, repo: Repository, status: int, message: str, kind: type[ExpectedError], says: str
) -> None:
    github.next(status, message=message)
    with pytest.raises(kind, match=says) as failure:
        await Reader(github).read()
    assert failure.value.message.startswith("Source 'code'")
    assert failure.value.fix


async def test_a_private_repository_needs_a_token_and_no_token_is_ever_shown(github: FakeGitHub) -> None:
    github.repo(REPO, private=True).issue(1)
    with pytest.raises(BadInput, match="or it is private") as failure:
        await Reader(github).read()
    assert "GITHUB_TOKEN" in failure.value.fix
    with pytest.raises(Refused, match="does not accept the token") as refused:
        await Reader(github, token="ghp_wrong").read()
    assert "ghp_wrong" not in str(refused.value)
    reader = Reader(github, token=TOKEN)
    assert list(await reader.read()) == [issue_page_of(1)]
    assert TOKEN not in repr(reader.config) + reader.config.model_dump_json()


async def test_a_repository_without_issues_still_gives_its_releases(github: FakeGitHub) -> None:
    github.repo(REPO, has_issues=False).release("1.0")
    reader = Reader(github)
    with pytest.raises(BadInput, match="switched off") as failure:
        await reader.read()
    assert 'what = ["releases"]' in failure.value.fix
    assert list(reader.held) == [f"github/{REPO}/releases/1.0"]


async def test_a_repository_that_was_renamed_is_followed(github: FakeGitHub) -> None:
    github.repo("acme/new").issue(1)
    github.move(REPO, "acme/new")
    assert list(await Reader(github).read()) == [issue_page_of(1)]


async def test_a_token_does_not_follow_to_another_host(github: FakeGitHub, repo: Repository) -> None:
    repo.issue(1)
    elsewhere = github.url.replace("127.0.0.1", "localhost")
    github.next(301, {"Location": f"{elsewhere}{ISSUES}"})
    with pytest.raises(Unreachable, match="redirects to another host"):
        await Reader(github, token=TOKEN, what=("issues",)).read()
    assert len(github.asked) == 1


async def test_the_number_of_pages_is_told_before_they_come(github: FakeGitHub, repo: Repository) -> None:
    repo.release("1.0")
    repo.issue(1)
    reader = Reader(github)
    await reader.read()
    assert [outcome for outcome in reader.outcomes if isinstance(outcome, Total)] == [Total(1), Total(2)]


async def build_of(github: FakeGitHub, folder: Path) -> BuildReport:
    words = WordEmbedder()
    return await build(folder, [config(github)], words.embedder, report=lambda _step: None)


async def test_what_a_build_read_before_the_limit_is_served_and_the_next_one_goes_on(
    github: FakeGitHub, repo: Repository, tmp_path: Path
) -> None:
    for number in range(1, 5):
        repo.issue(number, day=number, comments=[comment("Hm.")])
    github.allowed = 4
    first = await build_of(github, tmp_path)
    assert (first.swapped, first.pages.added, first.sources[0].ok) == (True, 2, False)
    assert "GITHUB_TOKEN" in first.sources[0].error
    github.allowed = 4
    second = await build_of(github, tmp_path)
    assert (second.pages.added, second.pages.unchanged, second.sources[0].ok) == (2, 2, True)
    github.asked.clear()
    third = await build_of(github, tmp_path)
    assert (third.swapped, third.pages.unchanged) == (False, 4)


async def test_a_build_that_github_refuses_keeps_what_was_there(
    github: FakeGitHub, repo: Repository, tmp_path: Path
) -> None:
    repo.release("1.0")
    repo.issue(1)
    await build_of(github, tmp_path)
    github.allowed = 0
    report = await build_of(github, tmp_path)
    assert (report.pages.unchanged, report.pages.removed, report.sources[0].ok) == (2, 0, False)
