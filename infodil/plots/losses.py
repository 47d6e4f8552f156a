"""Figures of losses: differences, their terms, and ratios of perplexity."""

__all__ = ["difference_intervals", "ratio_curves", "ratio_intervals", "term_bars"]

from collections.abc import Sequence
from typing import TYPE_CHECKING

from infodil.plots.drawing import in_order, new_axes, plain
from infodil.plots.labels import legend_beside
from infodil.plots.style import COLOURS, DASHES, INK, MARKERS, STYLE

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

TERM_LABELS = {"held": "held, not usable", "lost": "at most lost"}


def term_bars(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
    """The terms of a gap in loss as bars, each beginning where the one before ends, with their intervals.

    Args:
        frame: One row for each term, with columns `term`, `value_bits`, `low_bits`, `high_bits`; the row `gap` is
            their sum, and `lost_at_least` a mark in the last bar. A column `seed_values_bits`, numbers in a string,
            adds a dot for each of them.
        ax: Axes to draw into; by default those of a new figure.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    rows = {row["term"]: row for row in frame.to_dict("records")}
    names = ["gap", *(name for name in rows if name not in ("gap", "lost_at_least"))]
    with mpl.rc_context(STYLE):
        ax = new_axes(1, 0)[0] if ax is None else ax
        begin = 0.0
        for place, name in enumerate(names):
            row, left = rows[name], begin if name != "gap" else 0.0
            ax.barh(-place, row["value_bits"], left=left, height=0.6, color=COLOURS[place % 10], label=plain(name))
            ends = [left + row["low_bits"], left + row["high_bits"]]
            ax.plot(ends, [-place, -place], color=INK, linewidth=1.2, label=f"_{name} interval")
            values = row.get("seed_values_bits")
            dots = [left + float(value) for value in values.split()] if isinstance(values, str) else []
            ax.scatter(dots, [-place - 0.2] * len(dots), s=6, color=INK, zorder=3, label=f"_{name} seeds")
            begin += row["value_bits"] if name != "gap" else 0.0
        certain = rows.get("lost_at_least")
        if certain is not None and certain["value_bits"] > 0:
            left = begin - rows[names[-1]]["value_bits"]
            ax.plot([left + certain["value_bits"]] * 2, [0.4 - place, -place - 0.4], color=INK, linestyle=":")
        ax.axvline(0, color=INK, linewidth=0.6)
        labels = [TERM_LABELS.get(name, plain(name).replace("_", " ")) for name in names]
        ax.set_yticks([-place for place in range(len(names))], labels)
        ax.set_xlabel("bits a token")
        ax.margins(x=0.08)
    return ax


def difference_intervals(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
    """The differences of loss with their intervals and the margin of equivalence, one line a predictor.

    Args:
        frame: Columns `predictor`, `way`, `difference_nats`, `low_nats`, `high_nats` and `margin_nats`; rows without a
            difference, such as the baseline's, are left out.
        ax: Axes to draw into; by default those of a new figure.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    frame = frame.dropna(subset=["difference_nats"])
    names = in_order(frame, "predictor")
    with mpl.rc_context(STYLE):
        beside = ax is None
        ax = new_axes(1, 0)[0] if ax is None else ax
        margin = float(frame["margin_nats"].iloc[0])
        ax.axvspan(-margin, margin, color=INK, alpha=0.1, linewidth=0, label="margin")
        ax.axvline(0, color=INK, linewidth=0.6)
        _intervals(ax, frame, names, "predictor", "way", ("difference_nats", "low_nats", "high_nats"))
        ax.set_xlabel("loss less that of the linear predictor (nats a token)")
        legend_beside(ax, beside)
    return ax


def ratio_intervals(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
    """Ratios of perplexities with their intervals, one line a family and a marker for each text; one is no difference.

    Args:
        frame: Columns `family`, `text`, `ratio`, `low` and `high`.
        ax: Axes to draw into; by default those of a new figure.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        beside = ax is None
        ax = new_axes(1, 0)[0] if ax is None else ax
        ax.axvline(1, color=INK, linewidth=0.6)
        _intervals(ax, frame, in_order(frame, "family"), "family", "text", ("ratio", "low", "high"))
        ax.set_xlabel("perplexity over attention's")
        legend_beside(ax, beside)
    return ax


def ratio_curves(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
    """A ratio of perplexities against training tokens, one curve with intervals for each size; one is no difference.

    Args:
        frame: Columns `size`, `tokens`, `ratio`, `low` and `high`.
        ax: Axes to draw into; by default those of a new figure.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        beside = ax is None
        ax = new_axes(1, 0)[0] if ax is None else ax
        ax.axhline(1, color=INK, linewidth=0.6)
        for place, size in enumerate(in_order(frame, "size")):
            part = frame[frame["size"] == size].sort_values("tokens")
            ratio = part["ratio"].to_numpy(float)
            ends = [ratio - part["low"].to_numpy(float), part["high"].to_numpy(float) - ratio]
            ax.errorbar(
                part["tokens"].to_numpy(float), ratio, yerr=ends, color=COLOURS[place], marker=MARKERS[place],
                markersize=4, linewidth=1.2, linestyle=DASHES[place % len(DASHES)], label=plain(size),
            )  # fmt: skip
        ax.set_xscale("log", base=2)
        tokens = sorted(set(frame["tokens"]))
        ax.set_xticks(tokens, [f"{number / 1e3:.0f}k" for number in tokens])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("training tokens")
        ax.set_ylabel("perplexity over attention's")
        legend_beside(ax, beside)
    return ax


def _intervals(
    ax: "matplotlib.axes.Axes",
    frame: "pandas.DataFrame",
    names: Sequence[str],
    name: str,
    group: str,
    columns: tuple[str, str, str],
) -> None:
    """A line for each of `names`, from the top; on it a marker with its interval for each group."""
    groups = in_order(frame, group)
    for place, one in enumerate(groups):
        part = frame[frame[group] == one]
        height = [-names.index(each) - 0.25 * (place - (len(groups) - 1) / 2) for each in part[name]]
        value, low, high = (part[column].to_numpy(float) for column in columns)
        ax.errorbar(
            value, height, xerr=[value - low, high - value], fmt=MARKERS[place], color=COLOURS[place], markersize=4,
            linewidth=1.2, label=plain(one),
        )  # fmt: skip
    ax.set_yticks([-place for place in range(len(names))], [plain(each).replace("_", " ") for each in names])
