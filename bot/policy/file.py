"""`policy.toml`: read strictly, because a rule with a slip in it would allow nothing, or too much."""

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from bot.policy.rules import (
    DIRECT,
    EVERYBODY,
    KNOWLEDGE_ACTIONS,
    ROLE_FOR_ACTION,
    ROLE_NAMES,
    Level,
    Role,
    Rule,
    Rules,
)
from knowledge.errors import BadInput

# Far more than anybody keeps in view; all of them are gone through at a press.
MAX_RULES = 500
_MEMBER = re.compile(r"[UWS][A-Z0-9]+")
_CHANNEL = re.compile(r"[CDG][A-Z0-9]+")
_RULE_HEAD = re.compile(r"^[ \t]*\[\[[ \t]*rule[ \t]*\]\]", re.MULTILINE)
_LEVELS = {level.name.lower(): level for level in Level}


def read_rules(path: Path, workspaces: Collection[str] = ()) -> Rules:
    """What the file says. Raises BadInput that names the line or key that is wrong.

    `workspaces` are the names that rules may use; with none given, any.
    """
    try:
        text = path.read_text(encoding="utf-8")
        file = _File.model_validate(tomllib.loads(text), context={"workspaces": workspaces})
    except FileNotFoundError:
        raise BadInput(f"There is no policy file at {path}.", "Correct ASK_MARVIN_POLICY.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}.", "Correct that line.") from None
    except ValidationError as error:
        said = _said(error.errors()[0], text)
        raise BadInput(f"{path}: {said}.", "See the example policy.toml in the README.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", "Correct ASK_MARVIN_POLICY.") from None
    return file.rules()


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("policy", "{text}", {"text": text})


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (there is {', '.join(names)})"


def _member(name: str) -> str:
    # A name such as @ops would match nobody, and nobody would be told.
    if name != EVERYBODY and not _MEMBER.fullmatch(name):
        raise _wrong(f"{name!r} is neither the id of a user (U…, W…) or user group (S…) nor `*`")
    return name


def _who(name: str) -> str:
    if name not in ROLE_NAMES and name != EVERYBODY and not _MEMBER.fullmatch(name):
        raise _wrong(
            f"{name!r} is neither the id of a user (U…, W…) or user group (S…) nor a role nor `*`"
            + _near(name, ROLE_NAMES)
        )
    return name


def _action(name: str) -> str:
    if name not in (EVERYBODY, *ROLE_FOR_ACTION):
        raise _wrong(f"there is no action {name!r}{_near(name, ROLE_FOR_ACTION)}")
    return name


def _channel(*words: str) -> Callable[[str], str]:
    """A channel's id, or one of the words."""

    def check(name: str) -> str:
        if name not in words and not _CHANNEL.fullmatch(name):
            others = "".join(f" nor `{word}`" for word in words)
            raise _wrong(f"{name!r} is neither the id of a channel (C…, at the foot of its details){others}")
        return name

    return check


def _pattern(text: str) -> str:
    if not text or text != text.strip():
        raise _wrong(f"{text!r} is empty, or has blanks around it")
    if found := re.search(r"[\[\]{}]", text):
        raise _wrong(f"{text!r}: only `*` and `?` are wild; write `?` for a {found[0]!r} in a name")
    return text


def _level(name: str) -> str:
    if name not in _LEVELS:
        raise _wrong(f"there is no level {name!r}{_near(name, _LEVELS)}")
    return name


Members = list[Annotated[str, AfterValidator(_member)]]
Patterns = Annotated[list[Annotated[str, AfterValidator(_pattern)]], Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Roles(_Table):
    admin: Members = []
    operator: Members = []
    viewer: Members = []


class _Rule(_Table):
    who: Annotated[list[Annotated[str, AfterValidator(_who)]], Field(min_length=1)]
    actions: Annotated[list[Annotated[str, AfterValidator(_action)]], Field(min_length=1)]
    workspaces: Annotated[list[str], Field(min_length=1)] = []
    channels: Annotated[list[Annotated[str, AfterValidator(_channel(DIRECT))]], Field(min_length=1)] = []
    tags: Patterns = []
    deployments: Patterns = []
    work_pools: Patterns = []

    @field_validator("workspaces")
    @classmethod
    def _are_known(cls, names: list[str], info: ValidationInfo) -> list[str]:
        known = info.context["workspaces"] if info.context else ()
        for name in names:
            if known and name not in known:
                raise _wrong(f"there is no workspace {name!r}{_near(name, known)}")
        return names

    @model_validator(mode="after")
    def _can_match(self) -> "_Rule":
        """What changes the knowledge base touches no workspace, so such a rule would never hold."""
        shared = [action for action in self.actions if action in KNOWLEDGE_ACTIONS]
        if shared and (self.workspaces or self.tags or self.deployments or self.work_pools):
            raise _wrong(
                f"{shared[0]} touches no workspace; give it a rule with only who, actions and channels"
            )
        return self

    def rule(self) -> Rule:
        return Rule(**{name: tuple(value) for name, value in self})


class _File(_Table):
    roles: _Roles
    rule: Annotated[list[_Rule], Field(max_length=MAX_RULES)] = []
    channels: dict[
        Annotated[str, AfterValidator(_channel(DIRECT, EVERYBODY))], Annotated[str, AfterValidator(_level)]
    ] = {}

    def rules(self) -> Rules:
        roles = {
            Role.ADMIN: self.roles.admin,
            Role.OPERATOR: self.roles.operator,
            Role.VIEWER: self.roles.viewer,
        }
        return Rules(
            {role: frozenset(names) for role, names in roles.items()},
            tuple(rule.rule() for rule in self.rule),
            {channel: _LEVELS[level] for channel, level in self.channels.items()},
        )


# Whose keys are meant where one is unknown, by the table that it stands in.
_TABLES: dict[Any, type[_Table]] = {"roles": _Roles, "rule": _Rule}


def _said(problem: ErrorDetails, text: str) -> str:
    """The first problem in words, with the key that it is about, and the line of its rule."""
    place, kind = problem["loc"], problem["type"]
    where = _where(place, text)
    if kind == "extra_forbidden":
        table = _TABLES.get(place[0], _File) if len(place) > 1 else _File
        return f"{where}: there is no such key{_near(str(place[-1]), table.model_fields)}"
    if kind == "list_type" and place == ("rule",):
        return "rule: write its heading as [[rule]], with two brackets on each side"
    said = {"missing": "is missing", "too_short": "is empty; leave the key out for any"}
    return f"{where}: {said.get(kind, problem['msg'])}"


def _where(place: tuple[int | str, ...], text: str) -> str:
    """`roles.admin.0`, or `[[rule]] 2 (line 14): actions`, as people count and look for it."""
    match place:
        case ("rule", int(index), *keys):
            heads = list(_RULE_HEAD.finditer(text))
            line = text.count("\n", 0, heads[index].start()) + 1 if index < len(heads) else 0
            rule = f"[[rule]] {index + 1}" + (f" (line {line})" if line else "")
            return ": ".join([rule, ".".join(map(str, keys))] if keys else [rule])
    return ".".join(map(str, place))
