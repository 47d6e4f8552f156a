"""Clusters of rows: of one group, of one stretch of a series, or of one row."""

__all__ = ["group_clusters", "independent_rows", "make_clusters"]

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from infodil.statistics.blocks import correlation_length, merge_cells
from infodil.statistics.clusters import FEWEST_RESAMPLED, Clusters
from infodil.statistics.labels import number_groups
from infodil.statistics.series import is_series, label_correlation_length

SLOW = 0.75
"""Rows with a correlation time above this are a series; white noise has one half."""

CORRELATED_ROWS = 65_536
"""Rows of a series whose correlation time is measured: more would not change the length of a block."""


def independent_rows(rows: int) -> Clusters:
    """Clusters of independent rows: every row its own.

    Args:
        rows: Number of rows.

    Returns:
        As many clusters as rows.
    """
    return Clusters(np.arange(rows), dependent=False)


def group_clusters(groups: Any, rows: int, fewest: int = 2) -> Clusters:
    """Clusters of rows with the same group; every row its own without groups.

    Args:
        groups: One label a row, or None.
        rows: Number of rows.
        fewest: Least number of different groups.

    Returns:
        The clusters; their rows depend on each other where any group has more than one.

    Raises:
        UserError: There is not one label a row, labels are fractions, or there are too few groups.
    """
    if groups is None:
        return independent_rows(rows)
    index = number_groups(groups, rows, fewest)
    return Clusters(index, dependent=int(index.max()) + 1 < rows)


def make_clusters(
    rows: int,
    groups: object | None,
    *series: Float[ndarray, "rows _"] | Int[ndarray, "rows"],
    fewest: int = FEWEST_RESAMPLED,
) -> Clusters:
    """Clusters of rows with `groups`, or else of rows in the order of `series`.

    Without groups the rows are independent if no column and no label of any series remembers more than its last row.
    Else they come in blocks of ten correlation times, the most slowly varying one deciding.

    Args:
        rows: Number of rows.
        groups: One label a row, or None.
        series: Columns of each variable, row by row, or its labels, numbered from 0.
        fewest: Least number of different groups.

    Returns:
        The clusters.

    Raises:
        UserError: `groups` is not one label a row, or names too few groups.
    """
    if groups is not None:
        return group_clusters(groups, rows, fewest)
    parts = [part[:CORRELATED_ROWS] for part in series]
    lengths = [correlation_length(part) for part in parts if part.ndim == 2]
    lengths += [label_correlation_length(part) for part in parts if part.ndim == 1 and is_series(part)]
    correlation = max(lengths, default=0.5)
    if correlation < SLOW:
        return independent_rows(rows)
    return Clusters(merge_cells(rows, correlation), dependent=True, blocks=True)
