"""Figure 13: networks that differ only in how they accumulate over depth; data of `python -m analyses.depth_trained`
and `python -m analyses.depth_trained_survival`.

a: loss on held-out stories at equal parameters, bytes and tuning; bars are the range of the seeds. b: share of their
bits that the messages of the embedding and the first quarter of the blocks still have in the deepest stream. c: norm of
the loss's gradient with respect to each block's weights after training, at the greatest depth.
"""

from style import BLUE, BROWN, GREEN, ORANGE, PINK, SKY, Paper, styled, title

RULES = {
    "sum": (BLUE, "o", "sum"),
    "ema": (ORANGE, "s", "EMA, alpha .1"),
    "dense": (PINK, "D", "learned weights"),
    "attention": (GREEN, "^", "attention over depth"),
    "gated": (BROWN, "v", "a gate a layer"),
    "highway": (SKY, "P", "highway gates"),
}
EARLY = 0.25
"""Share of the blocks whose messages count as early."""


def over_seeds(ax, table, column):
    """Mean and range of the seeds against the number of blocks, a curve a rule."""
    for rule, (colour, marker, name) in RULES.items():
        mine = table[table["rule"] == rule].groupby("blocks")[column]
        mean = mine.mean()
        ax.plot(mean.index, mean, color=colour, marker=marker, mew=0, label=name)
        ax.vlines(mean.index, mine.min(), mine.max(), color=colour, lw=0.9)
    ax.set_xscale("log", base=2)
    ticks = sorted(set(table["blocks"]))
    ax.set_xticks(ticks, ticks)
    ax.minorticks_off()
    ax.set(xlabel="blocks")


def early_shares(rows):
    """Mean share of the bits of early messages in the deepest stream, by rule, blocks and seed."""
    block = rows["written"].replace("embedding", "0 block").str.extract(r"^(\d+) block$", expand=False).astype(float)
    early = rows[(block <= EARLY * rows["blocks"]) & (rows["read"] == rows["blocks"])]
    early = early.assign(share=early["value_bits"] / early["entropy_bits"])
    return early.groupby(["rule", "blocks", "seed"], as_index=False)["share"].mean()


def gradients(ax, rows):
    """Gradient norms by block at the greatest depth."""
    deepest = rows[rows["blocks"] == rows["blocks"].max()]
    for rule, (colour, _, _) in RULES.items():
        mine = deepest[deepest["rule"] == rule].groupby("block")["norm_after"].mean()
        ax.plot(mine.index, mine, color=colour)
    ax.set_yscale("log")
    ax.set(xlabel="block", ylabel="gradient norm")
    title(ax, "c", "after training")


@styled
def draw():
    paper = Paper("fig13_depth_trained", 2.5)
    losses, survived, norms = (paper.read(f"depth_trained{name}") for name in ("", "_survival", "_gradients"))
    left, middle, right = paper.figure.subplots(1, 3)
    over_seeds(left, losses, "test_loss_nats")
    left.set_ylabel("held-out loss, nats a byte")
    title(left, "a", "loss")
    over_seeds(middle, early_shares(survived), "share")
    middle.set(ylabel="share of early messages' bits", ylim=(0, None))
    title(middle, "b", "early messages, last stream")
    gradients(right, norms)
    middle.legend(loc="lower left")
    return paper


if __name__ == "__main__":
    draw().save()
