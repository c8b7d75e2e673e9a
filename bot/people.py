"""Who is speaking, as far as permissions and manners need to know."""

from dataclasses import dataclass


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


LOCAL = Person(id="local", team="local", name="you", is_workspace_admin=True)
