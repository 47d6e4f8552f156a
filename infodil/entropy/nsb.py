"""The estimator of Nemenman, Shafee and Bialek: a posterior mean of entropy, with its standard deviation. In nats."""

__all__ = ["nsb_nats"]

import numpy as np
from jaxtyping import Float64
from scipy.special import digamma, gammaln, polygamma

DEPTH_NATS = 40.0
"""Log-odds below the mode at which the posterior over concentrations is cut."""


def nsb_nats(counts: Float64[np.ndarray, "categories"], alphabet: int) -> tuple[float, float]:
    r"""Mean and standard deviation of the entropy under the posterior of Nemenman, Shafee and Bialek.

    The prior mixes symmetric Dirichlet distributions of concentration :math:`\beta`, so that their mean entropy
    :math:`\xi = \psi(K\beta + 1) - \psi(\beta + 1)` is uniform:

    .. math:: p(\beta \mid n) \propto \frac{\Gamma(K\beta)}{\Gamma(N + K\beta)}
              \prod_i \frac{\Gamma(n_i + \beta)}{\Gamma(\beta)} \, \frac{d\xi}{d\beta}

    Args:
        counts: Number of times that each category was seen; those never seen may be left out.
        alphabet: Number of categories, `K`, seen or not.

    Returns:
        The mean and the standard deviation, nats.

    Reference:
        Nemenman, Shafee & Bialek (2002), NIPS 14, equations 4 to 9; moments for one concentration: Wolpert & Wolf
        (1995), Physical Review E 52, theorems 3 and 8.

    Example:
        >>> mean, deviation = nsb_nats(np.array([1000.0, 1000.0]), 2)  # a fair coin
        >>> round(float(mean / np.log(2)), 3), deviation < 1e-3
        (1.0, True)
    """
    seen = counts[counts > 0]
    if alphabet == 1:
        return 0.0, 0.0
    values, times = np.unique(seen, return_counts=True)
    if alphabet > len(seen):
        values, times = np.append(values, 0.0), np.append(times, alphabet - len(seen))
    log_beta = np.linspace(-40.0, np.log(1e7), 481)
    log_odds = _log_posterior(log_beta, values, times, alphabet)
    for _ in range(2):  # the second pass looks only where the first one found anything
        near = np.flatnonzero(log_odds > log_odds.max() - DEPTH_NATS)
        first, last = max(near[0] - 1, 0), min(near[-1] + 1, len(log_beta) - 1)
        log_beta = np.linspace(log_beta[first], log_beta[last], 481)
        log_odds = _log_posterior(log_beta, values, times, alphabet)
    odds = np.exp(log_odds - log_odds.max())
    odds /= odds.sum()
    mean, variance = _moments(np.exp(log_beta), values, times)
    centre = float(odds @ mean)
    return centre, float(np.sqrt(odds @ (variance + (mean - centre) ** 2)))


def _log_posterior(log_beta: np.ndarray, values: np.ndarray, times: np.ndarray, alphabet: int) -> np.ndarray:
    """Of the logarithm of the concentration, up to a constant."""
    beta = np.exp(log_beta)
    total = float(values @ times)
    rising = (gammaln(values + beta[:, None]) - gammaln(beta[:, None])) @ times
    slope = alphabet * polygamma(1, alphabet * beta + 1) - polygamma(1, beta + 1)
    # gammaln(x) - gammaln(N + x) and the rising factorials share their leading terms: each is small on its own.
    return gammaln(alphabet * beta) - gammaln(total + alphabet * beta) + rising + np.log(slope) + log_beta


def _moments(beta: np.ndarray, values: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the entropy for each concentration, given the counts."""
    a = values + beta[:, None]
    total = a @ times
    mean = digamma(total + 1) - (a * digamma(a + 1)) @ times / total
    top = digamma(total + 2)[:, None]
    one = a * (digamma(a + 1) - top)
    pairs = (one @ times) ** 2 - one**2 @ times
    trigamma = polygamma(1, total + 2)
    pairs -= trigamma * (total**2 - a**2 @ times)
    own = a * (a + 1) * ((digamma(a + 2) - top) ** 2 + polygamma(1, a + 2) - trigamma[:, None])
    second = (pairs + own @ times) / (total * (total + 1))
    # A variance below the rounding of its two terms may come out negative: it is none.
    return mean, np.maximum(second - mean**2, 0.0)
