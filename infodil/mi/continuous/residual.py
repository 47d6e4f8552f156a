"""Dependence that a model left over: a cheap look before a network is trained to find it."""

__all__ = ["ResidualOptions", "Scores", "residual_dependence"]

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.polynomial.legendre import legvander
from scipy.linalg import cholesky, solve_triangular
from scipy.stats import rankdata

from infodil.statistics import Clusters

Scores = Callable[[Int[ndarray, "some"]], Float[ndarray, "some some"]]
"""Log density ratio of every pair of some rows."""


@dataclass(frozen=True)
class ResidualOptions:
    """Settings of the look for dependence that a model left over.

    Attributes:
        degree: Highest degree of the Legendre polynomials of the rank of each column.
        products: Columns whose products are looked at, too, besides those of the last one.
        most: Rows that the direction is learned from: enough for a gain of .01 nats.
        together: Rows scored against each other.
        shrinkage: Shrinkage of the covariance of the features towards the identity.
    """

    degree: int = 4
    products: int = 4
    most: int = 4096
    together: int = 1024
    shrinkage: float = 0.01


def residual_dependence(
    base: Scores,
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    fit: Int[ndarray, "rows"],
    test: Int[ndarray, "held"],
    clusters: Clusters,
    options: ResidualOptions = ResidualOptions(),
) -> float:
    r"""Standard errors by which held-out rows confirm that features of both variables add to a model.

    The score of the bound of `held_out_terms` at the model, in the features :math:`\phi` and :math:`\psi`, is

    .. math:: S = \langle \phi(x_i) \psi(y_i)^T \rangle - \langle \phi(x_i)\, E_T[\psi(y) \mid x_i]^T \rangle,

    half of it with the variables exchanged, and is zero on average if the model is right. The direction S that some
    rows show is followed on others: its derivative there is a mean of independent terms, above zero only if both agree.

    Args:
        base: Log density ratio of the model that was fitted on rows `fit`.
        x: Columns whose features may depend.
        y: Columns whose features may depend.
        fit: Rows that show the direction.
        test: Rows that confirm it.
        clusters: Rows that may depend on each other.
        options: Settings.

    Reference:
        Rao (1948), "Large sample tests of statistical hypotheses concerning several parameters", for the score.
    """
    x, y = (_features(part, fit, options) for part in (x, y))
    fit = fit[:: max(1, len(fit) // options.most)]
    direction = np.zeros((x.shape[1], y.shape[1]))
    for rows in _parts(fit, options):
        by_row, by_column = _conditionals(base(rows))
        expected = (by_row + by_column) / 2.0
        direction += x[rows].T @ (y[rows] - expected @ y[rows]) / len(fit)
    terms = []
    for rows in _parts(test, options):
        by_row, by_column = _conditionals(base(rows))
        slope = x[rows] @ direction @ y[rows].T
        terms.append(np.diag(slope) - ((by_row * slope).sum(axis=1) + (by_column * slope).sum(axis=0)) / 2.0)
    terms = np.concatenate(terms)
    order = np.concatenate(list(_parts(test, options)))
    return float(terms.mean()) / max(clusters.select(order).standard_error(terms), np.finfo(float).tiny)


def _parts(rows: Int[ndarray, "rows"], options: ResidualOptions) -> list[Int[ndarray, "some"]]:
    return np.array_split(rows, -(-len(rows) // options.together))


def _conditionals(scores: Float[ndarray, "rows rows"]) -> tuple[ndarray, ndarray]:
    """Probability of each `y` given each `x`, and of each `x` given each `y`, among these rows."""
    scores = torch.from_numpy(scores)
    return torch.softmax(scores, 1).numpy(), torch.softmax(scores, 0).numpy()


def _features(
    values: Float[ndarray, "samples dim"], fit: Int[ndarray, "rows"], options: ResidualOptions
) -> Float[ndarray, "samples features"]:
    """Polynomials of the rank of each column and products of the leading ones, uncorrelated on rows `fit`."""
    ranks = 2.0 * rankdata(values, axis=0) / (len(values) + 1.0) - 1.0
    powers = legvander(ranks, options.degree)[:, :, 1:].reshape(len(ranks), -1)
    leading = ranks[:, [*range(min(options.products, ranks.shape[1] - 1)), ranks.shape[1] - 1]]
    first, second = np.triu_indices(leading.shape[1], 1)
    features = np.hstack([powers, leading[:, first] * leading[:, second]])
    features = (features - features[fit].mean(axis=0)) / features[fit].std(axis=0)
    covariance = features[fit].T @ features[fit] / len(fit) + options.shrinkage * np.eye(features.shape[1])
    return solve_triangular(cholesky(covariance, lower=True), features.T, lower=True).T
