"""Figures of frames, in bits: every function returns axes and leaves the global state of matplotlib alone."""

from infodil.plots.chains import chain_stages
from infodil.plots.curves import lag_ticks, multi_curves, recoverability_curves
from infodil.plots.depth import depth_curves, depth_map
from infodil.plots.drawing import Panels, figure_svg, save_figure
from infodil.plots.heat_map import heat_maps, recoverability_heat_map
from infodil.plots.losses import difference_intervals, ratio_curves, ratio_intervals, term_bars
from infodil.plots.roles import role_bars, role_confusion, role_sentence
from infodil.plots.style import COLOURS, FIGURE_WIDTHS, INK, MARKERS, STYLE, site_marks

__all__ = [
    "COLOURS",
    "INK",
    "MARKERS",
    "FIGURE_WIDTHS",
    "STYLE",
    "Panels",
    "chain_stages",
    "depth_curves",
    "depth_map",
    "difference_intervals",
    "figure_svg",
    "heat_maps",
    "lag_ticks",
    "multi_curves",
    "ratio_curves",
    "ratio_intervals",
    "recoverability_curves",
    "recoverability_heat_map",
    "role_bars",
    "role_confusion",
    "role_sentence",
    "save_figure",
    "site_marks",
    "term_bars",
]
