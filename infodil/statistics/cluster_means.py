"""Intervals of means over rows that depend on each other within clusters, whatever the sizes of the clusters."""

__all__ = ["cluster_deviations", "cluster_quantile", "equal_clusters"]

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import brentq
from scipy.special import stdtridf

from infodil.statistics.student import t_quantile

EFFECT_SIZES = 7
"""Sizes of a cluster effect, between none and nothing else, at which the quantile is looked for: it is smooth."""

ANGLES = 64
"""Nodes of the midpoint rule; its integrand is periodic, and Student's quantiles come out to five digits."""

QUANTILE_ERROR = 1e-5
"""Relative error of the quantile."""

Sizes = Float[ndarray, "sizes"]


def cluster_deviations(
    sums: Float[ndarray, "*shape clusters"], counts: Float[ndarray, "*shape clusters"] | Int[ndarray, "*shape clusters"]
) -> Float[ndarray, "*shape clusters"]:
    r"""What each cluster adds to the error of a mean: the root of their sum of squares is its standard error.

    .. math:: d_g = \frac{S_g - w_g S}{N \sqrt{1 - w_g}}, \qquad w_g = n_g / N

    A cluster of many rows draws the mean towards itself and deviates less from it: the root undoes that. For clusters
    of equal size it is that of G / (G - 1) for all.

    Args:
        sums: Sum of the terms of each cluster.
        counts: Rows of each cluster; clusters of none add nothing.

    Returns:
        Deviations, whose sum of squares is infinite where one cluster has all rows.

    Reference:
        Bell & McCaffrey (2002), Survey Methodology 28, "Bias reduction in standard errors for linear regression with
        multi-stage samples", for a mean; Cochran (1977), Sampling Techniques, section 6.4.

    Example:
        >>> round(float(np.linalg.norm(cluster_deviations(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4)))), 4)
        0.6455
    """
    rows = counts.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counts / rows
        deviations = (sums - share * sums.sum(-1, keepdims=True)) / rows / np.sqrt(1.0 - share)
    return np.where(share < 1.0, deviations, np.inf)


def cluster_quantile(counts: Float[ndarray, "clusters"] | Int[ndarray, "clusters"], confidence: float) -> float:
    r"""Standard errors on either side of a mean over clusters that its two-sided interval spans.

    Sums over clusters have variances :math:`V_g = n_g + \kappa n_g^2`: rows are independent at :math:`\kappa = 0`, and
    clusters differ as wholes at :math:`\kappa = \infty`. Their t-ratio has the same law for all if sizes are equal:
    Student's. Where they are not, the quantile is the largest of those at any effect, so that the interval covers
    whatever the effect. That one cannot be told from the sums where a few clusters hold most rows.

    Args:
        counts: Rows of each cluster.
        confidence: Confidence level of the interval.

    Returns:
        A quantile, at least Student's; infinite where one cluster has all rows.

    Reference:
        Hansen (2021), The exact distribution of the White t-ratio, for normal sums.

    Example:
        >>> [round(cluster_quantile(np.array(sizes), 0.95), 1) for sizes in ([5, 5, 5], [2, 5, 8], [100, 1, 1])]
        [4.3, 5.3, 34.2]
    """
    sizes, number = np.unique(counts[counts > 0].astype(np.float64), return_counts=True)
    clusters = int(number.sum())
    if clusters < 2:
        return float("inf")
    quantile = t_quantile(clusters - 1, confidence)
    if len(sizes) == 1:
        return quantile
    effects = np.geomspace(1.0 / sizes[-1], 1.0 / sizes[0], EFFECT_SIZES)
    for variance in (sizes**2, *(sizes + effect * sizes**2 for effect in effects), sizes):

        def excess(wide: float, variance: Sizes = variance) -> float:
            return tail_probability(wide, sizes, number, variance) - (1.0 - confidence)

        if excess(quantile) > 0.0:
            wider = 2.0 * quantile
            while excess(wider) > 0.0:
                wider *= 2.0
            quantile = float(brentq(excess, quantile, wider, rtol=QUANTILE_ERROR))
    return quantile


def tail_probability(quantile: float, sizes: Sizes, number: Int[ndarray, "sizes"], variance: Sizes) -> float:
    r"""Probability that a mean over clusters is further from the truth than some of its standard errors.

    With T the sum of normal sums S over clusters and residuals :math:`r_g = S_g - w_g T`, it is the probability that
    :math:`T^2 - q^2 \sum_g r_g^2 / (1 - w_g)` is above zero: a quadratic form of one positive eigenvalue
    :math:`1 / t_0`, in which the others are :math:`-\mu_j`. By Craig's formula of the normal tail it is

    .. math:: \frac2\pi \int_0^{\pi/2} \prod_j \Big(1 + \frac{\mu_j t_0}{\sin^2\theta}\Big)^{-1/2} d\theta

    The product is :math:`D(t) / (1 - t / t_0)` at :math:`t = t_0 / \sin^2\theta`, with the determinant

    .. math:: D(t) = \prod_g a_g \sum_g \frac{V_g}{a_g} \bigg(\sum_g \frac{w_g^2}{V_g} \frac{a_g - 1}{a_g}
              + \frac{(\sum_g w_g / a_g)^2}{\sum_g V_g / a_g} - t\bigg), \qquad
              a_g = 1 + \frac{t q^2 V_g}{1 - w_g}, \qquad \sum_g V_g = 1

    Args:
        quantile: Number of standard errors, q.
        sizes: Different numbers of rows that clusters have.
        number: Clusters of each size.
        variance: Variance of the sum over one cluster of each size, in any unit.

    Reference:
        Craig (1991), A new, simple and exact result for calculating the probability of error, IEEE MILCOM; Hansen
        (2021), The exact distribution of the White t-ratio.
    """
    share, variance = sizes / (number @ sizes), variance / (number @ variance)
    rate = quantile**2 * variance / (1.0 - share)
    own = number * share**2 / variance

    def factors(t: Float[ndarray, "nodes"]) -> tuple[Float[ndarray, "nodes"], Float[ndarray, "nodes"]]:
        """The second and the third factor of the determinant."""
        grown = np.multiply.outer(t, rate)
        kept = number / (1.0 + grown)
        second = kept @ variance
        return second, (grown / (1.0 + grown)) @ own + (kept @ share) ** 2 / second - t

    zero = float(brentq(lambda t: factors(np.array([t]))[1][0], 0.0, 1.001 * own.sum(), xtol=1e-300, rtol=1e-13))
    t = zero / np.sin((np.arange(ANGLES) + 0.5) * (0.5 * np.pi / ANGLES)) ** 2
    second, third = factors(t)
    first = np.log1p(np.multiply.outer(t, rate)) @ number
    return float(np.mean(np.exp(-0.5 * first) * np.sqrt((t / zero - 1.0) / (second * -third))))


def equal_clusters(counts: Float[ndarray, "clusters"] | Int[ndarray, "clusters"]) -> float:
    """Number of clusters of equal size whose mean has the same quantile at 95%: what clusters are worth.

    Args:
        counts: Rows of each cluster.

    Returns:
        A number between 1 and that of the clusters that have rows.

    Example:
        >>> [round(equal_clusters(np.array(sizes)), 1) for sizes in ([5, 5, 5], [2, 5, 8], [100, 1, 1])]
        [3.0, 2.7, 1.7]
    """
    sizes = counts[counts > 0]
    if sizes.min() == sizes.max():
        return float(len(sizes))
    return 1.0 + float(stdtridf(0.975, cluster_quantile(sizes, 0.95)))
