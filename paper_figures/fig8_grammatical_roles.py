"""Roles without labels: data of `python -m analyses.grammatical_roles headline sizes rivals ceilings picture`.

Every seed is a point; the study prints Student's intervals over them.
"""

import matplotlib.pyplot as plt
import pandas as pd
from _style import WIDTH_INCHES, place, read

from infodil.plots import COLOURS, INK, role_confusion, role_sentence, save_figure

GROUPS = ("all", "arguments", "structure-dependent", "held-out", "embedded")
CONDITIONS = (("Hebbian", "many_to_one"), ("BiGRU", "supervised"), ("majority per word", "supervised"))
REPORTED = ("many_to_one", "supervised")


def scores(ax, rows, ceilings):
    """Groups of tokens side by side, below the exact best of whoever reads the whole sentence."""
    for number, (condition, naming) in enumerate(CONDITIONS):
        mine = rows[(rows["condition"] == condition) & (rows["naming"] == naming) & (rows["text"] == "A")]
        for x, group in enumerate(GROUPS):
            part = mine.loc[mine["group"] == group, "accuracy"]
            label = condition if x == 0 else None
            ax.plot([x + 0.2 * (number - 1)] * len(part), part, "o", ms=4, mew=0, color=COLOURS[number], label=label)
    best = ceilings[(ceilings["text"] == "A") & (ceilings["sees"] == "words, sentence")].set_index("group")["accuracy"]
    ax.plot(range(len(GROUPS)), best.reindex(GROUPS), "_", ms=22, mew=1, color=INK, label="exact ceiling")
    ax.set_xticks(range(len(GROUPS)), GROUPS, rotation=30, ha="right")
    ax.set(ylabel="accuracy, one point a seed", ylim=(0, 1.04))
    ax.legend(frameon=False, fontsize=8)


def sizes(ax, rows):
    """Argument roles against the size of the training text."""
    rows = rows[(rows["text"] == "A") & (rows["group"] == "arguments")]
    for number, (condition, naming) in enumerate(CONDITIONS[:2]):
        mine = rows[(rows["condition"] == condition) & (rows["naming"] == naming)]
        means = mine.groupby("sentences")["accuracy"].mean()
        ax.plot(means.index, means, "-", lw=1, color=COLOURS[number], label=condition)
        ax.plot(mine["sentences"], mine["accuracy"], "o", ms=4, mew=0, color=COLOURS[number])
    ax.set(xscale="log", xlabel="sentences of training text", ylabel="accuracy, arguments", ylim=(0, 1.04))
    known = sorted(set(rows["sentences"]))
    ax.set_xticks(known, [f"{number:,}" for number in known])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8)


def tried(ax, rows):
    """Argument roles by everything that was tried, the best at the top."""
    rows = rows[(rows["text"] == "A") & (rows["group"] == "arguments") & rows["naming"].isin(REPORTED)]
    order = rows.groupby("condition")["accuracy"].mean().sort_values().index
    for height, condition in enumerate(order):
        mine = rows[rows["condition"] == condition]
        told = mine["naming"].iloc[0] == "supervised"
        ax.plot(mine["accuracy"], [height] * len(mine), "o", ms=3.5, mew=0, color=COLOURS[1 if told else 0])
    ax.set_yticks(range(len(order)), order, fontsize=7)
    ax.set(xlabel="accuracy, arguments", xlim=(0, 1.04))
    ax.set_title("orange: told every role", fontsize=8, loc="left")


def main():
    figure = plt.figure(figsize=(WIDTH_INCHES, 9.2), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(1, 2.2, 2.0))
    role_sentence(read("roles_sentence"), top.subplots())
    left, right = middle.subplots(1, 2)
    role_confusion(read("roles_confusion"), left)
    headline = read("roles_headline")
    scores(right, headline, read("roles_ceilings"))
    left, right = bottom.subplots(1, 2)
    sizes(left, pd.concat([headline, read("roles_sizes")]))
    tried(right, pd.concat([headline, read("roles_rivals")]))
    save_figure(figure, place("fig8_grammatical_roles"))


if __name__ == "__main__":
    main()
