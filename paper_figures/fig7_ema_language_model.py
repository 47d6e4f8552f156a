"""EMA traces against attention: perplexity ratios, predictors exchanged, the gap taken apart.

Data of `python -m analyses.ema_language_model`. Intervals are over documents and seeds, dots are seeds.
"""

import matplotlib as mpl
from _style import WIDTH_INCHES, place, read
from matplotlib.figure import Figure

from infodil.plots import STYLE, difference_intervals, ratio_curves, ratio_intervals, save_figure, term_bars


@mpl.rc_context(STYLE)
def main():
    figure = Figure(figsize=(WIDTH_INCHES, 5.6), layout="constrained")
    (trend, families), (predictors, terms) = figure.subplots(2, 2)
    ratio = read("ema_language_model_ratio")
    on_c4 = ratio[ratio["text"] == "c4-sample"]
    ratio_curves(on_c4[on_c4["family"] == "spen"], trend)
    title(trend, "fixed traces, on C4")
    largest = ratio[(ratio["size"] == "1m") & (ratio["tokens"] == ratio["tokens"].max())]
    ratio_intervals(largest, families)
    title(families, f"all families, 1M parameters, {largest['tokens'].max() / 1e3:.0f}k tokens")
    difference_intervals(read("ema_predictor_ablation"), predictors)
    title(predictors, "the predictor exchanged, 0.3M, on C4")
    gap = read("ema_gap_decomposition")
    term_bars(gap[gap["seed"] == "all"], terms)
    title(terms, f"gap of fixed traces to {gap['reference'].iloc[0]}, 1M, on C4")
    save_figure(figure, place("fig7_ema_language_model"))


def title(axes, words):
    """To the left above a panel."""
    axes.set_title(words, fontsize=9, loc="left")


if __name__ == "__main__":
    main()
