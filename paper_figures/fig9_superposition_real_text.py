"""Figure 9: what each probe reads of an EMA bank on real text; data of `python -m analyses.superposition_real_text`.

Every seed is a point with its 95% interval; lines join the means over seeds. The multilayer perceptron is left out:
with 22,000 training rows for 49,152 types its hidden layer adds nothing, and it answers as the linear probe does.
"""

from style import BLUE, GREEN, GREY, INK, ORANGE, Paper, label_ends, styled

LOOKS = {
    "gaussian": (BLUE, "o", "Gaussian probe"),
    "linear": (GREEN, "s", "linear probe"),
    "pursuit": (ORANGE, "^", "superposition decoder"),
}


@styled
def draw():
    paper = Paper("fig9_superposition_real_text", 2.8)
    frame = paper.read("superposition_real_text")
    ax = paper.figure.subplots()
    lags, seeds = sorted(frame["lag"].unique()), sorted(frame["seed"].unique())
    across = range(len(lags))
    ceiling = frame.groupby("lag")["ceiling_bits"]
    ax.fill_between(across, ceiling.min(), ceiling.max(), color=GREY, alpha=0.25, linewidth=0)
    ax.text(0.1, ceiling.min().iloc[0] - 0.7, "grey: entropy of a token, over seeds", fontsize=7, va="top")
    ax.set(xlim=(-0.3, len(lags) - 0.7), ylim=(-0.2, ceiling.max().max() + 1))
    ends = {}
    for number, (probe, (colour, marker, name)) in enumerate(LOOKS.items()):
        rows = frame[frame["probe"] == probe]
        mean = rows.groupby("lag")["value_bits"].mean()
        ax.plot(across, mean, color=colour, linewidth=0.9)
        for turn, seed in enumerate(seeds):
            mine = rows[rows["seed"] == seed].sort_values("lag")
            x = [place + 0.06 * (turn - (len(seeds) - 1) / 2) + 0.02 * (number - 1) for place in across]
            reach = [mine["value_bits"] - mine["low_bits"], mine["high_bits"] - mine["value_bits"]]
            ax.errorbar(x, mine["value_bits"], reach, fmt=marker, color=colour, ms=3, mew=0, elinewidth=0.7)
        ends[name] = (len(lags) - 0.85, mean.iloc[-1], colour)
    ax.axhline(0, color=INK, linewidth=0.5)
    ax.set_xticks(across, lags)
    ax.set(xlabel="lag (tokens back)", ylabel="bits about the token, at least")
    label_ends(ax, ends)
    return paper


if __name__ == "__main__":
    draw().save()
