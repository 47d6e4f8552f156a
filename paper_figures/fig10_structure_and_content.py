"""Bits about roles beside bits about past words, for each state: data of `python -m analyses.structure_and_content`.

Every seed is a point with its 95% interval over sentences.
"""

import matplotlib.pyplot as plt
from _style import WIDTH_INCHES, place, read

from infodil.plots import COLOURS, INK, save_figure


def points(ax, rows, height, colour, label=None):
    """Every seed, with its interval."""
    reach = [rows["value_bits"] - rows["low_bits"], rows["high_bits"] - rows["value_bits"]]
    ax.errorbar(rows["value_bits"], [height] * len(rows), xerr=reach, fmt="o", ms=3.5, mew=0, lw=1, color=colour)
    ax.plot([], [], "o", ms=4, mew=0, color=colour, label=label)


def main():
    rows = read("structure_and_content")
    rows = rows[rows["by"] == "lower_bound"]
    states = list(dict.fromkeys(rows.sort_values("sees", ascending=False, kind="stable")["encoder"]))[::-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH_INCHES, 3.6), sharey=True, layout="constrained")
    for height, state in enumerate(states):
        mine = rows[rows["encoder"] == state]
        structure = mine[mine["about"] == "role beyond the word"]
        points(left, structure, height, COLOURS[0])
        label = "exact ceiling, for what is seen" if height == 0 else None
        left.plot(structure["ceiling_bits"].iloc[:1], [height], "|", ms=14, mew=1.5, color=INK, label=label)
        for number, lag in enumerate((1, 2, 4)):
            part = mine[(mine["about"] == "word") & (mine["lag"] == lag)]
            points(right, part, height, COLOURS[number + 1], f"{lag} back" if height == 0 else None)
    left.set_yticks(range(len(states)), states)
    left.axvline(0.0, lw=0.5, color=INK)
    left.set_xlabel("structure: bits about the role\nbeyond the word, at the least")
    right.set_xlabel("content: bits about the word\nso many back, at the least")
    left.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    right.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    save_figure(figure, place("fig10_structure_and_content"))


if __name__ == "__main__":
    main()
