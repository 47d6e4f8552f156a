"""Figure 14: states of equal size; data of `python -m analyses.reference_encoders`.

a: bits about the token so many steps back in the state of each trained recurrence, as a share of the entropy, the mean
over seeds. b: held-out loss against the bits that the state holds over all measured lags, one point a seed.
"""

from style import BLUE, GREY, INK, ORANGE, Paper, styled, title

NAMES = {
    "ema_bank": "EMA bank", "fofe": "FOFE", "lmu": "Legendre memory", "hippo": "HiPPO", "echo_state": "echo state",
    "shift_register": "shift register", "gru": "GRU", "lstm": "LSTM", "gated_linear_attention": "gated linear attn.",
    "selective_ssm": "selective SSM", "delta_rule": "delta rule", "window_attention": "window attention",
}  # fmt: skip
FIXED = ("ema_bank", "fofe", "lmu", "hippo", "echo_state", "shift_register")
OFFSETS = {
    "window_attention": (-2, -9),
    "echo_state": (-8, -9),
    "lmu": (-32, 5),
    "delta_rule": (-3, 5),
    "ema_bank": (-10, 6),
}
"""Where names stand that would cover others, in points."""
WINDOWS = ("shift_register", "window_attention")


def kept(ax, rows):
    """Share of a token's bits by recurrence and lag."""
    rows = rows.assign(share=rows["value_bits"] / rows["ceiling_bits"])
    table = rows.groupby(["family", "lag"])["share"].mean().unstack()
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index]
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, family in enumerate(table.index):
        for column, lag in enumerate(table.columns):
            value = table.loc[family, lag]
            ax.text(
                column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=5.5,
                color="white" if value > 0.6 else INK,
            )  # fmt: skip
    ax.set_yticks(range(len(table)), [NAMES[family] for family in table.index], fontsize=6)
    ax.set_xticks(range(table.shape[1]), table.columns, fontsize=6)
    ax.set(xlabel="steps back")
    ax.grid(False)
    title(ax, "a", "% of a token's bits in the state")


def price(ax, rows):
    """Loss against bits."""
    runs = rows.groupby(["family", "seed"])[["recoverable_bits", "loss_nats"]].first().reset_index()
    for family, mine in runs.groupby("family"):
        colour, marker = (GREY, "s") if family in WINDOWS else (ORANGE, "o") if family in FIXED else (BLUE, "^")
        ax.plot(mine["recoverable_bits"], mine["loss_nats"], marker, color=colour, mew=0, ls="")
        ax.annotate(
            NAMES[family], (mine["recoverable_bits"].mean(), mine["loss_nats"].mean()), 
            xytext=OFFSETS.get(family, (4, 2)), textcoords="offset points", fontsize=5.5, color=colour,
        )  # fmt: skip
    ax.set(xlabel="bits over all measured lags", ylabel="held-out loss, nats a token")
    title(ax, "b", "fixed (circles), learned")


@styled
def draw():
    paper = Paper("fig14_reference_encoders", 2.9)
    rows = paper.read("reference_encoders")
    left, right = paper.figure.subplots(1, 2, width_ratios=(1.35, 1))
    kept(left, rows)
    price(right, rows)
    return paper


if __name__ == "__main__":
    draw().save()
