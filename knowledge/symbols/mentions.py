"""Where a text names a command, a setting or a name of Prefect, and whether the symbol table has it.

Only what is surely meant as Prefect's is looked at, and placeholders are let through: a doubtful mark would
teach people to overlook the right ones.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from knowledge.symbols.command_lines import command_lines, follow, is_flag
from knowledge.symbols.table import Symbols

# Every kind of name is looked at in these, imports in Python, commands in the others alone.
PYTHON = frozenset({"python", "py", "python3", "pycon", "ipython"})
SHELLS = frozenset(
    {"", "bash", "sh", "shell", "zsh", "console", "terminal", "text", "txt", "powershell", "cmd"}
)
CONFIGURED = frozenset({"yaml", "yml", "dockerfile", "docker", "toml", "makefile", "ini", "systemd"})

_SETTING = re.compile(r"(?<![A-Za-z0-9_])PREFECT_[A-Z0-9_]*(?![A-Za-z0-9_]|[{<])")
# What somebody's own code reads may be their own variable.
_READ = re.compile(r"(?:environ\.get|getenv)\(\s*[\"']\w+[\"']|environ\[[\"']\w+[\"']\](?!\s*=)")
_EXAMPLE = re.compile(r"(?:^|_)(?:MY|YOUR|SOME|FOO|BAR|XXX+|EXAMPLE|NAME|HERE)(?:_|$)")
_NAME = re.compile(r"(?<![\w./@:\\-])prefect(?:\.[A-Za-z_]\w*)+(?![\w/@-]|:\S|\.\w)")
# What follows `prefect.` in files, hosts and units rather than in names.
_NO_NAMES = frozenset(
    {"yaml", "yml", "toml", "json", "io", "cloud", "com", "dev", "org", "db", "sh", "py", "md", "log", "txt"}
    | {"service", "svc", "sqlite", "env", "exe", "zip", "whl", "git", "local", "internal", "example"}
)
# Events and labels that the integrations and Cloud send; those of Prefect itself are in its code.
_EVENTS = re.compile(r"prefect\.(?:sla|ecs|kubernetes|docker\.container|vertex|aci|webhook|incident)\b")
# `{{ prefect.variables.x }}` is filled in when a deployment is made, and `prefect` may be another package.
_TEMPLATE = re.compile(r"\{\{[^{}\n]*\}\}")
_OTHER_PACKAGE = re.compile(r"\bas prefect\b|\bprefect from\b|^[ \t]*prefect =", re.MULTILINE)
_OWN = re.compile(r"@?(flow|task|Flow|Task|State|Transaction|runtime)((?:\.[A-Za-z_]\w*)+)(?![\w/:-])")
# `Flow.tags` may be a field of what the API sends; `Flow.serve()` is surely the class.
_FIELD = re.compile(r"\w+\.[a-z]+")
_FILE = re.compile(r"\.(py|ya?ml|json|toml|sh|md|txt|ipynb|log)$")
_ATTRIBUTE = re.compile(r"@?([A-Z]\w+)\.([a-z_]\w*)(?![\w/:-])")
_FROM = re.compile(
    r"^[ \t]*(?:>>>[ \t])?from[ \t]+(prefect(?:\.\w+)*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#;]+)", re.MULTILINE
)


_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# Imports of one block, and names of one import: the whole block is looked through for each.
MAX_IMPORTED = 50


@dataclass(frozen=True)
class Mention:
    """Something of Prefect's that a text names."""

    text: str
    known: bool


def in_span(symbols: Symbols, code: str) -> Iterator[Mention]:
    """What a span of code names."""
    yield from _commands(symbols, code)
    yield from _settings(symbols, code)
    yield from _imports(symbols, code)
    yield from _names(symbols, _FROM.sub("", code))
    yield from _own_names(symbols, code.strip())


def in_word(symbols: Symbols, word: str, before: str) -> Iterator[Mention]:
    """What a word of running text names; a flag belongs to the command before it on the line.

    A command without a flag cannot be told from a sentence ("the prefect server is").
    """
    yield from _settings(symbols, word)
    yield from _names(symbols, word)
    start = before.rfind("prefect ")
    if word.startswith("-") and start >= 0 and not before[:start].endswith(("`", "/", "-", ".")):
        tokens = [*before[start:].split()[1:], word.rstrip(".,;:!?)")]
        followed = follow(symbols.cli, tokens)
        if followed.path and is_flag(tokens[-1]):
            flag = tokens[-1].split("=")[0]
            yield Mention(f"prefect {' '.join([*followed.path, flag])}", followed.unknown != flag)


def in_fence(symbols: Symbols, code: str, language: str) -> Iterator[Mention]:
    """What a block of code names, each once."""
    seen: set[Mention] = set()
    for mention in _in_code(symbols, code, language.lower()):
        if mention not in seen:
            seen.add(mention)
            yield mention


def _in_code(symbols: Symbols, code: str, language: str) -> Iterator[Mention]:
    if language in SHELLS or language in CONFIGURED:
        yield from _commands(symbols, code)
    yield from _settings(symbols, _READ.sub("", code))
    if language in PYTHON:
        yield from _imports(symbols, code)
        code = _FROM.sub("", code)
    yield from _names(symbols, code)


def _commands(symbols: Symbols, code: str) -> Iterator[Mention]:
    for words in command_lines(code):
        followed = follow(symbols.cli, words)
        if followed.path or followed.unknown:
            text = " ".join(["prefect", *followed.path, followed.unknown]).rstrip()
            yield Mention(text, not followed.unknown)


def _settings(symbols: Symbols, text: str) -> Iterator[Mention]:
    for match in _SETTING.finditer(text):
        if not _EXAMPLE.search(match[0]):
            yield Mention(match[0], symbols.has_setting(match[0]))


def _names(symbols: Symbols, text: str) -> Iterator[Mention]:
    if _OTHER_PACKAGE.search(text):
        return
    for match in _NAME.finditer(_TEMPLATE.sub("", text)):
        if match[0].split(".")[1] not in _NO_NAMES and not _EVENTS.match(match[0]):
            yield _name(symbols, match[0])


def _name(symbols: Symbols, dotted: str, shown: str = "") -> Mention:
    last = dotted.rpartition(".")[2]
    known = symbols.has_setting(last) if last.startswith("PREFECT_") else symbols.has_name(dotted)
    return Mention(shown or dotted, known)


def _own_names(symbols: Symbols, span: str) -> Iterator[Mention]:
    """`flow.from_source`, `Flow.serve`, `runtime.flow_run.id`, and methods of classes that were removed."""
    own = _OWN.match(span)
    if own and not _FILE.search(own[0]) and not (own[1].istitle() and _FIELD.fullmatch(span)):
        yield _name(symbols, f"prefect.{own[1]}{own[2]}", own[0])
    attribute = _ATTRIBUTE.match(span)
    if attribute and attribute[1] in {name.rpartition(".")[2] for name in symbols.removed}:
        # What is left of it may be a field of `DeploymentResponse`; the server's classes nobody calls.
        alike = re.compile(rf"prefect\.(?!server\.).*\b{attribute[1]}\w*$")
        paths = [path for path in symbols.scopes if alike.match(path)]
        yield Mention(attribute[0], any(symbols.has_name(f"{path}.{attribute[2]}") for path in paths))


def _imports(symbols: Symbols, code: str) -> Iterator[Mention]:
    """`from prefect.x import y`, and what is then said of `y`."""
    for match in islice(_FROM.finditer(code), MAX_IMPORTED):
        module = match[1]
        if not symbols.has_name(module):
            yield Mention(module, known=False)
            continue
        for name, local in _imported(match[2]):
            mention = _name(symbols, f"{module}.{name}")
            yield mention
            if mention.known and symbols.target(f"{module}.{name}"):
                yield from _members(symbols, code, f"{module}.{name}", local)


def _imported(names: str) -> list[tuple[str, str]]:
    """Each name with what it is called from there on; what is no Python is passed over."""
    bare = re.sub(r"#[^\n]*|[()\\]", "", names)
    pairs = (tuple(part.strip() for part in name.partition(" as ")[::2]) for name in bare.split(","))
    found = dict.fromkeys((name, alias or name) for name, alias in pairs)
    return [pair for pair in found if all(_IDENTIFIER.fullmatch(name) for name in pair)][:MAX_IMPORTED]


def _members(symbols: Symbols, code: str, dotted: str, local: str) -> Iterator[Mention]:
    """What is taken from an imported class, module or decorator, unless its name is given away again."""
    again = (
        rf"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{local}\b"
        rf"|^[ \t]*{local}[ \t]*[=:]|\b(?:for|as)[ \t]+{local}\b"
    )
    if re.search(again, code.replace(f" as {local}", "", 1), re.MULTILINE):
        return
    for match in re.finditer(rf"(?<![\w.\"'/-]){local}((?:\.[A-Za-z_]\w*)+)", code):
        yield _name(symbols, f"{dotted}{match[1]}", f"{local}{match[1]}")
