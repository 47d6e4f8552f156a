"""Student's interval of a mean."""

__all__ = ["mean_interval", "t_quantile"]

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import stdtrit


def t_quantile(freedom: float | int, confidence: float) -> float:
    """Standard errors on either side of a mean that Student's two-sided interval spans.

    Args:
        freedom: Degrees of freedom of the standard error.
        confidence: Confidence level of the interval.

    Example:
        >>> round(t_quantile(2, 0.95), 3)
        4.303
    """
    return float(stdtrit(freedom, 0.5 + confidence / 2.0))


def mean_interval(values: Float[ndarray, "values"] | Sequence[float], confidence: float) -> tuple[float, float, float]:
    r"""Mean of independent values and the ends of Student's interval, :math:`\bar v \pm t\, s / \sqrt n`.

    Args:
        values: Two or more independent values, such as one for each seed or fold.
        confidence: Confidence level of the interval.

    Returns:
        The mean, the low end and the high end.

    Example:
        >>> [round(value, 3) for value in mean_interval([1.0, 2.0, 3.0], 0.95)]
        [2.0, -0.484, 4.484]
    """
    values = np.asarray(values, dtype=float)
    half_width = t_quantile(len(values) - 1, confidence) * float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    return mean, mean - half_width, mean + half_width
