"""The settings of Prefect, as environment variables, read from its settings models and from its code."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from knowledge.symbols.source import arguments, flattened, last_name, read_modules, strings

PREFIX = "PREFECT_"
# `PREFECT_LOGGING_LOGGERS_PREFECT_LEVEL` sets a key of the logging configuration, whatever its path, and
# `PREFECT__RUNTIME__FLOW_RUN__NAME` a value of the runtime in tests; integrations have settings of theirs.
OPEN_PREFIXES = (
    *(f"PREFECT_LOGGING_{part}_" for part in ("LOGGERS", "HANDLERS", "FORMATTERS", "FILTERS", "ROOT")),
    "PREFECT__RUNTIME__",
    "PREFECT_INTEGRATIONS_",
    "PREFECT_REDIS_",
)
_CONFIGS = ("build_settings_config", "_build_settings_config")
# In the code as a text of its own (`os.environ.get("PREFECT_PROFILE")`), in its logging.yml as `${…}`.
_IN_CODE = re.compile(r"[\"'](PREFECT_[A-Z0-9_]+)[\"']|\$\{(PREFECT_[A-Z0-9_]+)\}")
_DATA = frozenset({".py", ".yml", ".yaml", ".toml"})


@dataclass
class _Model:
    """A class of settings: the beginning of its variables, its fields, and the classes it builds on."""

    prefix: str | None
    fields: dict[str, list[str]]
    types: dict[str, str]
    """The type of each field: one that is itself a class of settings is no variable."""
    bases: list[str]


def read_settings(package: Path) -> frozenset[str]:
    """Read the variables of a Prefect package's folder, those that are only aliases among them."""
    files = (package / "settings").rglob("*.py")
    models = {
        node.name: _model(node)
        for module in read_modules(package, files)
        for node in module.statements
        if isinstance(node, ast.ClassDef)
    }
    return frozenset([*_declared(models), *_mentioned(package)])


def _declared(models: dict[str, _Model]) -> Iterator[str]:
    for model in models.values():
        for name, aliases in _fields(model, models).items() if model.prefix else ():
            if model.types.get(name) not in models:
                yield from aliases or [f"{model.prefix}{name.upper()}"]


def _fields(model: _Model, models: dict[str, _Model]) -> dict[str, list[str]]:
    inherited = (_fields(models[base], models) for base in model.bases if base in models)
    return {name: aliases for fields in (*inherited, model.fields) for name, aliases in fields.items()}


def _model(node: ast.ClassDef) -> _Model:
    prefix, fields, types = None, {}, {}
    for line in flattened(node.body):
        if not isinstance(line, ast.Assign | ast.AnnAssign) or line.value is None:
            continue
        target = line.targets[0] if isinstance(line, ast.Assign) else line.target
        if not isinstance(target, ast.Name):
            continue
        if target.id == "model_config":
            prefix = _prefix(line.value)
        elif isinstance(line, ast.AnnAssign):
            fields[target.id] = _aliases(line.value)
            types[target.id] = last_name(line.annotation)
    return _Model(prefix, fields, types, [last_name(base) for base in node.bases])


def _prefix(config: ast.expr) -> str | None:
    if not isinstance(config, ast.Call):
        return None
    given = arguments(config)
    if last_name(config.func) in _CONFIGS:
        return "_".join([PREFIX.rstrip("_"), *strings(given.get("0") or given.get("path")), ""]).upper()
    return next(iter(strings(given.get("env_prefix"))), None)


def _aliases(value: ast.expr) -> list[str]:
    """The variables that a field names itself; a path into a table of a configuration file is none."""
    if not isinstance(value, ast.Call):
        return []
    alias = arguments(value).get("validation_alias")
    choices: Iterable[ast.expr] = alias.args if isinstance(alias, ast.Call) else [alias] if alias else []
    return [text.upper() for text in strings(*choices) if text.upper().startswith(PREFIX)]


def _mentioned(package: Path) -> Iterator[str]:
    for path in package.rglob("*"):
        if path.suffix in _DATA and path.is_file():
            for match in _IN_CODE.finditer(path.read_text(encoding="utf-8", errors="replace")):
                yield match[1] or match[2]
