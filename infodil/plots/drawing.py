"""What all plots share: colours, style, axes, labels, and writing a figure whole."""

__all__ = [
    "COLOURS",
    "DASHES",
    "INK",
    "MARKERS",
    "STYLE",
    "figure_svg",
    "in_order",
    "new_axes",
    "panel_columns",
    "plain",
    "save_figure",
]

import io
import os
import tempfile
from pathlib import Path
from typing import Any

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6bb1", "#a6761d", "#56b4e9", "#e7298a", "#66711b", "#555555",
)  # fmt: skip
"""Okabe and Ito's palette without its yellow, which is lost on white, filled to ten."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "infodil",  # the same figure gives the same bytes
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
INK = "#333333"


def new_axes(panels: int, names: int, figure: Any | None = None) -> list[Any]:
    """Axes in a grid that share their scales, in a new figure with room for so many names unless one is given."""
    from matplotlib.figure import Figure

    columns = panel_columns(panels)
    rows = -(-panels // columns)
    if figure is None:
        size = (6.4, 3.6) if panels == 1 else (2.6 * columns + 0.6, 2.3 * rows + 0.3 + 0.2 * -(-names // 5))
        figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    for lowest in axes[max(0, panels - columns) : panels]:  # where no panel stands below, the ticks are named here
        lowest.xaxis.set_tick_params(labelbottom=True)
    return axes[:panels]


def panel_columns(panels: int) -> int:
    """How many panels stand side by side."""
    return 2 if panels == 4 else min(panels, 3)


def in_order(frame: Any, column: str) -> list[str]:
    """The values of a column, each once, in the order they come."""
    return list(dict.fromkeys(frame[column]))


def plain(text: object) -> str:
    """A label as it is spelled: matplotlib would read `$` as mathematics and hide what begins with `_`."""
    words = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
    words = words if len(words) <= 40 else f"{words[:19]}…{words[-20:]}"
    return ("\N{ZERO WIDTH SPACE}" if words.startswith("_") else "") + words.replace("$", r"\$")


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure under a temporary name, then rename it; the ending names the format (pdf, svg, png).

    No date is written into the file, so that the same figure gives the same bytes.
    """
    import matplotlib as mpl

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.lstrip(".") or "png"
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    temporary = Path(name)
    try:
        with mpl.rc_context(STYLE):
            figure.savefig(temporary, format=kind, metadata=metadata, dpi=200)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def figure_svg(figure: Any) -> bytes:
    """The figure as SVG, undated, for a page."""
    import matplotlib as mpl

    drawn = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()
