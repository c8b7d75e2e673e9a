"""The symbol table of one Prefect version: `symbols.json` in a generation's folder."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

SYMBOLS = "symbols.json"
# Raised when the readers find more or other things: older tables are then read anew.
READER = 1
# The value of a member that is no module and no class: what is beneath it is not known.
LEAF = ""


class Command(BaseModel):
    """A command or a group of commands; an alias is a command of its own."""

    model_config = ConfigDict(frozen=True)

    flags: frozenset[str] = frozenset()
    commands: dict[str, "Command"] = {}
    runs: bool = False
    """It does something itself, so that what follows may be an argument and not a command."""
    takes_any_flag: bool = False

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], "Command"]]:
        """Yield (names, command) for it and all beneath."""
        yield path, self
        for name, command in self.commands.items():
            yield from command.walk((*path, name))


class Scope(BaseModel):
    """A module or a class: the names in it, each with the module or class it leads to, or LEAF."""

    model_config = ConfigDict(frozen=True)

    members: dict[str, str] = {}
    bases: tuple[str, ...] = ()
    """The classes that it builds on, whose names are its own as well."""
    open: bool = False
    """Anything may be in it: a base could not be read, or it makes names up when it is asked."""


class Symbols(BaseModel):
    """Commands, settings and dotted names of one Prefect version, and since when names have been there."""

    model_config = ConfigDict(frozen=True)

    version: str
    reader: int = READER
    read_at: datetime | None = None
    """When its files were read (UTC)."""
    cli: Command = Command()
    settings: frozenset[str] = frozenset()
    """Environment variables, such as `PREFECT_API_URL`."""
    setting_prefixes: tuple[str, ...] = ()
    """Beginnings after which anything may follow."""
    scopes: dict[str, Scope] = {}
    """Modules and classes by their dotted name, such as `prefect.flows.Flow`."""
    texts: frozenset[str] = frozenset()
    """Dotted texts that are no names: events, resource labels, loggers."""
    removed: dict[str, str] = {}
    """Names that are gone, such as `prefect.deployments.Deployment`, with what to use instead."""
    first_seen: dict[str, str] = {}
    """In which minor version the release notes first tell of a name that came new with it."""

    @cached_property
    def public(self) -> frozenset[str]:
        """The last parts of the names that people use in their own code; not those of the server's."""
        scopes = (scope for path, scope in self.scopes.items() if not path.startswith("prefect.server"))
        return frozenset(name for scope in scopes for name in scope.members)

    @cached_property
    def folded(self) -> Mapping[str, str]:
        return {name.casefold(): version for name, version in self.first_seen.items()}

    def since(self, name: str) -> str | None:
        """Give the minor version that a setting, command, flag or name came with, as far as it is told."""
        return self.folded.get(name.strip("`@() ").casefold())

    def has_setting(self, name: str) -> bool:
        """Tell whether the variable is one, or the beginning of one where it ends in `_`."""
        if name in self.settings or name.startswith(self.setting_prefixes):
            return True
        return name.endswith("_") and any(setting.startswith(name) for setting in self.settings)

    def has_name(self, dotted: str) -> bool:
        """Tell whether the dotted name leads somewhere, as far as it can be followed."""
        if dotted in self.texts or self._is_event(dotted):
            return True
        scope = "prefect"
        for name in dotted.split(".")[1:]:
            if scope not in self.scopes or self._is_open(scope) or name.startswith("_"):
                return True
            found = self._member(scope, name)
            if found is None:
                return False
            scope = found
        return True

    def target(self, dotted: str) -> str:
        """Give the module or class that a name leads to; LEAF when it is neither, or unknown."""
        scope = "prefect"
        for name in dotted.split(".")[1:]:
            scope = self._member(scope, name) or LEAF
        return scope

    def _is_event(self, dotted: str) -> bool:
        """`prefect.asset.materialization.succeeded`: of a kind that the code has texts about, no module."""
        kind, _, rest = dotted.removeprefix("prefect.").partition(".")
        return bool(rest) and rest.islower() and kind in self.kinds

    @cached_property
    def kinds(self) -> frozenset[str]:
        """What the code's texts are about: `asset`, `automation`, `tag`, `worker`."""
        return frozenset(text.split(".")[1] for text in self.texts) - self.scopes["prefect"].members.keys()

    def _member(self, scope: str, name: str) -> str | None:
        found = (self.scopes[part].members.get(name) for part in self._lineage(scope))
        return next((target for target in found if target is not None), None)

    def _is_open(self, scope: str) -> bool:
        return any(self.scopes[part].open for part in self._lineage(scope))

    def _lineage(self, scope: str) -> Iterator[str]:
        """The class and all that it builds on, nearest first, each once."""
        waiting, seen = [scope], set[str]()
        while waiting:
            part = waiting.pop(0)
            if part in self.scopes and part not in seen:
                seen.add(part)
                yield part
                waiting += self.scopes[part].bases


def read_symbols(folder: Path) -> Symbols | None:
    """Give the table in a generation's folder; None when it has none that can be read."""
    try:
        return Symbols.model_validate_json((folder / SYMBOLS).read_bytes())
    except (OSError, ValidationError):
        return None


def write_symbols(folder: Path, symbols: Symbols) -> None:
    (folder / SYMBOLS).write_text(symbols.model_dump_json(), encoding="utf-8")
