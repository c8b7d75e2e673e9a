"""Prints the schema that the installed Prefect records for a flow with parameters of every kind."""

import enum
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, Field, SecretStr


class Region(enum.Enum):
    EU = "eu"
    US = "us"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Server(BaseModel):
    host: str
    port: int = 5432
    pin: SecretStr | None = None


class Source(BaseModel):
    """Where rows come from."""

    server: Server
    tables: list[str] = []
    note: str | None = None


def sync(  # type: ignore[no-untyped-def]
    anything: Any,
    rows: int,
    dry: bool,
    source: Source,
    label: str | None,
    bare="x",
    text: str = "abc",
    day: date = date(2026, 1, 2),
    due: datetime = datetime(2026, 1, 2, 3, 4, 5),
    at: time = time(8, 0),
    every: timedelta = timedelta(hours=1),
    when: datetime | None = None,
    until: date | None = None,
    limit: int | None = 5,
    share: Annotated[float, Field(ge=0, le=1)] = 0.5,
    code: Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z]+$")] = "abc",
    step: Annotated[int, Field(gt=0, lt=100, multiple_of=5)] = 5,
    mode: Literal["fast", "slow"] = "fast",
    mixed: Literal["a", 1, None] = "a",
    only: Literal["one"] = "one",
    region: Region = Region.EU,
    other: Region | None = None,
    level: Level = Level.LOW,
    names: list[str] = ["a", "b"],  # noqa: B006
    tags: set[str] | None = None,
    modes: list[Literal["x", "y"]] = ["x"],  # noqa: B006
    regions: list[Region] = [],  # noqa: B006
    pair: tuple[int, str] = (1, "a"),
    extra: dict = {},  # type: ignore[type-arg]  # noqa: B006
    counts: dict[str, int] = {"a": 1},  # noqa: B006
    mirror: Source | None = None,
    either: int | str = 3,
    price: Decimal = Decimal("1.5"),
    folder: Path = Path("/srv"),
    id: UUID = UUID(int=1),  # noqa: B008
    pin: SecretStr = SecretStr("1234"),  # noqa: B008
    api_key: str = "",
) -> None:
    """Syncs rows.

    Args:
        rows: how many rows to read.
    """


if __name__ == "__main__":
    print(json.dumps(parameter_schema(sync).model_dump_for_openapi()))
