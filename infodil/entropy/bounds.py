"""Bounds on an entropy that hold with stated confidence for any distribution. In nats."""

__all__ = [
    "deviation_nats",
    "plugin_bias_nats",
    "relative_entropy_radius",
    "total_variation_nats",
    "widest_entropy_nats",
]

import math

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import wrightomega


def deviation_nats(samples: float | int, failure: float | int) -> float:
    r"""Deviation of the plug-in entropy from its mean that is exceeded with odds of at most `failure`, one-sided.

    Moving one sample from one category to another changes it by at most :math:`(1 + \log N) / N`; hence, by McDiarmid's
    inequality, :math:`(1 + \log N) \sqrt{\log(1/\delta) / 2N}`.

    Args:
        samples: Number of independent samples.
        failure: Greatest probability with which the bound may fail.

    Returns:
        Nats.

    Reference:
        Antos & Kontoyiannis (2001), Random Structures & Algorithms 19, section 4.1.

    Example:
        >>> round(deviation_nats(10_000, 0.05), 3)
        0.125
    """
    return (1 + math.log(samples)) * math.sqrt(math.log(1 / failure) / (2 * samples))


def plugin_bias_nats(samples: float | int, alphabet: float | int) -> float:
    r"""Greatest shortfall of the mean of the plug-in entropy from the truth, :math:`\log(1 + (V - 1) / N)`.

    Args:
        samples: Number of independent samples.
        alphabet: Number of categories, `V`, seen or not.

    Returns:
        Nats.

    Reference:
        Paninski (2003), Neural Computation 15, proposition 1.

    Example:
        >>> round(plugin_bias_nats(1000, 1001), 4)
        0.6931
    """
    return math.log1p((alphabet - 1) / samples)


def total_variation_nats(samples: float | int, alphabet: int, failure: float | int) -> float:
    r"""Difference of plug-in entropy and truth that is exceeded with odds of at most `failure`, by total variation.

    Frequencies lie within :math:`T = \sqrt{\log((2^V - 2)/\delta) / 2N}` of the probabilities, and entropies within
    :math:`T \log(V - 1) + h(T)`, which is sharper than the bias and deviation of the plug-in for small alphabets.

    Args:
        samples: Number of independent samples.
        alphabet: Number of categories, `V`, seen or not.
        failure: Greatest probability with which the bound may fail.

    Returns:
        Nats.

    Reference:
        Weissman, Ordentlich, Seroussi, Verdu & Weinberger (2003), HP Labs HPL-2003-97, theorem 2.1. Audenaert (2007),
        Journal of Physics A 40, theorem 1.

    Example:
        >>> round(total_variation_nats(10_000, 2, 0.05), 3)
        0.072
    """
    if alphabet == 1:
        return 0.0
    # log(2^V - 2) without the power.
    ways = alphabet * math.log(2) + math.log1p(-(2.0 ** (1 - alphabet)))
    distance = math.sqrt((ways - math.log(failure)) / (2 * samples))
    if distance >= 1 - 1 / alphabet:
        return math.log(alphabet)
    binary = -distance * math.log(distance) - (1 - distance) * math.log1p(-distance)
    return distance * math.log(alphabet - 1) + binary


def relative_entropy_radius(samples: float | int, alphabet: int, failure: float | int) -> float:
    r"""Relative entropy of frequencies from probabilities that is exceeded with odds of at most `failure`.

    .. math:: P(D(\hat p \| p) \ge \epsilon) \le e^{-N\epsilon} \Big(\frac{e N \epsilon}{V - 1}\Big)^{V-1},
              \quad \epsilon \ge (V - 1) / N

    Args:
        samples: Number of independent samples.
        alphabet: Number of categories, `V`, two or more.
        failure: Greatest probability with which the bound may fail.

    Returns:
        Nats.

    Reference:
        Agrawal (2020), IEEE Transactions on Information Theory 66, theorem I.2.

    Example:
        >>> round(1000 * relative_entropy_radius(1000, 2, 0.05), 2)  # x - 1 - log(x) = log(20)
        5.74
    """
    goal = math.log(1 / failure) / (alphabet - 1)
    scaled = brentq(lambda x: x - 1 - math.log(x) - goal, 1.0, 4.0 + 2 * goal)
    return scaled * (alphabet - 1) / samples


def widest_entropy_nats(counts: Float64[np.ndarray, "categories"], alphabet: int, radius: float | int) -> float:
    r"""Largest entropy of a distribution p with :math:`D(\hat p \| p) \le` radius.

    At the solution :math:`-\log p_i + \lambda \hat p_i / p_i` is the same for all categories, hence
    :math:`p_i = \lambda \hat p_i / \omega(m + \log \lambda \hat p_i)` with Wright's omega; m makes the sum one, and
    lambda the distance the radius.

    Args:
        counts: Number of times that each category was seen.
        alphabet: Number of categories, seen or not.
        radius: Greatest relative entropy of the frequencies from p, nats.

    Returns:
        Nats.

    Reference:
        Boyd & Vandenberghe, Convex Optimization (2004), section 5.5.3, for the conditions of Karush, Kuhn and Tucker.

    Example:
        >>> bits = widest_entropy_nats(np.array([10.0]), 2, 0.05)  # p = exp(-0.05) and the rest
        >>> round(bits, 4)
        0.1949
    """
    total = counts.sum()
    values, times = np.unique(counts[counts > 0] / total, return_counts=True)
    unseen = alphabet - int(times.sum())

    def solve(log_multiplier: float) -> tuple[np.ndarray, float]:
        log_weight = log_multiplier + np.log(values)
        # Averaged over p the condition says m = lambda + H(p). The sum falls convexly in m: Newton's steps from the
        # left never pass the root.
        m = math.exp(log_multiplier)
        for _ in range(100):
            omega = wrightomega(m + log_weight)
            seen, rest = np.exp(log_weight) / omega, math.exp(-m)
            step = (seen @ times + unseen * rest - 1) / ((seen / (1 + omega)) @ times + unseen * rest)
            m += step
            if abs(step) <= 1e-14 * max(1.0, m):
                break
        return seen, rest

    def distance(log_multiplier: float) -> float:
        seen, _ = solve(log_multiplier)
        return float(times @ (values * np.log(values / seen)))

    uniform = float(times @ (values * np.log(values * alphabet)))
    if uniform <= radius:
        return math.log(alphabet)
    seen, rest = solve(brentq(lambda x: distance(x) - radius, -30.0, 30.0, xtol=1e-9))
    tail = unseen * rest * -math.log(rest) if unseen and rest > 0 else 0.0
    return float(-(times @ (seen * np.log(seen)))) + tail
