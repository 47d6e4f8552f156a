r"""Ties and atoms of columns: what repeats, and how ties are broken without loss.

A value v that several rows share becomes :math:`v + U` with U uniform within half of the gap to its neighbours. Since v
can be told from v + U and U is independent of everything else, no information changes,

.. math:: I(X + U; Y + V) = I(X; Y),

and an estimator that assumes a density finds one. The gaps that are left keep neighbours of an atom within it.

Reference:
    Ruschendorf (2009), On the distributional transform, Sklar's theorem, and the empirical copula process, for
    breaking ties by independent uniform variables.
"""

__all__ = ["dither_columns", "dithered_scores", "few_valued", "find_copies", "label_rows", "tied_share", "top_share"]

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtri
from scipy.stats import rankdata

from infodil.statistics import full_precision

WIDTH = 0.5
"""Width of the dither, in gaps between a value and its nearest neighbour."""

COPIED = 0.1
"""Share of rows that may agree with another row, and of values that may repeat, before rows are said to be copies."""

ROWS_OF_A_PAIR = 50
"""Rows on average of a pair of values of two columns that take few values each."""

FEWEST_OF_A_LABEL, MOST_RARE = 20, 0.1
"""Values are labels where no more than this share of rows has a value with fewer rows than so many."""


def dithered_scores(values: Float[ndarray, "rows dim"], seed: int) -> Float[ndarray, "rows dim"]:
    """Normal scores of each column, ties broken by dither.

    Args:
        values: Columns.
        seed: Seed of the dither.

    Example:
        >>> dithered_scores(np.array([[1.0], [10.0], [100.0]]), 0).round(3).ravel().tolist()
        [-0.674, 0.0, 0.674]
    """
    scores = ndtri(rankdata(values, axis=0) / (len(values) + 1.0))
    return dither_columns(scores, seed)


def dither_columns(values: Float[ndarray, "rows dim"], seed: int) -> Float[ndarray, "rows dim"]:
    """Columns with each value that is shared moved at random within half of the gap to its nearest neighbour.

    Args:
        values: Columns.
        seed: Seed of the dither.
    """
    dithered = values.copy()
    for number, column in enumerate(values.T):
        different, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        if 1 < len(different) < len(column):
            gaps = np.diff(different)
            width = WIDTH * np.minimum(np.append(gaps, gaps[-1]), np.insert(gaps, 0, gaps[0])) * (counts > 1)
            uniform = np.random.default_rng([seed, 0xD17E, number]).random(len(column)) - 0.5
            dithered[:, number] += width[place.reshape(-1)] * uniform
    return dithered


def label_rows(values: Float[ndarray, "rows dim"]) -> Int[ndarray, "rows"] | None:
    """Labels of rows that take few values, each of them often; None for any other rows.

    Args:
        values: Columns, read together.

    Example:
        >>> label_rows(np.array([[0.5], [2.0]] * 50))[:4]
        array([0, 1, 0, 1])
    """
    rows, code = len(values), np.zeros(len(values), dtype=np.int64)
    for column in values.T:
        different, place = np.unique(column, return_inverse=True)
        code = np.unique(code * len(different) + place.reshape(-1), return_inverse=True)[1].reshape(-1)
        if code.max() > rows // 2:
            return None
    counts = np.bincount(code)
    rare = counts[counts < min(FEWEST_OF_A_LABEL, rows / 4)].sum()
    return code if rare <= MOST_RARE * rows else None


def few_valued(values: Float[ndarray, "rows dim"]) -> tuple[int, ...]:
    """Columns that take so few values, all of them together, that rows with any pair of such labels are many.

    Args:
        values: Columns.

    Example:
        >>> few_valued(np.column_stack([np.arange(200) % 2, np.arange(200)]).astype(float))
        (0,)
    """
    most, chosen, code = (len(values) / ROWS_OF_A_PAIR) ** 0.5, [], np.zeros(len(values), dtype=np.int64)
    for number, column in enumerate(values.T):
        different, place = np.unique(column, return_inverse=True)
        if len(different) <= most:
            joined = np.unique(code * len(different) + place.reshape(-1), return_inverse=True)[1].reshape(-1)
            if joined.max() < most:
                code, chosen = joined, [*chosen, number]
    return tuple(chosen)


def find_copies(x: ndarray, y: ndarray) -> Int[ndarray, "rows"] | None:
    """Number of the row that each row of both variables is an exact copy of; None where rows are no copies.

    Values of full precision do not repeat by chance: where many do, and rows that agree in one variable agree in the
    other, rows were copied. Values that repeat because they are few, rounded or of half precision are no copies; nor
    are those of an atom, as rectified and clipped numbers have: however many rows share it, it is one value.

    Args:
        x: Labels or columns.
        y: Labels or columns, row by row with `x`.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal((100, 2))
        >>> rows = np.repeat(noise, 10, axis=0)
        >>> find_copies(rows[:, :1], rows[:, 1:]).max() + 1, find_copies(noise[:, :1], noise[:, 1:])
        (np.int64(100), None)
    """
    vectors = [part for part in (x, y) if part.ndim == 2]
    if not any(_repeated_share(column) > COPIED and full_precision(column) for part in vectors for column in part.T):
        return None
    codes = [_number_rows(part) for part in (x, y)]
    joint = np.unique(codes[0] * (int(codes[1].max()) + 1) + codes[1], return_inverse=True)[1].reshape(-1)
    different = max(int(code.max()) + 1 for code in codes)
    return joint if joint.max() + 1 <= 1.01 * different < (1.0 - COPIED) * len(joint) else None


def _repeated_share(column: Float[ndarray, "rows"]) -> float:
    """Share of the different values that more than one row has."""
    return float((np.unique(column, return_counts=True)[1] > 1).mean())


def _number_rows(values: ndarray) -> Int[ndarray, "rows"]:
    code = np.zeros(len(values), dtype=np.int64)
    for column in values.reshape(len(values), -1).T:
        different, place = np.unique(column, return_inverse=True)
        code = np.unique(code * len(different) + place.reshape(-1), return_inverse=True)[1].reshape(-1)
    return code


def tied_share(column: Float[ndarray, "rows"]) -> float:
    """Share of rows that are not alone with their value."""
    counts = np.unique(column, return_counts=True)[1]
    return float(counts[counts > 1].sum() / len(column))


def top_share(column: Float[ndarray, "rows"]) -> float:
    """Share of rows that have the commonest value."""
    return float(np.unique(column, return_counts=True)[1].max() / len(column))
