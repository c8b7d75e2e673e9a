"""Which sources are indexed: `sources.toml`, or the defaults."""

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from knowledge.errors import BadInput

Kind = Literal["field_guide", "files", "website"]

DEFAULT_SITE = "https://docs.prefect.io"

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

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("has to begin with https:// or http://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "files" and self.path is None:
            raise ValueError("a `files` source needs `path`, the folder to read")
        if self.kind in ("files", "website") and not self.base_url:
            raise ValueError(
                f"a `{self.kind}` source needs `base_url`, the address that its pages are cited by"
            )
        return self


FIELD_GUIDE = SourceConfig(name="field-guide", kind="field_guide")


def load_sources(path: Path | None) -> tuple[SourceConfig, ...]:
    """The sources named in the file, after the field guide; without a file, the guide and Prefect's docs.

    A file leaves the guide out by `field_guide = false`. Folders are relative to the file.

    Raises:
        BadInput: the file cannot be read or something in it is wrong.
    """
    if path is None:
        return FIELD_GUIDE, SourceConfig(name="prefect-docs", kind="website", base_url=DEFAULT_SITE)
    document = _read(path)
    guide = document.pop("field_guide", True)
    tables = document.pop("source", [])
    if not isinstance(guide, bool) or document or not isinstance(tables, list):
        raise BadInput(
            f"{path.name} may hold only `field_guide = true|false` and [[source]] tables.",
            f"Such as {_EXAMPLE}.",
        )
    sources = [FIELD_GUIDE] if guide else []
    for number, table in enumerate(tables, start=1):
        sources.append(_source(table, number, path))
    return _checked(sources, path)


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
    return file.resolve().parent / folder.expanduser()


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
