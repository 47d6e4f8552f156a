"""Lower bound, truth and upper bound by lag, small traces and a large one: data of `python -m analyses.sandwich`."""

import matplotlib.pyplot as plt
from _style import WIDTH_INCHES, place, read

from infodil.plots import COLOURS, save_figure

LARGE = ["snr=20dB", "bfloat16"]


def panel(ax, part, title, colour):
    """Mean over the seeds: the band between both sides, the truth where it is known, the genie's bound."""
    mean = part.groupby("lag").mean(numeric_only=True).reset_index()
    ax.fill_between(mean["lag"], mean["lower_bits"], mean["upper_bits"], color=colour, alpha=0.15, linewidth=0)
    ax.plot(mean["lag"], mean["genie_bits"], color="#555555", linewidth=0.8, linestyle="--", label="genie")
    ax.plot(mean["lag"], mean["upper_bits"], color=colour, linewidth=1.0, linestyle=":", label="upper bound")
    ax.plot(mean["lag"], mean["lower_bits"], color=colour, linewidth=1.4, label="lower bound")
    if part["truth_bits"].notna().any():
        ax.plot(mean["lag"], mean["truth_bits"], "x", color="black", markersize=4, label="truth")
    ax.axhline(part["entropy_bits"].mean(), color="#333333", linewidth=0.7, linestyle=(0, (1, 1.5)))
    ax.set_title(title, fontsize=7, loc="left")
    ax.set_ylim(bottom=min(0.0, mean["lower_bits"].min()))


def main():
    frame = read("sandwich")
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH_INCHES, 4.4), layout="constrained")
    small = frame[frame["part"] == "small"]
    for place_, ((types, dim, alpha), part) in enumerate(small.groupby(["types", "dim", "alpha"])):
        words = f"{types} types, {dim} dims, alpha {alpha:g}, sigma {part['sigma'].mean():.2g}"
        panel(axes.flat[place_], part, words, COLOURS[place_])
    for place_, precision in enumerate(LARGE, start=4):
        part = frame[(frame["part"] == "large") & (frame["precision"] == precision)]
        panel(axes.flat[place_], part, f"4,096 types, 768 dims, {precision}", COLOURS[place_])
    axes[0, 0].legend(frameon=False, fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("lag (tokens back)")
    for ax in axes[:, 0]:
        ax.set_ylabel("bits of the token")
    save_figure(figure, place("fig5_sandwich"))


if __name__ == "__main__":
    main()
