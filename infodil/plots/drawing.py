"""New axes that show themselves in a notebook, and figures written whole."""

__all__ = ["Panels", "figure_png", "figure_svg", "in_order", "new_axes", "panel_columns", "plain", "save_figure"]

import io
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infodil.plots.style import STYLE, figure_size

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    import pandas


class Panels(tuple):
    """Axes of one figure, in reading order; in a notebook they show the figure.

    Example:
        >>> panels = new_axes(2, 0)
        >>> len(panels), panels.figure is panels[1].figure
        (2, True)
    """

    __slots__ = ()

    @property
    def figure(self) -> "matplotlib.figure.Figure":
        """The figure of the panels."""
        return self[0].figure

    def _repr_png_(self) -> bytes:
        return figure_png(self.figure)


@cache
def _shown_axes() -> "type[matplotlib.axes.Axes]":
    """The class of axes that show their figure in a notebook.

    A figure made without pyplot is unknown to a notebook, and pyplot would change global state.
    """
    from matplotlib.axes import Axes

    class ShownAxes(Axes):
        """Axes that show their figure in a notebook."""

        def _repr_png_(self) -> bytes:
            return figure_png(self.figure)

    return ShownAxes


def new_axes(
    panels: int,
    names: int,
    figure: "matplotlib.figure.Figure | None" = None,
    *,
    size: str = "page",
    height: float | None = None,
) -> Panels:
    """Axes in a grid that share their scales.

    Args:
        panels: The number of axes.
        names: The number of names in the legend, for which a new figure has room.
        figure: A figure to draw into; by default a new one.
        size: The width of a new figure, one of `infodil.plots.FIGURE_WIDTHS`.
        height: The height of a row of panels in inches; by default a fixed part of the width.

    Returns:
        The axes.
    """
    from matplotlib.figure import Figure

    columns = panel_columns(panels)
    rows = -(-panels // columns)
    if figure is None:
        width, row = figure_size(size, 0.6 if panels == 1 else 0.9 / columns)
        legend = 0.0 if panels == 1 else 0.2 * -(-names // 4)
        figure = Figure(figsize=(width, (height or row) * rows + legend), layout="constrained")
    axes = (
        figure.subplots(
            rows, columns, sharex=True, sharey=True, squeeze=False, subplot_kw={"axes_class": _shown_axes()}
        )
        .ravel()
        .tolist()
    )
    for spare in axes[panels:]:
        spare.remove()
    for lowest in axes[max(0, panels - columns) : panels]:  # where no panel stands below, the ticks are named here
        lowest.xaxis.set_tick_params(labelbottom=True)
    return Panels(axes[:panels])


def panel_columns(panels: int) -> int:
    """The number of panels side by side."""
    return 2 if panels == 4 else min(panels, 3)


def in_order(frame: "pandas.DataFrame", column: str) -> list[str]:
    """The distinct values of a column, in the order in which they first occur."""
    return list(dict.fromkeys(frame[column]))


def plain(text: object) -> str:
    """A label as it is spelled: matplotlib reads `$` as mathematics and hides labels that begin with `_`."""
    words = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
    words = words if len(words) <= 40 else f"{words[:19]}…{words[-20:]}"
    return ("\N{ZERO WIDTH SPACE}" if words.startswith("_") else "") + words.replace("$", r"\$")


def save_figure(figure: "matplotlib.figure.Figure", path: str | Path) -> Path:
    """Write a figure under a temporary name, then rename it.

    No date is written into the file, so that the same figure gives the same bytes.

    Args:
        figure: The figure.
        path: The file to write; its ending names the format, such as pdf, svg or png.

    Returns:
        The path.
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


def figure_svg(figure: "matplotlib.figure.Figure") -> bytes:
    """The figure as SVG without a date, for a page.

    Args:
        figure: The figure.

    Returns:
        The content of an SVG file.
    """
    return _drawn(figure, "svg", {"Date": None})


def figure_png(figure: "matplotlib.figure.Figure") -> bytes:
    """The figure as PNG, for a notebook."""
    return _drawn(figure, "png", {})


def _drawn(figure: "matplotlib.figure.Figure", kind: str, metadata: dict[str, None]) -> bytes:
    import matplotlib as mpl

    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(content, format=kind, metadata=metadata, dpi=144)
    return content.getvalue()
