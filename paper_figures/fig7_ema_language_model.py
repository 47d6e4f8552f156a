"""EMA traces against attention: perplexity ratio, predictors exchanged, the gap taken apart.

Data of `python -m analyses.ema_language_model`; the decomposition drawn is that of seed 0, the others are in the table.
"""

import matplotlib as mpl
from _style import WIDTH_INCHES, place, read
from matplotlib.figure import Figure

from infodil.plots import STYLE, difference_intervals, ratio_curves, save_figure, term_bars


@mpl.rc_context(STYLE)
def main():
    figure = Figure(figsize=(WIDTH_INCHES * 1.5, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    ratio = read("ema_language_model_ratio")
    ratio_curves(ratio[(ratio["family"] == "spen") & (ratio["text"] == "c4-sample")], left)
    left.set_title("fixed traces, on C4", fontsize=9, loc="left")
    difference_intervals(read("ema_predictor_ablation"), middle)
    middle.set_title("the predictor exchanged, on C4", fontsize=9, loc="left")
    gap = read("ema_gap_decomposition")
    term_bars(gap[gap["seed"] == 0], right)
    right.set_title("gap to the LSTM at 1M, on C4", fontsize=9, loc="left")
    save_figure(figure, place("fig7_ema_language_model"))


if __name__ == "__main__":
    main()
