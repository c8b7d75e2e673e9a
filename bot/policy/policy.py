"""Who may do what, as `policy.toml` says it. What it does not allow is denied.

The file is looked at again whenever something is decided: who takes somebody's rights away at night does
not have to restart anything.
"""

import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path

from bot.people import Person
from bot.policy.file import read_rules
from bot.policy.rules import Level, Role, Rules
from bot.policy.words import lacks_role, may_not_look, not_allowed, rights, summary, wrong_place
from bot.question import Place
from knowledge.errors import BadInput
from tools.proposal import Affected, Proposal

log = logging.getLogger(__name__)

# How long a changed file may go unnoticed.
LOOK_EVERY_S = 2.0

Stamp = tuple[int, int, int, int]
# What a channel is for does not depend on who is in it; only the terminal's user stands above it.
_ANYBODY = Person(id="", team="")


class Policy:
    """The rules in force; those of the file, once it has been loaded from one."""

    def __init__(
        self,
        rules: Rules | None = None,
        *,
        path: Path | None = None,
        workspaces: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules or Rules()
        self._path = path
        self._workspaces = workspaces
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(path)
        self._problem = ""

    @classmethod
    def load(
        cls,
        path: Path | None,
        *,
        workspaces: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> "Policy":
        """Read `policy.toml`; without one, only the Slack workspace's admins and owners may act.

        `workspaces` are the names that rules may use. Raises BadInput naming the line or key that is wrong.
        """
        policy = cls(path=path, workspaces=workspaces, clock=clock)
        if path:
            # Read after its stamp was taken: a change in between is noticed later.
            policy._rules = read_rules(path, workspaces)
        return policy

    @property
    def groups(self) -> frozenset[str]:
        """The Slack user groups that the policy names; only their members need looking up."""
        return self._now().groups

    @property
    def problem(self) -> str:
        """Why the file as it is now is not in force; empty when it is."""
        self._now()
        return self._problem

    @property
    def summary(self) -> str:
        """The policy in one line."""
        return summary(self._now())

    def role(self, person: Person) -> Role:
        """The highest role that the person has."""
        return self._now().role(person)

    def may_look(self, person: Person, place: Place) -> bool:
        """Whether the person may see anything of the Prefect workspace there."""
        rules = self._now()
        if rules.level(person, place) < Level.LOOK:
            return False
        return rules.role(person) >= Role.VIEWER or bool(rules.of(person, place))

    def is_for_docs(self, place: Place) -> bool:
        """Whether nothing of the workspace may be shown there, to whomever."""
        return self._now().level(_ANYBODY, place) < Level.LOOK

    def check_look(self, person: Person, place: Place) -> None:
        """Raises Refused, saying why, unless the person may look at the workspace there."""
        if self.may_look(person, place):
            return
        level = self._now().level(person, place)
        raise wrong_place(level, place) if level < Level.LOOK else may_not_look()

    def check(self, person: Person, proposal: Proposal, place: Place) -> None:
        """Raises Refused, saying what is missing and who could, unless the person may do all of it there."""
        rules = self._now()
        level = rules.level(person, place)
        if level < Level.ACT:
            raise wrong_place(level, place)
        things = proposal.affected or (Affected(),)
        denied = rules.denied(person, proposal.action, things, place)
        if denied and rules.decides(person):
            raise not_allowed(rules, person, proposal.action, denied=denied, of=len(things), place=place)
        if denied:
            raise lacks_role(rules, person, proposal.action)

    def rights(self, person: Person, place: Place) -> str:
        """What the person may do there, in Markdown."""
        return rights(self._now(), person, place, look=self.may_look(person, place))

    def _now(self) -> Rules:
        """The rules as the file has them; a file that cannot be used leaves those from before in force."""
        if self._path and self._clock() - self._looked >= LOOK_EVERY_S:
            self._looked = self._clock()
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._read_again(self._path)
        return self._rules

    def _read_again(self, path: Path) -> None:
        try:
            self._rules = read_rules(path, self._workspaces)
        except BadInput as error:
            self._problem = f"The policy as it was before stays in force: {error}"
            log.error("%s", self._problem)
        else:
            self._problem = ""
            log.info("the policy was read again: %s", summary(self._rules))


def _stamp(path: Path | None) -> Stamp | None:
    """What changes when the file does, also when another takes its place; None where there is none."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    # The time of the last change tells of rights as well, without which a file cannot be read.
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino) if found else None
