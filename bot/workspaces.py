"""The Prefect workspaces by name, and which one a message is about.

`workspaces.toml` names them; without it there is the one that Prefect's own settings lead to.
A channel may have its own; a word in the message (`prod: runs late`, `why etl in prod`) beats it.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.events import Offer
from knowledge.errors import BadInput
from tools.connection import PrefectConnection, resolve_connection
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal
from tools.toolbox import Toolbox

# The name of the only workspace, where no file gives any.
ONLY = "default"
# A name has to be a plain word: people type it before a colon.
# Where a workspace may be named last; any longer and a message of blanks alone would take half a minute.
LAST_WORDS = 200
Name = Annotated[str, Field(pattern=r"^[A-Za-z][\w-]{0,39}$")]


@dataclass(frozen=True, slots=True)
class Workspace:
    """One Prefect server or Cloud workspace, with the tools that work on it."""

    name: str
    connection: PrefectConnection | None
    prefect: PrefectClient
    toolbox: Toolbox

    def named_on(self, proposal: Proposal) -> Proposal:
        """The proposal with the workspace as its first fact, where the workspace has a name of its own."""
        if self.name == ONLY or not proposal.affected:
            return proposal
        fact = Fact(label="Workspace", value=self.name)
        return proposal.model_copy(update={"facts": (fact, *proposal.facts)})


class Workspaces:
    """All workspaces that this bot is connected to; there is always one, if only to say that none is set."""

    def __init__(
        self, members: Sequence[Workspace], *, default: str, channels: Mapping[str, str] | None = None
    ) -> None:
        self._members = {member.name: member for member in members}
        self._channels = channels or {}
        self.default = self._members[default]
        names = "|".join(re.escape(name) for name in sorted(self._members, key=len, reverse=True))
        self._before = re.compile(rf"\s*({names}):\s+(?=\S)", re.IGNORECASE)
        self._after = re.compile(rf"\s+(?:in|on)\s+({names})(?:\s+workspace)?\s*([.?!]*)\s*\Z", re.IGNORECASE)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    @property
    def several(self) -> bool:
        return len(self._members) > 1

    def get(self, name: str) -> Workspace:
        """Raises BadInput for a name that is not, or no longer, in the file."""
        try:
            return self._members[name]
        except KeyError:
            raise BadInput(
                f"There is no Prefect workspace {name!r} here (any more).",
                f"There is {', '.join(self.names)}.",
            ) from None

    def of_channel(self, channel: str) -> Workspace:
        return self._members[self._channels.get(channel, self.default.name)]

    def pick(self, channel: str, text: str) -> tuple[Workspace, str]:
        """The workspace that the text is about, and the text without the words that chose it."""
        if self.several:
            if before := self._before.match(text):
                return self._named(before[1]), text[before.end() :]
            if after := self._after.search(text, max(len(text) - LAST_WORDS, 0)):
                return self._named(after[1]), text[: after.start()] + after[2]
        return self.of_channel(channel), text

    def typed(self, workspace: str, channel: str, command: str) -> str:
        """The command as it has to be typed in that channel to mean that workspace."""
        return command if self.of_channel(channel).name == workspace else f"{workspace}: {command}"

    def as_typed(self, offers: Iterable[Offer], workspace: str, channel: str) -> list[Offer]:
        """Their commands as they have to be typed in that channel."""
        return [replace(one, command=self.typed(workspace, channel, one.command)) for one in offers]

    def _named(self, word: str) -> Workspace:
        return next(item for name, item in self._members.items() if name.lower() == word.lower())


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    profile: str = ""
    api_url: str = ""
    api_key_env: str = ""
    auth_string_env: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> "_Entry":
        if bool(self.profile) == bool(self.api_url):
            raise ValueError("give either profile or api_url")
        if self.profile and (self.api_key_env or self.auth_string_env):
            raise ValueError("a profile brings its own credentials")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: str
    workspaces: Annotated[dict[Name, _Entry], Field(min_length=1)]
    channels: dict[Annotated[str, Field(pattern=r"^[CDG][A-Z0-9]+$")], str] = {}

    @model_validator(mode="after")
    def _all_known(self) -> "_File":
        for name in (self.default, *self.channels.values()):
            if name not in self.workspaces:
                raise ValueError(f"there is no [workspaces.{name}]")
        if len({name.lower() for name in self.workspaces}) < len(self.workspaces):
            raise ValueError("two workspaces differ only in letter case")
        return self


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """Connections by name, before anything is connected."""

    connections: Mapping[str, PrefectConnection | None]
    default: str = ONLY
    channels: Mapping[str, str] | None = None


def load_workspaces(path: Path | None, environ: Mapping[str, str], home: Path) -> WorkspaceConfig:
    """The workspaces of `workspaces.toml`; without a file the one that Prefect's own settings lead to.

    Raises BadInput naming the key that is wrong, or the variable that is missing.
    """
    if path is None:
        return WorkspaceConfig({ONLY: resolve_connection(environ, home)})
    file = _read(path)
    connections = {name: _connection(name, entry, environ, home) for name, entry in file.workspaces.items()}
    return WorkspaceConfig(connections, file.default, file.channels)


def _read(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BadInput(f"There is no workspaces file at {path}.", "Correct ASK_MARVIN_WORKSPACES.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}.", "Correct that line.") from None
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        raise BadInput(
            f"{path}: {f'{where}: ' if where else ''}{said}.", "See the example in the README."
        ) from None
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.", "Correct ASK_MARVIN_WORKSPACES."
        ) from None


def _connection(name: str, entry: _Entry, environ: Mapping[str, str], home: Path) -> PrefectConnection | None:
    if entry.profile:
        apart = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING")
        profile = {key: value for key, value in environ.items() if key not in apart}
        return resolve_connection({**profile, "PREFECT_PROFILE": entry.profile}, home)
    given = {
        "PREFECT_API_URL": entry.api_url,
        "PREFECT_API_KEY": _variable(name, entry.api_key_env, environ),
        "PREFECT_API_AUTH_STRING": _variable(name, entry.auth_string_env, environ),
    }
    connection = resolve_connection(given, home)
    return replace(connection, source=f"[workspaces.{name}]") if connection else None


def _variable(workspace: str, variable: str, environ: Mapping[str, str]) -> str:
    if variable and not environ.get(variable, "").strip():
        raise BadInput(
            f"{variable}, which [workspaces.{workspace}] names, is not set.",
            "Set it, or take it out of the file.",
        )
    return environ[variable] if variable else ""
