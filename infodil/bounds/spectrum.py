r"""The log-determinant of a covariance seen in few samples, in nats: its bias removed, its error known.

Let :math:`s_i` be the d eigenvalues of a sample covariance with n degrees of freedom and f a variance that is known and
the same in all directions. With the greatest x that solves :math:`x = f (1 - u),\; u = \frac1n \sum_i \frac{s_i}{s_i +
x}`,

.. math:: \log\det(f I + \Sigma) \approx \sum_i \log(s_i + x) + (n - d) \log(1-u) + n u - \tfrac12 \log(1-\gamma),
          \quad \gamma = \frac{q - u^2}{1 - 2u + q},\; q = \frac1n \sum_i \Big(\frac{s_i}{s_i + x}\Big)^2

and for Gaussian states the error of the right side has variance :math:`-2 \log(1-\gamma)`, however many dims there are
beside n. The number of directions that rise above f is nu. Where all do (f = 0) this is the mean of the logarithm of a
Wishart determinant, :math:`\sum_{i<d} \psi((n-i)/2) + d \log(2/n)`, to order 1/n.

Reference:
    Hachem, Loubaton and Najim (2008), A CLT for information-theoretic statistics of Gram random matrices, Annals of
    Applied Probability 18(6): the large-dimensional law of :math:`\log\det(xI + S)`, here solved for the covariance
    behind the sample, with the bias and the variance of real matrices.
"""

__all__ = ["Corrected", "correct"]

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

ITERATIONS = 10_000


@dataclass(frozen=True)
class Corrected:
    """The log-determinant, nats, and what it rests on."""

    value_nats: float
    variance: float
    """Of the value, for independent Gaussian states."""
    shares: Float[np.ndarray, "numbers"]
    """s / (s + x): how far each sample direction rises above what is known."""
    unseen: float
    """1 - u: what is left of the degrees of freedom."""
    gamma: float


def correct(eigenvalues: Float[np.ndarray, "numbers"], freedom: float, floor: float = 1.0) -> Corrected | None:
    """Of all eigenvalues of a sample covariance (zeros too); None where the samples are too few to tell.

    Example:
        >>> round(correct(np.array([3.0]), 1e9).value_nats / math.log(2), 6)  # nothing to correct: log2(1 + 3)
        2.0
    """
    x = floor
    for _ in range(ITERATIONS):
        shares = eigenvalues / np.maximum(eigenvalues + x, 1e-300)
        unseen = 1.0 - float(shares.sum()) / freedom
        step, x = x - floor * unseen, floor * unseen  # x falls to the greatest solution, or below zero if there is none
        if unseen <= 0.0 or step <= 1e-12 * x or not floor:
            break
    if unseen < 1e-6 or (eigenvalues + x <= 0).any():
        return None
    used, squared = 1.0 - unseen, float((shares**2).sum()) / freedom
    gamma = min(max((squared - used**2) / (1.0 - 2.0 * used + squared), 0.0), 1.0 - 1e-12)
    value = float(np.log(eigenvalues + x).sum()) + (freedom - len(eigenvalues)) * math.log(unseen) + freedom * used
    return Corrected(value - 0.5 * math.log1p(-gamma), -2.0 * math.log1p(-gamma), shares, unseen, gamma)
