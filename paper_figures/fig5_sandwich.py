"""Figure 5: lower bound, truth and upper bound by lag, in small traces and a large one; data of `analyses.sandwich`.

Blue is the lower bound with its 95% interval, orange the upper one, a cross the enumerated truth where there is one.
"""

from style import BLUE, GREY, INK, ORANGE, Paper, styled, title

LARGE = {"snr=20dB": "noise, 20 dB", "bfloat16": "bfloat16", "float32": "float32"}


def panel(ax, part, letter, words):
    """Both sides of one trace; the space between them is what is not known."""
    mean = part.groupby("lag").mean(numeric_only=True).reset_index()
    lag = mean["lag"]
    ax.axhline(mean["entropy_bits"].mean(), color=GREY, linewidth=0.7, linestyle=":")
    ax.fill_between(lag, mean["lower_bits"], mean["upper_bits"], color=GREY, alpha=0.15, linewidth=0)
    ax.plot(lag, mean["upper_bits"], color=ORANGE, linestyle=(0, (4, 1.2)), label="upper bound")
    ax.plot(lag, mean["lower_bits"], color=BLUE, label="lower bound, 95% interval")
    ax.fill_between(lag, mean["lower_low_bits"], mean["lower_high_bits"], color=BLUE, alpha=0.25, linewidth=0)
    if mean["truth_bits"].notna().any():
        ax.plot(lag, mean["truth_bits"], "x", color=INK, ms=3.5, mew=0.8, label="truth, enumerated")
    title(ax, letter, words)
    ax.set(ylim=(min(0.0, mean["lower_low_bits"].min()), None), xlabel="lag")


@styled
def draw():
    paper = Paper("fig5_sandwich", 3.9)
    frame = paper.read("sandwich")
    top, bottom = paper.figure.subfigures(2, 1)
    axes = top.subplots(1, 4)
    small = frame[frame["part"] == "small"]
    for ax, letter, ((types, dim, _), part) in zip(axes, "abcd", small.groupby(["types", "dim", "alpha"]), strict=True):
        panel(ax, part, letter, f"{types} types, {dim} dims")
    axes[0].set_ylabel("bits of the token")
    handles, names = axes[0].get_legend_handles_labels()
    handles.append(axes[0].lines[0])
    names.append("entropy of a token")
    axes = bottom.subplots(1, len(LARGE), sharey=True)
    for ax, letter, (precision, words) in zip(axes, "efg", LARGE.items(), strict=True):
        panel(ax, frame[(frame["part"] == "large") & (frame["precision"] == precision)], letter, words)
    axes[0].set_ylabel("bits of the token")
    bottom.suptitle("4,096 types, 768 dims", fontsize=7, x=0.985, ha="right")
    top.legend(handles, names, loc="outside upper center", ncols=4, handlelength=2.4, columnspacing=1.2)
    return paper


if __name__ == "__main__":
    draw().save()
