"""Who may do what: `policy.toml` gives people roles, a role allows actions, all else is denied."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from bot.people import Person
from knowledge.errors import BadInput, Refused

EVERY_MEMBER = "*"
# A name such as @ops would match nobody, and nobody would be told.
MEMBER = re.compile(r"\*|[UWS][A-Z0-9]+")


class Role(IntEnum):
    """Each role may do all that the ones below it may."""

    DOCS_ONLY = 0
    """Answers from the documentation; nothing of the Prefect workspace."""
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


ROLE_FOR_ACTION: Mapping[str, Role] = {
    "trigger_run": Role.OPERATOR,
    "cancel_runs": Role.OPERATOR,
    "reindex_knowledge": Role.ADMIN,
    "rollback_knowledge": Role.ADMIN,
}


def _member(name: str) -> str:
    if not MEMBER.fullmatch(name):
        raise PydanticCustomError(
            "member",
            "{name} is neither the id of a user (U…, W…) or user group (S…) nor `*`",
            {"name": repr(name)},
        )
    return name


Members = list[Annotated[str, AfterValidator(_member)]]


class _Roles(BaseModel):
    model_config = ConfigDict(extra="forbid")

    admin: Members = []
    operator: Members = []
    viewer: Members = []


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    roles: _Roles


class Policy:
    """The rules in force. With no file only the workspace's admins and owners may act."""

    def __init__(self, members: Mapping[Role, frozenset[str]] | None = None) -> None:
        self._members = members

    @classmethod
    def load(cls, path: Path | None) -> "Policy":
        """Read `policy.toml`. Raises BadInput naming the line or key that is wrong."""
        if path is None:
            return cls()
        try:
            parsed = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise BadInput(f"There is no policy file at {path}.", "Correct ASK_MARVIN_POLICY.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} is not valid TOML: {error}.", "Correct that line.") from None
        except ValidationError as error:
            raise BadInput(
                f"{path}: {_first(error)}.", "See the example policy.toml in the README."
            ) from None
        except OSError as error:
            raise BadInput(
                f"{path} cannot be read: {error.strerror}.", "Correct ASK_MARVIN_POLICY."
            ) from None
        roles = parsed.roles
        return cls(
            {
                Role.ADMIN: frozenset(roles.admin),
                Role.OPERATOR: frozenset(roles.operator),
                Role.VIEWER: frozenset(roles.viewer),
            }
        )

    @property
    def groups(self) -> frozenset[str]:
        """The Slack user groups that the policy names; only their members need looking up."""
        named: Iterable[str] = (name for names in (self._members or {}).values() for name in names)
        return frozenset(name for name in named if name.startswith("S"))

    def role(self, person: Person) -> Role:
        """The highest role that the person has."""
        if person.team == "local":
            return Role.ADMIN
        if self._members is None:
            return self._role_without_file(person)
        for role in (Role.ADMIN, Role.OPERATOR, Role.VIEWER):
            if self._is_member(person, self._members[role]):
                return role
        return Role.DOCS_ONLY

    def check(self, person: Person, action: str) -> None:
        """Raises Refused, naming the role that is missing, unless the person may do it."""
        needed = ROLE_FOR_ACTION.get(action, Role.ADMIN)
        if self.role(person) < needed:
            raise Refused(
                f"That needs the role {needed.label}, and you are {self.role(person).label}.",
                "An admin can change the policy, or press the button for you.",
            )

    @staticmethod
    def _role_without_file(person: Person) -> Role:
        if person.is_guest or person.is_external:
            return Role.DOCS_ONLY
        return Role.ADMIN if person.is_workspace_admin else Role.VIEWER

    @staticmethod
    def _is_member(person: Person, names: frozenset[str]) -> bool:
        if person.id in names or person.groups & names:
            return True
        return EVERY_MEMBER in names and not (person.is_guest or person.is_external)


def _first(error: ValidationError) -> str:
    """The first problem, with the key that it is about."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    said = {"extra_forbidden": "there is no such key", "missing": "is missing"}
    return f"{where}: {said.get(problem['type'], problem['msg'])}"
