"""Differences of bits between two reports, with intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from infodil.report.cells import interval
from infodil.report.names import printable
from infodil.report.report import RecoverabilityReport

__all__ = ["DIFFERENCE_COLUMNS", "difference_findings", "report_differences"]

DIFFERENCE_COLUMNS = ("report", "reference", "site", "lag", "difference_bits", "low_bits", "high_bits")
"""Columns of a row of differences, in order."""


def report_differences(
    name: str, report: RecoverabilityReport, reference_name: str, reference: RecoverabilityReport
) -> list[dict[str, Any]]:
    """The bits of the selected probe in a report less those in a reference, at the sites and lags that both have.

    Args:
        name: The name of the report.
        report: The report.
        reference_name: The name of the reference.
        reference: The report that is subtracted.

    Returns:
        One row for each site and lag, with the columns of `DIFFERENCE_COLUMNS`; two reports of one site each are
        compared whatever their sites are called.
    """
    alone = len(report.sites) == len(reference.sites) == 1

    def selected(of: RecoverabilityReport) -> dict[tuple[str, int], dict]:
        return {("" if alone else row["site"], row["lag"]): row for row in of.rows if row["chosen"]}

    rows, theirs = [], selected(reference)
    for place, row in selected(report).items():
        other = theirs.get(place)
        ends = [each and each[key] for each in (row, other) for key in ("value_bits", "low_bits", "high_bits")]
        if other is None or None in ends:
            continue
        value, low, high, base, base_low, base_high = ends
        change = value - base
        rows.append(
            {
                "report": name,
                "reference": reference_name,
                "site": row["site"],
                "lag": row["lag"],
                "difference_bits": change,
                "low_bits": change - math.hypot(value - low, base_high - base),
                "high_bits": change + math.hypot(high - value, base - base_low),
            }
        )
    return rows


def difference_findings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The largest difference of a comparison, and how many exclude zero.

    Args:
        rows: Rows of `report_differences`.

    Returns:
        The sentences.
    """
    if not rows:
        return ["The reports have no site and lag in common: no difference can be taken."]
    largest = max(rows, key=lambda row: abs(row["difference_bits"]))
    away = sum(not row["low_bits"] <= 0 <= row["high_bits"] for row in rows)
    return [
        f"Largest difference: {printable(largest['report'])} gives {largest['difference_bits']:+.2f} bits "
        f"{interval([largest['low_bits'], largest['high_bits']], 2)} against {printable(largest['reference'])} at "
        f"{printable(largest['site'])}, lag {largest['lag']}.",
        f"At {away} of {len(rows)} sites and lags the interval of the difference excludes zero.",
    ]
