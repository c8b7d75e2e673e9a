"""Finding `prefect …` commands in code, and following their words down the command tree."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from knowledge.symbols.table import Command

# What may stand before `prefect` for it to be a command: launchers and their flags, variables, a prompt.
_LAUNCHERS = frozenset(
    {
        "sudo",
        "exec",
        "nohup",
        "time",
        "env",
        "command",
        "uv",
        "uvx",
        "run",
        "poetry",
        "pipenv",
        "pdm",
        "hatch",
    }
    | {"pixi", "rye", "python", "python3", "-m", "RUN", "CMD", "ENTRYPOINT", "$", ">", "%", ">>>", "-", "--"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*")
# In configuration files: `command: prefect worker start`, `- prefect deploy`.
_KEY = re.compile(r"^\s*(?:-\s+)?(?:[\w-]+:\s*)?(?:[>|][-+]?\s*)?")
_IMAGE = re.compile(r"\S*prefecthq/prefect\S*")
_SEPARATOR = re.compile(r"&&|\|\||[;|`]|\$\(")
_WORDS = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"']+")
_STOP = re.compile(r"[|&;<>#()]|\d?>")
_PLACEHOLDER = re.compile(r"[<>{}\[\]$…*]|\.\.\.|^[A-Z][A-Z_-]+$|^(?:my|your|some)[-_]|^\"|^'")
_FLAG = re.compile(r"--?[A-Za-z][\w-]*")
# At the root, where a command is still to come, these take the word after them.
_ROOT_VALUES = frozenset({"--profile", "-p"})
_WORD = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True)
class Followed:
    """How far the words led: the commands that exist, then the first word or flag that does not, if any."""

    path: tuple[str, ...] = ()
    unknown: str = ""


def command_lines(code: str) -> Iterator[list[str]]:
    """Give the words after `prefect` in each command of the code; one in quotes stays whole, and in them."""
    for line in code.replace("\\\n", " ").splitlines():
        for part in _SEPARATOR.split(_without_quoting(line)):
            words = _WORDS.findall(_KEY.sub("", part, count=1))
            at = next((index for index, word in enumerate(words) if word == "prefect"), None)
            if at is not None and _may_precede(words[:at]):
                yield words[at + 1 :]


def is_flag(word: str) -> bool:
    return _FLAG.fullmatch(word.split("=")[0]) is not None


def follow(root: Command, words: Sequence[str]) -> Followed:
    """Follow the words down the tree, and check the flags of where they lead."""
    command, path, is_argument = root, list[str](), False
    for before, word in pairwise(["", *words]):
        if _STOP.match(word) or word == "--":
            break
        if not path and before in _ROOT_VALUES:
            continue
        bare = word.rstrip(".,;:!?)\"'")
        if word.startswith("-"):
            if _is_unknown_flag(root, command, before, bare.split("=")[0]):
                return Followed(tuple(path), bare.split("=")[0])
        elif not is_argument and bare in command.commands:
            command = command.commands[bare]
            path.append(bare)
        elif command.runs or not command.commands:
            is_argument = True
        elif _PLACEHOLDER.search(word) or not _WORD.fullmatch(bare):
            break
        else:
            return Followed(tuple(path), bare)
    return Followed(tuple(path))


def _is_unknown_flag(root: Command, command: Command, before: str, flag: str) -> bool:
    if not _FLAG.fullmatch(flag) or _has_flag(command, flag):
        return False
    if flag.startswith("--"):
        # `--no-prompt` may also follow the command; a short flag means something else there.
        return flag not in root.flags
    # `--launcher-arg -X` gives a short flag to another program.
    return not before.startswith("--") or "=" in before


def _has_flag(command: Command, flag: str) -> bool:
    if command.takes_any_flag or flag in command.flags or flag.startswith("--empty-"):
        return True
    # Short flags of one letter may be written together, or with their value.
    return not flag.startswith("--") and flag[:2] in command.flags


def _may_precede(words: Sequence[str]) -> bool:
    if words and _IMAGE.fullmatch(words[-1]):
        return True
    return all(word in _LAUNCHERS or _ASSIGNMENT.fullmatch(word) for word in words)


def _without_quoting(line: str) -> str:
    """`CMD ["prefect", "server", "start"]` as `CMD prefect server start`."""
    if re.search(r"\[\s*[\"'][^\]]*prefect[\"']", line):
        return re.sub(r"[\[\]\"',]+", " ", line)
    return line
