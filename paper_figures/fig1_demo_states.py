"""Figure 1: bits about the token k steps back in six states; data of `python -m analyses.demo_states`.

Lines are lower bounds with their 95% intervals. The two models have one colour each, dashed where their weights are
random; the curves of a trace with one and with three decay rates are solid.
"""

from style import BLUE, GREEN, INK, ORANGE, SKY, Paper, curve, label_ends, lag_axis, styled

LINES = {
    "EMA": (BLUE, "o", "-"),
    "EMA bank": (SKY, "s", "-"),
    "GRU": (ORANGE, "^", "-"),
    "GRU random": (ORANGE, "^", (0, (3, 1.5))),
    "attention": (GREEN, "D", "-"),
    "attention random": (GREEN, "D", (0, (3, 1.5))),
}
NAMES = {
    "EMA": "EMA, one trace",
    "EMA bank": "EMA, three traces",
    "GRU": "GRU, trained",
    "GRU random": "GRU, random weights",
    "attention": "attention, trained",
    "attention random": "attention, random weights",
}


@styled
def draw():
    paper = Paper("fig1_demo_states", 2.9)
    frame = paper.read("demo_states")
    frame = frame[frame["chosen"]]
    ax = paper.figure.subplots()
    lags = sorted(frame["lag"].unique())
    lag_axis(ax, lags)
    ends = {}
    for site, (colour, marker, dash) in LINES.items():
        part = frame[frame["site"] == site].sort_values("lag")
        columns = ("value_bits", "low_bits", "high_bits")
        curve(ax, part["lag"], part, columns, color=colour, marker=marker, linestyle=dash)
        ends[NAMES[site]] = (part["lag"].iloc[-1], part["value_bits"].iloc[-1], colour)
    ceiling = frame["ceiling_bits"].mean()
    ax.axhline(ceiling, color=INK, linewidth=0.7, linestyle=":")
    ax.text(lags[-1], ceiling, "entropy of a token", fontsize=7, ha="right", va="bottom")
    ax.axhline(0, color=INK, linewidth=0.5)
    ax.set(ylabel="bits about the token, at least", xlim=(-0.15, lags[-1] * 1.05), ylim=(-0.4, ceiling * 1.08))
    label_ends(ax, ends)
    return paper


if __name__ == "__main__":
    draw().save()
