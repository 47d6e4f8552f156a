"""Figures of messages over depth: curves of a sweep, and the map of a model's writes by the depth of the stream."""

__all__ = ["depth_curves", "depth_map"]

from typing import TYPE_CHECKING

from infodil.plots.drawing import Panels, in_order, new_axes, plain
from infodil.plots.heat_map import COLOUR_MAP
from infodil.plots.style import COLOURS, DASHES, INK, MARKERS, STYLE

if TYPE_CHECKING:
    import pandas

DEPTH_LABELS = {
    "value_bits": "bits of the message",
    "linear_bits": "bits of the message, linear probe",
    "decoder_bits": "bits of the message, superposition decoder",
    "r2": "linear predictability of the message (r2)",
    "norm_share": "share of the stream's norm",
    "retained": "coefficient of the message in the stream",
    "gaussian_bits": "Gaussian bits of the write",
}


def depth_curves(frame: "pandas.DataFrame", quantity: str = "value_bits") -> Panels:
    """Bits of a message against the depth of the stream, one panel a rule and one curve a written layer.

    A layer is named by its place: the first, the middle or the last of the stream. Beside the selected probe (solid)
    stand the linear probe (dashed) and the analytic dilution curve (dotted) where the quantity is bits.

    Args:
        frame: Rows of a sweep, with columns `rule`, `depth`, `written` and the quantity.
        quantity: The column to draw.

    Returns:
        The axes, one for each rule.
    """
    import matplotlib as mpl

    frame = frame.assign(place=[place_of(*row) for row in zip(frame["written"], frame["depth"], strict=True)])
    rules, places = in_order(frame, "rule"), in_order(frame, "place")
    with mpl.rc_context(STYLE):
        axes = new_axes(len(rules), len(places))
        for ax, rule in zip(axes, rules, strict=True):
            for number, place in enumerate(places):
                part = frame[(frame["rule"] == rule) & (frame["place"] == place)].sort_values("depth")
                colour, marker = COLOURS[number % 10], MARKERS[number % 10]
                ax.plot(part["depth"], part[quantity], color=colour, marker=marker, ms=3.5, lw=1.3, label=plain(place))
                if quantity == "value_bits":
                    ax.fill_between(part["depth"], part["low_bits"], part["high_bits"], color=colour, alpha=0.15, lw=0)
                    ax.plot(part["depth"], part["linear_bits"], color=colour, ls=DASHES[1], lw=1.0)
                    ax.plot(part["depth"], part["dilution_bits"], color=colour, ls=DASHES[2], lw=1.0)
            ax.set_xscale("log", base=2)
            ax.set_title(plain(rule), color=INK)
            ax.set_xlabel("layers")
        axes[0].set_ylabel(DEPTH_LABELS.get(quantity, quantity.replace("_", " ")))
        axes[0].legend(frameon=False, title="message written at")
    return axes


def depth_map(frame: "pandas.DataFrame", quantity: str = "value_bits") -> Panels:
    """A map of a quantity: one row a written message, one column a depth of the stream at which it is read.

    Args:
        frame: Rows of a model, with columns `written`, `read` and the quantity.
        quantity: The column to draw.

    Returns:
        One axes.
    """
    import matplotlib as mpl

    table = frame.pivot(index="written", columns="read", values=quantity).loc[in_order(frame, "written")]
    with mpl.rc_context(STYLE):
        axes = new_axes(1, 0, height=0.9 + 0.13 * max(12, len(table)))
        image = axes[0].imshow(table.to_numpy(dtype=float), aspect="auto", cmap=COLOUR_MAP, interpolation="nearest")
        step = max(1, -(-len(table) // 60))
        axes[0].set_yticks(range(0, len(table), step), [plain(name) for name in table.index[::step]])
        step = max(1, -(-table.shape[1] // 16))
        axes[0].set_xticks(range(0, table.shape[1], step), table.columns[::step])
        axes[0].set_xlabel("stream after block")
        axes[0].set_ylabel("message written by")
        axes[0].figure.colorbar(image, ax=axes[0], label=DEPTH_LABELS.get(quantity, quantity.replace("_", " ")))
    return axes


def place_of(written: int, depth: int) -> str:
    """Place of a layer in a stream, in words."""
    names = {1: "the first layer", (depth + 1) // 2: "the middle layer", depth: "the last layer"}
    return names.get(written, f"layer {written}") if depth > 2 or written == 1 else "the last layer"
