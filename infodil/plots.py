"""Draw a frame, in bits: no statistics, no torch, nothing of matplotlib's global state is changed."""

import io
import math
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "recoverability_curves",
    "multi_curves",
    "term_bars",
    "difference_intervals",
    "ratio_curves",
    "ratio_intervals",
    "role_bars",
    "role_confusion",
    "role_sentence",
    "save_figure",
    "figure_svg",
    "COLOURS",
    "lag_ticks",
]

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6bb1", "#a6761d", "#56b4e9", "#e7298a", "#66711b", "#555555",
)  # fmt: skip
"""Okabe and Ito's palette without its yellow, which is lost on white, filled to ten."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
QUANTITY_LABELS = {
    "value_bits": "bits recovered per token",
    "beyond_context_bits": "bits beyond context per token",
    "usable_bits": "usable bits per token",
    "shuffled_bits": "bits read from shuffled tokens",
}
WIDE_LAGS = 24
"""From this longest lag on the axis is logarithmic beyond lag 1, so that the first steps are not crushed."""

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "infodil",  # the same figure gives the same bytes
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
INK = "#333333"


def recoverability_curves(frame: Any, ax: Any | None = None, quantity: str = "value_bits") -> Any:
    """Bits against lag, one curve with its interval band for each site.

    Args:
        frame: One row a site and lag: columns `site`, `lag`, `quantity` and its `low` and `high` ends, as a report
            has them; with `ceiling_bits` the ceiling is drawn too, with `upper_bits` and `upper_by` the upper bound
            of a site (dotted) where it is not the ceiling.
        ax: Axes to draw into; by default a new figure's.
        quantity: The column to draw: `"value_bits"`, `"beyond_context_bits"`, ...

    Returns:
        The axes; `axes.figure` is the figure.
    """
    import matplotlib as mpl

    sites = _order(frame, "site")
    with mpl.rc_context(STYLE):
        own = ax is None
        ax = _axes(1, len(sites))[0] if ax is None else ax
        if quantity == "value_bits":
            _ceiling(ax, frame)
        for place, site in enumerate(sites):
            _curve(ax, frame[frame["site"] == site], quantity, site, COLOURS[place % 10], MARKERS[place % 10])
        _finish(ax, frame["lag"].tolist(), QUANTITY_LABELS.get(quantity, quantity.replace("_", " ")))
        _names(ax, sites, own)
    return ax


def multi_curves(frame: Any, quantity: str = "value_bits", figure: Any | None = None) -> Any:
    """Several reports side by side: one panel a report, the same axes, one colour a site.

    Args:
        frame: As for `recoverability_curves`, with a column `report`.
        quantity: The column to draw.
        figure: A figure to draw into; by default a new one.

    Returns:
        The figure.
    """
    import matplotlib as mpl

    reports, sites = _order(frame, "report"), _order(frame, "site")
    with mpl.rc_context(STYLE):
        axes = _axes(len(reports), len(sites), figure)
        for ax, report in zip(axes, reports, strict=True):
            part = frame[frame["report"] == report]
            if quantity == "value_bits":
                _ceiling(ax, part)
            for site in _order(part, "site"):
                place = sites.index(site)
                _curve(ax, part[part["site"] == site], quantity, site, COLOURS[place % 10], MARKERS[place % 10])
            _finish(ax, frame["lag"].tolist(), QUANTITY_LABELS.get(quantity, quantity.replace("_", " ")))
            ax.set_title(_plain(report), fontsize=9, loc="left", color=INK)
            if ax not in axes[:: _columns(len(axes))]:
                ax.set_ylabel("")
            if ax not in axes[-_columns(len(axes)) :]:
                ax.set_xlabel("")
        handles = {line.get_label(): line for ax in axes for line in ax.lines if not line.get_label().startswith("_")}
        figure = axes[0].figure
        columns = min(len(handles), 5)
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            handlelength=2.4,
        )
    return figure


def role_bars(frame: Any, ax: Any | None = None) -> Any:
    """Accuracy of each condition, one group of bars for each group of tokens.

    Args:
        frame: One row a condition and group: columns `condition`, `group`, `accuracy`, `low`, `high`.
        ax: Axes to draw into; by default a new figure's.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    conditions, groups = _order(frame, "condition"), _order(frame, "group")
    with mpl.rc_context(STYLE):
        ax = _axes(1, len(conditions))[0] if ax is None else ax
        width = 0.8 / len(conditions)
        for place, condition in enumerate(conditions):
            part = frame[frame["condition"] == condition].set_index("group").reindex(groups)
            value = part["accuracy"].to_numpy(float)
            reach = [value - part["low"].to_numpy(float), part["high"].to_numpy(float) - value]
            x = [number + (place - (len(conditions) - 1) / 2) * width for number in range(len(groups))]
            ax.bar(x, value, width * 0.92, color=COLOURS[place % 10], label=_plain(condition))
            ax.errorbar(x, value, yerr=reach, fmt="none", ecolor=INK, elinewidth=0.8, capsize=1.5)
        ax.set_xticks(range(len(groups)), [_plain(group) for group in groups], rotation=35, ha="right")
        ax.set_ylim(0, 1.02)
        ax.set_ylabel("accuracy")
        ax.legend(frameon=False, fontsize=8, loc="lower left")
    return ax


def role_confusion(frame: Any, ax: Any) -> Any:
    """Which role is taken for which: rows are true roles, columns predicted ones, each row's shares sum to 1.

    Args:
        frame: One row a pair: columns `role`, `predicted`, `share`.
        ax: Axes to draw into.
    """
    import matplotlib as mpl

    roles = _order(frame, "role")
    table = frame.pivot_table(index="role", columns="predicted", values="share").reindex(index=roles, columns=roles)
    with mpl.rc_context(STYLE):
        ax.imshow(table.fillna(0.0), cmap="Blues", vmin=0, vmax=1)
        for row, shares in enumerate(table.fillna(0.0).to_numpy()):
            for column, share in enumerate(shares):
                if share >= 0.005:
                    colour = "white" if share > 0.5 else INK
                    ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=7)
        ax.set_xticks(range(len(roles)), [_plain(role) for role in roles], rotation=40, ha="right")
        ax.set_yticks(range(len(roles)), [_plain(role) for role in roles])
        ax.set(xlabel="named by units", ylabel="true role")
    return ax


def role_sentence(frame: Any, ax: Any) -> Any:
    """A sentence with the true role under each word and the predicted one above it, dark where it is wrong.

    Args:
        frame: One row a word, in order: columns `word`, `role`, `predicted`.
        ax: Axes to draw into.
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
            ax.text(place, 0, _plain(word), ha="center", va="center", fontsize=9)
            wrong = role != predicted
            ax.text(
                place, 0.55, _plain(predicted), ha="center", va="bottom", rotation=35, fontsize=7,
                color=INK if wrong else colours[predicted], fontweight="bold" if wrong else "normal",
            )  # fmt: skip
            ax.text(place, -0.55, _plain(role), ha="center", va="top", rotation=-35, fontsize=7, color=colours[role])
    return ax


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure under a temporary name, then rename it; the ending names the format (pdf, svg, png).

    No date is written into the file, so that the same figure gives the same bytes.
    """
    import matplotlib as mpl

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.lstrip(".") or "png"
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    temporary = Path(name)
    try:
        with mpl.rc_context(STYLE):
            figure.savefig(temporary, format=kind, metadata=metadata, dpi=200)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def figure_svg(figure: Any) -> bytes:
    """The figure as SVG, undated, for a page."""
    import matplotlib as mpl

    drawn = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def lag_ticks(lags: Iterable[int], most: int = 9) -> list[int]:
    """Lags to label: 0 and powers of two within what was measured, thinned to `most`.

    Example:
        >>> lag_ticks(range(65))
        [0, 1, 2, 4, 8, 16, 32, 64]
        >>> lag_ticks([0, 1, 2, 3])
        [0, 1, 2, 3]
    """
    lags = sorted({int(lag) for lag in lags})
    if len(lags) <= 6:
        return lags
    low, high = lags[0], lags[-1]
    if high < WIDE_LAGS:
        step = next(step for step in (1, 2, 5) if (high - low) / step < most)
        return list(range(low, high + 1, step))
    powers = [2**power for power in range(int(math.log2(high)) + 1) if 2**power >= low]
    thin = -(-(len(powers) + 1) // most)
    return [0] * (low == 0) + powers[::-1][::thin][::-1]


def _axes(panels: int, names: int, figure: Any | None = None) -> list[Any]:
    from matplotlib.figure import Figure

    columns = _columns(panels)
    rows = -(-panels // columns)
    if figure is None:
        size = (6.4, 3.6) if panels == 1 else (2.6 * columns + 0.6, 2.3 * rows + 0.3 + 0.2 * -(-names // 5))
        figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for spare in axes[panels:]:
        spare.remove()
    for lowest in axes[max(0, panels - columns) : panels]:  # where no panel stands below, the ticks are named here
        lowest.xaxis.set_tick_params(labelbottom=True)
    return axes[:panels]


def _columns(panels: int) -> int:
    return 2 if panels == 4 else min(panels, 3)


def _order(frame: Any, column: str) -> list[str]:
    return list(dict.fromkeys(frame[column]))


def _curve(ax: Any, part: Any, quantity: str, label: str, colour: str, marker: str) -> None:
    part = part.sort_values("lag")
    low, high = _ends(quantity)
    lag, value = part["lag"].to_numpy(float), part[quantity].to_numpy(float)
    sparse = len(lag) <= 20
    ax.plot(
        lag,
        value,
        color=colour,
        marker=marker,
        markersize=3.6 if sparse else 0,
        linewidth=1.3,
        linestyle=DASHES[MARKERS.index(marker) % len(DASHES)],
        markeredgewidth=0,
        label=_plain(label),
        zorder=3,
    )
    if quantity == "value_bits":
        _upper(ax, part, label, colour)
    if low in part and high in part:
        ends = [part[name].to_numpy(float) for name in (low, high)]
        ax.fill_between(lag, *ends, color=colour, alpha=0.18, linewidth=0, zorder=2, label=f"_{_plain(label)} interval")


def _upper(ax: Any, part: Any, label: str, colour: str) -> None:
    """The other side of the sandwich, where it is not the ceiling: what no reader could exceed."""
    if "upper_by" not in part or part["upper_by"].fillna("entropy").eq("entropy").all():
        return
    part = part.dropna(subset=["upper_bits"])
    lag, upper = part["lag"].to_numpy(float), part["upper_bits"].to_numpy(float)
    ax.plot(lag, upper, color=colour, linewidth=0.8, linestyle=(0, (1, 1)), label=f"_{_plain(label)} upper bound")
    ax.fill_between(
        lag, part["value_bits"].to_numpy(float), upper,
        color=colour, alpha=0.08, linewidth=0, zorder=1, label=f"_{_plain(label)} sandwich",
    )  # fmt: skip


def _ceiling(ax: Any, frame: Any) -> None:
    if "ceiling_bits" not in frame or frame["ceiling_bits"].isna().all():
        return
    part = frame.dropna(subset=["ceiling_bits"]).drop_duplicates("lag").sort_values("lag")
    lag = part["lag"].to_numpy(float)
    ax.plot(
        lag, part["ceiling_bits"].to_numpy(float), color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), label="_ceiling"
    )
    if {"ceiling_low_bits", "ceiling_high_bits"} <= set(part):
        ends = [part[f"ceiling_{end}_bits"].to_numpy(float) for end in ("low", "high")]
        ax.fill_between(lag, *ends, color=INK, alpha=0.12, linewidth=0, label="_ceiling interval")
    ax.annotate(
        "ceiling: entropy of a token",
        (lag[-1], part["ceiling_bits"].iloc[-1]),
        xytext=(0, 5),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=INK,
    )


def _finish(ax: Any, lags: Sequence[int], label: str) -> None:
    ax.axhline(0, color=INK, linewidth=0.6, zorder=1, label="_zero")
    ticks = lag_ticks(lags)
    low, high = min(lags), max(lags)
    if high >= WIDE_LAGS:
        ax.set_xscale("symlog", linthresh=1, linscale=0.8, base=2)
        ax.set_xlim(low - 0.25, high * 1.12)
    else:
        pad = max(0.03 * (high - low), 0.1)
        ax.set_xlim(low - pad, high + pad)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("lag (tokens back)")
    ax.set_ylabel(label)
    ax.grid(axis="y", color="#dddddd", linewidth=0.5, zorder=0)
    ax.set_axisbelow(True)


def _names(ax: Any, sites: Sequence[str], own: bool) -> None:
    """A legend beside the data, in the order of the sites; inside axes that are the caller's."""
    beside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0} if own else {"loc": "best"}
    if len(sites) > 0:
        ax.legend(frameon=False, handlelength=2.6, fontsize=8, **beside)


def _ends(quantity: str) -> tuple[str, str]:
    stem = "" if quantity == "value_bits" else quantity.removesuffix("bits")
    return f"{stem}low_bits", f"{stem}high_bits"


def _plain(text: object) -> str:
    """A label as it is spelled: matplotlib would read `$` as mathematics and hide what begins with `_`."""
    words = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
    words = words if len(words) <= 40 else f"{words[:19]}…{words[-20:]}"
    return ("\N{ZERO WIDTH SPACE}" if words.startswith("_") else "") + words.replace("$", r"\$")


def term_bars(frame: Any, ax: Any | None = None) -> Any:
    """The terms of a gap in loss as bars, each beginning where the one before ends, with their intervals.

    Args:
        frame: One row a term: columns `term`, `value_bits`, `low_bits`, `high_bits`; the row `gap` is their sum, and
            `lost_at_least` a mark in the last bar. A column `seed_values_bits`, numbers in a string, adds a dot for
            each of them.
        ax: Axes to draw into; by default a new figure's.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    rows = {row["term"]: row for row in frame.to_dict("records")}
    names = ["gap", *(name for name in rows if name not in ("gap", "lost_at_least"))]
    with mpl.rc_context(STYLE):
        ax = _axes(1, 0)[0] if ax is None else ax
        begin = 0.0
        for place, name in enumerate(names):
            row, left = rows[name], begin if name != "gap" else 0.0
            ax.barh(-place, row["value_bits"], left=left, height=0.6, color=COLOURS[place % 10], label=_plain(name))
            ends = [left + row["low_bits"], left + row["high_bits"]]
            ax.plot(ends, [-place, -place], color=INK, linewidth=1.2, label=f"_{name} interval")
            told = row.get("seed_values_bits")
            dots = [left + float(value) for value in told.split()] if isinstance(told, str) else []
            ax.scatter(dots, [-place - 0.2] * len(dots), s=6, color=INK, zorder=3, label=f"_{name} seeds")
            begin += row["value_bits"] if name != "gap" else 0.0
        certain = rows.get("lost_at_least")
        if certain is not None and certain["value_bits"] > 0:
            left = begin - rows[names[-1]]["value_bits"]
            ax.plot([left + certain["value_bits"]] * 2, [0.4 - place, -place - 0.4], color=INK, linestyle=":")
        ax.axvline(0, color=INK, linewidth=0.6)
        ax.set_yticks([-place for place in range(len(names))], [_plain(name).replace("_", " ") for name in names])
        ax.set_xlabel("bits a token")
        ax.margins(x=0.08)
    return ax


def difference_intervals(frame: Any, ax: Any | None = None) -> Any:
    """Loss differences with their intervals and the margin of equivalence, one line a predictor.

    Args:
        frame: Columns `predictor`, `way`, `difference_nats`, `low_nats`, `high_nats` and `margin_nats`; rows without a
            difference, such as the baseline's, are left out.
        ax: Axes to draw into; by default a new figure's.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    frame = frame.dropna(subset=["difference_nats"])
    names = _order(frame, "predictor")
    with mpl.rc_context(STYLE):
        ax = _axes(1, 0)[0] if ax is None else ax
        margin = float(frame["margin_nats"].iloc[0])
        ax.axvspan(-margin, margin, color=INK, alpha=0.1, linewidth=0, label="margin")
        ax.axvline(0, color=INK, linewidth=0.6)
        _intervals(ax, frame, names, "predictor", "way", ("difference_nats", "low_nats", "high_nats"))
        ax.set_xlabel("loss less that of the linear predictor (nats a token)")
        ax.legend(frameon=False, fontsize=8)
    return ax


def ratio_intervals(frame: Any, ax: Any | None = None) -> Any:
    """Ratios of perplexities with their intervals, one line a family and a marker for each text; one is no difference.

    Args:
        frame: Columns `family`, `text`, `ratio`, `low` and `high`.
        ax: Axes to draw into; by default a new figure's.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        ax = _axes(1, 0)[0] if ax is None else ax
        ax.axvline(1, color=INK, linewidth=0.6)
        _intervals(ax, frame, _order(frame, "family"), "family", "text", ("ratio", "low", "high"))
        ax.set_xlabel("perplexity over attention's")
        ax.legend(frameon=False, fontsize=8)
    return ax


def _intervals(ax: Any, frame: Any, names: Sequence[str], name: str, group: str, columns: tuple[str, str, str]) -> None:
    """A line for each of `names`, from the top; on it a marker with its interval for each group."""
    groups = _order(frame, group)
    for place, one in enumerate(groups):
        part = frame[frame[group] == one]
        height = [-names.index(each) - 0.25 * (place - (len(groups) - 1) / 2) for each in part[name]]
        value, low, high = (part[column].to_numpy(float) for column in columns)
        ax.errorbar(
            value, height, xerr=[value - low, high - value], fmt=MARKERS[place], color=COLOURS[place], markersize=4,
            linewidth=1.2, label=_plain(one),
        )  # fmt: skip
    ax.set_yticks([-place for place in range(len(names))], [_plain(each).replace("_", " ") for each in names])


def ratio_curves(frame: Any, ax: Any | None = None) -> Any:
    """A ratio of perplexities against training tokens, one curve with intervals for each size; one is no difference.

    Args:
        frame: Columns `size`, `tokens`, `ratio`, `low` and `high`.
        ax: Axes to draw into; by default a new figure's.

    Returns:
        The axes.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        ax = _axes(1, 0)[0] if ax is None else ax
        ax.axhline(1, color=INK, linewidth=0.6)
        for place, size in enumerate(_order(frame, "size")):
            part = frame[frame["size"] == size].sort_values("tokens")
            ratio = part["ratio"].to_numpy(float)
            ends = [ratio - part["low"].to_numpy(float), part["high"].to_numpy(float) - ratio]
            ax.errorbar(
                part["tokens"].to_numpy(float), ratio, yerr=ends, color=COLOURS[place], marker=MARKERS[place],
                markersize=4, linewidth=1.2, linestyle=DASHES[place % len(DASHES)], label=_plain(size),
            )  # fmt: skip
        ax.set_xscale("log", base=2)
        tokens = sorted(set(frame["tokens"]))
        ax.set_xticks(tokens, [f"{number / 1e3:.0f}k" for number in tokens])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("training tokens")
        ax.set_ylabel("perplexity over attention's")
        ax.legend(frameon=False, fontsize=8)
    return ax
