"""Rows that occur more than once: what was copied, and is no chance."""

__all__ = ["copied_rows", "full_precision", "hash_rows"]

import numpy as np
from jaxtyping import Float, Int, UInt64
from numpy import ndarray

HASHED_ROWS = 2**14
"""Rows hashed at once, so that memory does not grow with the number of columns."""

EXAMINED_VALUES = 2**12
"""Values of a column that its precision is told from."""

ROWS_OF_A_STATE = 50
"""Rows on average of each different state from which on states are few and repeat by themselves."""

TELLING_DIMS = 8
"""Columns that do not agree all at once by chance, even if rounded."""


def hash_rows(values: Float[ndarray, "rows numbers"]) -> UInt64[ndarray, "rows"]:
    """A number of 64 bits for each row, the same for equal rows.

    Args:
        values: Rows of floating-point numbers.

    Returns:
        Different rows differ but for one pair in about 2^64.

    Example:
        >>> hashed = hash_rows(np.array([[1.0, -0.0], [1.0, 0.0], [0.0, 1.0]]))
        >>> bool(hashed[0] == hashed[1]), bool(hashed[1] == hashed[2])
        (True, False)
    """
    odd = np.random.default_rng(0x5EED).integers(2**63, size=values.shape[1], dtype=np.uint64) * 2 + 1
    parts = [np.zeros(0, dtype=np.uint64)]
    for first in range(0, len(values), HASHED_ROWS):
        words = np.ascontiguousarray(values[first : first + HASHED_ROWS].astype(np.float64) + 0.0).view(np.uint64)
        words = (words ^ (words >> np.uint64(29))) * odd  # the low bits of a rounded number are all alike
        parts.append((words ^ (words >> np.uint64(32))) @ odd)
    return np.concatenate(parts)


def full_precision(column: Float[ndarray, "rows"]) -> bool:
    """Whether most values have more digits than a rounded number or one of half precision.

    Args:
        column: Values.

    Returns:
        True where values that agree do so for a reason, not by chance.

    Example:
        >>> full_precision(np.array([0.123456789, 3.3333333])), full_precision(np.array([0.125, 3.33]))
        (True, False)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.where(column == 0, 1.0, 10.0 ** (5 - np.floor(np.log10(np.abs(column)))))
    rounded = np.abs(np.round(column * power) / power - column) <= 1e-9 * np.abs(column)
    mantissa = np.frexp(column)[0] * 2.0**11
    return bool(np.mean(~rounded & (mantissa != np.round(mantissa))) > 0.5)


def copied_rows(labels: Int[ndarray, "rows"], states: Float[ndarray, "rows numbers"]) -> Int[ndarray, "rows"] | None:
    """Number of the pair of label and state that each row holds; None where no rows are copies of others.

    Continuous states do not repeat by chance. Where they do, and the rows that agree in the state agree in the label,
    rows were copied, unless the states are few, or the label alone decides on the state: those repeat by themselves.

    Args:
        labels: Label of each row, from 0.
        states: State of each row.

    Returns:
        One number a row, from 0, or None.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal((100, 2))
        >>> labels = np.arange(100) % 3
        >>> copied_rows(np.tile(labels, 2), np.tile(noise, (2, 1))).max() + 1, copied_rows(labels, noise)
        (np.int64(100), None)
    """
    for columns in (TELLING_DIMS, states.shape[1]):  # where a few columns never repeat, rows do not
        state = np.unique(hash_rows(states[:, :columns]), return_inverse=True)[1]
        different = int(state.max()) + 1
        if different == len(labels):
            return None
    if different * ROWS_OF_A_STATE < len(labels):
        return None
    row = np.unique(state * (int(labels.max()) + 1) + labels, return_inverse=True)[1]
    pairs = int(row.max()) + 1
    if pairs > 1.01 * different or pairs < 2 * len(np.unique(labels)):
        return None
    few = states[:EXAMINED_VALUES]
    told = states.shape[1] >= TELLING_DIMS or any(full_precision(column.astype(np.float64)) for column in few.T)
    return row if told else None
