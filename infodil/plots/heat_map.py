"""Heat maps of sites by lags: what curves cannot show where sites are many."""

__all__ = ["heat_maps", "recoverability_heat_map"]

from typing import TYPE_CHECKING

from infodil.plots.drawing import Panels, in_order, new_axes, plain
from infodil.plots.labels import QUANTITY_LABELS
from infodil.plots.style import INK, STYLE

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    import pandas

COLOUR_MAP = "cividis"
"""Even in lightness, alike to those who see colours and those who do not, and readable in grey."""

ROW_INCHES = 0.13
"""Height of a site."""

MOST_NAMED = 60
"""Rows and columns of which each has its name; of more every second, third, ... has."""


def recoverability_heat_map(
    frame: "pandas.DataFrame",
    ax: "matplotlib.axes.Axes | None" = None,
    quantity: str = "value_bits",
    size: str = "page",
) -> "matplotlib.axes.Axes":
    """A quantity by site and lag, in shades.

    Args:
        frame: One row for each site and lag, with columns `site`, `lag` and the quantity.
        ax: Axes to draw into; by default those of a new figure.
        quantity: The column to draw.
        size: The width of a new figure, one of `infodil.plots.FIGURE_WIDTHS`.

    Returns:
        The axes; `axes.figure` is the figure.
    """
    import matplotlib as mpl

    sites = in_order(frame, "site")
    with mpl.rc_context(STYLE):
        if ax is None:
            ax = new_axes(1, 0, size=size, height=0.9 + ROW_INCHES * max(12, len(sites)))[0]
        mesh = _mesh(ax, frame, sites, quantity, float(frame[quantity].max()))
        _scale(ax, [ax], mesh, frame, quantity)
    return ax


def heat_maps(
    frame: "pandas.DataFrame",
    quantity: str = "value_bits",
    figure: "matplotlib.figure.Figure | None" = None,
    size: str = "page",
) -> Panels:
    """A quantity by site and lag of several reports, one panel a report, on one scale.

    Args:
        frame: The columns of `recoverability_heat_map`, and a column `report`.
        quantity: The column to draw.
        figure: A figure to draw into; by default a new one.
        size: The width of a new figure, one of `infodil.plots.FIGURE_WIDTHS`.

    Returns:
        The axes, one for each report.
    """
    import matplotlib as mpl

    reports, sites = in_order(frame, "report"), in_order(frame, "site")
    with mpl.rc_context(STYLE):
        height = 0.9 + ROW_INCHES * max(12, len(sites))
        axes = new_axes(len(reports), 0, figure, size=size, height=height)
        for ax, report in zip(axes, reports, strict=True):
            part = frame[frame["report"] == report]
            mesh = _mesh(ax, part, sites, quantity, float(frame[quantity].max()))
            ax.set_title(plain(report), loc="left", color=INK)
        _scale(axes[0], list(axes), mesh, frame, quantity)
    return axes


def _mesh(
    ax: "matplotlib.axes.Axes", frame: "pandas.DataFrame", sites: list[str], quantity: str, most: float
) -> "matplotlib.collections.QuadMesh":
    table = frame.pivot_table(index="site", columns="lag", values=quantity, sort=False, dropna=False)
    table = table.reindex(index=sites).sort_index(axis=1)
    mesh = ax.pcolormesh(table.to_numpy(float), cmap=COLOUR_MAP, vmin=0.0, vmax=max(most, 1e-9), rasterized=True)
    stride = -(-len(sites) // MOST_NAMED)
    ax.set_yticks([place + 0.5 for place in range(0, len(sites), stride)], [plain(site) for site in sites[::stride]])
    ax.set_ylim(len(sites), 0)
    few = max(1, int(ax.get_figure().get_figwidth() * 3 / len(ax.get_figure().axes)))
    stride = -(-table.shape[1] // few)
    ax.set_xticks([place + 0.5 for place in range(0, table.shape[1], stride)], list(table.columns[::stride]))
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlabel("lag (tokens back)")
    return mesh


def _scale(
    ax: "matplotlib.axes.Axes",
    axes: list,
    mesh: "matplotlib.collections.QuadMesh",
    frame: "pandas.DataFrame",
    quantity: str,
) -> None:
    """The scale of the shades; an arrow at its foot says that values below zero have the shade of zero."""
    below = bool((frame[quantity] < 0).any())
    bar = ax.figure.colorbar(mesh, ax=axes, extend="min" if below else "neither", aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(QUANTITY_LABELS.get(quantity, quantity.replace("_", " ")))
