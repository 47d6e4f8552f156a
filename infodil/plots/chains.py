"""Figures of chains of processing: the bits of each stage and the verdict on each link."""

__all__ = ["chain_stages"]

from typing import TYPE_CHECKING

from infodil.plots.drawing import new_axes, plain
from infodil.plots.labels import legend_beside
from infodil.plots.style import COLOURS, INK, STYLE

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

VIOLATED, OPEN = "violated by more than its uncertainty", "cannot be told"
"""Verdicts that are drawn apart: a cross, and a dotted line."""


def chain_stages(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
    """The bits of each stage with its interval and upper bound, joined by lines that show the verdict on each link.

    Args:
        frame: One row for each stage, upstream first, with columns `stage`, `value_bits`, `low_bits`, `high_bits`,
            `upper_bits` and `verdict`, as `ChainCheck.to_frame()` gives them.
        ax: Axes to draw into; by default those of a new figure.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        beside = ax is None
        ax = new_axes(1, 4)[0] if ax is None else ax
        value, low, high, upper = (
            frame[name].to_numpy(float) for name in ("value_bits", "low_bits", "high_bits", "upper_bits")
        )
        place = range(len(frame))
        for end, verdict in list(enumerate(frame["verdict"]))[1:]:
            ends, middle = [end - 1, end], (value[end - 1] + value[end]) / 2
            ax.plot(ends, value[end - 1 : end + 1], color=INK, linewidth=1.0, linestyle=_line(verdict), label=verdict)
            if verdict == VIOLATED:
                ax.plot(end - 0.5, middle, "x", color=COLOURS[1], markersize=7, markeredgewidth=2, label=f"_{end}")
        ends = [value - low, high - value]
        ax.errorbar(place, value, ends, fmt="o", color=COLOURS[0], markersize=4, elinewidth=1.0, label="lower bound")
        ax.plot(place, upper, "_", color=COLOURS[1], markersize=10, markeredgewidth=1.4, label="upper bound")
        ax.set_xticks(list(place), [plain(stage) for stage in frame["stage"]], rotation=30, ha="right")
        ax.set_ylabel("bits of the token")
        ax.set_ylim(bottom=min(0.0, float(low.min())))
        handles, labels = ax.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        legend_beside(ax, beside, once)
    return ax


def _line(verdict: str) -> str:
    return ":" if verdict == OPEN else "-"
