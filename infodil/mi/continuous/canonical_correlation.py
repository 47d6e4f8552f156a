"""Canonical variates that may turn with the radius: the few directions of many columns that depend on each other."""

__all__ = ["Variates", "canonical_variates", "radial_features"]

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.polynomial.legendre import legvander
from scipy.linalg import solve_triangular
from scipy.stats import rankdata

from infodil.mi.continuous.gaussian import whiten

SHRINKAGE = 1e-3
"""Of each covariance towards a multiple of the identity: rarely met products of columns must not look like a copy."""


@dataclass(frozen=True, eq=False)
class Variates:
    """Pairs of columns, most correlated first."""

    x: Float[ndarray, "samples pairs"]
    """Functions of the rows of `x`."""
    y: Float[ndarray, "samples pairs"]
    """Functions of the rows of `y`."""


def radial_features(values: Float[ndarray, "samples dim"], degree: int) -> Float[ndarray, "samples features"]:
    r"""Every whitened coordinate times every polynomial of the radius below `degree`.

    .. math:: z_i P_j(2 F(|z|) - 1)

    with `P` the Legendre polynomials and `F` the rank of the radius. Their linear combinations are the maps
    `z -> A(|z|) z` with a matrix that changes smoothly with the radius: a rotation or a stretch that depends on how far
    out a row lies. Degree 1 gives the coordinates alone.
    """
    white = whiten(values)
    radius = rankdata((white**2).sum(axis=1)) / (len(values) + 1.0)
    polynomials = legvander(2.0 * radius - 1.0, degree - 1)
    return (white[:, :, None] * polynomials[:, None, :]).reshape(len(values), -1)


def canonical_variates(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    fit: Int[ndarray, "rows"],
    most: int,
) -> Variates:
    """The `most` canonical pairs of `x` and `y` as rows `fit` show them, for all rows (Hotelling 1936)."""
    halves = []
    for part in (x, y):
        centred = part - part[fit].mean(axis=0)
        covariance = centred[fit].T @ centred[fit] / len(fit)
        covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        halves.append((centred, np.linalg.cholesky(covariance)))
    (x, in_x), (y, in_y) = halves
    cross = solve_triangular(in_x, x[fit].T @ y[fit] / len(fit), lower=True)
    cross = solve_triangular(in_y, cross.T, lower=True).T
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    left = solve_triangular(in_x.T, left[:, :most])
    right = solve_triangular(in_y.T, right[:most].T)
    return Variates(x @ left, y @ right)
