"""Python source as the readers of symbols see it: what a module imports, assigns and states; never run."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Ref = tuple[str, str]
"""(module, name)."""


@dataclass
class SourceModule:
    """The top of one module, with what stands under `if` and `try` there."""

    name: str
    is_package: bool
    statements: list[ast.stmt]
    imports: dict[str, Ref] = field(default_factory=dict)
    assigned: dict[str, ast.expr] = field(default_factory=dict)

    def resolve(self, annotation: ast.expr | None) -> ast.expr | None:
        """An annotation, or what it is short for in this module; one that is quoted is read."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = _expression(annotation.value)
        if isinstance(annotation, ast.Name):
            return self.assigned.get(annotation.id, annotation)
        return annotation


def read_modules(package: Path, files: Iterable[Path]) -> Iterator[SourceModule]:
    """Read files of the package; one that this Python cannot parse is left out."""
    for path in sorted(set(files)):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        yield _module(path.relative_to(package.parent), tree)


def _module(path: Path, tree: ast.Module) -> SourceModule:
    is_package = path.name == "__init__.py"
    parts = path.parent.parts if is_package else path.with_suffix("").parts
    module = SourceModule(".".join(parts), is_package, list(flattened(tree.body)))
    for node in module.statements:
        if isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            module.imports |= {name.asname or name.name: (origin, name.name) for name in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            module.assigned[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            module.assigned[node.target.id] = node.value
    return module


def flattened(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, and those in their branches; not those of functions and classes."""
    for node in body:
        yield node
        match node:
            case ast.If():
                yield from flattened([*node.body, *node.orelse])
            case ast.Try():
                yield from flattened([*node.body, *(s for h in node.handlers for s in h.body)])
            case ast.With():
                yield from flattened(node.body)


def _origin(module: SourceModule, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    above = module.name.split(".")
    above = above[: len(above) - node.level + (1 if module.is_package else 0)]
    return ".".join([*above, *([node.module] if node.module else [])])


def arguments(call: ast.Call, skip: int = 0) -> dict[str, ast.expr]:
    """The arguments by keyword, the positional ones by their number, leaving out the first `skip`."""
    positional = {str(number): value for number, value in enumerate(call.args[skip:])}
    return positional | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def strings(*nodes: ast.expr | None) -> list[str]:
    """The texts that are written out: one, or those of a list or tuple."""
    found: list[str] = []
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)):
                found.append(text)
            case ast.List() | ast.Tuple() | ast.Set():
                found += strings(*node.elts)
    return found


def last_name(node: ast.expr) -> str:
    """`App` of `cyclopts.App`."""
    match node:
        case ast.Attribute():
            return node.attr
        case ast.Name():
            return node.id
    return ""


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
