"""Figure 4: recoverable lags over dims and decay; data of `python -m analyses.superposition_phase`.

Measured over predicted lags, and the same against each other. The prediction is the smaller of what precision and what
compressed sensing allow; its constant of two standard deviations was chosen after a first look at these data. A dash
stands where no more lags are read than chance gives.
"""

import numpy as np
from style import BLUE, GREY, INK, ORANGE, Paper, styled, title

CHANCE = 1.0
"""Of 200 lags with 12 states each, up to one has half of its tokens right by naming the most frequent type always."""


@styled
def draw():
    paper = Paper("fig4_superposition_phase", 2.95)
    frame = paper.read("superposition_phase")
    measured = frame.pivot_table(index="dim", columns="alpha", values="recovered_lags", aggfunc="mean")
    sensing = frame.pivot_table(index="dim", columns="alpha", values="predicted_by_sensing")
    precision = frame.pivot_table(index="dim", columns="alpha", values="predicted_by_precision")
    predicted = np.minimum(sensing, precision)
    left, right = paper.figure.subplots(1, 2, width_ratios=(1.25, 1))
    shown = measured.where(measured > CHANCE)
    left.imshow(np.log1p(shown), origin="lower", aspect="auto", cmap="Blues", vmin=0, vmax=np.log1p(300))
    for row, dim in enumerate(measured.index):
        for column, alpha in enumerate(measured.columns):
            value, expected = measured.loc[dim, alpha], predicted.loc[dim, alpha]
            words = f"{value:.0f}" if value > CHANCE else "-"
            colour = "white" if value > 40 else INK
            left.text(column, row + 0.17, words, ha="center", va="center", color=colour, fontsize=8)
            left.text(column, row - 0.25, f"{expected:.0f}", ha="center", va="center", color=colour, fontsize=6)
    edges(left, (sensing > 0).to_numpy())
    left.set_xticks(range(len(measured.columns)), [f"{alpha:g}" for alpha in measured.columns])
    left.set_yticks(range(len(measured.index)), measured.index)
    note = "decay rate alpha\n(orange: edge of compressed sensing,\nits constant chosen after a first look)"
    left.set(xlabel=note, ylabel="dims of the state")
    title(left, "a", "lags read; below: predicted")
    x, y = predicted.to_numpy().ravel(), measured.to_numpy().ravel()
    read = y > CHANCE
    right.plot([1, 300], [1, 300], color=GREY, linewidth=0.7)
    both = read & (x > 0)
    right.plot(x[both], y[both], "o", color=BLUE, mew=0)
    right.plot(np.full(np.sum(read & (x == 0)), 0.6), y[read & (x == 0)], "s", color=ORANGE, mew=0)
    missed = ~read & (x > 0)
    right.plot(x[missed], np.full(np.sum(missed), 0.6), "^", color=ORANGE, mew=0)
    right.set(xscale="log", yscale="log", xlim=(0.45, 300), ylim=(0.45, 300))
    ticks = [0.6, 1, 3, 10, 30, 100, 300]
    names = ["0", *(str(tick) for tick in ticks[1:])]
    right.set_xticks(ticks, names)
    right.set_yticks(ticks, ["≤ 1", "", *names[2:]])
    right.minorticks_off()
    right.set(xlabel="lags, predicted", ylabel="lags, measured")
    for dim, alpha in ((64, 0.3), (32, 0.5)):
        place = (predicted.loc[dim, alpha], measured.loc[dim, alpha])
        words = f"{dim} dims,\nalpha {alpha:g}"
        right.annotate(words, place, (5, -8), textcoords="offset points", fontsize=6, color=BLUE)
    title(right, "b", "orange: predicted or read alone")
    return paper


def edges(ax, inside):
    """The border of the cells that compressed sensing calls readable, along the cells' own edges."""
    rows, columns = inside.shape
    for row in range(rows):
        for column in range(columns):
            if column + 1 < columns and inside[row, column] != inside[row, column + 1]:
                ax.plot([column + 0.5] * 2, [row - 0.5, row + 0.5], color=ORANGE, linewidth=1.6)
            if row + 1 < rows and inside[row, column] != inside[row + 1, column]:
                ax.plot([column - 0.5, column + 0.5], [row + 0.5] * 2, color=ORANGE, linewidth=1.6)


if __name__ == "__main__":
    draw().save()
