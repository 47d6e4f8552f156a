"""Figure 15: language models by budget; data of `python -m analyses.lm_budgets` and `python -m analyses.lm_verdicts`.

a: loss on C4 by training tokens a parameter, mean over seeds, at the size with most cells. b: loss of each family less
that of the stronger attention, by position in the window. c: the same by recall: how many of the bytes before the
predicted one stand before an earlier copy of it. d: the same by kind of byte. e: the same by how frequent the byte is
in the training text. b to e are of all held-out texts, at the largest budget that the families share.
"""

from style import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, Paper, styled, title

FAMILIES = {
    "ema_tokens": (ORANGE, "s", "EMA of tokens"),
    "ema_stream": (PINK, "D", "EMA of the stream"),
    "gated_ema": (SKY, "v", "gated EMA"),
    "attention": (GREEN, "^", "attention, learned"),
    "rotary": (BLUE, "o", "attention, rotary"),
    "lstm": (INK, "P", "LSTM"),
    "gated_linear": (GREY, "X", "gated linear"),
}
"""Colour, marker and words."""
CLASSES = {
    "position": [f"{place}/16" for place in range(1, 17)],
    "depth": ["not recalled", "1", "2", "3 to 4", "5 to 8", "9 and more"],
    "frequency": ["1 to 4", "5 to 16", "17 to 64", "65 to 1024"],
    "kind": ["first letter", "second or third letter", "later letter", "space", "other"],
}
DEPTHS = ("0", "1", "2", "3", "5", "9+")
KINDS = ("1st", "2nd,\n3rd", "later", "space", "other")
RANKS = ("1-4", "5-16", "17-64", "65-256")


def main_size(rows):
    """Rows of bytes at the shorter context, of the size with most cells and no tuning run."""
    rows = rows[(rows["seed"] < 100) & (rows["vocabulary"] == 256) & (rows["context"] == rows["context"].min())]
    return rows[rows["size"] == rows["size"].mode()[0]]


def by_budget(ax, rows):
    """Loss on C4 against the budget."""
    rows = main_size(rows)
    rows = rows[rows["text"] == "c4"]
    for family, (colour, marker, _) in FAMILIES.items():
        mine = rows[rows["family"] == family].groupby("tokens_per_parameter")["loss_nats"].agg(["mean", "min", "max"])
        if len(mine):
            ax.plot(mine.index, mine["mean"], marker=marker, color=colour, mew=0)
            ax.vlines(mine.index, mine["min"], mine["max"], color=colour, lw=0.9)
    ax.set_xscale("log")
    budgets = sorted(set(rows["tokens_per_parameter"]))
    ax.set_xticks(budgets, [str(budget) for budget in budgets])
    ax.minorticks_off()
    ax.set(xlabel="training tokens a parameter", ylabel="nats a byte, C4")
    title(ax, "a", f"{rows['size'].iloc[0].upper()} parameters, bytes")


def where(ax, rows, scheme, letter, words):
    """Gap to the stronger attention by class of token."""
    rows = rows[(rows["scheme"] == scheme) & (rows["text"] == "all")]
    rows = rows[rows["tokens_per_parameter"] == rows["tokens_per_parameter"].max()]
    rows = rows[rows["size"] == rows["size"].mode()[0]]
    names = CLASSES[scheme]
    for family, (colour, marker, _) in FAMILIES.items():
        mine = rows[rows["family"] == family].set_index("class")
        if len(mine):
            values = mine.loc[names]
            ax.plot(range(len(names)), values["gap_nats"], marker=marker, color=colour, mew=0)
            ax.fill_between(
                range(len(names)), values["least_nats"], values["most_nats"], color=colour, alpha=0.18, linewidth=0
            )
    ax.axhline(0.0, color=GREY, lw=0.7)
    ax.set_ylabel("gap, nats a byte" if letter in "bd" else "")
    title(ax, letter, words)


@styled
def draw():
    paper = Paper("fig15_lm_budgets", 3.9)
    cells, classes = paper.read("lm_budgets"), paper.read("lm_budgets_where")
    (budget, position, recall), (kind, frequency, words_of_families) = paper.figure.subplots(2, 3)
    by_budget(budget, cells)
    where(position, classes, "position", "b", "by position")
    position.set_xticks([0, 5, 10, 15], ["8", "48", "88", "128"])
    position.set_xlabel("bytes read")
    where(recall, classes, "depth", "c", "by recall")
    recall.set_xticks(range(len(DEPTHS)), DEPTHS)
    recall.set_xlabel("equal bytes before")
    where(kind, classes, "kind", "d", "by kind of byte")
    kind.set_xticks(range(len(KINDS)), KINDS)
    kind.set_xlabel("letter of a word, and others")
    where(frequency, classes, "frequency", "e", "by frequency")
    frequency.set_xticks(range(len(RANKS)), RANKS)
    frequency.set_xlabel("rank of the byte")
    names = set(main_size(cells)["family"])
    for family, (colour, marker, words) in FAMILIES.items():
        if family in names:
            words_of_families.plot([], [], marker=marker, color=colour, mew=0, label=words)
    words_of_families.set_axis_off()
    words_of_families.legend(loc="center")
    return paper


if __name__ == "__main__":
    draw().save()
