"""Figure 7: EMA traces against attention as language models; data of `python -m analyses.ema_language_model`.

Intervals are over documents and seeds, dots are seeds. The models have at most a million parameters.
"""

from style import BLUE, GREEN, GREY, INK, LIGHT, ORANGE, Paper, styled, title

FAMILIES = {
    "spen": "fixed traces",
    "gated_ema": "gated traces",
    "gated_linear": "gated linear attention",
    "gru": "GRU",
    "lstm": "LSTM",
}
PREDICTORS = {
    "mlp": "perceptron",
    "ngram": "n-gram",
    "scale_attention": "attention over scales",
    "window_attention": "attention in a window",
    "history_attention": "attention over history",
}
TERMS = {"gap": "whole gap", "underfit": "not fitted", "held": "held, not used", "lost": "at most lost"}
TEXTS = {"c4-sample": ("C4", BLUE, "o"), "wikitext-2": ("WikiText-2", ORANGE, "s")}
WAYS = {"end to end": (BLUE, "o"), "frozen traces": (ORANGE, "s")}


def across(ax, height, row, columns, colour, marker, label=None):
    """A value and its interval on a line of its own."""
    value, low, high = (row[column] for column in columns)
    reach = [[value - low], [high - value]]
    ax.errorbar(value, height, xerr=reach, fmt=marker, color=colour, mew=0, elinewidth=1, label=label)


def trend(ax, ratio):
    """The ratio of perplexities against training tokens, by size."""
    rows = ratio[(ratio["text"] == "c4-sample") & (ratio["family"] == "spen")]
    for (size, part), colour, marker in zip(rows.groupby("size"), (GREEN, BLUE), "os", strict=True):
        part = part.sort_values("tokens")
        reach = [part["ratio"] - part["low"], part["high"] - part["ratio"]]
        ax.errorbar(part["tokens"], part["ratio"], reach, color=colour, marker=marker, mew=0, elinewidth=0.8)
        last = part.iloc[-1]
        place = (last["tokens"], last["ratio"])
        ax.annotate(size.upper(), place, (7, 0), textcoords="offset points", color=colour, fontsize=7)
    tokens = sorted(set(rows["tokens"]))
    ax.axhline(1, color=INK, linewidth=0.6)
    ax.set(xscale="log", xlim=(tokens[0] * 0.85, tokens[-1] * 1.45), xlabel="training tokens")
    ax.set_xticks(tokens, [f"{number / 1e3:.0f}k" for number in tokens])
    ax.minorticks_off()
    ax.set_ylabel("perplexity over attention's")
    title(ax, "a", "fixed traces, C4")


def families(ax, ratio):
    """All families at the largest size and budget, on both texts."""
    rows = ratio[(ratio["size"] == "1m") & (ratio["tokens"] == ratio["tokens"].max())]
    for number, (text, (name, colour, marker)) in enumerate(TEXTS.items()):
        for height, family in enumerate(reversed(FAMILIES)):
            row = rows[(rows["family"] == family) & (rows["text"] == text)].iloc[0]
            label = name if height == 0 else None
            across(ax, height - 0.2 * (number - 0.5), row, ("ratio", "low", "high"), colour, marker, label)
    ax.axvline(1, color=INK, linewidth=0.6)
    ax.set_xlim(0.3, 1.3)
    ax.set_yticks(range(len(FAMILIES)), list(reversed(FAMILIES.values())))
    ax.set_xlabel("perplexity over attention's")
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.1), ncols=2, handletextpad=0.2, columnspacing=1.0)
    title(ax, "b", "1M, 262k tokens")


def predictors(ax, rows):
    """Loss with another predictor on the traces, less the linear one's."""
    rows = rows.dropna(subset=["difference_nats"])
    margin = float(rows["margin_nats"].iloc[0])
    ax.axvspan(-margin, margin, color=LIGHT, alpha=0.7, linewidth=0)
    ax.axvline(0, color=INK, linewidth=0.6)
    for number, (way, (colour, marker)) in enumerate(WAYS.items()):
        for height, predictor in enumerate(reversed(PREDICTORS)):
            some = rows[(rows["way"] == way) & (rows["predictor"] == predictor)]
            if len(some):
                columns = ("difference_nats", "low_nats", "high_nats")
                label = way if predictor == "mlp" else None
                across(ax, height - 0.2 * (number - 0.5), some.iloc[0], columns, colour, marker, label)
    ax.set_yticks(range(len(PREDICTORS)), list(reversed(PREDICTORS.values())))
    ax.set_xlabel("loss less the linear predictor's\n(nats; grey: no difference that matters)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.3, 1.1), ncols=2, handletextpad=0.2, columnspacing=1.0)
    title(ax, "c", "other predictors, 0.3M, C4")


def gap(ax, rows):
    """The gap to the best family, and the terms that it is the sum of."""
    whole = rows[rows["seed"] == "all"].set_index("term")
    for height, term in enumerate(reversed(TERMS)):
        row = whole.loc[term]
        across(ax, height, row, ("value_bits", "low_bits", "high_bits"), INK if term == "gap" else BLUE, "o")
        seeds = [float(value) for value in row["seed_values_bits"].split()]
        ax.plot(seeds, [height - 0.25] * len(seeds), "o", color=GREY, ms=2, mew=0)
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.set_yticks(range(len(TERMS)), list(reversed(TERMS.values())))
    ax.set(xlabel="bits a token", ylim=(-0.6, len(TERMS) - 0.5))
    title(ax, "d", f"gap to the {rows['reference'].iloc[0].upper()}, C4")


@styled
def draw():
    paper = Paper("fig7_ema_language_model", 4.4)
    first, second, third, fourth = paper.figure.subplots(2, 2).flat
    ratio = paper.read("ema_language_model_ratio")
    trend(first, ratio)
    families(second, ratio)
    predictors(third, paper.read("ema_predictor_ablation"))
    gap(fourth, paper.read("ema_gap_decomposition"))
    return paper


if __name__ == "__main__":
    draw().save()
