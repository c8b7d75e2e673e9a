"""Where a documentation site's own redirects lead: the old addresses of each page, from its `docs.json`.

It is Mintlify's file: `{"redirects": [{"source": …, "destination": …}]}`, where `/old/:slug*` stands for all
below a folder.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

REDIRECTS_FILE = "docs.json"
# Prefect's is 130 KB.
MAX_REDIRECTS_BYTES = 5_000_000
# Where more addresses lead, a site sends what has no place any more; they say nothing of that page.
MAX_OLD_PATHS = 20
# Sites redirect to addresses that redirect again; more than this is a circle.
_MAX_HOPS = 8

_BELOW = re.compile(r"/(?::\w+\*?|\*)$")


def read_redirects(text: str, base_url: str) -> dict[str, str]:
    """Old path → new path, without outer slashes, in the file's order; empty when it is no such file."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    rows = document.get("redirects") if isinstance(document, dict) else None
    pairs = [_pair(row, base_url) for row in rows] if isinstance(rows, list) else []
    return dict(pair for pair in pairs if pair)


def old_paths(redirects: Mapping[str, str], pages: Collection[str]) -> dict[str, list[str]]:
    """The old paths of each page that has 1 to MAX_OLD_PATHS of them, in the order of the redirects."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    folders = {_BELOW.sub("", old): new for old, new in redirects.items() if _BELOW.search(old)}
    for old in redirects:
        if _BELOW.search(old) or _page(old, pages):
            continue
        page = _followed(old, redirects, folders, pages)
        if page:
            found[page].append(old)
    return {page: paths for page, paths in found.items() if len(paths) <= MAX_OLD_PATHS}


def old_names(old: Mapping[str, Sequence[str]], pages: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What pages were called at their old addresses: `concepts/agents` gives its page the name "agents".

    A name that led to several pages, or that another page bears today, says nothing and is left out.
    """
    leads: defaultdict[str, set[str]] = defaultdict(set)
    for page, paths in old.items():
        for path in paths:
            leads[_name(path)].add(page)
    borne = {_name(page) for page in pages}
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, found in leads.items():
        if len(found) == 1 and name not in borne and re.fullmatch(r"[a-z0-9 ]{3,}", name):
            names[found.pop()].append(name)
    return {page: tuple(sorted(called)) for page, called in names.items()}


def _name(path: str) -> str:
    return path.removesuffix("/index").rpartition("/")[2].replace("-", " ").lower()


def _pair(row: Any, base_url: str) -> tuple[str, str] | None:
    if not isinstance(row, dict):
        return None
    old, new = row.get("source"), row.get("destination")
    if not isinstance(old, str) or not isinstance(new, str):
        return None
    new = new.removeprefix(base_url)
    # What leads to another site is no page of this one.
    return None if "://" in new or "://" in old else (_bare(old), _bare(new))


def _bare(address: str) -> str:
    return re.split(r"[?#]", address, maxsplit=1)[0].strip().strip("/")


def _page(path: str, pages: Collection[str]) -> str:
    """The page at an address, which for a folder is its index; empty when there is none."""
    return next((page for page in (path or "index", f"{path}/index") if page in pages), "")


def _followed(
    path: str, redirects: Mapping[str, str], folders: Mapping[str, str], pages: Collection[str]
) -> str:
    """The page that an old path leads to in the end; empty when it leads nowhere."""
    for _ in range(_MAX_HOPS):
        new = redirects[path] if path in redirects else _below(path, folders)
        if new is None:
            break
        if page := _page(new, pages):
            return page
        path = new
    return ""


def _below(path: str, folders: Mapping[str, str]) -> str | None:
    """Where a redirect of a folder that the path is in leads; the innermost folder counts."""
    parts = path.split("/")
    for end in range(len(parts) - 1, 0, -1):
        new = folders.get("/".join(parts[:end]))
        if new is not None:
            return _BELOW.sub("", new) + "/" + "/".join(parts[end:]) if _BELOW.search(new) else new
    return None
