"""The style of all figures: colours, markers, dashes, fonts and sizes."""

__all__ = ["COLOURS", "DASHES", "INK", "MARKERS", "FIGURE_WIDTHS", "STYLE", "figure_size", "mark_of", "site_marks"]

import re
import zlib
from collections.abc import Sequence
from typing import Any

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#b8568f", "#8c6bb1", "#3a9bd4", "#7a5200", "#66711b", "#a8135f", "#555555",
)  # fmt: skip
"""Ten colours after Okabe and Ito, each with a contrast of 3 to 1 on white.

In this order two that share their dashes are ten units of CIELAB apart, or more, for those who see all colours, some,
or only grey."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (4, 1.2, 1, 1.2, 1, 1.2)))
INK = "#333333"
"""Colour of axes, ceilings and words."""

FIGURE_WIDTHS = {"column": 3.25, "page": 5.5}
"""Widths of a figure in inches: one column of a two-column venue, and the text of a one-column one."""

STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "infodil",  # the same figure gives the same bytes
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
"""Settings of matplotlib that every figure is drawn with."""


def figure_size(size: str, ratio: float = 0.6) -> tuple[float, float]:
    """Width and height of a figure in inches.

    Args:
        size: One of `FIGURE_WIDTHS`.
        ratio: The height as a part of the width.

    Returns:
        Width and height.

    Raises:
        ValueError: Where there is no such size.
    """
    if size not in FIGURE_WIDTHS:
        raise ValueError(f"`size` must be 'column' or 'page', got {size!r}.")
    return FIGURE_WIDTHS[size], FIGURE_WIDTHS[size] * ratio


def site_marks(sites: Sequence[str]) -> dict[str, int]:
    """A place in the palette for each site, which depends on its name and not on its neighbours.

    A name that ends in a number, such as `layer.3`, has the place of that number; any other a place by its checksum;
    where two would share one, the later takes the next that is free. So a site keeps its colour from one figure to
    another.

    Args:
        sites: The sites, in order.

    Returns:
        The place of each, distinct for up to ten sites.

    Example:
        >>> site_marks(["layer.1", "layer.2", "layer.11"])
        {'layer.1': 1, 'layer.2': 2, 'layer.11': 3}
    """
    places: dict[str, int] = {}
    for site in sites:
        numbers = re.findall(r"\d+", site)
        place = (int(numbers[-1]) if numbers else zlib.crc32(site.encode("utf-8", "replace"))) % len(COLOURS)
        while len(places) < len(COLOURS) and place in places.values():
            place = (place + 1) % len(COLOURS)
        places[site] = place
    return places


def mark_of(place: int) -> dict[str, Any]:
    """Colour, marker and dashes of a place in the palette: curves differ by more than colour."""
    return {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": DASHES[place % len(DASHES)]}
