"""Delete-a-group jackknife."""

__all__ = ["jackknife_error"]

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def jackknife_error(replicates: Float[ndarray, "groups *shape"]) -> Float[ndarray, "*shape"]:
    r"""Standard error of a statistic from its values without each of m groups of clusters in turn.

    .. math:: s^2 = \frac{m - 1}{m} \sum_i (\theta_{(i)} - \bar\theta)^2

    Args:
        replicates: The statistic of all rows but those of each group.

    Returns:
        The standard error of each entry of the statistic.

    Reference:
        Efron and Stein (1981), The jackknife estimate of variance; Kott (2001), The delete-a-group jackknife.

    Example:
        >>> round(float(jackknife_error(np.array([1.0, 2.0, 3.0]))), 4)  # sqrt(2 / 3 * 2)
        1.1547
    """
    return np.asarray(np.std(replicates, axis=0) * math.sqrt(len(replicates) - 1.0))
