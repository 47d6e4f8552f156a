"""Student's interval of a mean."""

__all__ = ["mean_interval", "share_interval", "skewed_addition", "t_quantile"]

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit, logit, stdtrit


def t_quantile(freedom: float | int, confidence: float) -> float:
    """Standard errors on either side of a mean that Student's two-sided interval spans.

    Args:
        freedom: Degrees of freedom of the standard error.
        confidence: Confidence level of the interval.

    Returns:
        The quantile at `(1 + confidence) / 2`.

    Example:
        >>> round(t_quantile(2, 0.95), 3)
        4.303
    """
    return float(stdtrit(freedom, 0.5 + confidence / 2.0))


def skewed_addition(skewness: float | int, quantile: float, number: float | int) -> float:
    """Standard errors by which the upper end of the interval of a skewed mean moves up; none for a tail below.

    Args:
        skewness: Skewness of one term.
        quantile: Student's quantile.
        number: Number of independent terms.

    Returns:
        A number of standard errors, at least 0.

    Reference:
        Johnson (1978), Journal of the American Statistical Association 73; Hall (1992), The Bootstrap and Edgeworth
        Expansion, section 2.6.
    """
    return max(0.0, skewness) * (2.0 * quantile**2 + 1.0) / (6.0 * math.sqrt(number))


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


def share_interval(
    shares: Float[ndarray, "values"] | Sequence[float], counts: Sequence[int], confidence: float
) -> tuple[float, float, float]:
    r"""Mean of independent shares and the ends of an interval within 0 and 1: Student's, of their empirical logits.

    .. math:: z_i = \log\frac{n_i p_i + 1/2}{n_i (1 - p_i) + 1/2}

    Args:
        shares: Two or more independent shares, such as one accuracy for each seed.
        counts: Number of cases of which each is a share.
        confidence: Confidence level of the interval.

    Returns:
        The mean, the low end and the high end; the interval is widened to hold the mean where the logits' mean is
        elsewhere.

    Reference:
        Cox and Snell (1989), Analysis of Binary Data, section 2.1.6, for the empirical logit.

    Example:
        >>> [round(value, 3) for value in share_interval([0.9, 1.0], [100, 100], 0.95)]
        [0.95, 0.0, 1.0]
    """
    shares, counts = np.asarray(shares, dtype=float), np.asarray(counts, dtype=float)
    _, low, high = mean_interval(logit((counts * shares + 0.5) / (counts + 1.0)), confidence)
    mean = float(shares.mean())
    return mean, min(mean, float(expit(low))), max(mean, float(expit(high)))
