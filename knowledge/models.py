"""The shapes that pass between the stages of the knowledge base."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Embedder:
    """A named way to turn texts into unit vectors; `embed` gives one row a text.

    The name is recorded in the index: vectors of two embedders cannot be compared.
    """

    name: str
    embed: Callable[[list[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a source, before it is cut into chunks."""

    path: str
    """Path or URL path without leading slash and extension: `v3/concepts/work-pools`."""
    url: str
    title: str
    source: str
    """The source's name in sources.toml."""
    markdown: str
    description: str = ""
    aliases: tuple[str, ...] = ()
    """Other words that people use for the page's subject; searched like headings."""
    versions: str = ""
    """The Prefect versions that the page holds for, such as `3.x`; empty when not said."""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of one page under one heading; the unit that is embedded and ranked."""

    page: str
    title: str
    heading: str
    """The heading path below the title, joined with ` > `; empty before the first heading."""
    url: str
    """Deep link to the heading."""
    source: str
    text: str
    position: int
    """Place on the page, from 0."""
    aliases: tuple[str, ...] = ()


class Passage(BaseModel):
    """One search result."""

    model_config = ConfigDict(frozen=True)

    rank: int
    score: float
    page: str
    title: str
    heading: str
    url: str
    source: str
    text: str
