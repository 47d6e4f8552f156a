"""Labels of axes, and labels at the ends of curves."""

__all__ = ["QUANTITY_LABELS", "label_curves", "legend_beside", "legend_columns"]

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import matplotlib.artist
    import matplotlib.axes

QUANTITY_LABELS = {
    "value_bits": "bits recovered per token",
    "beyond_context_bits": "bits beyond context per token",
    "usable_bits": "usable bits per token",
    "upper_bits": "upper bound in bits per token",
    "width_bits": "upper bound less bits per token",
    "shuffled_bits": "bits read from shuffled tokens",
    "random_weights_bits": "bits at random weights",
    "share_of_ceiling": "share of the bits of a token",
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
}
"""Columns of a report with the label of their axis."""

LINE_HEIGHT = 1.15
"""Distance between two labels, as a multiple of the height of their letters."""


def label_curves(ax: "matplotlib.axes.Axes", labels: Mapping[str, str]) -> bool:
    """Labels at the right ends of curves in place of a legend, where they do not overlap.

    Args:
        ax: Axes with their final scales.
        labels: The label of a curve, as the curve has it, and its colour.

    Returns:
        Whether the labels fit; where they do not, nothing is drawn.
    """
    size = 7
    ends = {}
    for line in ax.lines:
        if line.get_label() in labels and len(line.get_xdata()):
            ends[line.get_label()] = (line.get_xdata()[-1], line.get_ydata()[-1])
    if len(ends) < len(labels) or any(y != y for _, y in ends.values()):
        return False
    heights = sorted(ax.transData.transform(end)[1] for end in ends.values())
    needed = LINE_HEIGHT * size * ax.figure.dpi / 72
    if any(high - low < needed for low, high in itertools.pairwise(heights)):
        return False
    for label, end in ends.items():
        ax.annotate(
            label, end, xytext=(5, 0), textcoords="offset points", va="center", color=labels[label], fontsize=size,
            annotation_clip=False,
        )  # fmt: skip
    return True


def legend_beside(
    ax: "matplotlib.axes.Axes", beside: bool, handles: "Mapping[str, matplotlib.artist.Artist] | None" = None
) -> None:
    """A legend beside the data of a new figure, or at the best place within axes of the caller.

    Args:
        ax: The axes.
        beside: Whether the legend stands beside the data.
        handles: The artist under each label; by default all that have one.
    """
    where = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0} if beside else {"loc": "best"}
    if handles is None:
        handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if handles:
        ax.legend(list(handles.values()), list(handles), frameon=False, handlelength=2.6, **where)


def legend_columns(names: Sequence[str], width: float) -> int:
    """The number of columns of a legend that is no wider than so many inches."""
    letter, handle = 0.058, 0.45  # inches of a letter and of a handle with its gaps, at the legend's font
    widest = max((len(name) for name in names), default=1) * letter + handle
    return max(1, min(len(names), int(width / widest)))
