"""Intervals by resampling whole documents, or blocks of one long document; never single positions."""

__all__ = [
    "MOST_UNITS",
    "correlation_length",
    "cut_cells",
    "interval",
    "mean_reach",
    "merge_cells",
    "number_groups",
    "number_labels",
    "resample_weights",
]

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtr, stdtrit

from infodil.checks import UserError

MOST_UNITS = 1024
"""More resampling units than this add nothing to an interval; documents are grouped so that memory stays constant."""

CELL_ROWS = 64
FEWEST_CELLS = 32
MOST_CELLS = 4 * MOST_UNITS

FEWEST_BLOCKS = 16
"""Blocks are not made longer than leaves this many: an interval from fewer would say little."""


def number_labels(labels: ndarray) -> Int[ndarray, "rows"]:
    """Labels numbered from 0 in order of first appearance: what they are called leaves no trace.

    Example:
        >>> number_labels(np.array([7, -1, 7, 4]))
        array([0, 1, 0, 2])
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse.reshape(-1)]


def number_groups(groups: Any, rows: int, fewest: int) -> Int[ndarray, "rows"]:
    """The groups numbered from 0, from whole numbers or names.

    Args:
        groups: An array, a tensor or a list.
        rows: How many there must be.
        fewest: How many different groups there must be at least.

    Raises:
        UserError: Not one label a row, labels that are fractions, or too few groups.
    """
    labels = np.asarray(groups.detach().cpu() if hasattr(groups, "detach") else groups)
    if labels.shape != (rows,):
        raise UserError(
            f"`groups` must have one label for each of {rows} rows, got shape {list(labels.shape)}: pass the document "
            "of each row."
        )
    if labels.dtype.kind in "fc" and not np.array_equal(labels, np.trunc(labels.real)):
        raise UserError("`groups` must be whole numbers or names, got fractions or NaN: number the documents.")
    numbered = number_labels(labels)
    if numbered.max(initial=-1) + 1 < fewest:
        raise UserError(
            f"`groups` must name at least {fewest} groups, got {numbered.max(initial=-1) + 1}, for whole groups are "
            "held out and resampled: pass more, or leave it out."
        )
    return numbered


def resample_weights(units: int, replicates: int, seed: int) -> Float[ndarray, "replicates units"]:
    """How often each unit is drawn in each bootstrap replicate (Efron and Tibshirani 1993, chapter 6).

    The weights turn resampling into one matrix product: the replicates of a ratio of sums are
    `(weights @ sums) / (weights @ counts)`.
    """
    generator = np.random.default_rng([seed, 0xB007])
    return generator.multinomial(units, np.full(units, 1.0 / units), size=replicates).astype(np.float64)


def interval(
    replicates: Float[ndarray, "replicates *shape"], units: int, confidence: float
) -> tuple[Float[ndarray, "*shape"], Float[ndarray, "*shape"]]:
    """The expanded percentile interval of bootstrap replicates.

    A plain percentile interval is too narrow for few units by about `sqrt((units - 1) / units)` and by the normal
    in place of Student's t; the quantile levels are moved outward to undo both (Hesterberg 2015, "What Teachers Should
    Know About the Bootstrap", section 4.4). A replicate that is not defined (a lag whose positions it drew none of)
    is left out.
    """
    tail = (1.0 - confidence) / 2.0
    reach = math.sqrt(units / (units - 1.0)) * stdtrit(units - 1, 1.0 - tail)
    level = float(ndtr(-reach))
    low, high = np.nanquantile(replicates, [level, 1.0 - level], axis=0)
    return np.asarray(low), np.asarray(high)


def mean_reach(terms: Float[ndarray, "samples"], units: Int[ndarray, "samples"] | None, confidence: float) -> float:
    """Half the width of Student's interval for the mean of terms; with units, from the sums of whole units.

    Example:
        >>> round(mean_reach(np.array([1.0, 2.0, 3.0]), None, 0.95), 3)  # 4.303 * 1 / sqrt(3)
        2.484
    """
    centred = terms - terms.mean()
    sums = centred if units is None else np.bincount(units, centred)
    error = math.sqrt(float(np.sum(sums**2)) * len(sums) / (len(sums) - 1)) / len(terms)
    return float(stdtrit(len(sums) - 1, 0.5 + confidence / 2)) * error


def correlation_length(series: Float[ndarray, "cells values"]) -> float:
    """Integrated autocorrelation time of the most slowly varying column, in cells; one half for white noise.

    `1/2 + sum of autocorrelations`, summed over lags up to the first one that is not positive (Geyer 1992,
    "Practical Markov Chain Monte Carlo", section 3.3, without the pairing that only reversible chains justify).
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
    """Where each cell of one long series begins: 64 rows each, fewer where the series is short, more where it is long.

    Example:
        >>> cut_cells(320)[:3], len(cut_cells(320)), cut_cells(10**6)[:3]
        (array([ 0, 10, 20]), 32, array([  0, 245, 490]))
    """
    return np.arange(0, rows, max(1, min(CELL_ROWS, rows // FEWEST_CELLS), -(-rows // MOST_CELLS)))


def merge_cells(cells: int, correlation: float) -> ndarray:
    """The block of each cell: contiguous blocks of ten correlation times, while enough blocks remain.

    Example:
        >>> merge_cells(64, 0.5).max() + 1  # blocks of five cells would leave 13: sixteen are kept
        np.int64(16)
    """
    length = min(math.ceil(10.0 * correlation), max(1, cells // FEWEST_BLOCKS))
    return np.minimum(np.arange(cells) // length, max(1, cells // length) - 1)
