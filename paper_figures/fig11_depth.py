"""Figure 11: messages over depth; data of `python -m analyses.depth_sweep` and `python -m analyses.depth_survival`.

a: bits of the first layer's message in the deepest stream, at float32: what a linear probe reads (dashed), what the
superposition decoder reads, which knows all codebooks (solid), and the analytic dilution (dotted). b: share of the bits
of a block's write that the stream of a five-block model still gives up. c: the coefficient of early writes in the
stream; below one, later writes have erased some of it.
"""

from style import BLUE, GREEN, GREY, INK, ORANGE, Paper, styled, title

RULES = {"sum": (BLUE, "o", "sum"), "ema": (ORANGE, "s", "EMA, alpha .1"), "attention": (GREEN, "^", "attention")}
WRITES = {
    "embedding": (BLUE, "o", "embedding", (2.6, 0.5)),
    "1 mixer": (ORANGE, "s", "mixer 1", (0.6, 2.05)),
    "1 feed-forward": (GREEN, "^", "feed-forward 1", (2.35, 1.4)),
}
"""Colour, marker, words, and where these stand."""


def dilution(ax, rows):
    """Bits of the first message against the number of layers."""
    rows = rows[(rows["written"] == 1) & (rows["precision"] == "float32") & (rows["seed"] == 0)]
    for rule, (colour, marker, name) in RULES.items():
        mine = rows[rows["rule"] == rule].sort_values("depth")
        ax.plot(mine["depth"], mine["value_bits"], marker=marker, color=colour, mew=0, label=name)
        ax.plot(mine["depth"], mine["linear_bits"], color=colour, ls="--", lw=0.9)
        ax.plot(mine["depth"], mine["dilution_bits"], color=colour, ls=":", lw=0.9)
    ax.axhline(rows["entropy_bits"].iloc[0], color=GREY, lw=0.7)
    ax.set_xscale("log", base=2)
    ax.set_xticks([4, 16, 64, 256], ["4", "16", "64", "256"])
    ax.minorticks_off()
    ax.set(xlabel="layers", ylabel="bits of the first message", ylim=(-0.2, 4.3))
    ax.set_yticks(range(5))
    for rule, place in {"sum": (17, 3.2), "ema": (19, 3.68), "attention": (4.2, 1.55)}.items():
        ax.text(*place, RULES[rule][2], color=RULES[rule][0], fontsize=7)
    title(ax, "a", "decoder, probe (dashed)")


def survival(ax, rows):
    """Share of the bits of each write by depth."""
    rows = rows.assign(share=rows["value_bits"] / rows["entropy_bits"])
    names = list(dict.fromkeys(rows["written"]))
    table = rows.pivot(index="written", columns="read", values="share").loc[names]
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, name in enumerate(names):
        for column, read in enumerate(table.columns):
            value = table.loc[name, read]
            if value == value:
                colour = "white" if value > 0.6 else INK
                ax.text(column, row, f"{value:.0%}"[:-1], ha="center", va="center", fontsize=6, color=colour)
    ax.set_yticks(range(len(names)), names, fontsize=6)
    ax.set_xticks(range(table.shape[1]), table.columns)
    ax.set(xlabel="stream after block")
    title(ax, "b", "% of a write's bits")


def erased(ax, rows):
    """Coefficient of early writes by depth, of trained and of random weights."""
    for name, (colour, marker, words, place) in WRITES.items():
        ax.text(*place, words, color=colour, fontsize=7)
        mine = rows[rows["written"] == name].sort_values("read")
        ax.fill_between(mine["read"], mine["retained_low"], mine["retained_high"], color=colour, alpha=0.2, lw=0)
        for column, style in (("retained", "-"), ("random_retained", ":")):
            ax.plot(mine["read"], mine[column], style, marker=marker, color=colour, mew=0)
    ax.axhline(1.0, color=GREY, lw=0.7)
    ax.set(xlabel="stream after block", ylabel="coefficient in the stream", ylim=(0, None))
    ax.set_xticks(sorted(set(rows["read"])))
    title(ax, "c", "dotted: random")


@styled
def draw():
    paper = Paper("fig11_depth", 2.6)
    sweep, survived = paper.read("depth_sweep"), paper.read("depth_survival")
    left, middle, right = paper.figure.subplots(1, 3, width_ratios=(1, 1.1, 1))
    dilution(left, sweep)
    survival(middle, survived)
    erased(right, survived)
    return paper


if __name__ == "__main__":
    draw().save()
