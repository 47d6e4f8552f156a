"""Figure 16: roles by labels, by steps to another grammar, and on English; data of `python -m analyses.roles_labels`,
`python -m analyses.roles_transfer_steps` and `python -m analyses.roles_induction`.

a, b: share of errors against labelled sentences, of arguments and of those that mislead whoever knows the word alone;
lines are means over seeds, points the seeds. c: accuracy on arguments at each step from grammar A to grammar B, with
intervals over seeds; the dashed line is what the paper reports. d: F1 of purity and collocation on PropBank arguments
of EWT, all and core (ARG0 to ARG5), with intervals over verbs; ticks are the same clusters dealt anew.
"""

from style import BLUE, GREEN, GREY, INK, LIGHT, ORANGE, PINK, SKY, Paper, styled, title

LEARNERS = {
    "units": (BLUE, "o", "units, named by n"),
    "BiGRU": (ORANGE, "s", "BiGRU, trained on n"),
    "pretrained BiGRU": (GREEN, "^", "BiGRU, pretrained, tuned on n"),
}
WAYS = {
    ("units", "frozen", 0): (BLUE, "o", "units, frozen"),
    ("units", "renamed", 100): (SKY, "v", "units, renamed by 100"),
    ("units", "going on", 0): (PINK, "D", "units, going on, no label"),
    ("units", "going on", 10): (INK, "P", "units, going on, named by 10"),
    ("BiGRU", "frozen", 0): (ORANGE, "s", "BiGRU, frozen"),
    ("BiGRU", "renamed", 100): (GREEN, "^", "BiGRU, tuned on 100"),
}
STEPS = {
    "the same": "the same",
    "new content words": "new content\nwords",
    "all new words": "all new\nwords",
    "new order": "new order",
    "new words and order": "new words\nand order",
    "verb-final, particles": "verb-final,\nparticles",
}
PAPER = 0.618
CONDITIONS = {
    "one cluster": "one cluster",
    "side of the verb": "side of the verb",
    "syntactic function": "syntactic function",
    "syntactic position": "syntactic position",
    "positions merged": "positions merged",
    "Hebbian": "units",
    "Hebbian, PPMI vectors": "units, PPMI vectors",
    "Hebbian, induced classes, 512 units": "512 units, classes",
    "Hebbian, and side": "units, and side",
    "Hebbian, PPMI vectors, and side": "PPMI vectors, and side",
    "BiGRU, labels": "BiGRU, labels",
}
"""From the top down."""
LEAST = 1e-3
"""Shares of errors below are drawn there."""


def labels(ax, rows, group):
    """Errors against the number of labelled sentences."""
    rows = rows[rows["group"] == group].assign(errors=(1 - rows["accuracy"]).clip(lower=LEAST))
    for learner, (colour, marker, name) in LEARNERS.items():
        mine = rows[rows["learner"] == learner]
        mean = mine.groupby("labelled")["errors"].mean()
        ax.plot(mean.index, mean, "-", color=colour, linewidth=1)
        ax.plot(mine["labelled"], mine["errors"], marker, color=colour, mew=0, label=name)
    known = sorted(set(rows["labelled"]))
    ax.set(xscale="log", yscale="log", ylim=(LEAST, 1.3))
    ax.set_xticks(known, [f"{number:,}" for number in known], rotation=35)
    ax.xaxis.minorticks_off()
    ax.set(xlabel="labelled sentences", ylabel="share of errors")


def steps(ax, rows):
    """Accuracy on arguments, step by step."""
    rows = rows[rows["group"] == "arguments"]
    order = list(STEPS)
    for number, ((learner, way, labelled), (colour, marker, name)) in enumerate(WAYS.items()):
        mine = rows[(rows["learner"] == learner) & (rows["way"] == way) & (rows["labelled"] == labelled)]
        mine = mine.set_index("step").reindex([step for step in order if step in set(mine["step"])])
        x = [order.index(step) + 0.07 * (number - 2.5) for step in mine.index]
        ax.plot(x, mine["mean"], marker=marker, color=colour, mew=0, linewidth=0.8, label=name)
        ax.vlines(x, mine["low"], mine["high"], color=colour, lw=0.8)
    ax.axhline(PAPER, color=GREY, lw=0.8, ls="--")
    ax.annotate(
        "the paper's 61.8", (len(order) - 0.55, PAPER), (0, 2), textcoords="offset points", ha="right", fontsize=6
    )
    ax.set_xticks(range(len(order)), STEPS.values(), fontsize=6)
    ax.set(ylabel="accuracy, arguments", ylim=(-0.02, 1.02))
    title(ax, "c", "steps from grammar A to grammar B")


def induction(ax, rows):
    """F1 of each way to cluster arguments."""
    for group, colour, marker, shift in (("all", BLUE, "o", -0.13), ("core", ORANGE, "s", 0.13)):
        mine = rows[rows["group"] == group].set_index("condition").loc[list(CONDITIONS)]
        heights = [place + shift for place in range(len(mine))]
        ax.hlines(heights, mine["f1_low"], mine["f1_high"], color=colour, lw=0.9)
        ax.plot(mine["f1"], heights, marker, color=colour, mew=0, label=group)
        ax.plot(mine["f1_dealt"], heights, "|", color=colour, ms=4, mew=0.8)
    ax.axhline(4.5, color=LIGHT, lw=0.8)
    ax.set_yticks(range(len(CONDITIONS)), CONDITIONS.values(), fontsize=6)
    ax.invert_yaxis()
    ax.grid(axis="y")
    ax.set(xlabel="F1 of purity and collocation")
    ax.legend(loc="lower right", handletextpad=0.1)
    title(ax, "d", "PropBank arguments of EWT")


@styled
def draw():
    paper = Paper("fig16_role_curves", 6.8)
    curves, transfer, english = (paper.read(f"roles_{name}") for name in ("labels", "transfer_steps", "induction"))
    top, middle, bottom = paper.figure.subfigures(3, 1, height_ratios=(1.15, 1.1, 1.1))
    left, right = top.subplots(1, 2)
    labels(left, curves, "arguments")
    labels(right, curves, "structure-dependent")
    title(left, "a", "arguments")
    title(right, "b", "structure-dependent")
    top.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    axes = middle.subplots(1, 1)
    steps(axes, transfer)
    middle.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=6)
    induction(bottom.subplots(1, 1), english)
    return paper


if __name__ == "__main__":
    draw().save()
