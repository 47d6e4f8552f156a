"""Bootstrap of whole clusters."""

__all__ = ["REPLICATES", "bootstrap_interval", "bootstrap_weights"]

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr

from infodil.statistics.student import t_quantile

REPLICATES = 2000
"""Bootstrap replicates of an interval: its ends at 95% have about 50 replicates beyond them."""


def bootstrap_weights(clusters: int, replicates: int, seed: int) -> Float[ndarray, "replicates clusters"]:
    """Number of times that each cluster is drawn in each bootstrap replicate.

    The weights turn resampling into one matrix product: the replicates of a ratio of sums are
    `(weights @ sums) / (weights @ counts)`.

    Args:
        clusters: Number of clusters, which is also the number drawn.
        replicates: Number of bootstrap replicates.
        seed: Seed of the draws.

    Returns:
        One row a replicate; each row sums to the number of clusters.

    Reference:
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 6.
    """
    generator = np.random.default_rng([seed, 0xB007])
    return generator.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=replicates).astype(np.float64)


def bootstrap_interval(
    replicates: Float[ndarray, "replicates *shape"], clusters: int, confidence: float
) -> tuple[Float[ndarray, "*shape"], Float[ndarray, "*shape"]]:
    """Expanded percentile interval of bootstrap replicates.

    A plain percentile interval is too narrow for few clusters by about `sqrt((clusters - 1) / clusters)` and by the
    normal quantile in place of Student's; the quantile levels are moved outward to undo both. A replicate that is not
    defined (a lag whose positions it drew none of) is left out.

    Args:
        replicates: The statistic of each replicate.
        clusters: Number of clusters that were resampled.
        confidence: Confidence level of each pointwise interval.

    Returns:
        The low ends and the high ends.

    Reference:
        Hesterberg (2015), What Teachers Should Know About the Bootstrap, section 4.4.
    """
    level = float(ndtr(-math.sqrt(clusters / (clusters - 1.0)) * t_quantile(clusters - 1, confidence)))
    low, high = np.nanquantile(replicates, [level, 1.0 - level], axis=0)
    return np.asarray(low), np.asarray(high)
