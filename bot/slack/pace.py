"""How often to call Slack, and what a workspace has refused for now."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Enterprise and government workspaces lack methods; they do not get them within the hour.
LATCH_SECONDS = 3600.0
# A token that was revoked may be replaced, and then the program is started anew; until then this is enough.
DEAD_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between calls for one answer."""

    first: float = 0.4
    """An answer that is complete by then goes out as one ordinary message."""
    append: float = 0.8
    append_each: float = 60 / 100
    """At least, times the answers that are being written: Slack takes 100 a minute in a workspace."""
    update: float = 3.0
    update_each: float = 60 / 50
    """The same for updates, of which it takes 50."""
    stream_life: float = 270.0
    """Slack ends a stream after about five minutes; a new one is begun before."""
    between_statuses: float = 1.0
    """Several tools start at once; nobody reads faster than this."""
    status: float = 90.0
    """A status vanishes after two minutes unless it is set again."""


class Workspaces:
    """What all answers of a workspace share: how many are being written, and what it refuses."""

    def __init__(self, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self.pace = pace
        self.clock = clock
        self._live: Counter[str] = Counter()
        self._no_streams: dict[str, float] = {}
        self._no_uploads: dict[str, float] = {}
        self._pauses: dict[tuple[str, str], float] = {}

    @contextmanager
    def writing(self, team: str) -> Iterator[None]:
        """Counts an answer while it is written."""
        self._live[team] += 1
        try:
            yield
        finally:
            self._live[team] -= 1
            if not self._live[team]:
                del self._live[team]

    def append_every(self, team: str) -> float:
        return max(self.pace.append, self.pace.append_each * self._live[team])

    def update_every(self, team: str) -> float:
        return max(self.pace.update, self.pace.update_each * self._live[team])

    def spare_updates(self, team: str, seconds: float) -> int:
        """How many updates fit into that time beside those of the answers being written; 1 at least."""
        return max(1, int(seconds / self.pace.update_each) - self._live[team])

    def pause(self, team: str, method: str, seconds: float) -> None:
        """Slack asked not to call the method for so long."""
        self._pauses[team, method] = self.clock() + seconds

    def is_paused(self, team: str, method: str) -> bool:
        return self.clock() < self._pauses.get((team, method), 0.0)

    def may_stream(self, team: str) -> bool:
        return self.clock() >= self._no_streams.get(team, 0.0)

    def refuse_streams(self, team: str) -> None:
        """Slack said that it does not offer them there."""
        self._no_streams[team] = self.clock() + LATCH_SECONDS

    def may_upload(self, team: str) -> bool:
        return self.clock() >= self._no_uploads.get(team, 0.0)

    def refuse_uploads(self, team: str) -> None:
        """Slack said that it takes no files there."""
        self._no_uploads[team] = self.clock() + LATCH_SECONDS
