"""Roles without labels: data of `python -m analyses.grammatical_roles headline picture`.

Every seed is a point; the study prints Student's intervals over them.
"""

import matplotlib.pyplot as plt
from _style import WIDTH_INCHES, place, read

from infodil.plots import COLOURS, role_confusion, role_sentence, save_figure

GROUPS = ("all", "arguments", "structure-dependent", "held-out", "embedded")
CONDITIONS = (("Hebbian", "many_to_one"), ("BiGRU", "supervised"), ("majority per word", "supervised"))


def main():
    figure = plt.figure(figsize=(WIDTH_INCHES, 6.0), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 2.2))
    role_sentence(read("roles_sentence"), top.subplots())
    left, right = bottom.subplots(1, 2)
    role_confusion(read("roles_confusion"), left)
    scores = read("roles_headline")
    for number, (condition, naming) in enumerate(CONDITIONS):
        mine = scores[(scores["condition"] == condition) & (scores["naming"] == naming) & (scores["text"] == "A")]
        for x, group in enumerate(GROUPS):
            part = mine.loc[mine["group"] == group, "accuracy"]
            label = condition if x == 0 else None
            right.plot([x + 0.2 * (number - 1)] * len(part), part, "o", ms=4, mew=0, color=COLOURS[number], label=label)
    right.set_xticks(range(len(GROUPS)), GROUPS, rotation=30, ha="right")
    right.set(ylabel="accuracy, one point a seed", ylim=(0, 1.02))
    right.legend(frameon=False, fontsize=8)
    save_figure(figure, place("fig8_grammatical_roles"))


if __name__ == "__main__":
    main()
