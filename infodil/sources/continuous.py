"""Pairs of continuous (or mixed) variables with a closed form or an integral for their information. Exact, in bits."""

__all__ = [
    "normal_pair",
    "paired_correlation",
    "student_pair",
    "uniform_noise",
    "uniform_steps",
    "zero_inflated_poisson",
]

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from scipy.special import digamma, gammaln, xlogy
from torch import Tensor

from infodil.checks import UserError, check_between, check_whole
from infodil.estimate import BITS_PER_NAT
from infodil.sources.pairs import Pair, separate

Matrix = Float[np.ndarray, "dims dims"] | Float[Tensor, "dims dims"] | list


def normal_pair(covariance: Matrix | float = 0.75, dim_x: int = 1, samples: int = 10_000, *, seed: int = 0) -> Pair:
    r"""Jointly normal vectors.

    ::

        (x, y) ~ N(0, covariance),  x the first dim_x numbers

    .. math:: I(X; Y) = \tfrac12 \log_2 \frac{\det \Sigma_X \det \Sigma_Y}{\det \Sigma}

    Args:
        covariance: Covariance matrix of x and y together; a number is the correlation of two numbers.
        dim_x: How many numbers x has; the rest are y's.
        samples: Pairs drawn.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: `covariance` is not symmetric and positive definite, or leaves no number to x or y.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 8.5.

    Example:
        >>> round(normal_pair(0.75).truth_bits / 1.442695, 3)  # Czyz et al. (2023), bivariate normal: 0.413 nats
        0.413
    """
    sigma = _check_covariance(covariance, dim_x)
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    z = np.random.default_rng(seed).standard_normal((samples, len(sigma)))
    return _split(z @ np.linalg.cholesky(sigma).T, dim_x, _normal_nats(sigma, dim_x))


def student_pair(
    df: float | int, dispersion: Matrix | float = 0.0, dim_x: int = 1, samples: int = 10_000, *, seed: int = 0
) -> Pair:
    r"""Jointly Student-t vectors: dependent even where the dispersion matrix is diagonal, by their common length.

    ::

        z ~ N(0, dispersion), c ~ chi2(df), (x, y) = z / sqrt(c / df)

    .. math:: I(X; Y) = \tfrac12 \log \frac{\det \Omega_X \det \Omega_Y}{\det \Omega} + h(d_x) + h(d_y) - h(d_x + d_y),
        \quad h(d) = \log \frac{\Gamma(\nu / 2)}{\Gamma((\nu + d) / 2)}
        + \tfrac{\nu + d}{2} \big(\psi(\tfrac{\nu + d}{2}) - \psi(\tfrac{\nu}{2})\big) \text{ nats}

    Args:
        df: Degrees of freedom, `nu`, above 0.
        dispersion: Dispersion matrix of x and y together; a number is the correlation of two numbers.
        dim_x: How many numbers x has; the rest are y's.
        samples: Pairs drawn.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: `df` is not above 0, or `dispersion` and `dim_x` are not as in `normal_pair`.

    Reference:
        Arellano-Valle, Contreras-Reyes & Genton, Scandinavian Journal of Statistics 40 (2013), equation 7, for the
        entropy (its terms linear in d cancel in the difference); Czyz et al. (NeurIPS 2023), "Beyond Normal", appendix
        on the Student-t distribution.

    Example:
        >>> round(student_pair(1).truth_bits / 1.442695, 3)  # Czyz et al. (2023), Student-t 1x1: 0.224 nats
        0.224
    """
    if not 0 < df < math.inf:
        raise UserError(f"`df` must be finite and above 0, got {df}: use `normal_pair` for infinitely many.")
    omega = _check_covariance(dispersion, dim_x, "dispersion")
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((samples, len(omega))) @ np.linalg.cholesky(omega).T
    both = z / np.sqrt(rng.chisquare(df, size=(samples, 1)) / df)

    def entropy(dim: int) -> float:
        half = 0.5 * (df + dim)
        return float(gammaln(0.5 * df) - gammaln(half) + half * (digamma(half) - digamma(0.5 * df)))

    correction = entropy(dim_x) + entropy(len(omega) - dim_x) - entropy(len(omega))
    return _split(both, dim_x, _normal_nats(omega, dim_x) + correction)


def paired_correlation(
    dim_x: int, dim_y: int, pairs: int = 2, correlation: float | int = 0.8
) -> Float64[np.ndarray, "d d"]:
    """Correlation matrix of vectors whose first few numbers are correlated one by one, and no others.

    The default is the sparse ("2-pair") task of Czyz et al. (2023): strength 2 in unit noise is a correlation of 4/5.

    Args:
        dim_x: How many numbers x has.
        dim_y: How many numbers y has.
        pairs: How many numbers of x are each correlated with one number of y.
        correlation: Correlation within each of these pairs.

    Returns:
        The matrix, the numbers of x before those of y.

    Raises:
        UserError: There are more pairs than numbers of x or of y.

    Reference:
        Czyz et al. (NeurIPS 2023), "Beyond Normal".

    Example:
        >>> round(normal_pair(paired_correlation(3, 3), 3).truth_bits / 1.442695, 3)  # 1.022 nats
        1.022
    """
    if not 0 <= pairs <= min(dim_x, dim_y):
        raise UserError(f"`pairs` must be at most the smaller of {dim_x} and {dim_y} dimensions, got {pairs}.")
    matrix = np.eye(dim_x + dim_y)
    for one in range(pairs):
        matrix[one, dim_x + one] = matrix[dim_x + one, one] = correlation
    return matrix


def uniform_noise(width: float | int = 0.1, samples: int = 10_000, *, seed: int = 0) -> Pair:
    r"""Pair of a uniform number and the same number with uniform noise.

    ::

        x ~ U(0, 1) --(+ U(-width, width))--> y

    .. math:: I(X; Y) = w - \log 2w \text{ nats for } w \le \tfrac12, \qquad 1 / (4 w) \text{ beyond}

    Args:
        width: Half the width `w` of the noise, above 0.
        samples: Pairs drawn.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: `width` is not above 0, or `samples` is below 1.

    Reference:
        Czyz et al. (NeurIPS 2023), "Beyond Normal", additive noise.

    Example:
        >>> [round(uniform_noise(width).truth_bits / 1.442695, 3) for width in (0.1, 0.75)]  # nats
        [1.709, 0.333]
    """
    if not 0 < width < math.inf:
        raise UserError(f"`width` must be finite and above 0, got {width}: pass one such as 0.1.")
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    x, noise = np.random.default_rng(seed).random((2, samples, 1))
    nats = width - math.log(2 * width) if width <= 0.5 else 0.25 / width
    return _pair(x, x + width * (2 * noise - 1), nats)


def uniform_steps(steps: int = 5, samples: int = 10_000, *, seed: int = 0) -> Pair:
    r"""Pair of an integer and a number uniform on the two units above it.

    ::

        x ~ U{0 .. steps - 1} --> y ~ U(x, x + 2)

    .. math:: I(X; Y) = \log m - \tfrac{m - 1}{m} \log 2 \text{ nats}

    Args:
        steps: How many integers x takes, `m`, all equally likely.
        samples: Pairs drawn.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: A count is below 1.

    Reference:
        Gao, Kannan, Oh & Viswanath (NeurIPS 2017), section 5, experiment II.

    Example:
        >>> uniform_steps(1).truth_bits, uniform_steps(2).truth_bits
        (0.0, 0.5)
    """
    check_whole("steps", steps, 1, "pass 1 or more")
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    rng = np.random.default_rng(seed)
    x = rng.integers(steps, size=samples)
    y = x[:, None] + 2 * rng.random((samples, 1))
    bits = math.log2(steps) - (steps - 1) / steps
    return Pair(torch.from_numpy(x), torch.from_numpy(y), separate(samples), bits)


def zero_inflated_poisson(zeros: float | int = 0.15, samples: int = 10_000, *, seed: int = 0) -> Pair:
    r"""Pair of a rate and a count drawn at it that is at times replaced by zero: a mixture of atoms and a density.

    ::

        x ~ Exp(1) --+-- with probability `zeros` --> y = 0
                     +-- otherwise              --> y ~ Poisson(x)

    .. math:: I(X; Y) = H(Y) - \int_0^\infty e^{-x} H(Y \mid x)\, dx, \qquad
              P(Y = k) = p\, [k = 0] + (1 - p)\, 2^{-k-1}

    Where a zero may be of either kind, less is known than with the switch seen. The value published for this law,
    :math:`(1 - p) \cdot 0.3012` nats (Gao et al. 2017, section 5, experiment IV), is that of the switch seen: at
    p = 0.15 it is 0.3694 bits, and the integral is 0.3315.

    Args:
        zeros: Probability `p` that a count is replaced by zero, below 1.
        samples: Pairs drawn.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: `zeros` outside [0, 1), or `samples` below 1.

    Example:
        >>> round(zero_inflated_poisson(0.15).truth_bits, 4), round(zero_inflated_poisson(0.0).truth_bits, 3)
        (0.3315, 0.435)
    """
    check_between("zeros", zeros, 0, 1)
    if zeros == 1:
        raise UserError("`zeros` must be below 1, got 1: pass one such as 0.15.")
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=(samples, 1))
    y = rng.poisson(x) * (rng.random((samples, 1)) >= zeros)

    counts = np.arange(250)
    # With x = exp(t) the integrand is analytic and vanishes at both ends: the trapezoid rule converges exponentially.
    step = 0.02
    t = np.arange(-40.0, math.log(60.0), step)
    rate = np.exp(t)
    given = (1 - zeros) * np.exp(counts * t[:, None] - rate[:, None] - gammaln(counts + 1))
    given[:, 0] += zeros
    conditional = -xlogy(given, given).sum(axis=1)
    marginal = (1 - zeros) * 0.5 ** (counts + 1)
    marginal[0] += zeros
    nats = -xlogy(marginal, marginal).sum() - step * np.sum(np.exp(t - rate) * conditional)
    return _pair(x, y.astype(np.float64), float(nats))


def _normal_nats(sigma: Float64[np.ndarray, "dims dims"], dim_x: int) -> float:
    """From the canonical correlations: no difference of large determinants."""
    factor_x, factor_y = (np.linalg.cholesky(part) for part in (sigma[:dim_x, :dim_x], sigma[dim_x:, dim_x:]))
    whitened = np.linalg.solve(factor_y, np.linalg.solve(factor_x, sigma[:dim_x, dim_x:]).T)
    canonical = np.linalg.svd(whitened, compute_uv=False)
    return float(-0.5 * np.log1p(-(canonical**2)).sum()) + 0.0


def _split(both: np.ndarray, dim_x: int, nats: float) -> Pair:
    return _pair(both[:, :dim_x].copy(), both[:, dim_x:].copy(), nats)


def _pair(x: np.ndarray, y: np.ndarray, nats: float) -> Pair:
    return Pair(torch.from_numpy(x), torch.from_numpy(y), separate(len(x)), nats * BITS_PER_NAT)


def _check_covariance(given: Matrix | float, dim_x: int, name: str = "covariance") -> Float64[np.ndarray, "dims dims"]:
    if isinstance(given, int | float):
        given = [[1.0, float(given)], [float(given), 1.0]]
    matrix = np.asarray(given, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T):
        raise UserError(f"`{name}` must be a symmetric matrix, got shape {matrix.shape}: pass one row a number.")
    if not np.linalg.eigvalsh(matrix)[0] > 1e-12 * np.abs(matrix).max():
        raise UserError(f"`{name}` must be positive definite: where one number is a function of others, leave it out.")
    check_whole("dim_x", dim_x, 1, "pass how many numbers are x's")
    if dim_x >= len(matrix):
        raise UserError(f"`dim_x` must leave a number to y, got {dim_x} of {len(matrix)}: pass fewer.")
    return matrix
