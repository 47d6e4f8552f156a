"""Figure 10: bits about roles beside bits about past words, by state; data of `analyses.structure_and_content`.

Every seed is a point, a lower bound with its 95% interval over sentences. The states above the line see the words so
far, those below the whole sentence.
"""

from style import BLUE, GREEN, GREY, INK, ORANGE, PINK, Paper, styled, title

LAGS = {1: (ORANGE, "o"), 2: (GREEN, "s"), 4: (PINK, "^")}
NAMES = {
    "word alone": "newest word alone",
    "random GRU": "GRU, random weights",
    "traces, both ways": "traces",
    "Hebbian expectation, both ways": "Hebbian expectation",
    "GRU language models, both ways": "GRU language models",
    "supervised BiGRU": "BiGRU, supervised",
}


def points(ax, rows, height, colour, marker, label=None):
    """Every seed, with its interval."""
    reach = [rows["value_bits"] - rows["low_bits"], rows["high_bits"] - rows["value_bits"]]
    ax.errorbar(rows["value_bits"], [height] * len(rows), xerr=reach, fmt=marker, mew=0, elinewidth=1.2, color=colour)
    ax.plot([], [], marker, mew=0, color=colour, label=label)


@styled
def draw():
    paper = Paper("fig10_structure_and_content", 3.3)
    rows = paper.read("structure_and_content")
    rows = rows[rows["by"] == "lower_bound"]
    states = list(dict.fromkeys(rows.sort_values("sees", ascending=False, kind="stable")["encoder"]))[::-1]
    sentence = rows.loc[rows["sees"] == "sentence", "encoder"].nunique()
    left, right = paper.figure.subplots(1, 2, sharey=True)
    for height, state in enumerate(states):
        mine = rows[rows["encoder"] == state]
        structure = mine[mine["about"] == "role beyond the word"]
        points(left, structure, height, BLUE, "o")
        label = "exact ceiling" if height == 0 else None
        left.plot(structure["ceiling_bits"].iloc[:1], [height], "|", ms=11, mew=1.4, color=INK, label=label)
        for number, (lag, (colour, marker)) in enumerate(LAGS.items()):
            part = mine[(mine["about"] == "word") & (mine["lag"] == lag)]
            label = f"{lag} back" if height == 0 else None
            points(right, part, height + 0.22 * (1 - number), colour, marker, label)
    for height, words in ((len(states) - 0.45, "sees the words so far"), (sentence - 0.55, "sees the whole sentence")):
        left.text(0.02, height, words, fontsize=6, color=GREY, va="top", transform=left.get_yaxis_transform())
    left.set_ylim(-0.6, len(states) - 0.4)
    left.set_yticks(range(len(states)), [NAMES.get(state, state) for state in states])
    for ax in (left, right):
        ax.axhline(sentence - 0.5, color=GREY, linewidth=0.7, linestyle=":")
        ax.grid(axis="x")
        ax.axvline(0.0, lw=0.5, color=INK)
    left.set_xlabel("bits about the role beyond the word")
    right.set_xlabel("bits about an earlier word")
    left.legend(loc="lower left", handletextpad=0.2)
    right.legend(loc="lower right", handletextpad=0.1)
    title(left, "a", "structure")
    title(right, "b", "content")
    return paper


if __name__ == "__main__":
    draw().save()
