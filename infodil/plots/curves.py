"""Figures of bits against lag."""

__all__ = ["lag_ticks", "multi_curves", "recoverability_curves"]

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from infodil.plots.drawing import Panels, in_order, new_axes, panel_columns, plain
from infodil.plots.labels import QUANTITY_LABELS, label_curves, legend_beside, legend_columns
from infodil.plots.style import COLOURS, INK, STYLE, mark_of, site_marks

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    import pandas

WIDE_LAGS = 24
"""From this longest lag on the axis is logarithmic beyond lag 1, so that the first steps are not crushed."""


def recoverability_curves(
    frame: "pandas.DataFrame",
    ax: "matplotlib.axes.Axes | None" = None,
    quantity: str = "value_bits",
    size: str = "page",
) -> "matplotlib.axes.Axes":
    """Bits against lag, one curve with its interval band for each site.

    Args:
        frame: One row for each site and lag, with columns `site`, `lag`, the quantity and the ends of its interval,
            as a report has them; with `ceiling_bits` the ceiling is drawn too, with `upper_bits` and `upper_by` the
            upper bound of a site (dotted) where it is not the ceiling.
        ax: Axes to draw into; by default those of a new figure.
        quantity: The column to draw, such as `"value_bits"` or `"beyond_context_bits"`.
        size: The width of a new figure, one of `infodil.plots.FIGURE_WIDTHS`.

    Returns:
        The axes; `axes.figure` is the figure.
    """
    import matplotlib as mpl

    sites = in_order(frame, "site")
    marks = site_marks(sites)
    with mpl.rc_context(STYLE):
        beside = ax is None
        ax = new_axes(1, len(sites), size=size)[0] if ax is None else ax
        if quantity == "value_bits":
            _ceiling(ax, frame)
        for site in sites:
            _curve(ax, frame[frame["site"] == site], quantity, site, marks[site])
        _finish(ax, frame, quantity)
        if not label_curves(ax, {plain(site): COLOURS[marks[site]] for site in sites}):
            legend_beside(ax, beside)
    return ax


def multi_curves(
    frame: "pandas.DataFrame",
    quantity: str = "value_bits",
    figure: "matplotlib.figure.Figure | None" = None,
    size: str = "page",
) -> Panels:
    """Bits against lag of several reports, one panel a report, with the same scales and one colour a site.

    Args:
        frame: The columns of `recoverability_curves`, and a column `report`.
        quantity: The column to draw.
        figure: A figure to draw into; by default a new one.
        size: The width of a new figure, one of `infodil.plots.FIGURE_WIDTHS`.

    Returns:
        The axes, one for each report.
    """
    import matplotlib as mpl

    reports, sites = in_order(frame, "report"), in_order(frame, "site")
    marks = site_marks(sites)
    with mpl.rc_context(STYLE):
        axes = new_axes(len(reports), len(sites), figure, size=size)
        for ax, report in zip(axes, reports, strict=True):
            part = frame[frame["report"] == report]
            if quantity == "value_bits":
                _ceiling(ax, part)
            for site in in_order(part, "site"):
                _curve(ax, part[part["site"] == site], quantity, site, marks[site])
            _finish(ax, frame, quantity, notes=ax is axes[0])
            ax.set_title(plain(report), loc="left", color=INK)
            if ax not in axes[:: panel_columns(len(axes))]:
                ax.set_ylabel("")
            if ax not in axes[-panel_columns(len(axes)) :]:
                ax.set_xlabel("")
        handles = {line.get_label(): line for ax in axes for line in ax.lines if not line.get_label().startswith("_")}
        axes.figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", frameon=False, handlelength=2.4,
            ncols=legend_columns(list(handles), axes.figure.get_figwidth()),
        )  # fmt: skip
    return axes


def lag_ticks(lags: Iterable[int], most: int = 9) -> list[int]:
    """The lags that an axis labels: 0 and powers of two within the measured lags.

    Args:
        lags: The measured lags.
        most: The largest number of labels.

    Returns:
        The lags to label, in order.

    Example:
        >>> lag_ticks(range(65))
        [0, 1, 2, 4, 8, 16, 32, 64]
        >>> lag_ticks([0, 1, 2, 3])
        [0, 1, 2, 3]
    """
    lags = sorted({int(lag) for lag in lags})
    if len(lags) <= 6:
        return lags
    low, high = lags[0], lags[-1]
    if high < WIDE_LAGS:
        step = next(step for step in (1, 2, 5) if (high - low) / step < most)
        return list(range(low, high + 1, step))
    powers = [2**power for power in range(int(math.log2(high)) + 1) if 2**power >= low]
    stride = -(-(len(powers) + 1) // most)
    return [0] * (low == 0) + powers[::-1][::stride][::-1]


def _curve(ax: "matplotlib.axes.Axes", part: "pandas.DataFrame", quantity: str, label: str, place: int) -> None:
    part = part.sort_values("lag")
    low, high = _ends(quantity)
    lag, value = part["lag"].to_numpy(float), part[quantity].to_numpy(float)
    ax.plot(
        lag, value, markersize=3.6 if len(lag) <= 20 else 0, linewidth=1.3, markeredgewidth=0, label=plain(label),
        zorder=3, **mark_of(place),
    )  # fmt: skip
    colour = COLOURS[place]
    if quantity == "value_bits":
        _upper(ax, part, label, colour)
    if low in part and high in part:
        ends = [part[name].to_numpy(float) for name in (low, high)]
        ax.fill_between(lag, *ends, color=colour, alpha=0.18, linewidth=0, zorder=2, label=f"_{plain(label)} interval")


def _upper(ax: "matplotlib.axes.Axes", part: "pandas.DataFrame", label: str, colour: str) -> None:
    """The upper bound of every probe, drawn where it is not the ceiling."""
    if "upper_by" not in part or part["upper_by"].fillna("entropy").eq("entropy").all():
        return
    part = part.dropna(subset=["upper_bits"])
    lag, upper = part["lag"].to_numpy(float), part["upper_bits"].to_numpy(float)
    ax.plot(lag, upper, color=colour, linewidth=0.8, linestyle=(0, (1, 1)), label=f"_{plain(label)} upper bound")
    ax.fill_between(
        lag, part["value_bits"].to_numpy(float), upper,
        color=colour, alpha=0.08, linewidth=0, zorder=1, label=f"_{plain(label)} sandwich",
    )  # fmt: skip


def _ceiling(ax: "matplotlib.axes.Axes", frame: "pandas.DataFrame") -> None:
    if "ceiling_bits" not in frame or frame["ceiling_bits"].isna().all():
        return
    part = frame.dropna(subset=["ceiling_bits"]).drop_duplicates("lag").sort_values("lag")
    lag, bits = part["lag"].to_numpy(float), part["ceiling_bits"].to_numpy(float)
    ax.plot(lag, bits, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), label="_ceiling")
    top = bits[-1]
    if {"ceiling_low_bits", "ceiling_high_bits"} <= set(part):
        ends = [part[f"ceiling_{end}_bits"].to_numpy(float) for end in ("low", "high")]
        ax.fill_between(lag, *ends, color=INK, alpha=0.12, linewidth=0, label="_ceiling interval")
        top = max(top, float(ends[1][-1]))
    ax.annotate(
        "ceiling: entropy of a token", (lag[-1], top), xytext=(0, 3), textcoords="offset points", ha="right",
        fontsize=7, color=INK,
    )  # fmt: skip


def _finish(ax: "matplotlib.axes.Axes", frame: "pandas.DataFrame", quantity: str, notes: bool = True) -> None:
    ax.axhline(0, color=INK, linewidth=0.6, zorder=1, label="_zero")
    lags = frame["lag"].tolist()
    ticks = lag_ticks(lags)
    low, high = min(lags), max(lags)
    if high >= WIDE_LAGS:
        ax.set_xscale("symlog", linthresh=1, linscale=0.8, base=2)
        ax.set_xlim(low - 0.25, high * 1.12)
    else:
        pad = max(0.03 * (high - low), 0.1)
        ax.set_xlim(low - pad, high + pad)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("lag (tokens back)")
    ax.set_ylabel(QUANTITY_LABELS.get(quantity, quantity.replace("_", " ")))
    ax.grid(axis="y", color="#dddddd", linewidth=0.5, zorder=0)
    ax.set_axisbelow(True)
    bottom, top = ax.get_ylim()
    if notes and quantity == "value_bits" and float(frame[quantity].min()) < -0.02 * (top - bottom):
        ax.annotate(
            "below zero: at least nothing", (0.01, 0), xycoords=("axes fraction", "data"), xytext=(0, -3),
            textcoords="offset points", va="top", fontsize=7, color=INK, fontstyle="italic",
        )  # fmt: skip


def _ends(quantity: str) -> tuple[str, str]:
    if not quantity.endswith("bits"):
        return f"{quantity}_low", f"{quantity}_high"
    stem = "" if quantity == "value_bits" else quantity.removesuffix("bits")
    return f"{stem}low_bits", f"{stem}high_bits"
