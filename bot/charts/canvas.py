"""What all charts share: size, colours, and text of other people that cannot break a picture."""

from __future__ import annotations

import io
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# 720 points on a screen at twice its density, as Slack and modern screens show it.
WIDTH_INCHES = 7.2
DPI = 200
FONT = "DejaVu Sans"  # Comes with matplotlib.
INK, PALE_INK, GRID = "#1f2430", "#626b7a", "#e6e8ec"
SMALL, NORMAL, LARGE = 7.5, 8.5, 11.0
MARGIN = 0.1
NO_GLYPH = "□"


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is drawn: red and green also differ in lightness, and what went wrong is hatched."""

    colour: str
    hatch: str = ""
    mark: str = ""
    """Stands beside the bar."""


# Prefect's own colours, moved apart for the colour-blind.
LOOKS = {
    "COMPLETED": Look("#57b894"),
    "FAILED": Look("#b3202c", "////", "✕"),
    "CRASHED": Look("#e8862e", "xxxx", "✕"),
    "CANCELLED": Look("#8b94a1", "....", "–"),
    "CANCELLING": Look("#8b94a1", "....", "–"),
    "RUNNING": Look("#3b82d6", "", "▸"),
    "PENDING": Look("#f4d27a", "", "▸"),
    "SCHEDULED": Look("#f4d27a", "", "…"),
    "PAUSED": Look("#9a86c8", "", "‖"),
}
UNKNOWN = Look("#c9ced6")
HATCH_COLOUR = (1.0, 1.0, 1.0, 0.55)


def look(state_type: str) -> Look:
    return LOOKS.get(state_type, UNKNOWN)


def new_figure(height_inches: float) -> Figure:
    """An empty figure that belongs to no window and no global list of figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height_inches), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def put(on: Axes | Figure, x: float, y: float, text: str, **style: Any) -> Text:
    """Writes text as it stands: `$` begins no formula, and what the font cannot draw becomes a box."""
    style = {"fontsize": NORMAL, "color": INK, "family": FONT, **style}
    return on.text(x, y, drawable(text), parse_math=False, usetex=False, **style)


def drawable(text: str) -> str:
    """One line of characters that the font has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties(family=FONT))).get_charmap()
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return "".join(character if ord(character) in known else NO_GLYPH for character in line)


def shortened(name: str, limit: int) -> str:
    """Both ends of a long name: what tells one mapped task run from the next is its last characters."""
    if len(name) <= limit:
        return name
    tail = limit // 3
    return f"{name[: limit - tail - 1]}…{name[-tail:]}"


def width_of(text: Text) -> float:
    """Inches that the text takes."""
    return float(text.get_window_extent().width) / DPI


def header(figure: Figure, title: str, facts: str) -> None:
    """The bold first line and the grey second one, at the upper left."""
    height = figure.get_figheight()
    first = put(figure, MARGIN / WIDTH_INCHES, 1 - 0.08 / height, title, fontsize=LARGE, weight="bold")
    second = put(figure, MARGIN / WIDTH_INCHES, 1 - 0.32 / height, facts, color=PALE_INK)
    for line in (first, second):
        line.set_verticalalignment("top")
        fit(line)


def footer(figure: Figure, text: str) -> None:
    """A grey line at the lower left."""
    place = (MARGIN / WIDTH_INCHES, 0.07 / figure.get_figheight())
    fit(put(figure, *place, text, fontsize=SMALL, color=PALE_INK, va="bottom"))


def fit(text: Text) -> None:
    """Makes a line that is wider than the picture smaller."""
    room = WIDTH_INCHES - 2 * MARGIN
    if (width := width_of(text)) > room:
        text.set_fontsize(float(text.get_fontsize()) * room / width)


def legend(figure: Figure, states: Mapping[str, str], hollow: Container[str], y_inches: float) -> None:
    """One swatch a state that occurs, `states` being name → type and `hollow` the names drawn so."""
    from matplotlib.patches import Patch

    patches = [
        Patch(label=drawable(f"{name} {look(type_).mark}"), **fill(type_, hollow=name in hollow))
        for name, type_ in states.items()
    ]
    if not patches:
        return
    shown = figure.legend(
        handles=patches,
        loc="lower left",
        bbox_to_anchor=(0.04 / WIDTH_INCHES, y_inches / figure.get_figheight()),
        ncols=6,
        frameon=False,
        handlelength=1.6,
        columnspacing=1.4,
        borderpad=0.3,
        prop={"family": FONT, "size": SMALL},
        labelcolor=PALE_INK,
    )
    for text in shown.get_texts():
        text.set_parse_math(False)


def fill(state_type: str, *, hollow: bool = False) -> dict[str, Any]:
    """How a bar is filled; hatches are drawn in the colour of the edge."""
    style = look(state_type)
    if hollow:
        return {"facecolor": "white", "edgecolor": style.colour, "linewidth": 1.0}
    filled = {"facecolor": style.colour, "edgecolor": HATCH_COLOUR, "linewidth": 0.0}
    return {**filled, "hatch": style.hatch} if style.hatch else filled


def plain_axes(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Axes without a frame, placed by margins in inches."""
    width, height = figure.get_figwidth(), figure.get_figheight()
    axes = figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=PALE_INK, labelfontfamily=FONT)
    axes.set_axisbelow(True)
    return axes
