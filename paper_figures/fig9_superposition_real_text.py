"""What each reader gets out of an EMA bank on real text: data of `python -m analyses.superposition_real_text`."""

import matplotlib.pyplot as plt
from _style import WIDTH_INCHES, place, read

from infodil.plots import save_figure

NAMES = {"gaussian": "Gaussian", "linear": "linear", "mlp": "multilayer perceptron", "pursuit": "superposition decoder"}


def main():
    frame = read("superposition_real_text")
    figure, ax = plt.subplots(figsize=(WIDTH_INCHES, 3.2), layout="constrained")
    lags = sorted(frame["lag"].unique())
    across = range(len(lags))
    # Seeds stand side by side, each with its own 95% interval.
    seeds = sorted(frame["seed"].unique())
    for number, (probe, name) in enumerate(NAMES.items()):
        for turn, seed in enumerate(seeds):
            mine = frame[(frame["probe"] == probe) & (frame["seed"] == seed)].sort_values("lag")
            shift = (number - 1.5) * 0.2 + (turn - (len(seeds) - 1) / 2) * 0.05
            ax.errorbar(
                [x + shift for x in across],
                mine["value_bits"],
                [mine["value_bits"] - mine["low_bits"], mine["high_bits"] - mine["value_bits"]],
                fmt="o",
                markersize=3,
                linewidth=1,
                color=f"C{number}",
                label=name if turn == 0 else None,
            )
    ceiling = frame.groupby("lag")["ceiling_bits"].mean()
    ax.plot(across, ceiling, color="0.4", linestyle=":", label="ceiling H(X)")
    ax.set_xticks(across, lags)
    ax.set(xlabel="lag (tokens)", ylabel="bits about the token")
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, place("fig9_superposition_real_text"))


if __name__ == "__main__":
    main()
