"""Closed forms: mutual information of jointly Gaussian variables, and of variables with a Gaussian copula. In nats."""

__all__ = [
    "RawEstimate",
    "canonical",
    "chance_nats",
    "check_enough",
    "check_no_copy",
    "gaussian",
    "information_bias",
    "normal_scores",
    "pair_information",
    "whiten",
]

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from infodil.checks import UserError
from infodil.statistics import Clusters

COPY = 1e-6
"""Two directions this near each other, relative to their size, are one: single precision leaves 10^-7."""


@dataclass(frozen=True)
class RawEstimate:
    """What an estimator read, in nats."""

    value_nats: float
    standard_error_nats: float
    bound: bool = False
    """Whether the value is below the truth but for sampling: a lower bound."""
    warnings: tuple[str, ...] = ()
    missing_nats: float = 0.0
    """How much more, or where it is negative less, a sample without end may read."""


def normal_scores(values: Float[ndarray, "samples dim"]) -> Float[ndarray, "samples dim"]:
    """The normal quantile of each value's rank in its column: the same for every increasing map of a column.

    Example:
        >>> normal_scores(np.array([[1.0], [10.0], [100.0]])).round(3).ravel().tolist()
        [-0.674, 0.0, 0.674]
    """
    return ndtri(rankdata(values, axis=0) / (len(values) + 1.0))


def log_det_bias(samples: int, dim: int) -> float:
    r"""How far the log-determinant of a sample covariance of Gaussian rows lies from the truth on average, exactly.

    .. math:: E \log\det S - \log\det \Sigma = \sum_{i=0}^{d-1} \psi\Big(\frac{m - i}{2}\Big) + d \log \frac{2}{m},
              \qquad m = n - 1

    Reference:
        Goodman (1963), "The Distribution of the Determinant of a Complex Wishart Distributed Matrix"; for real matrices
        Bishop, Pattern Recognition and Machine Learning (2006), equation B.81.

    Example:
        >>> round(log_det_bias(11, 1), 6)  # psi(5) + log(1 / 5)
        -0.10332
    """
    freedom = samples - 1.0
    return float(digamma((freedom - np.arange(dim)) / 2.0).sum() + dim * math.log(2.0 / freedom))


def information_bias(samples: int, dim_x: int, dim_y: int) -> float:
    """How much too high the plug-in of Gaussian variables reads on average, exactly; about `dim_x dim_y / (2 samples)`.

    Example:
        >>> round(information_bias(10_000, 100, 100), 3)
        0.505
    """
    parts = log_det_bias(samples, dim_x) + log_det_bias(samples, dim_y) - log_det_bias(samples, dim_x + dim_y)
    return parts / 2.0


def gaussian(x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"], clusters: Clusters) -> RawEstimate:
    r"""Mutual information of `x` and `y` as if they were jointly Gaussian, without the bias of its plug-in.

    .. math:: I(X;Y) = \frac12 \log \frac{\det\Sigma_X \det\Sigma_Y}{\det\Sigma_{XY}} - \text{bias}

    with the bias of `information_bias`. Where rows depend on each other it is larger by the factor by which the
    covariances of the whitened variables vary more over units than over rows.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 8.5.
    """
    u, v, correlation = canonical(x, y)
    bias, chance = chance_nats(u, v, clusters)
    error = math.hypot(clusters.standard_error(_pointwise(u, v, correlation)), chance)
    return RawEstimate(pair_information(correlation) - bias, error)


def chance_nats(
    u: Float[ndarray, "samples dim_x"], v: Float[ndarray, "samples dim_y"], clusters: Clusters
) -> tuple[float, float]:
    """The bias of a log-determinant of whitened variables, and the spread that it has where they are independent.

    There the first-order error vanishes and that of a chi-squared with `dim_x dim_y` degrees of freedom remains.
    """
    samples, dim_x, dim_y = len(u), u.shape[1], v.shape[1]
    factor = dependence_factor(u, v, clusters)
    return factor * information_bias(samples, dim_x, dim_y), factor * math.sqrt(dim_x * dim_y / 2.0) / samples


def pair_information(correlation: Float[ndarray, "pairs"]) -> float:
    """Mutual information of Gaussian variables with these canonical correlations, in nats.

    Example:
        >>> round(pair_information(np.array([0.8])), 4)
        0.5108
    """
    return float(-np.log1p(-(correlation**2)).sum() / 2.0)


def canonical(
    x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"]
) -> tuple[Float[ndarray, "samples dim_x"], Float[ndarray, "samples dim_y"], Float[ndarray, "pairs"]]:
    """Whitened coordinates of both, pair by pair as correlated as can be, and their correlations (Hotelling 1936)."""
    u, v = whiten(x), whiten(y)
    left, correlation, right = np.linalg.svd(u.T @ v / len(x))
    return u @ left, v @ right.T, np.minimum(correlation, 1.0)


def whiten(x: Float[ndarray, "samples dim"]) -> Float[ndarray, "samples dim"]:
    """Centred, with the identity as covariance; by QR, which does not square the spread of the columns as that does."""
    return np.linalg.qr(x - x.mean(axis=0))[0] * math.sqrt(len(x))


def check_enough(samples: int, dims: int) -> None:
    """Raise `UserError` unless a covariance of `dims` columns can be inverted."""
    if samples <= dims + 1:
        raise UserError(
            f"`x` must have more rows than `x` and `y` have columns together, {dims}, got {samples}: "
            "pass more samples or project to fewer dims."
        )


def check_no_copy(
    u: Float[ndarray, "samples dim_x"], v: Float[ndarray, "samples dim_y"], correlation: Float[ndarray, "pairs"]
) -> None:
    """Raise `UserError` if a canonical direction of `x` is that of `y` in every row."""
    pairs = int((correlation > 0.99).sum())
    apart = np.abs(u[:, :pairs] - v[:, :pairs]).max(axis=0)
    copies = int((apart < COPY * np.median(np.abs(u[:, :pairs]), axis=0)).sum())
    if copies:
        raise UserError(
            f"`y` must not be a function of `x`, got {copies} direction{'s' * (copies > 1)} without any noise: mutual "
            "information is infinite there; add noise of the precision at which you mean it."
        )


def dependence_factor(
    u: Float[ndarray, "samples dim_x"], v: Float[ndarray, "samples dim_y"], clusters: Clusters
) -> float:
    """By how much the covariances of whitened `u` and `v` vary more than those of independent rows; 1 for such."""
    if not clusters.dependent:
        return 1.0
    products = u[:, :, None] * v[:, None, :] if u.shape[1] * v.shape[1] <= 64 else None
    if products is None:  # of many columns a sample of pairs is enough for one number
        pairs = np.random.default_rng(0).integers([u.shape[1], v.shape[1]], size=(64, 2))
        products = u[:, pairs[:, 0]] * v[:, pairs[:, 1]]
    products = products.reshape(len(u), -1)
    products = products - products.mean(axis=0)
    return float((clusters.sums(products) ** 2).sum() / (products**2).sum())


def _pointwise(
    u: Float[ndarray, "samples dim_x"], v: Float[ndarray, "samples dim_y"], correlation: Float[ndarray, "pairs"]
) -> Float[ndarray, "samples"]:
    """The log density ratio of each row, `log p(x, y) / (p(x) p(y))`: its mean is the plug-in, its spread the error."""
    pairs = len(correlation)
    u, v = u[:, :pairs], v[:, :pairs]
    square = correlation**2
    terms = (2.0 * correlation * u * v - square * (u**2 + v**2)) / (2.0 * (1.0 - square))
    return pair_information(correlation) + terms.sum(axis=1)
