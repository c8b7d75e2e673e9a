"""The tree of Prefect's command line, read from its source: cyclopts in newer versions, Typer in older.

Both declare alike: an app is made by a call, commands are decorated functions, and apps are put into others.
Nothing is imported, so what is computed at run time is not seen; Prefect computes none of it.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from knowledge.symbols.source import Ref, SourceModule, arguments, last_name, read_modules, strings
from knowledge.symbols.table import Command

APPS = frozenset({"App", "Typer", "PrefectTyper"})
# What every command has, and what the root handles before its parser does.
HELP = "--help"
ROOT_FLAGS = frozenset({"--version", "-v", "--help"})
MAX_DEPTH = 8


@dataclass
class _App:
    """What the source says of one app; commands and apps are put into it one by one."""

    names: list[str]
    flags: set[str] = field(default_factory=set)
    runs: bool = False
    takes_any_flag: bool = False
    commands: dict[str, Command] = field(default_factory=dict)
    apps: list[tuple[list[str], Ref]] = field(default_factory=list)


def read_commands(package: Path) -> Command:
    """Read the tree of a Prefect package's folder; an empty one when it has no command line that is known."""
    files = [*(package / "cli").rglob("*.py"), *package.glob("*/cli/**/*.py")]
    tree = _Tree(list(read_modules(package, files)))
    return tree.root()


class _Tree:
    def __init__(self, modules: list[SourceModule]) -> None:
        self._modules = {module.name: module for module in modules}
        self._apps = {ref: app for module in modules for ref, app in _apps(module)}
        for module in modules:
            self._declare(module)
        self._renamed = {short: long for module in modules for short, long in _renamed_flags(module)}

    def root(self) -> Command:
        """The app that is in no other and has most beneath it."""
        inside = {ref for app in self._apps.values() for _, ref in app.apps}
        tops = [self._command(ref) for ref in self._apps if ref not in inside]
        tree = max(tops, key=lambda top: sum(1 for _ in top.walk()), default=Command())
        return tree.model_copy(update={"flags": tree.flags | ROOT_FLAGS}) if tops else tree

    def _command(self, ref: Ref, depth: int = 0) -> Command:
        app = self._apps[ref]
        commands = {name: self._with_renamed(command) for name, command in app.commands.items()}
        for names, inner in app.apps if depth < MAX_DEPTH else []:
            command = self._command(inner, depth + 1)
            commands |= dict.fromkeys(names or self._apps[inner].names, command)
        command = Command(
            flags=frozenset(app.flags | {HELP}),
            commands=commands,
            runs=app.runs,
            takes_any_flag=app.takes_any_flag,
        )
        return self._with_renamed(command)

    def _with_renamed(self, command: Command) -> Command:
        """Short flags of several letters are rewritten to long ones before they are parsed."""
        short = {short for short, long in self._renamed.items() if long in command.flags}
        return command.model_copy(update={"flags": command.flags | short})

    def _declare(self, module: SourceModule) -> None:
        for node in module.statements:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    self._decorated(module, node, decorator)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                self._called(module, node.value)

    def _decorated(self, module: SourceModule, function: "_Function", decorator: ast.expr) -> None:
        call = decorator if isinstance(decorator, ast.Call) else None
        method = call.func if call else decorator
        if not isinstance(method, ast.Attribute):
            return
        owner, before_command = method.value, False
        if isinstance(owner, ast.Attribute) and owner.attr == "meta":
            owner, before_command = owner.value, True
        app = self._app(module, owner)
        if app is None:
            return
        if method.attr == "command":
            given = arguments(call) if call else {}
            names = _names(given) or [_dashed(function.name)]
            app.commands |= dict.fromkeys([*names, *_aliases(given)], _of_function(module, function))
        elif method.attr in ("default", "callback"):
            own = _of_function(module, function)
            app.flags |= own.flags
            app.runs |= method.attr == "default" and not before_command
            app.takes_any_flag |= own.takes_any_flag

    def _called(self, module: SourceModule, call: ast.Call) -> None:
        """`parent.command(child, name=…)` or `parent.add_typer(child, name=…, aliases=…)`."""
        method = call.func
        if not isinstance(method, ast.Attribute) or method.attr not in ("command", "add_typer"):
            return
        app = self._app(module, method.value)
        if app is None or not call.args:
            return
        given = arguments(call, skip=1)
        child = self._resolve(module, call.args[0])
        names = strings(given.get("name"))
        if child in self._apps:
            app.apps.append(([*(names or self._apps[child].names), *_aliases(given)], child))
        elif child and (found := self._function(child)):
            own = names or [_dashed(child[1])]
            app.commands |= dict.fromkeys([*own, *_aliases(given)], _of_function(*found))

    def _app(self, module: SourceModule, node: ast.expr) -> _App | None:
        ref = self._resolve(module, node)
        return self._apps.get(ref) if ref else None

    def _resolve(self, module: SourceModule, node: ast.expr) -> Ref | None:
        """Follow a name, or a text such as `prefect.cli.deploy:init`, to where it is defined."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            where, _, name = node.value.partition(":")
            return self._follow((where, name))
        if isinstance(node, ast.Name):
            return self._follow((module.name, node.id))
        return None

    def _follow(self, ref: Ref) -> Ref:
        for _ in range(MAX_DEPTH):
            module = self._modules.get(ref[0])
            if ref in self._apps or module is None or ref[1] not in module.imports:
                return ref
            ref = module.imports[ref[1]]
        return ref

    def _function(self, ref: Ref) -> "tuple[SourceModule, _Function] | None":
        module = self._modules.get(ref[0])
        for node in module.statements if module else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == ref[1]:
                assert module is not None
                return module, node
        return None


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _apps(module: SourceModule) -> Iterator[tuple[Ref, _App]]:
    for name, value in module.assigned.items():
        if isinstance(value, ast.Call) and last_name(value.func) in APPS:
            given = arguments(value)
            yield (module.name, name), _App(names=[*strings(given.get("name")), *_aliases(given)])


def _renamed_flags(module: SourceModule) -> Iterator[tuple[str, str]]:
    """Tables such as `{"-jv": "--job-variable"}`."""
    for value in module.assigned.values():
        if isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                pair = strings(key) + strings(item)
                if len(pair) == 2 and all(text.startswith("-") for text in pair):
                    yield pair[0], pair[1]


def _names(given: dict[str, ast.expr]) -> list[str]:
    """A command's own name: by keyword, or as the first argument."""
    return strings(given.get("name")) or strings(given.get("0"))


def _aliases(given: dict[str, ast.expr]) -> list[str]:
    return strings(given.get("alias")) + strings(given.get("aliases"))


def _dashed(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _of_function(module: SourceModule, function: _Function) -> Command:
    given = function.args
    first_default = len(given.args) - len(given.defaults)
    flags = {HELP}
    for index, parameter in enumerate(given.args):
        default = given.defaults[index - first_default] if index >= first_default else None
        flags |= _flags(module, parameter, default)
    for parameter, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        flags |= _flags(module, parameter, default)
    return Command(flags=frozenset(flags), runs=True, takes_any_flag=given.kwarg is not None)


def _flags(module: SourceModule, parameter: ast.arg, default: ast.expr | None) -> set[str]:
    """The flags of one parameter: those it names, else one of its name; of a boolean also its opposite."""
    annotation = module.resolve(parameter.annotation)
    declared = [
        call for call in _calls(annotation, default) if last_name(call.func) not in ("Field", "Depends")
    ]
    if any("Argument" in last_name(call.func) for call in declared):
        return set()
    given = [(arguments(call), strings(*call.args)) for call in declared]
    names = [text for kw, texts in given for text in [*texts, *strings(kw.get("name")), *_aliases(kw)]]
    named = {flag for name in names if name.startswith("-") for flag in name.split("/")}
    # cyclopts makes a flag of a name without dashes as well.
    bare = {f"--{name}" for name in names if name.isidentifier()} if _is_cyclopts(declared) else set()
    long = named or {f"--{_dashed(parameter.arg)}"} | bare
    opposites = [text for kw, _ in given for text in strings(kw.get("negative")) if text]
    has_own = any("negative" in kw for kw, _ in given)
    is_switch = annotation is not None and any(
        isinstance(node, ast.Name) and node.id == "bool" for node in ast.walk(annotation)
    )
    if is_switch and not has_own:
        opposites = [
            f"--no-{flag[2:]}" for flag in long if flag.startswith("--") and not flag.startswith("--no-")
        ]
    return long | set(opposites)


def _is_cyclopts(declared: list[ast.Call]) -> bool:
    return any(last_name(call.func) == "Parameter" for call in declared)


def _calls(*nodes: ast.expr | None) -> Iterable[ast.Call]:
    """The outermost calls in annotation and default: `Parameter(…)`, `typer.Option(…)`."""
    for node in nodes:
        if isinstance(node, ast.Call):
            yield node
        elif node is not None:
            yield from _calls(*(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)))
