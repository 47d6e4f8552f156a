"""Figure 3: tokens read at their exact lag, by precision; data of `python -m analyses.superposition_decoder`.

Means over three seeds and four neighbouring lags. A triangle on the line of one half is the horizon predicted from
weight against rounding, before anything is decoded.
"""

import numpy as np
from style import BLUE, GREEN, GREY, INK, LIGHT, ORANGE, Paper, styled

LOOKS = {
    "float32": (INK, "-", "float32"),
    "float16": (BLUE, "-", "float16"),
    "bfloat16": (BLUE, (0, (4, 1.5)), "bfloat16"),
    "int8": (ORANGE, "-", "int8"),
    "float8_e4m3": (ORANGE, (0, (4, 1.5)), "float8, 3 bits of mantissa"),
    "float8_e5m2": (ORANGE, (0, (1, 1)), "float8, 2 bits of mantissa"),
    "snr=20dB": (GREEN, (0, (4, 1, 1, 1)), "noise, 20 dB"),
}
"""Colour, dashes and name: one colour for full, half and eighth precision each, and for noise."""
TYPES = 4096
"""Types of the study, whose frequencies follow Zipf's law."""


@styled
def draw():
    paper = Paper("fig3_superposition_precision", 2.9)
    frame = paper.read("superposition_decoder")
    ax = paper.figure.subplots()
    chance = 1.0 / np.sum(1.0 / np.arange(1, TYPES + 1))
    ax.axhline(chance, color=GREY, linewidth=0.7, linestyle=":")
    ax.text(
        179, 0.015, "dotted, chance: always the most frequent type", fontsize=6.5, color=GREY, ha="right", va="bottom"
    )
    ax.axhline(0.5, color=LIGHT, linewidth=0.7, zorder=0)
    for precision, (colour, dash, name) in LOOKS.items():
        part = frame[frame["precision"] == precision]
        # Lags beyond 64 were measured in steps of four: so many are taken together everywhere.
        binned = part.assign(bin=part["lag"] // 4).groupby("bin")[["lag", "top1"]].mean()
        ax.plot(binned["lag"], binned["top1"], color=colour, linestyle=dash, label=name)
        ax.plot(part["predicted_horizon"].iloc[0], 0.5, "v", color=colour, ms=5, mew=0.6, mec="white", zorder=3)
    ax.plot([], [], "v", color=GREY, ms=5, mew=0, label="horizon, predicted")
    ax.set(xlabel="lag (tokens back)", ylabel="tokens read at their exact lag", xlim=(0, 180), ylim=(0, 1.02))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    paper.figure.legend(loc="outside right upper", title="states seen in", title_fontsize=7, handlelength=2.6)
    return paper


if __name__ == "__main__":
    draw().save()
