"""Figure 2: bits about the token k steps back in real states; data of `python -m analyses.recoverability_on_real_text`.

One panel a model. Lines are lower bounds with their 95% intervals; a bound below zero belongs to a probe that had too
few rows to do better than the tokens' frequencies.
"""

from style import BLUE, GREEN, GREY, INK, ORANGE, Paper, curve, label_ends, lag_axis, styled, title

PANELS = {
    "stories260k": ("transformer, 260K parameters, stories", {
        "embedding": "embedding", "layer.3": "layer 3", "layer.5": "layer 5"}),
    "lstm-char": ("character LSTM, Shakespeare", {"embedding": "embedding", "lstm": "second layer"}),
    "ema-bank-wikitext": ("EMA bank, random vectors, WikiText-2", {"ema_bank": "three traces"}),
    "smollm2-135m": ("SmolLM2-135M, WikiText-2", {
        "embedding": "embedding", "layer.15": "layer 15", "layer.30": "layer 30"}),
}  # fmt: skip
LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"))


@styled
def draw():
    paper = Paper("fig2_real_text", 4.2)
    frame = paper.read("recoverability_on_real_text")
    frame = frame[frame["chosen"]]
    axes = paper.figure.subplots(2, 2).flat
    for ax, letter, (cell, (words, sites)) in zip(axes, "abcd", PANELS.items(), strict=True):
        rows, ends = frame[frame["cell"] == cell], {}
        ceiling = rows["ceiling_bits"].max()
        ax.axhline(ceiling, color=INK, linewidth=0.7, linestyle=":")
        ax.axhline(0, color=INK, linewidth=0.5)
        lag_axis(ax, rows["lag"])
        ax.set(xlim=(-0.4, rows["lag"].max() + 0.4), ylim=(min(-0.6, rows["low_bits"].min()), ceiling * 1.12))
        for (colour, marker), (site, name) in zip(LOOKS, sites.items(), strict=False):
            part = rows[rows["site"] == site].sort_values("lag")
            curve(ax, part["lag"], part, ("value_bits", "low_bits", "high_bits"), color=colour, marker=marker)
            ends[name] = (part["lag"].iloc[-1], part["value_bits"].iloc[-1], colour)
        ax.text(rows["lag"].max(), ceiling, "entropy of a token", fontsize=6, ha="right", va="bottom")
        if rows["value_bits"].min() < -0.1:
            note = "below 0: too few rows to do better\nthan the frequencies of tokens"
            ax.text(rows["lag"].max(), 0.7 * ceiling, note, fontsize=6, color=GREY, ha="right")
        title(ax, letter, words)
        label_ends(ax, ends, 0.1)
    for ax in list(paper.figure.axes)[:2]:
        ax.set_xlabel("")
    for ax in list(paper.figure.axes)[::2]:
        ax.set_ylabel("bits about the token, at least")
    return paper


if __name__ == "__main__":
    draw().save()
