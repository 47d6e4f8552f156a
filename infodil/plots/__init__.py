"""Figures of frames, in bits: every function returns axes and leaves the global state of matplotlib alone."""

from infodil.plots.curves import lag_ticks, multi_curves, recoverability_curves
from infodil.plots.drawing import COLOURS, INK, STYLE, Panels, figure_svg, save_figure
from infodil.plots.losses import difference_intervals, ratio_curves, ratio_intervals, term_bars
from infodil.plots.roles import role_bars, role_confusion, role_sentence

__all__ = [
    "COLOURS",
    "INK",
    "STYLE",
    "Panels",
    "difference_intervals",
    "figure_svg",
    "lag_ticks",
    "multi_curves",
    "ratio_curves",
    "ratio_intervals",
    "recoverability_curves",
    "role_bars",
    "role_confusion",
    "role_sentence",
    "save_figure",
    "term_bars",
]
