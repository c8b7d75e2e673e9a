"""What an action tool gives back: a proposal for a person to confirm, and later its receipt."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Fact(BaseModel):
    """One line of a card: a label and its value, both plain text."""

    model_config = ConfigDict(frozen=True)

    label: str
    value: str


class Affected(BaseModel):
    """One thing that a proposal changes, as the rules of a policy see it."""

    model_config = ConfigDict(frozen=True)

    deployment: str = ""
    """`flow/deployment`; empty where none is involved."""
    tags: tuple[str, ...] = ()
    """The deployment's own."""
    work_pool: str = ""


class Proposal(BaseModel):
    """A change that nobody has confirmed yet; everything in it is resolved and exact."""

    model_config = ConfigDict(frozen=True)

    action: str
    """The tool's name, such as `trigger_run`."""
    title: str
    """What will happen, in one plain sentence: `Start a run of etl/nightly`."""
    target: str
    """The resolved object's full name: `etl/nightly`."""
    target_url: str = ""
    """The object's page in Prefect's UI, where it has one."""
    facts: tuple[Fact, ...] = ()
    """What the person must see before confirming: parameters, affected runs, warnings."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """All that performing it needs: ids and values, nothing left to look up by name."""
    fingerprint: str = ""
    """A hash of the live state that the proposal rests on; another one at the click refuses it."""
    affected: tuple[Affected, ...] = ()
    """All that it touches in the workspace; empty for the knowledge base."""
    dangerous: bool = False
    """It overrides a safeguard."""
    editable: bool = False
    """Its parameters can be changed before it is confirmed."""


class Link(BaseModel):
    """Something that a receipt names, and where to look at it."""

    model_config = ConfigDict(frozen=True)

    title: str
    url: str = ""


class Detail(BaseModel):
    """One line of a receipt below its text, and the first few of the things that it is about."""

    model_config = ConfigDict(frozen=True)

    text: str
    links: tuple[Link, ...] = ()
    more: int = 0
    """How many there are beside those that are named."""


class Receipt(BaseModel):
    """What came of a confirmed proposal. Only a receipt may claim that something was done."""

    model_config = ConfigDict(frozen=True)

    ok: bool
    text: str
    """One plain sentence about what was done, or why it was not."""
    url: str = ""
    flow_run_ids: tuple[str, ...] = ()
    """The runs to follow to their end."""
    short: Literal["", "partly", "held_back"] = ""
    """How it fell short where plain success or failure would mislead: some of it failed, or it was done and
    is not in use."""
    details: tuple[Detail, ...] = ()
    undo: Proposal | None = None
    """What takes it back, offered below the receipt."""
