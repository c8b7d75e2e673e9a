"""A release or an issue of GitHub becomes a page."""

import re
from collections.abc import Sequence

from knowledge.fences import outside_fences
from knowledge.markdown import heading_text, plain
from knowledge.mdx import clean
from knowledge.models import Page
from knowledge.sources.config import SourceConfig
from knowledge.sources.github_api import Comment, Issue, Release

# An answer is mostly in the first replies or in the last ones; what lies between is seldom worth its space.
FIRST_COMMENTS = 3
LAST_COMMENTS = 5
_MAINTAINERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t](?P<text>[^\n]*)$", re.MULTILINE)


def release_path(config: SourceConfig, tag: str) -> str:
    return f"{release_prefix(config)}{tag}"


def issue_path(config: SourceConfig, number: int) -> str:
    return f"{issue_prefix(config)}{number}"


def release_prefix(config: SourceConfig) -> str:
    return f"github/{config.repo}/releases/"


def issue_prefix(config: SourceConfig) -> str:
    return f"github/{config.repo}/issues/"


def release_page(release: Release, config: SourceConfig, *, etag: str) -> Page:
    published = f"{release.published_at:%Y-%m-%d}" if release.published_at else ""
    facts = [
        f"Release {release.tag_name} of {config.repo}",
        f"Published: {published}" if published else "",
        "Pre-release" if release.prerelease else "",
    ]
    name = (release.name or "").strip()
    return Page(
        path=release_path(config, release.tag_name),
        url=release.html_url,
        title=name if release.tag_name in name else f"{release.tag_name} {name}".strip(),
        source=config.name,
        markdown=f"{_line(facts)}\n\n{clean(release.body or '')}".strip("\n") + "\n",
        metadata={
            # The headings of a release have no addresses of their own.
            "section_urls": {"": release.html_url},
            "etag": etag,
            "last_modified": release.published_at.isoformat() if release.published_at else "",
        },
    )


def issue_page(issue: Issue, comments: Sequence[Comment], config: SourceConfig, *, etag: str) -> Page:
    """The page of an issue with those of its comments that are worth it, out of `comments`."""
    chosen = choose(comments)
    texts = [_comment(comment, issue) for comment in chosen]
    left_out = issue.comments - len(chosen)
    if left_out > 0 and chosen:
        texts.append(f"({left_out} more comments are on GitHub.)")
    body = _labelled(clean(issue.body or "")).strip("\n")
    return Page(
        path=issue_path(config, issue.number),
        url=issue.html_url,
        title=f"{plain(issue.title)} (#{issue.number})",
        source=config.name,
        markdown="\n\n".join(part for part in (_facts(issue), body, *texts) if part) + "\n",
        metadata={"etag": etag, "last_modified": issue.updated_at.isoformat()},
    )


def choose(comments: Sequence[Comment]) -> list[Comment]:
    """The first and last comments in their order: maintainers' first of all, then those of others."""
    people = [comment for comment in comments if comment.body and not _is_bot(comment)]
    maintainers = _ends([comment for comment in people if _is_maintainer(comment)])
    room = FIRST_COMMENTS + LAST_COMMENTS - len(maintainers)
    others = _ends([comment for comment in people if not _is_maintainer(comment)])[:room]
    return sorted([*maintainers, *others], key=lambda comment: (comment.created_at, comment.id))


def _ends(comments: Sequence[Comment]) -> list[Comment]:
    if len(comments) <= FIRST_COMMENTS + LAST_COMMENTS:
        return list(comments)
    return [*comments[:FIRST_COMMENTS], *comments[-LAST_COMMENTS:]]


def _is_maintainer(comment: Comment) -> bool:
    return comment.author_association in _MAINTAINERS


def _is_bot(comment: Comment) -> bool:
    return comment.user is not None and (comment.user.type == "Bot" or comment.user.login.endswith("[bot]"))


def _facts(issue: Issue) -> str:
    reason = f" ({issue.state_reason.replace('_', ' ')})" if issue.state_reason else ""
    labels = ", ".join(label.name for label in issue.labels if label.name)
    return _line(
        [
            f"State: {issue.state}{reason}",
            f"Labels: {labels}" if labels else "",
            f"Opened: {issue.created_at:%Y-%m-%d}",
            f"Closed: {issue.closed_at:%Y-%m-%d}" if issue.closed_at else "",
        ]
    )


def _comment(comment: Comment, issue: Issue) -> str:
    who = ""
    if _is_maintainer(comment):
        who = " by a maintainer"
    elif comment.user and issue.user and comment.user.login == issue.user.login:
        who = " by the reporter"
    head = f"## Comment{who}, {comment.created_at:%Y-%m-%d} {{#issuecomment-{comment.id}}}"
    return f"{head}\n\n{_labelled(clean(comment.body or '')).strip()}"


def _labelled(markdown: str) -> str:
    """Headings become bold lines: on an issue's page they have no address, and comments stand below none."""

    def label(heading: re.Match[str]) -> str:
        text = plain(heading_text(heading["text"]))
        return f"**{text}**\n" if text else ""

    return outside_fences(markdown, lambda text: _HEADING.sub(label, text))


def _line(facts: Sequence[str]) -> str:
    return " · ".join(fact for fact in facts if fact)
