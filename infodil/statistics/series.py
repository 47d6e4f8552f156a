"""Whether rows are one series in their order: neighbours are more alike than chance makes them."""

__all__ = ["is_series", "label_correlation_length"]

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from infodil.statistics.blocks import correlation_length

NEAREST = 16
"""Distances at which rows are compared."""

SERIES_ODDS = 12.5
"""Rows are one series where the log of the odds of what is seen, in random order, is below minus this: as for five
standard deviations of a normal variable, met by chance once in some thousand data sets."""

COMMONEST = 16
"""Labels whose correlation time is measured."""


def is_series(values: Float[ndarray, "rows columns"] | Int[ndarray, "rows"]) -> bool:
    r"""Whether rows resemble those near them by more than chance explains: in some column, or in their labels.

    For a column x of mean 0 and variance 1, in random order, the sum :math:`t = \sum_i x_i x_{i+k}` has mean 0 and a
    variance of about N, and by Bernstein's inequality

    .. math:: P(|t| > s) \lesssim 2 \exp \frac{-s^2}{2 (N + s \max_i x_i^2 / 3)}

    which allows for columns that are nearly always the same. Of labels, with shares :math:`p_i`, the number of equal
    pairs has there a variance of

    .. math:: N \Big(\sum_i p_i^2 + \big(\sum_i p_i^2\big)^2 - 2 \sum_i p_i^3\Big)

    Args:
        values: Rows in their order, or the number of the label of each, from 0.

    Returns:
        True where rows are no independent draws.

    Reference:
        Boucheron, Lugosi & Massart (2013), Concentration Inequalities, corollary 2.11; Mantel (1967), Cancer Research
        27, for the variance of equal pairs in random order.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal((1000, 2))
        >>> is_series(noise), is_series(noise.cumsum(0)), is_series(np.repeat([0, 1, 2, 0, 2, 1], 10))
        (False, True, True)
    """
    return _labels_are_series(values) if values.ndim == 1 else _columns_are_series(values)


def _columns_are_series(columns: Float[ndarray, "rows columns"]) -> bool:
    columns = columns - columns.mean(0)
    columns = columns[:, columns.any(0)]
    columns = columns / np.abs(columns).max(0)  # squares of the largest and of the smallest numbers stay finite
    variance, rows = np.square(columns).mean(0), len(columns)
    for near in range(1, min(NEAREST, rows - 1) + 1):
        excess = np.abs((columns[near:] * columns[:-near]).sum(0))
        if (excess**2 > 2.0 * SERIES_ODDS * (rows * variance**2 + excess / 3.0)).any():
            return True
    return False


def _labels_are_series(labels: Int[ndarray, "rows"]) -> bool:
    rows, counts = len(labels), np.bincount(labels)
    share = counts / rows
    same = float(share @ share)
    variance = rows * (same + same**2 - 2.0 * float(share @ share**2))
    expected = float(counts @ (counts - 1)) / max(1.0, rows * (rows - 1.0))
    for near in range(1, min(NEAREST, rows - 1) + 1):
        excess = np.count_nonzero(labels[near:] == labels[:-near]) - expected * (rows - near)
        if excess > 0.0 and excess**2 > 2.0 * SERIES_ODDS * (variance + excess / 3.0):
            return True
    return False


def label_correlation_length(labels: Int[ndarray, "rows"]) -> float:
    """Integrated autocorrelation time of the most slowly varying of the commonest labels, in rows.

    Args:
        labels: Number of the label of each row, from 0, rows in their order.

    Returns:
        A correlation time of at least one half.

    Example:
        >>> label_correlation_length(np.repeat(np.random.default_rng(0).integers(4, size=1000), 10)) > 3.0
        True
    """
    common = np.argsort(-np.bincount(labels), kind="stable")[:COMMONEST]
    return correlation_length((labels[:, None] == common).astype(np.float64))
