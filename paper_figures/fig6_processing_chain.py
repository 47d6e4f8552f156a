"""Figure 6: bits of a token along chains of processing, with the verdict on each link; `analyses.processing_chain`.

Points are lower bounds with 95% intervals, means over three seeds; a bar above a point is the upper bound. A link is
drawn by the verdict that all seeds share: information may not rise along a chain.
"""

from style import BLUE, GREEN, GREY, INK, ORANGE, Paper, styled, title

PANELS = {"lossy": "a trace, made poorer", "rounded": "a trace, rounded", "layers": "layers of a transformer"}
LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"))
HOLDS, VIOLATED, OPEN = "holds", "violated by more than its uncertainty", "cannot be told"


@styled
def draw():
    paper = Paper("fig6_processing_chain", 3.0)
    frame = paper.read("processing_chain")
    axes = paper.figure.subplots(1, 3, width_ratios=[5, 3.4, 6], sharey=True)
    for ax, letter, (chain, words) in zip(axes, "abc", PANELS.items(), strict=True):
        rows = frame[frame["chain"] == chain]
        for number, (lag, part) in enumerate(rows.groupby("lag")):
            draw_lag(ax, part, 0.18 * (number - 1), *LOOKS[number], f"lag {lag}")
        names = rows.drop_duplicates("place").set_index("place")["stage"]
        ax.set_xticks(list(names.index), list(names), rotation=45, ha="right", rotation_mode="anchor")
        ax.axhline(0, color=INK, linewidth=0.5)
        title(ax, letter, words)
    axes[0].set_ylabel("bits of the token, at least")
    handles, labels = axes[0].get_legend_handles_labels()
    for style, label in (({"linestyle": "-"}, "holds"), ({"linestyle": ":"}, "cannot be told")):
        handles += axes[0].plot([], [], color=GREY, **style)
        labels.append(label)
    handles += axes[0].plot([], [], "x-", color=GREY, mew=1.6, ms=5)
    labels.append("violated")
    handles += axes[0].plot([], [], "_", color=GREY, ms=7, mew=1.2)
    labels.append("upper bound")
    paper.figure.legend(handles, labels, loc="outside upper center", ncols=7, columnspacing=1.0, handlelength=1.6)
    return paper


def draw_lag(ax, part, shift, colour, marker, label):
    """One lag: its points and intervals, its upper bounds, and its links."""
    columns = ["value_bits", "low_bits", "high_bits", "upper_bits"]
    mean = part.groupby("place")[columns].mean()
    x = mean.index + shift
    reach = [mean["value_bits"] - mean["low_bits"], mean["high_bits"] - mean["value_bits"]]
    ax.errorbar(x, mean["value_bits"], reach, fmt=marker, color=colour, mew=0, elinewidth=0.8, label=label)
    ax.plot(x, mean["upper_bits"], "_", color=colour, ms=6, mew=1.2)
    for end, links in part[part["place"] > 0].groupby("place"):
        verdicts = set(links["verdict"])
        verdict = verdicts.pop() if len(verdicts) == 1 else OPEN
        ends, bits = [x[end - 1], x[end]], mean["value_bits"].loc[end - 1 : end]
        ax.plot(ends, bits, ":" if verdict == OPEN else "-", color=colour, linewidth=1.0)
        if verdict == VIOLATED:
            ax.plot(sum(ends) / 2, bits.mean(), "x", color=colour, ms=5, mew=1.6)


if __name__ == "__main__":
    draw().save()
