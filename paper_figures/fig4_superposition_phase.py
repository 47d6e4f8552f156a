"""Recoverable lags over dims and decay: data of `python -m analyses.superposition_phase`."""

import matplotlib.pyplot as plt
import numpy as np
from _style import WIDTH_INCHES, place, read

from infodil.plots import save_figure


def main():
    frame = read("superposition_phase")
    measured = frame.pivot_table(index="dim", columns="alpha", values="recovered_lags", aggfunc="mean")
    sensing = frame.pivot_table(index="dim", columns="alpha", values="predicted_by_sensing")
    precision = frame.pivot_table(index="dim", columns="alpha", values="predicted_by_precision")
    predicted = np.minimum(sensing, precision)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH_INCHES, 3.2), layout="constrained", sharey=True)
    most = max(measured.to_numpy().max(), predicted.to_numpy().max())
    for ax, table, title in zip(axes, (measured, predicted), ("measured", "predicted"), strict=True):
        image = ax.imshow(np.log1p(table), origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=np.log1p(most))
        for row, values in enumerate(table.to_numpy()):
            for column, value in enumerate(values):
                light = np.log1p(value) < 0.6 * np.log1p(most)
                ax.text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if light else "black")
        ax.set_xticks(range(len(table.columns)), [f"{alpha:g}" for alpha in table.columns])
        ax.set_yticks(range(len(table.index)), table.index)
        ax.set(title=f"recoverable lags, {title}", xlabel="alpha")
        # Where compressed sensing stops: the newest token no longer stands out of those behind it.
        ax.contour(sensing.to_numpy() > 0, levels=[0.5], colors="red", linewidths=1.2)
    axes[0].set_ylabel("dims")
    ticks = [t for t in (0, 1, 3, 10, 30, 100) if t <= most]
    bar = figure.colorbar(image, ax=axes, label="lags", ticks=np.log1p(ticks))
    bar.ax.set_yticklabels([str(t) for t in ticks])
    save_figure(figure, place("fig4_superposition_phase"))


if __name__ == "__main__":
    main()
