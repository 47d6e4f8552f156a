"""Blocks of a series whose neighbouring rows depend on each other."""

__all__ = ["MOST_CLUSTERS", "correlation_length", "cut_cells", "merge_cells"]

import math

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

MOST_CLUSTERS = 1024
"""More clusters than this add nothing to an interval; documents are grouped so that memory stays constant."""

CELL_ROWS = 64
"""Rows of a cell of a long series."""

FEWEST_CELLS = 32
"""Least number of cells that a short series is cut into."""

MOST_CELLS = 4 * MOST_CLUSTERS
"""Greatest number of cells that a long series is cut into."""

FEWEST_MERGED_BLOCKS = 16
"""Fewest blocks that cells are merged into: an interval from fewer would say little."""


def correlation_length(series: Float[ndarray, "cells values"]) -> float:
    r"""Integrated autocorrelation time of the most slowly varying column, in cells.

    .. math:: \tau = \tfrac12 + \sum_{k=1}^{K} \rho_k

    summed over lags up to the first one whose autocorrelation is not positive; one half for white noise.

    Args:
        series: Rows, or means of equal cells, in their order.

    Returns:
        A correlation time of at least one half.

    Reference:
        Geyer (1992), Practical Markov Chain Monte Carlo, section 3.3, without the pairing that only reversible chains
        justify.
    """
    cells = len(series)
    if cells < 4:
        return 0.5  # nothing can be seen of it
    centred = series - series.mean(axis=0)
    power = np.abs(np.fft.rfft(centred, n=2 * cells, axis=0)) ** 2
    correlation = np.fft.irfft(power, axis=0)[: cells // 2]
    moving = correlation[0] > 0
    if not moving.any():
        return 0.5
    correlation = correlation[1:, moving] / correlation[0, moving]
    positive = np.cumprod(correlation > 0, axis=0)
    return 0.5 + float((correlation * positive).sum(axis=0).max())


def cut_cells(rows: int) -> Int[ndarray, "cells"]:
    """Beginnings of the cells of one series: 64 rows each, fewer where the series is short, more where it is long.

    Args:
        rows: Length of the series.

    Returns:
        The first row of each cell.

    Example:
        >>> cut_cells(320)[:3], len(cut_cells(320)), cut_cells(10**6)[:3]
        (array([ 0, 10, 20]), 32, array([  0, 245, 490]))
    """
    return np.arange(0, rows, max(1, min(CELL_ROWS, rows // FEWEST_CELLS), -(-rows // MOST_CELLS)))


def merge_cells(cells: int, correlation: float) -> ndarray:
    """Block of each cell: contiguous blocks of ten correlation times, while at least sixteen blocks remain.

    Args:
        cells: Number of cells.
        correlation: Correlation time of the series, in cells.

    Returns:
        The number of the block of each cell, from 0.

    Example:
        >>> merge_cells(64, 0.5).max() + 1  # blocks of five cells would leave 13: sixteen are kept
        np.int64(16)
    """
    length = min(math.ceil(10.0 * correlation), max(1, cells // FEWEST_MERGED_BLOCKS))
    return np.minimum(np.arange(cells) // length, max(1, cells // length) - 1)
