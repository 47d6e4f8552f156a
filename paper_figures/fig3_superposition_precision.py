"""Tokens put at their exact lag, by precision: data of `python -m analyses.superposition_decoder`."""

import matplotlib.pyplot as plt
from _style import WIDTH_INCHES, place, read

from infodil.plots import save_figure


def main():
    frame = read("superposition_decoder")
    figure, ax = plt.subplots(figsize=(WIDTH_INCHES, 3.4), layout="constrained")
    colors = plt.get_cmap("viridis")
    order = frame.groupby("precision")["predicted_horizon"].max().sort_values(ascending=False).index
    for place_of, precision in enumerate(order):
        mine = frame[frame["precision"] == precision]
        by_lag = mine.groupby("lag")["top1"].agg(["mean", "min", "max"])
        color = colors(place_of / len(order))
        ax.plot(by_lag.index, by_lag["mean"], color=color, label=precision)
        ax.fill_between(by_lag.index, by_lag["min"], by_lag["max"], color=color, alpha=0.2, linewidth=0)
        ax.axvline(mine["predicted_horizon"].iloc[0], color=color, linestyle=":", linewidth=1)
    ax.axhline(0.5, color="0.6", linewidth=0.6)
    ax.set(xlabel="lag (tokens)", ylabel="tokens read at their exact lag", ylim=(0, 1.02), xlim=(0, frame["lag"].max()))
    ax.legend(
        title="states observed as\n(dotted: predicted)",
        fontsize="small",
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, place("fig3_superposition_precision"))


if __name__ == "__main__":
    main()
