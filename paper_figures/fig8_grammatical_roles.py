"""Figure 8: roles without labels; data of `analyses.grammatical_roles` (headline, sizes, rivals, ceilings, picture).

Every seed is a point. The share of errors is on a logarithmic scale, so that one in a hundred and one in a thousand are
told apart. Units learned without labels are named by the role that most of their tokens have.
"""

import pandas as pd
from style import BLUE, GREEN, INK, ORANGE, Paper, styled, title

from infodil.plots import role_confusion

GROUPS = {
    "all": "all words",
    "arguments": "arguments",
    "structure-dependent": "structure-dependent",
    "held-out": "held-out nouns",
    "embedded": "embedded",
}
CONDITIONS = {
    ("Hebbian", "many_to_one"): (BLUE, "o", "Hebbian, no labels"),
    ("BiGRU", "supervised"): (ORANGE, "s", "BiGRU, supervised"),
    ("majority per word", "supervised"): (GREEN, "^", "majority per word"),
}
REPORTED = ("many_to_one", "supervised")
LEAST = 5e-4
"""Shares of errors below are drawn there."""


def errors(ax, rows, ceilings):
    """Groups of tokens side by side, above the exact least of whoever reads the whole sentence."""
    rows = rows[rows["text"] == "A"]
    for number, ((condition, naming), (colour, marker, name)) in enumerate(CONDITIONS.items()):
        mine = rows[(rows["condition"] == condition) & (rows["naming"] == naming)]
        for x, group in enumerate(GROUPS):
            share = (1 - mine.loc[mine["group"] == group, "accuracy"]).clip(lower=LEAST)
            label = name if x == 0 else None
            ax.plot([x + 0.2 * (number - 1)] * len(share), share, marker, color=colour, mew=0, label=label)
    best = ceilings[(ceilings["text"] == "A") & (ceilings["sees"] == "words, sentence")].set_index("group")["accuracy"]
    least = (1 - best.reindex(GROUPS)).clip(lower=LEAST)
    ax.plot(range(len(GROUPS)), least, "_", ms=14, mew=1, color=INK, label="exact least")
    ax.set_xticks(range(len(GROUPS)), GROUPS.values(), rotation=35, ha="right", rotation_mode="anchor")
    ax.set(ylabel="share of errors", yscale="log", ylim=(LEAST / 1.3, 1.3))
    ax.legend(
        loc="lower left", bbox_to_anchor=(-0.05, 1.1), ncols=2, handletextpad=0.7, columnspacing=0.8, handlelength=1
    )
    title(ax, "a", "groups of tokens")


def sizes(ax, rows):
    """Errors of argument roles against the size of the training text."""
    rows = rows[(rows["text"] == "A") & (rows["group"] == "arguments")]
    for (condition, naming), (colour, marker, name) in list(CONDITIONS.items())[:2]:
        mine = rows[(rows["condition"] == condition) & (rows["naming"] == naming)]
        share = 1 - mine.groupby("sentences")["accuracy"].mean()
        ax.plot(share.index, share, "-", color=colour, linewidth=1)
        ax.plot(mine["sentences"], 1 - mine["accuracy"], marker, color=colour, mew=0)
        place = (share.index[1], share.iloc[1])
        ax.annotate(name, place, (4, 3), textcoords="offset points", fontsize=7, color=colour)
    known = sorted(set(rows["sentences"]))
    ax.set(xscale="log", yscale="log", ylim=(LEAST / 1.3, 1.3), xlim=(known[0] / 1.3, known[-1] * 1.6))
    ax.set_xticks(known, [f"{number:,}" for number in known])
    ax.xaxis.minorticks_off()
    ax.set(xlabel="sentences of training text", ylabel="share of errors, arguments")
    title(ax, "c", "size of the training text")


def tried(ax, rows):
    """Errors of argument roles by everything that was tried, the best at the top."""
    rows = rows[(rows["text"] == "A") & (rows["group"] == "arguments") & rows["naming"].isin(REPORTED)]
    order = rows.groupby("condition")["accuracy"].mean().sort_values().index
    for height, condition in enumerate(order):
        mine = rows[rows["condition"] == condition]
        supervised = mine["naming"].iloc[0] == "supervised"
        colour, marker = (ORANGE, "s") if supervised else (BLUE, "o")
        ax.plot(1 - mine["accuracy"], [height] * len(mine), marker, color=colour, mew=0, ms=3)
    names = [name.replace(" reader", " probe") for name in order]
    ax.set_yticks(range(len(order)), names, fontsize=6)
    ax.grid(axis="y")
    ax.set(xlabel="share of errors, arguments", xscale="log", xlim=(3e-3, 1))
    for colour, marker, name in ((BLUE, "o", "no labels"), (ORANGE, "s", "supervised")):
        ax.plot([], [], marker, color=colour, mew=0, ms=3, label=name)
    ax.legend(loc="lower left", handletextpad=0.1)
    title(ax, "d", "all that was tried")


@styled
def draw():
    paper = Paper("fig8_grammatical_roles", 5.4)
    top, bottom = paper.figure.subfigures(2, 1)
    first, second = top.subplots(1, 2, width_ratios=(1.25, 1))
    third, fourth = bottom.subplots(1, 2, width_ratios=(1, 1.1))
    headline = paper.read("roles_headline")
    errors(first, headline, paper.read("roles_ceilings"))
    role_confusion(paper.read("roles_confusion"), second)
    second.set(xlabel="named by units, %")
    second.tick_params(labelsize=6)
    for words in second.texts:
        words.set_fontsize(5.5)
    title(second, "b", "Hebbian, one seed")
    sizes(third, pd.concat([headline, paper.read("roles_sizes")]))
    tried(fourth, pd.concat([headline, paper.read("roles_rivals")]))
    return paper


if __name__ == "__main__":
    draw().save()
