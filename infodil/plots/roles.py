"""Figures of grammatical roles: accuracy, confusion, and sentences with their roles."""

__all__ = ["role_bars", "role_confusion", "role_sentence"]

from typing import TYPE_CHECKING

from infodil.plots.drawing import in_order, new_axes, plain
from infodil.plots.labels import legend_beside
from infodil.plots.style import COLOURS, INK, STYLE

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas


def role_bars(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
    """The accuracy of each condition, one group of bars for each group of tokens.

    Args:
        frame: One row for each condition and group, with columns `condition`, `group`, `accuracy`, `low`, `high`.
        ax: Axes to draw into; by default those of a new figure.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    conditions, groups = in_order(frame, "condition"), in_order(frame, "group")
    with mpl.rc_context(STYLE):
        beside = ax is None
        ax = new_axes(1, len(conditions))[0] if ax is None else ax
        width = 0.8 / len(conditions)
        for place, condition in enumerate(conditions):
            part = frame[frame["condition"] == condition].set_index("group").reindex(groups)
            value = part["accuracy"].to_numpy(float)
            reach = [value - part["low"].to_numpy(float), part["high"].to_numpy(float) - value]
            x = [number + (place - (len(conditions) - 1) / 2) * width for number in range(len(groups))]
            ax.bar(x, value, width * 0.92, color=COLOURS[place % 10], label=plain(condition))
            ax.errorbar(x, value, yerr=reach, fmt="none", ecolor=INK, elinewidth=0.8, capsize=1.5)
        ax.set_xticks(range(len(groups)), [plain(group) for group in groups], rotation=35, ha="right")
        ax.set_ylim(0, 1.02)
        ax.set_ylabel("accuracy")
        legend_beside(ax, beside)
    return ax


def role_confusion(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes") -> "matplotlib.axes.Axes":
    """The confusion of roles: rows are true roles, columns predicted ones, and the shares of a row sum to 1.

    Args:
        frame: One row for each pair, with columns `role`, `predicted`, `share`.
        ax: Axes to draw into.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    roles = in_order(frame, "role")
    table = frame.pivot_table(index="role", columns="predicted", values="share").reindex(index=roles, columns=roles)
    with mpl.rc_context(STYLE):
        ax.imshow(table.fillna(0.0), cmap="Blues", vmin=0, vmax=1)
        for row, shares in enumerate(table.fillna(0.0).to_numpy()):
            for column, share in enumerate(shares):
                if share >= 0.005:
                    colour = "white" if share > 0.5 else INK
                    ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=7)
        ax.set_xticks(range(len(roles)), [plain(role) for role in roles], rotation=40, ha="right")
        ax.set_yticks(range(len(roles)), [plain(role) for role in roles])
        ax.set(xlabel="named by units", ylabel="true role")
    return ax


def role_sentence(frame: "pandas.DataFrame", ax: "matplotlib.axes.Axes") -> "matplotlib.axes.Axes":
    """A sentence with the true role under each word and the predicted one above it, dark where it is wrong.

    Args:
        frame: One row for each word, in order, with columns `word`, `role`, `predicted`.
        ax: Axes to draw into.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    roles = sorted({*frame["role"], *frame["predicted"]})
    colours = {role: COLOURS[place % 10] for place, role in enumerate(roles)}
    with mpl.rc_context(STYLE):
        ax.set(xlim=(-0.6, len(frame) - 0.4), ylim=(-1.2, 1.2))
        ax.set_title("above: named by units; below: true role", fontsize=8, loc="left", color=INK)
        ax.axis("off")
        for place, (word, role, predicted) in enumerate(
            zip(frame["word"], frame["role"], frame["predicted"], strict=True)
        ):
            ax.text(place, 0, plain(word), ha="center", va="center", fontsize=9)
            wrong = role != predicted
            ax.text(
                place, 0.55, plain(predicted), ha="center", va="bottom", rotation=35, fontsize=7,
                color=INK if wrong else colours[predicted], fontweight="bold" if wrong else "normal",
            )  # fmt: skip
            ax.text(place, -0.55, plain(role), ha="center", va="top", rotation=-35, fontsize=7, color=colours[role])
    return ax
