"""The one style of the paper's figures: sizes, colours, panels, direct labels, and writing PDF and PNG.

Colours are the package's, told apart by the colour-blind; what a colour says, a marker, a dash or a word says too.
A figure whose table is stale (`paper_figures/data/status.json`, written by `make results-status WRITE=1`) says so in
its lower right corner.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infodil.plots import COLOURS, INK, STYLE, save_figure

HERE = Path(__file__).resolve().parent
WIDTH = 5.5
"""Inches: the text of a page with one column."""
BLUE, ORANGE, GREEN, PINK, _, SKY, BROWN = COLOURS[:7]
GREY = "#888888"
LIGHT = "#dddddd"
RC = STYLE | {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "axes.grid.axis": "both",
    "grid.color": LIGHT,
    "grid.linewidth": 0.4,
}
styled = mpl.rc_context(RC)
"""Decorator of a function that draws: matplotlib's global state is left alone."""


class Paper:
    """One figure: the tables that it reads, its panels, and where it is written.

    Args:
        name: Name of the files, without ending.
        height: Height in inches.
    """

    def __init__(self, name: str, height: float) -> None:
        self.name, self.tables = name, []
        self.figure = Figure(figsize=(WIDTH, height), layout="constrained")

    def read(self, table: str) -> pd.DataFrame:
        """Rows of one table; whether it is stale is said in the figure."""
        self.tables.append(table)
        # Tables from before the columns were renamed are read as they are written today.
        return pd.read_csv(HERE / "data" / f"{table}.csv").rename(columns={"answered_by": "selected_probe"})

    @styled
    def save(self, folder: Path = HERE) -> None:
        """Write PDF and PNG."""
        stale = stale_tables(self.tables)
        if stale:
            strip = 0.13 / self.figure.get_figheight()
            self.figure.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
            words = f"data older than the code: {', '.join(stale)}"
            self.figure.text(0.995, 0.25 * strip, words, fontsize=5, color=GREY, ha="right")
        for kind in ("pdf", "png"):
            save_figure(self.figure, folder / f"{self.name}.{kind}")


def stale_tables(tables: Sequence[str]) -> list[str]:
    """Those tables whose code or inputs have changed since they were made, or are not known."""
    verdicts = json.loads((HERE / "data" / "status.json").read_text(encoding="utf-8"))
    return [name for name in dict.fromkeys(tables) if verdicts.get(name, "stale") != "current"]


def title(ax: Axes, letter: str, words: str) -> None:
    """A panel's letter and words, above it to the left."""
    ax.set_title(f"{letter}  {words}" if letter else words)


def curve(ax: Axes, x: Sequence[float], frame: pd.DataFrame, columns: Sequence[str], **line: object) -> None:
    """A line with markers through the first column, and a band between the other two."""
    value, low, high = (frame[column].to_numpy(float) for column in columns)
    ax.plot(x, value, mew=0, **line)
    ax.fill_between(x, low, high, color=line["color"], alpha=0.18, linewidth=0)


def label_ends(ax: Axes, ends: dict[str, tuple[float, float, str]], gap: float = 0.075) -> None:
    """Names to the right of curves, each joined to its curve's end, moved apart where they would overlap.

    Args:
        ax: Axes, whose limits are set.
        ends: Abscissa, ordinate and colour of each end, in data.
        gap: Least distance of two names, as a share of the height of the axes.
    """
    to_axes = (ax.transData + ax.transAxes.inverted()).transform
    order = sorted(ends, key=lambda name: ends[name][1])
    heights = [to_axes(ends[name][:2])[1] for name in order]
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + gap)
    over = max(0.0, heights[-1] - 1.0)
    heights = [height - over * (place + 1) / len(heights) for place, height in enumerate(heights)]
    for name, height in zip(order, heights, strict=True):
        x, y, colour = ends[name]
        begin = to_axes((x, y))
        line = {"color": colour, "linewidth": 0.5, "transform": ax.transAxes, "clip_on": False}
        ax.plot([begin[0] + 0.012, 1.03], [begin[1], height], **line)
        ax.text(1.04, height, name, color=colour, fontsize=7, va="center", transform=ax.transAxes, clip_on=False)


def lag_axis(ax: Axes, lags: Sequence[int]) -> None:
    """An axis of lags: logarithmic beyond lag 1 where they go far."""
    ax.set_xlabel("lag (tokens back)")
    longest = max(lags)
    if longest > 24:
        ax.set_xscale("symlog", linthresh=1, linscale=0.5)
        ticks = [0, *(2**power for power in range(12) if 2**power <= longest)]
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
