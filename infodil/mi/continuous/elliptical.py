"""The Student copula: dependence through one common scale as well as through correlation. All values are in nats."""

__all__ = ["StudentCopula", "fit_student_copula", "quantiles", "student_copula", "uniform_ranks"]

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize_scalar
from scipy.special import digamma, gammaln, ndtri, stdtrit
from scipy.stats import rankdata

from infodil.mi.continuous.gaussian import RawEstimate, chance_nats, whiten
from infodil.statistics import Clusters

LEAST_FREEDOM, MOST_FREEDOM = 0.4, 200.0
"""Degrees of freedom looked among; from the last on the copula is read as Gaussian."""

SEARCH_ROWS = 2000
"""Rows among which the degrees of freedom are looked for: enough for a few percent."""

ROUNDS, TOLERANCE = 30, 1e-5
"""Of the EM algorithm; it is there long before, except where hardly any row is typical."""


def uniform_ranks(values: Float[ndarray, "samples dim"]) -> Float[ndarray, "samples dim"]:
    """The rank of each value in its column, inside (0, 1): the empirical copula."""
    return rankdata(values, axis=0) / (len(values) + 1.0)


@dataclass(frozen=True, eq=False)
class StudentCopula:
    """A density of ranks: Student's t with the margins taken out (Demarta & McNeil 2005, "The t copula")."""

    freedom: float
    """Degrees of freedom; infinite for the Gaussian copula."""
    scatter: Float[ndarray, "dims dims"]
    """Of the columns of `x`, then of `y`."""
    dim_x: int
    """Columns that are of `x`."""

    def log_ratio(
        self, x: Float[ndarray, "rows dim_x"], y: Float[ndarray, "others dim_y"]
    ) -> Float[ndarray, "rows others"]:
        """`log p(x, y) / (p(x) p(y))` of every pair of rows: `quantiles` of ranks, of `x` and of `y`."""
        split, dims = self.dim_x, len(self.scatter)
        precision = np.linalg.inv(self.scatter)
        in_x, in_y = np.linalg.inv(self.scatter[:split, :split]), np.linalg.inv(self.scatter[split:, split:])
        own_x, own_y = _form(x, precision[:split, :split]), _form(y, precision[split:, split:])
        ratio = (x @ (-2.0 * precision[:split, split:])) @ y.T
        if math.isinf(self.freedom):  # sums of squares alone: nothing as large as all pairs but the product
            ratio += (_form(x, in_x) - own_x)[:, None]
            ratio += _form(y, in_y) - own_y
            ratio /= 2.0
            ratio += self._log_det_nats()
            return ratio
        joint = own_x[:, None] + own_y - ratio
        apart = _log_kernel(_form(x, in_x), split, self.freedom)[:, None]
        apart = apart + _log_kernel(_form(y, in_y), dims - split, self.freedom)
        constant = self._log_det_nats() - _log_constant(split, self.freedom) - _log_constant(dims - split, self.freedom)
        return _log_kernel(joint, dims, self.freedom) - apart + constant + _log_constant(dims, self.freedom)

    def information_nats(self) -> float:
        """Mutual information of `x` and `y` under this copula.

        The Gaussian closed form, and for the common scale the entropies of standard Student vectors.
        """
        split, dims = self.dim_x, len(self.scatter)
        value = self._log_det_nats()
        if math.isinf(self.freedom):
            return value
        return value + sum(
            sign * _entropy(dim, self.freedom) for sign, dim in ((1, split), (1, dims - split), (-1, dims))
        )

    def _log_det_nats(self) -> float:
        split = self.dim_x
        parts = (self.scatter[:split, :split], self.scatter[split:, split:], self.scatter)
        in_x, in_y, joint = (np.linalg.slogdet(part)[1] for part in parts)
        return float(in_x + in_y - joint) / 2.0


def fit_student_copula(
    x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"], *, freedom: float | None = None
) -> StudentCopula:
    """The likeliest Student copula of ranks `x` and `y`, with degrees of freedom `freedom` if these are given."""
    ranks = np.hstack([x, y])
    start = np.corrcoef(ndtri(ranks), rowvar=False)
    if freedom is None:
        some = ranks[:: max(1, len(ranks) // SEARCH_ROWS)]
        freedom = math.inf
        # The likelihood has one peak in one over the degrees of freedom: whether that is at zero shows beside it.
        if _log_likelihood(some, MOST_FREEDOM / 2.0, start) > _log_likelihood(some, math.inf, start):
            search = minimize_scalar(
                lambda log_freedom: -_log_likelihood(some, math.exp(log_freedom), start),
                bounds=(math.log(LEAST_FREEDOM), math.log(MOST_FREEDOM)),
                method="bounded",
                options={"xatol": 0.04},
            )
            freedom = math.exp(search.x)
    return StudentCopula(freedom, _scatter(quantiles(ranks, freedom), freedom, start), x.shape[1])


def student_copula(
    x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"], clusters: Clusters
) -> RawEstimate:
    """Mutual information of variables with a Student copula, whatever their margins.

    The bias of the log-determinants is removed as for Gaussian variables; that of the degrees of freedom is below the
    error.
    """
    x, y = uniform_ranks(x), uniform_ranks(y)
    white = whiten(ndtri(x)), whiten(ndtri(y))
    copula = fit_student_copula(x, y)
    x, y = quantiles(x, copula.freedom), quantiles(y, copula.freedom)
    terms = np.concatenate(
        [np.diag(copula.log_ratio(x[part], y[part])) for part in np.array_split(np.arange(len(x)), len(x) // 512 + 1)]
    )
    bias, chance = chance_nats(*white, clusters)
    return RawEstimate(copula.information_nats() - bias, math.hypot(clusters.standard_error(terms), chance))


def quantiles(ranks: Float[ndarray, "samples dim"], freedom: float) -> Float[ndarray, "samples dim"]:
    """Student quantiles, each different rank computed once: all columns share theirs."""
    if math.isinf(freedom):
        return ndtri(ranks)
    different, place = np.unique(ranks, return_inverse=True)
    return stdtrit(freedom, different)[place].reshape(ranks.shape)


def _scatter(
    values: Float[ndarray, "samples dims"], freedom: float, start: Float[ndarray, "dims dims"]
) -> Float[ndarray, "dims dims"]:
    """The likeliest scatter of centred Student vectors: EM (McLachlan & Peel 2000, Finite Mixture Models, section 7.4).

    `start` is the correlation of their normal scores.
    """
    if math.isinf(freedom):
        return start
    scatter = start
    for _ in range(ROUNDS):
        distance = _form(values, np.linalg.inv(scatter))
        weighted = values * ((freedom + len(scatter)) / (freedom + distance))[:, None]
        before, scatter = scatter, weighted.T @ values / len(values)
        if np.abs(scatter - before).max() < TOLERANCE:
            break
    return scatter


def _log_likelihood(ranks: Float[ndarray, "samples dims"], freedom: float, start: Float[ndarray, "dims dims"]) -> float:
    """Of a copula with the likeliest scatter: its margins are taken out."""
    values = quantiles(ranks, freedom)
    scatter = _scatter(values, freedom, start)
    dims = len(scatter)
    joint = _log_kernel(_form(values, np.linalg.inv(scatter)), dims, freedom) - np.linalg.slogdet(scatter)[1] / 2.0
    margins = _log_kernel(values**2, 1, freedom).sum(axis=1)
    return float((joint - margins).mean()) + _log_constant(dims, freedom) - dims * _log_constant(1, freedom)


def _form(values: Float[ndarray, "samples dims"], matrix: Float[ndarray, "dims dims"]) -> Float[ndarray, "samples"]:
    return ((values @ matrix) * values).sum(axis=1)


def _log_kernel(distance: Float[ndarray, "*shape"], dim: int, freedom: float) -> Float[ndarray, "*shape"]:
    """The density of a Student vector at this squared distance, without its constant and determinant."""
    if math.isinf(freedom):
        return -distance / 2.0
    return -(freedom + dim) / 2.0 * np.log1p(distance / freedom)


def _log_constant(dim: int, freedom: float) -> float:
    if math.isinf(freedom):
        return -dim / 2.0 * math.log(2.0 * math.pi)
    return float(gammaln((freedom + dim) / 2) - gammaln(freedom / 2) - dim / 2 * math.log(freedom * math.pi))


def _entropy(dim: int, freedom: float) -> float:
    """Of a standard Student vector (Kotz & Nadarajah 2004, Multivariate t Distributions, section 1.14)."""
    gap = digamma((freedom + dim) / 2.0) - digamma(freedom / 2.0)
    return float((freedom + dim) / 2.0 * gap) - _log_constant(dim, freedom)
