"""The figures of a report: a quantity against lag, site by site or kind of token by kind of token."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from infodil.checks import UserError, check_one_of

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

    from infodil.plots import Panels
    from infodil.report.report import RecoverabilityReport

__all__ = ["KIND_QUANTITIES", "QUANTITIES", "draw_kinds", "draw_quantity", "quantity_column"]

QUANTITIES = ("value", "beyond_context", "usable", "upper", "width", "shuffled", "random_weights", "top1", "top5")
"""Quantities that a figure can show, each a column of the rows."""

KIND_QUANTITIES = ("value", "share", "beyond_context", "shuffled", "random_weights", "top1", "top5")
"""Quantities that a figure of rows split by kind can show."""

MOST_CURVES = 10
"""Sites that curves can tell apart; more are drawn as a heat map."""


def quantity_column(quantity: str) -> str:
    """The column of the rows that holds a quantity."""
    if quantity == "share":
        return "share_of_ceiling"
    return quantity if quantity.startswith("top") else f"{quantity}_bits"


def draw_quantity(
    report: "RecoverabilityReport",
    ax: "matplotlib.axes.Axes | None",
    probe: str | None,
    quantity: str,
    sites: Iterable[str] | None,
    lags: Iterable[int] | None,
    size: str,
) -> "matplotlib.axes.Axes":
    """`RecoverabilityReport.plot`."""
    import pandas as pd

    from infodil.plots import FIGURE_WIDTHS, recoverability_curves, recoverability_heat_map

    check_one_of("quantity", quantity, QUANTITIES)
    check_one_of("size", size, FIGURE_WIDTHS)
    frame = chosen_rows(report, pd.DataFrame(report.rows), probe, sites, lags)
    draw = recoverability_curves if frame["site"].nunique() <= MOST_CURVES else recoverability_heat_map
    return draw(frame, ax=ax, quantity=quantity_column(quantity), size=size)


def draw_kinds(
    report: "RecoverabilityReport",
    quantity: str,
    probe: str | None,
    sites: Iterable[str] | None,
    lags: Iterable[int] | None,
    size: str,
) -> "Panels":
    """`RecoverabilityReport.plot_kinds`."""
    import pandas as pd

    from infodil.plots import FIGURE_WIDTHS, multi_curves

    check_one_of("quantity", quantity, KIND_QUANTITIES)
    check_one_of("size", size, FIGURE_WIDTHS)
    if not report.kind_rows:
        raise UserError("`by` was not passed, so that no row is split: measure with by='surface' or by='frequency'.")
    frame = chosen_rows(report, pd.DataFrame(report.kind_rows), probe, sites, lags)
    if quantity == "share":
        columns = dict(zip(("value_bits", "low_bits", "high_bits"), ("", "_low", "_high"), strict=True))
        frame = frame.assign(
            **{f"share_of_ceiling{end}": frame[c] / frame["ceiling_bits"] for c, end in columns.items()}
        )
    # Each kind has a ceiling of its own, and one line would be wrong for all.
    frame = frame.drop(columns="ceiling_bits").assign(report=frame["site"], site=frame["token_kind"])
    return multi_curves(frame, quantity=quantity_column(quantity), size=size)


def chosen_rows(
    report: "RecoverabilityReport",
    frame: "pandas.DataFrame",
    probe: str | None,
    sites: Iterable[str] | None,
    lags: Iterable[int] | None,
) -> "pandas.DataFrame":
    """Rows of the wanted sites and lags: those of one probe, or of the selected one at each site and lag."""
    if probe is not None:
        check_one_of("probe", probe, report.probes)
    frame = frame[frame["chosen"].eq(True) if probe is None else frame["probe"] == probe]
    for column, wanted, known in (("site", sites, report.sites), ("lag", lags, report.lags)):
        if wanted is not None:
            wanted = list(wanted)
            for value in wanted:
                check_one_of(f"{column}s", str(value), list(map(str, known)))
            frame = frame[frame[column].isin(wanted)]
    return frame
