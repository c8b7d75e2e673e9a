"""The dotted names of Prefect's Python package, by griffe, which reads source and runs none of it.

griffe takes memory that a server has no use for: only `knowledge.symbols.reader` imports this module.
"""

import ast
import builtins
import enum
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import pydantic

from knowledge.symbols.source import read_modules, strings
from knowledge.symbols.table import LEAF, Scope

ROOT = "prefect"
_Scope = griffe.Module | griffe.Class
# Bases from outside that add nothing a reader would name.
_BARE = frozenset({"abc.ABC", "typing.Generic", "typing.Protocol", "typing_extensions.Protocol", "object"})
_OUTSIDE: dict[str, type] = {
    "pydantic.BaseModel": pydantic.BaseModel,
    "pydantic.RootModel": pydantic.RootModel,
    "enum.Enum": enum.Enum,
}
# `prefect.flow` is an object that is called as a decorator and also stands for a flow in the docs.
_STANDS_FOR = {"prefect.flow": "prefect.flows.Flow", "prefect.task": "prefect.tasks.Task"}
# Code of others inside the package.
_LEFT_OUT = frozenset({"_vendor"})
_TEXT = re.compile(r"[\"'](prefect(?:\.[\w*-]+)+)[\"'.{]")
_MIGRATION = "_internal/compatibility/migration.py"


def read_names(package: Path) -> dict[str, Scope]:
    """Give the public modules and classes of the package, with the names in each."""
    loader = griffe.GriffeLoader(search_paths=[package.parent], allow_inspection=False)
    root = loader.load(ROOT, submodules=True)
    assert isinstance(root, griffe.Module)
    loader.resolve_aliases(implicit=False, external=False)
    scopes = {path: Scope(members=dict.fromkeys(names, LEAF)) for path, names in _outside_names().items()}
    scopes |= {scope.path: _scope(scope) for scope in _scopes(root)}
    for module, name, target in _moved(package):
        if module in scopes:
            scopes[module].members.setdefault(name, target)
    return _reachable(_decorators(scopes))


def read_texts(package: Path) -> frozenset[str]:
    """Give the dotted texts in the code that are no names: `prefect.resource.id`, `prefect.flow_runs`."""
    found: set[str] = set()
    for path in package.rglob("*.py"):
        found.update(_TEXT.findall(path.read_text(encoding="utf-8", errors="replace")))
    return frozenset(found)


def read_removed(package: Path) -> dict[str, str]:
    """Give what the package itself says was removed, with what to use instead, by dotted name."""
    return {key.replace(":", "."): text for key, text in _table(package, "REMOVED_IN_V3")}


def _moved(package: Path) -> Iterator[tuple[str, str, str]]:
    for old, new in _table(package, "MOVED_IN_V3"):
        module, _, name = old.partition(":")
        yield module, name, new.replace(":", ".")


def _table(package: Path, name: str) -> Iterator[tuple[str, str]]:
    """A dictionary of texts in the module that knows what the last major version changed."""
    for module in read_modules(package, [package / _MIGRATION] if (package / _MIGRATION).exists() else []):
        table = module.assigned.get(name)
        for key, value in zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ():
            yield from ((text, " ".join(strings(value))) for text in strings(key))


def _scopes(scope: _Scope) -> Iterator[_Scope]:
    yield scope
    for name, member in scope.members.items():
        if isinstance(member, griffe.Module | griffe.Class) and name not in _LEFT_OUT:
            yield from _scopes(member)


def _reachable(scopes: dict[str, Scope]) -> dict[str, Scope]:
    """What can be named from the package without an underscore, and what that builds on."""
    found: dict[str, Scope] = {}
    waiting = [ROOT]
    while waiting:
        path = waiting.pop()
        if path in scopes and path not in found:
            found[path] = scopes[path]
            waiting += [*scopes[path].bases, *scopes[path].members.values()]
    return found


def _scope(scope: _Scope) -> Scope:
    members = _own(scope)
    if isinstance(scope, griffe.Class):
        paths = [_base_path(scope, str(getattr(base, "canonical_path", base))) for base in scope.bases]
        known = tuple(path for path in paths if path not in _BARE)
        return Scope(members=members, bases=known, open=any(not _is_known(path) for path in known))
    exported = [str(name) for name in scope.exports or () if not _is_private(str(name))]
    members |= {name: LEAF for name in exported if name not in members}
    return Scope(members=members, open=_is_dynamic(scope) and not exported)


def _base_path(scope: griffe.Class, written: str) -> str:
    """The path of a base where it is defined, when it is Prefect's own."""
    path = written.split("[")[0]
    if not path.startswith(f"{ROOT}."):
        return path
    try:
        found = scope.package[path.removeprefix(f"{ROOT}.")]
        return found.final_target.path if found.is_alias else path
    except (KeyError, griffe.GriffeError):
        return path


def _is_known(base: str) -> bool:
    return base.startswith(f"{ROOT}.") or base in _outside_names()


def _own(base: Any) -> dict[str, str]:
    public = {name: member for name, member in base.members.items() if not _is_private(name)}
    return {name: _target(member) for name, member in public.items() if not _is_foreign(member)}


def _outside_names() -> dict[str, list[str]]:
    """The public names of the bases from outside that Prefect's classes build on."""
    errors = {name: found for name, found in vars(builtins).items() if isinstance(found, type)}
    return {path: [n for n in dir(base) if not _is_private(n)] for path, base in (errors | _OUTSIDE).items()}


def _target(member: Any) -> str:
    """The module or class that a member is or leads to."""
    try:
        final = member.final_target if member.is_alias else member
    except griffe.GriffeError:
        return LEAF
    return final.path if final.is_module or final.is_class else LEAF


def _is_dynamic(module: Any) -> bool:
    """Whether the module answers for names that are not written in it, beyond those that have moved."""
    own = module.members.get("__getattr__")
    return module.path != ROOT and own is not None and not own.is_alias and own.is_function


def _is_foreign(member: Any) -> bool:
    """An import from outside, which nobody would name as Prefect's."""
    return member.is_alias and not member.target_path.startswith(f"{ROOT}.")


def _is_private(name: str) -> bool:
    return name.startswith("_")


def _decorators(scopes: dict[str, Scope]) -> dict[str, Scope]:
    """Let `prefect.flow` and `prefect.task` lead to what they make and to what they are."""
    root = scopes[ROOT]
    for name, made in _STANDS_FOR.items():
        own = scopes.get(f"{made}Decorator", Scope())
        scopes[name] = Scope(members=own.members, bases=(made,))
        root.members[name.removeprefix(f"{ROOT}.")] = name
    return scopes
