"""Bits of a token along chains of processing, with the verdict on each link: `python -m analyses.processing_chain`."""

import matplotlib.pyplot as plt
from _style import WIDTH_INCHES, place, read

from infodil.plots import save_figure

PANELS = {"lossy": "a trace, made poorer", "rounded": "a trace, rounded", "layers": "layers of a transformer"}
MARKS = {"holds": "holds", "violated by more than its uncertainty": "violated", "cannot be told": ""}


def main():
    frame = read("processing_chain")
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH_INCHES, 3.0), layout="constrained", width_ratios=[5, 3, 6])
    for ax, (chain, title) in zip(axes, PANELS.items(), strict=True):
        rows = frame[frame["chain"] == chain]
        for number, (lag, part) in enumerate(rows.groupby("lag")):
            mean = part.groupby("place")[["value_bits", "low_bits", "high_bits", "upper_bits"]].mean()
            colour = f"C{number}"
            ax.plot(mean.index, mean["value_bits"], "o-", color=colour, markersize=3, label=f"lag {lag}")
            ax.fill_between(mean.index, mean["low_bits"], mean["high_bits"], color=colour, alpha=0.25, linewidth=0)
            ax.plot(mean.index, mean["upper_bits"], "_", color=colour, markersize=9)
            for end, links in part[part["place"] > 0].groupby("place"):
                # One word where all seeds agree.
                words = {MARKS[verdict] for verdict in links["verdict"]}
                if len(words) == 1:
                    height = mean["value_bits"].loc[end - 1 : end].mean()
                    ax.annotate(words.pop(), (end - 0.45, height), fontsize=6, color=colour, va="bottom")
        names = rows.drop_duplicates("place").set_index("place")["stage"]
        ax.set_xticks(list(names.index), list(names), rotation=60, ha="right", fontsize=7)
        ax.set_title(title, fontsize=9)
        ax.set_ylim(bottom=-0.2)
    axes[0].set_ylabel("bits (dashes: at most)")
    axes[0].legend(fontsize=7, frameon=False)
    save_figure(figure, place("fig6_processing_chain"))


if __name__ == "__main__":
    main()
