"""A folder of documents as a source."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from knowledge.errors import BadInput
from knowledge.models import Page
from knowledge.sources.config import SourceConfig
from knowledge.sources.documents import Document, read_document, title_from
from knowledge.sources.outcome import FailedPage, Fetched, Total
from knowledge.sources.redirects import (
    MAX_REDIRECTS_BYTES,
    REDIRECTS_FILE,
    old_names,
    old_paths,
    read_redirects,
)
from knowledge.sources.rst import markdown_from_rst

SUFFIXES = frozenset({".md", ".mdx", ".rst", ".txt"})
# Not pages: what other pages include, and what tools keep beside them.
_SKIPPED_FOLDERS = frozenset({"snippets", "node_modules", "__pycache__"})
# Looking further than this for pages would mean that the wrong folder was named, such as a home folder.
_MAX_ENTRIES = 500_000
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


def read_files(config: SourceConfig) -> Iterator[Fetched]:
    """Every document below `config.path`, in order of path.

    Where the folder has a `docs.json` with redirects, a page's `metadata["old_paths"]` has its old addresses,
    and its aliases are what it was called there.

    Raises:
        BadInput: the folder is missing or holds no documents.
    """
    root = _root(config)
    paths = sorted(_documents(root, config))
    if not paths:
        raise BadInput(
            f"Source {config.name!r} finds no md, mdx, rst or txt file to read in {str(root)!r}.",
            "Correct its `path`, `include` or `exclude` in sources.toml.",
        )
    yield Total(min(len(paths), config.max_pages))
    pages = {_page_path(path, root) for path in paths}
    old = old_paths(_redirects(root, config), pages)
    names = old_names(old, pages)
    for path in paths[: config.max_pages]:
        read = _read(path, root, config)
        yield _with_old(read, old, names) if isinstance(read, Page) else read
    if len(paths) > config.max_pages:
        yield FailedPage(
            str(root), f"has {len(paths)} documents; only the first {config.max_pages} are read (`max_pages`)"
        )


def wanted(page: str, config: SourceConfig) -> bool:
    """Whether the source's patterns let the page in."""
    if config.include and not any(fnmatchcase(page, pattern) for pattern in config.include):
        return False
    return not any(fnmatchcase(page, pattern) for pattern in config.exclude)


def address(base_url: str, page: str) -> str:
    """The public address of a page path; an index page is its folder's address."""
    shown = "" if page == "index" else page.removesuffix("/index")
    return f"{base_url}/{shown}" if shown else base_url


def _root(config: SourceConfig) -> Path:
    root = (config.path or Path()).resolve()
    if not root.is_dir():
        raise BadInput(f"Source {config.name!r} has no folder at {str(root)!r}.", "Correct its `path`.")
    return root


def _documents(root: Path, config: SourceConfig) -> Iterator[Path]:
    entries = 0
    # Links to folders are not followed: they may lead out of the folder or in circles.
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name[0] != "." and name not in _SKIPPED_FOLDERS]
        entries += len(names) + len(subfolders)
        if entries > _MAX_ENTRIES:
            raise BadInput(
                f"The folder of source {config.name!r} is too large to search: {str(root)!r}.",
                "Point its `path` at the documents themselves.",
            )
        for name in names:
            path = Path(folder, name)
            if name[0] != "." and path.suffix.lower() in SUFFIXES and wanted(_page_path(path, root), config):
                yield path


def _page_path(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _redirects(root: Path, config: SourceConfig) -> dict[str, str]:
    path = root / REDIRECTS_FILE
    try:
        if not path.resolve().is_relative_to(root) or path.stat().st_size > MAX_REDIRECTS_BYTES:
            return {}
        return read_redirects(path.read_text(encoding="utf-8", errors="replace"), config.base_url)
    except OSError:
        # Most folders have none.
        return {}


def _read(path: Path, root: Path, config: SourceConfig) -> Page | FailedPage:
    page = _page_path(path, root)
    try:
        if not path.resolve().is_relative_to(root):
            return FailedPage(page, "is a link that leaves the folder")
        if (size := path.stat().st_size) > config.max_page_bytes:
            return FailedPage(
                page, f"is {size} bytes; at most {config.max_page_bytes} are read (`max_page_bytes`)"
            )
        data = path.read_bytes()
    except OSError as error:
        return FailedPage(page, f"cannot be read: {error.strerror}")
    if _is_binary(data):
        return FailedPage(page, "is not text")
    document = _document(data.decode("utf-8", errors="replace"), path, root)
    return _page(document, page, config)


def _is_binary(data: bytes) -> bool:
    """As git and grep have it: text holds no zero byte; besides, hardly any control characters."""
    head = data[:8_000]
    controls = len(head) - len(head.translate(None, delete=_CONTROLS))
    return b"\0" in head or controls * 10 > len(head)


def _document(text: str, path: Path, root: Path) -> Document:
    suffix, page = path.suffix.lower(), _page_path(path, root)
    if suffix == ".txt":
        return Document(title=title_from(page), description="", markdown=text, front_matter={})
    if suffix == ".rst":
        text = markdown_from_rst(text)
    return read_document(
        text, fallback_title=title_from(page), read_snippet=lambda target: _snippet(target, root)
    )


def _snippet(target: str, root: Path) -> str | None:
    """The text of `import X from "/snippets/x.mdx"`; None for what is no document of this folder."""
    path = (root / target.lstrip("/")).resolve()
    if path.suffix not in (".md", ".mdx") or not path.is_relative_to(root) or not path.is_file():
        return None
    return path.read_text(encoding="utf-8", errors="replace")


def _page(document: Document, page: str, config: SourceConfig) -> Page:
    return Page(
        path=page,
        url=address(config.base_url, page),
        title=document.title,
        source=config.name,
        markdown=document.markdown,
        description=document.description,
    )


def _with_old(page: Page, old: Mapping[str, list[str]], names: Mapping[str, tuple[str, ...]]) -> Page:
    if page.path not in old:
        return page
    return replace(page, aliases=names.get(page.path, ()), metadata={"old_paths": old[page.path]})
