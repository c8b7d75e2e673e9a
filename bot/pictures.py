"""From a timeline's figures to a picture in PNG, with the same facts in words.

matplotlib takes half a second and 40 MB to import, so that it is imported when the first picture is drawn.
"""

import asyncio
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

from bot.timeline_words import Timeline, alt_text, as_table, facts, footer, read_timeline, title, zone_of
from knowledge.errors import Unreachable
from tools.timeline import DeploymentTimeline

DRAW_WITHIN_S = 20.0
# A hundred times the usual; what draws a larger one is a fault.
MAX_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    png: bytes = field(repr=False)
    title: str
    alt_text: str
    """The same facts in words, on one line."""
    filename: str
    table: str
    """The same as a Markdown table, for where no picture can be shown."""


class Pictures:
    """Draws one picture at a time; `cache` is a folder for the list of fonts that matplotlib makes once."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        # matplotlib promises nothing to threads that draw at the same time.
        self._drawing = threading.Lock()

    async def draw(self, data: Mapping[str, Any], *, time_zone: str = "UTC") -> Picture | None:
        """The picture of what `draw_timeline` gave; None where there is nothing to be seen yet.

        Raises Unreachable when it takes too long, which only a machine without any breath left does.
        """
        timeline = read_timeline(data)
        if not has_bars(timeline):
            return None
        try:
            async with asyncio.timeout(DRAW_WITHIN_S):
                return await asyncio.to_thread(self._draw, timeline, zone_of(time_zone))
        except TimeoutError:
            raise Unreachable("The picture could not be drawn in time.", "Try again in a moment.") from None

    def _draw(self, timeline: Timeline, zone: tzinfo) -> Picture:
        with self._drawing:
            # Read by matplotlib when it is imported; the home folder it would take may be read-only.
            os.environ.setdefault("MPLCONFIGDIR", str(self._cache))
            self._cache.mkdir(parents=True, exist_ok=True)
            png = draw(timeline, zone)
        return Picture(
            png=png,
            title=title(timeline),
            alt_text=alt_text(timeline, zone),
            filename=_filename(timeline),
            table=as_table(timeline, zone),
        )


def draw(timeline: Timeline, zone: tzinfo) -> bytes:
    """The PNG alone."""
    from bot.charts.canvas import png
    from bot.charts.gantt import gantt
    from bot.charts.run_bars import run_bars

    words = title(timeline), facts(timeline, zone), footer(timeline)
    if isinstance(timeline, DeploymentTimeline):
        picture = png(run_bars(timeline, *words, zone))
    else:
        picture = png(gantt(timeline, *words, zone))
    if len(picture) > MAX_BYTES:
        raise Unreachable("The picture became too large.", "Ask for fewer runs.")
    return picture


def has_bars(timeline: Timeline) -> bool:
    """Whether a picture would show more than its title."""
    if isinstance(timeline, DeploymentTimeline):
        return bool(timeline.runs)
    return timeline.run.started is not None


def _filename(timeline: Timeline) -> str:
    name = timeline.name if isinstance(timeline, DeploymentTimeline) else timeline.run.name
    return f"timeline-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[:60] or 'picture'}.png"
