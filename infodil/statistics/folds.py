"""Folds of whole clusters."""

__all__ = ["balanced_folds", "random_folds"]

import numpy as np
from jaxtyping import Int
from numpy import ndarray


def balanced_folds(sizes: Int[ndarray, "clusters"], folds: int) -> Int[ndarray, "clusters"]:
    """Fold of each cluster, neighbouring clusters together, folds of about as many rows each.

    A cluster goes where its middle falls, so that no fold is empty unless one cluster is larger than a fold.

    Args:
        sizes: Rows of each cluster, in the order in which they are dealt out.
        folds: Number of folds.

    Returns:
        The number of the fold of each cluster, from 0.

    Example:
        >>> balanced_folds(np.array([1, 1, 2, 4]), 2)
        array([0, 0, 0, 1])
    """
    middle = np.cumsum(sizes) - 0.5 * sizes
    return np.minimum((folds * middle / sizes.sum()).astype(np.int64), folds - 1)


def random_folds(clusters: int, folds: int, generator: np.random.Generator) -> Int[ndarray, "clusters"]:
    """Fold of each cluster, drawn at random, folds of as many clusters each.

    Args:
        clusters: Number of clusters.
        folds: Number of folds, at most one a cluster.
        generator: Source of the random order.

    Returns:
        The number of the fold of each cluster, from 0.
    """
    return generator.permutation(clusters) % min(folds, clusters)
