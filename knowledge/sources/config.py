"""Which sources are indexed: `sources.toml`, or the defaults."""

import re
import tomllib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from knowledge.errors import BadInput

Kind = Literal["field_guide", "files", "website", "github"]
GitHubPart = Literal["releases", "issues"]

DEFAULT_SITE = "https://docs.prefect.io"
GITHUB_API = "https://api.github.com"
# More often would be impolite to a site, and keep a server rebuilding.
SHORTEST_EVERY = timedelta(minutes=5)
LONGEST_EVERY = timedelta(days=365)

# What other parts of the knowledge base read from the top of the file, with `option`.
OPTIONS = ("golden", "prefect")

_EVERY = re.compile(r"(?P<number>\d{1,6})(?P<unit>[mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_EXAMPLE = '[[source]] with name = "docs", kind = "website", base_url = "https://docs.example.com"'


class SourceConfig(BaseModel):
    """One source. `include` and `exclude` are shell patterns over page paths, where `*` also matches `/`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    kind: Kind
    path: Path | None = None
    base_url: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_pages: int = Field(default=5_000, ge=1, le=100_000)
    max_page_bytes: int = Field(default=2_000_000, ge=1_000, le=50_000_000)
    concurrency: int = Field(default=4, ge=1, le=16)
    timeout: float = Field(default=20.0, gt=0, le=300)
    """Seconds that one request may take."""
    every: timedelta | None = None
    """How often a server brings it up to date; written as `"30m"`, `"6h"`, `"1d"` or `"1w"`."""

    # Not `\w`, which is of all scripts here: compiling that takes a tenth of a second at every start.
    repo: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.-]{1,100})?$")
    """For `github`: `owner/name`."""
    what: tuple[GitHubPart, ...] = Field(default=("releases", "issues"), min_length=1)
    state: Literal["open", "closed", "all"] = "all"
    labels: tuple[str, ...] = ()
    """Only issues that carry all of these."""
    api_url: str = GITHUB_API
    """Of a GitHub Enterprise server: `https://HOST/api/v3`."""
    use_token: bool = True
    token: SecretStr | None = None
    """From the setting GITHUB_TOKEN, never from the file."""

    @field_validator("every", mode="before")
    @classmethod
    def _reads_every(cls, value: Any) -> Any:
        return interval(value) if isinstance(value, str) else value

    @field_validator("every")
    @classmethod
    def _is_often_enough(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and not SHORTEST_EVERY <= value <= LONGEST_EVERY:
            raise ValueError("has to be from 5m to 365d")
        return value

    @field_validator("base_url", "api_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("has to begin with https:// or http://")
        if value and not _is_address(value):
            raise ValueError("is no address of a site")
        if "@" in urlsplit(value).netloc:
            # It is shown to everybody: pages are cited by it, and errors name it.
            raise ValueError("must not hold a name or password")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "files" and self.path is None:
            raise ValueError("a `files` source needs `path`, the folder to read")
        if self.kind in ("files", "website") and not self.base_url:
            raise ValueError(
                f"a `{self.kind}` source needs `base_url`, the address that its pages are cited by"
            )
        if (self.kind == "github") != bool(self.repo):
            raise ValueError('a `github` source, and no other, needs `repo`, such as "owner/name"')
        return self


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0 and text.isprintable() and " " not in text
    except ValueError:
        return False


def interval(text: str) -> timedelta:
    """What `30m`, `6h`, `1d` or `1w` says; ValueError for anything else."""
    found = _EVERY.fullmatch(text.strip())
    if found is None:
        raise ValueError("has to be a number with m, h, d or w, such as 30m, 6h or 1d")
    return timedelta(**{_UNITS[found["unit"]]: int(found["number"])})


FIELD_GUIDE = SourceConfig(name="field-guide", kind="field_guide")


def load_sources(path: Path | None, *, github_token: SecretStr | None = None) -> tuple[SourceConfig, ...]:
    """The sources named in the file, after the field guide; without a file, the guide and Prefect's docs.

    A file leaves the guide out by `field_guide = false`. Folders are relative to the file. The token goes to
    the `github` sources, unless they say `use_token = false`.

    Raises:
        BadInput: the file cannot be read or something in it is wrong.
    """
    if path is None:
        return FIELD_GUIDE, SourceConfig(name="prefect-docs", kind="website", base_url=DEFAULT_SITE)
    document = _read(path)
    guide = document.pop("field_guide", True)
    tables = document.pop("source", [])
    if not isinstance(guide, bool) or document.keys() - OPTIONS or not isinstance(tables, list):
        names = ", ".join(f'`{name} = "…"`' for name in OPTIONS)
        raise BadInput(
            f"{path.name} may hold only `field_guide = true|false`, {names} and [[source]] tables.",
            f"Such as {_EXAMPLE}.",
        )
    sources = [FIELD_GUIDE] if guide else []
    for number, table in enumerate(tables, start=1):
        sources.append(_source(table, number, path))
    return _with_token(_checked(sources, path), github_token, path)


def option(path: Path | None, name: str) -> str | None:
    """Give a text from the top of the file; None when it, or the file, is not there.

    Raises:
        BadInput: the file cannot be read, or it is no text.
    """
    value = _read(path).get(name) if path else None
    if value is not None and (not isinstance(value, str) or not value.strip()):
        assert path
        raise BadInput(f"{path.name}: `{name}` is no text.", f'Write {name} = "…", or leave it out.')
    return value


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"The list of sources {str(path)!r} cannot be read: {error.strerror}.",
            "Set ASK_MARVIN_SOURCES to a sources.toml, or unset it for the defaults.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path.name} is not valid TOML: {error}.", f"A source looks like {_EXAMPLE}."
        ) from error


def _source(table: Any, number: int, path: Path) -> SourceConfig:
    if not isinstance(table, dict):
        raise BadInput(f"{path.name}: source {number} is not a table.", f"Write {_EXAMPLE}.")
    if "token" in table:
        raise BadInput(
            f"{path.name}: source {number} holds a token, which has no place in a file that is shared.",
            "Take it out, and set GITHUB_TOKEN in the environment or in .env.",
        )
    try:
        source = SourceConfig.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(
            f"{path.name}: source {number}{f', {where}' if where else ''}: {said}.",
            f"A source looks like {_EXAMPLE}.",
        ) from error
    return source if source.path is None else source.model_copy(update={"path": _folder(source.path, path)})


def _folder(folder: Path, file: Path) -> Path:
    try:
        return file.resolve().parent / folder.expanduser()
    except RuntimeError as error:
        raise BadInput(
            f"{file.name}: there is no home folder for {str(folder)!r}.", "Write the whole path."
        ) from error


def _checked(sources: list[SourceConfig], path: Path) -> tuple[SourceConfig, ...]:
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(
                f"{path.name} has {names.count(name)} sources named {name!r}.", "Give each its own name."
            )
    if not sources:
        raise BadInput(f"{path.name} names no source.", f"Add {_EXAMPLE}.")
    return tuple(sources)


def _with_token(
    sources: tuple[SourceConfig, ...], token: SecretStr | None, path: Path
) -> tuple[SourceConfig, ...]:
    """The sources, those on GitHub with the token; a token is for one server, and never sent in clear."""
    users = [source for source in sources if source.kind == "github" and source.use_token]
    if token is None or not users:
        return sources
    _check_receivers(users, path)
    given = {source.name: source.model_copy(update={"token": token}) for source in users}
    return tuple(given.get(source.name, source) for source in sources)


def _check_receivers(users: Sequence[SourceConfig], path: Path) -> None:
    servers = sorted({source.api_url for source in users})
    if len(servers) > 1:
        raise BadInput(
            f"{path.name} reads GitHub at {' and '.join(servers)}, and GITHUB_TOKEN would go to all of them.",
            "Write `use_token = false` in the sources that it is not for.",
        )
    parts = urlsplit(servers[0])
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise BadInput(
            f"{path.name}: GITHUB_TOKEN would be sent unencrypted to {servers[0]}.",
            "Write `api_url` with https://, or `use_token = false`.",
        )
