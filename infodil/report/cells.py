"""Cells of a table: numbers, shares and intervals are written in one way on the terminal and on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SUMMARY_CELLS", "Cell", "interval", "number", "percent", "summary_cells"]

Number = float | int | None


def number(value: Number, digits: int) -> str:
    """A number with its decimals, or a dash where it is missing.

    Args:
        value: The number.
        digits: The number of decimals.

    Returns:
        The number as text.
    """
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(value: Number) -> str:
    """A share as per cent, or a dash where it is missing."""
    return "-" if value is None else f"{value:.0%}"


def interval(ends: Sequence[Number], digits: int, missing: str = "-") -> str:
    """An interval as `[low, high]`, or nothing where neither end is known.

    Args:
        ends: Lower and upper end.
        digits: The number of decimals.
        missing: The text of an end that is not known.

    Returns:
        The interval as text.
    """
    if all(end is None for end in ends):
        return ""
    return f"[{', '.join(missing if end is None else number(end, digits) for end in ends)}]"


@dataclass(frozen=True)
class Cell:
    """One cell: a value and, where it has one, its interval.

    Attributes:
        value: The value as text.
        interval: The interval as text, empty where there is none.
        share: The part of a whole that a bar beside the value shows, from 0 to 1; None draws no bar.
    """

    value: str
    interval: str = ""
    share: float | None = None

    def __str__(self) -> str:
        return f"{self.value} {self.interval}".strip()


SUMMARY_CELLS = {
    "kind": "kind of\nsite",
    "dim": "dim",
    "lags": "lags",
    "recoverable": "recoverable\nbits",
    "share": "share of\nceiling",
    "half_life": "half-life\ntokens",
    "beyond_context": "beyond context\nbits",
    "whole_past": "whole past\nbits",
    "rank": "effective\nrank",
    "per_number": "bits per\nnumber",
    "per_bit": "bits per\nstored bit",
    "budget": "budget\nbits",
}
"""Columns of the summary under their headings; a terminal shows a heading in two lines."""


def summary_cells(row: dict[str, Any], longest: int, digits: int = 2) -> dict[str, Cell]:
    """The cells of one site of the summary, under the keys of `SUMMARY_CELLS`.

    Args:
        row: A row of `RecoverabilityReport.summary`.
        longest: The longest measured lag: a half-life beyond it is written as larger than it.
        digits: The number of decimals of a quantity in bits.

    Returns:
        A cell for each column.
    """

    def quantity(stem: str, digits: int, unit: str, missing: str = "-") -> Cell:
        value, *ends = (row.get(name) for name in (f"{stem}{unit}", f"{stem}_low{unit}", f"{stem}_high{unit}"))
        return Cell(missing if value is None else number(value, digits), interval(ends, digits, missing))

    of_sketch = " of the sketch" * (row.get("effective_rank_of") == "sketch")
    share = row.get("share_of_ceiling")
    ends = [None if row.get(name) is None else 100 * row[name] for name in ("share_low", "share_high")]
    life = [row.get(f"half_life{end}_tokens") for end in ("", "_low", "_high")]
    life_digits = 0 if digits == 0 or max((end for end in life if end is not None), default=0) >= 10 else 1
    return {
        "kind": Cell(row.get("kind_of_site") or "-"),
        "dim": Cell(" of ".join(number(size, 0) for size in (row.get("sketch_dims"), row.get("dim")) if size) or "-"),
        "lags": Cell(number(row.get("lags"), 0)),
        "recoverable": quantity("recoverable", digits, "_bits"),
        "share": Cell(percent(share), interval(ends, 0), None if share is None else min(1.0, max(0.0, share))),
        "half_life": quantity("half_life", life_digits, "_tokens", missing=f">{longest}"),
        "beyond_context": quantity("beyond_context", digits, "_bits"),
        "whole_past": quantity("whole_past", digits, "_bits"),
        "rank": Cell(f"{number(row.get('effective_rank'), 1)}{of_sketch}"),
        "per_number": Cell(number(row.get("bits_per_number"), 4)),
        "per_bit": Cell(number(row.get("bits_per_stored_bit"), 5)),
        "budget": quantity("budget", 0, "_bits"),
    }
