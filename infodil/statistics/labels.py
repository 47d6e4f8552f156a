"""Labels and groups of rows, numbered from 0."""

__all__ = ["number_groups", "number_labels"]

from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.checks import UserError, check_not_masked


def number_labels(labels: ndarray) -> Int[ndarray, "rows"]:
    """Labels numbered from 0 in order of first appearance, so that no result depends on what they are called.

    Args:
        labels: One label a row, of any type that sorts.

    Returns:
        The number of the label of each row.

    Example:
        >>> number_labels(np.array([7, -1, 7, 4]))
        array([0, 1, 0, 2])
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse.reshape(-1)]


def number_groups(groups: Any, rows: int, fewest: int) -> Int[ndarray, "rows"]:
    """Groups numbered from 0, from whole numbers or names.

    Args:
        groups: One label a row: an array, a tensor or a list.
        rows: Number of labels that there must be.
        fewest: Least number of different groups.

    Returns:
        The number of the group of each row.

    Raises:
        UserError: There is not one label a row, labels are fractions, or there are too few groups.

    Example:
        >>> number_groups(["a", "b", "a"], 3, 2)
        array([0, 1, 0])
    """
    check_not_masked("groups", groups)
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
