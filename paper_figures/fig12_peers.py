"""Figure 12: estimators of five packages on the same known answers; data of `analyses.estimators_beside_peers`.

For each family of cases: (a) the mean error on those cases that a package takes, (b) how many of these it misses by
more than .06 bits, and (c) the CPU time of one case. Packages that take no case of a family have no mark there.
"""

import numpy as np
from style import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, Paper, styled, title

COLOURS = {
    "infodil": BLUE, "scikit-learn": ORANGE, "npeet-plus": GREEN, "ennemi": PINK, "infomeasure": SKY,
}  # fmt: skip
MARKERS = dict(zip(COLOURS, "osDv^", strict=True))
MISSED_BITS = 0.06


def panel(ax, frame, families, value, letter, words):
    """One dot a package and family."""
    for place, family in enumerate(families):
        ax.axhline(place, color=GREY, linewidth=0.3, zorder=0)
        for package, colour in COLOURS.items():
            part = frame[(frame["family"] == family) & (frame["package"] == package) & (frame["answered"] > 0)]
            if len(part):
                ax.plot(value(part), place, MARKERS[package], color=colour, ms=4.5, mew=0, alpha=0.9, label=package)
    title(ax, letter, words)
    ax.set(ylim=(len(families) - 0.5, -0.5))


@styled
def draw():
    paper = Paper("fig12_peers", 2.6)
    frame = paper.read("estimators_beside_peers")
    families = list(dict.fromkeys(frame["family"]))
    axes = paper.figure.subplots(1, 3, sharey=True)
    panel(axes[0], frame, families, lambda part: part["error_bits"].mean(), "a", "mean error")
    axes[0].set(xscale="log", xlabel="bits")
    ticks = (0.02, 0.05, 0.1, 0.2, 0.5)
    axes[0].set_xticks(ticks, [f"{tick:g}"[1:] for tick in ticks])
    axes[0].minorticks_off()
    missed = "cases missed"
    panel(axes[1], frame, families, lambda part: 100 * (part["error_bits"] > MISSED_BITS).mean(), "b", missed)
    axes[1].set(xlim=(-6, 106), xlabel="percent off by over .06 bits")
    panel(axes[2], frame, families, lambda part: part["seconds"].mean(), "c", "time")
    axes[2].set(xscale="log", xlabel="CPU seconds a case")
    cases = frame.groupby("family")["case"].nunique()
    axes[0].set_yticks(np.arange(len(families)), [f"{family} ({cases[family]})" for family in families], color=INK)
    handles = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    order = [name for name in COLOURS if name in handles]
    paper.figure.legend([handles[name] for name in order], order, loc="outside upper center", ncols=5)
    return paper


if __name__ == "__main__":
    draw().save()
