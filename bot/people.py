"""Who is speaking, as far as permissions and manners need to know."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCAL_TEAM = "local"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks or presses. Built from ids that the surface vouches for, never from text."""

    id: str
    """Slack user id (`U…` or `W…`), or `local` in the terminal."""
    team: str
    """Slack team id, or `local`."""
    name: str = ""
    timezone: str = "UTC"
    """An IANA name such as `Europe/Lisbon`."""
    groups: frozenset[str] = frozenset()
    """Ids of the user groups (`S…`) that the policy names and the person is in."""
    is_workspace_admin: bool = False
    """Admin or owner of the Slack workspace, or the local user."""
    is_guest: bool = False
    is_external: bool = False
    """From another workspace, through a shared channel."""

    @property
    def is_outsider(self) -> bool:
        """Counts only where their own id is named; never as one of many."""
        return self.is_guest or self.is_external

    @property
    def zone(self) -> tzinfo:
        """UTC where the name is none of a time zone."""
        try:
            return ZoneInfo(self.timezone)
        # It is looked up as a file, whence the last one.
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC

    @property
    def is_local(self) -> bool:
        """The user of this machine, in the terminal."""
        return self.team == LOCAL_TEAM


def local_person(environ: Mapping[str, str]) -> Person:
    """Whoever sits at this machine, with the machine's time zone where it has a name."""
    for name in (environ.get("TZ", "").lstrip(":"), _machine_zone()):
        if name and (person := replace(LOCAL, timezone=name)).zone is not UTC:
            return person
    return LOCAL


def _machine_zone() -> str:
    """The IANA name that `/etc/localtime` leads to; empty where it is no link."""
    try:
        target = str(Path("/etc/localtime").readlink())
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]


LOCAL = Person(id="local", team=LOCAL_TEAM, name="you", is_workspace_admin=True)
