"""What a noisy state can hold in all: the capacity of a Gaussian channel, from a covariance or from samples."""

__all__ = ["budget", "gaussian_capacity"]

import math
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from infodil.bounds.arguments import check_noise, noise_steps, wide_matrix
from infodil.bounds.spectrum import Corrected, correct
from infodil.checks import UserError, check_confidence
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.statistics import Clusters, group_clusters

SHAPING_NATS = 0.5 * math.log(2.0 * math.pi * math.e / 12.0)
"""Nats by which uniform noise hides less than Gaussian noise of the same variance, for each number: 0.25 bits."""

FEWEST_STATES = 8
"""Fewest states from which a covariance is estimated."""

HALVINGS = 4
"""Random splits of the documents into halves."""

LEAST_UNSEEN = 0.02
"""With fewer degrees of freedom to spare, in share, what the samples hide cannot be told from what they show."""


def gaussian_capacity(
    covariance: Float[Tensor, "dim dim"] | Float[np.ndarray, "dim dim"],
    sigma: float | int | Float[Tensor, "*dims"] | Float[np.ndarray, "*dims"],
    *,
    noise: Literal["gaussian", "uniform"] = "gaussian",
) -> Estimate:
    r"""Upper bound on what a signal of this covariance tells through additive noise, in bits.

    .. math:: I(X; S_X + \sigma N) \le \tfrac12 \log_2 \det(I + \Sigma_S / \sigma^2)

    for any signal S with that covariance: of all laws the Gaussian has the most entropy. For noise that is uniform, as
    that of dithered rounding, with :math:`\tfrac12 \log_2(2 \pi e / 12) = 0.2546` bits more for each number.

    Args:
        covariance: Covariance of the signal, known and not estimated; from samples use `budget`.
        sigma: Standard deviation of the noise, one number or `[dim]`.
        noise: Law of the noise, `"gaussian"` or `"uniform"`.

    Returns:
        An upper bound, in bits, without an interval: nothing is sampled.

    Raises:
        UserError: `covariance` is not square, symmetric and positive semi-definite, or the noise has no size.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), theorem 8.6.5 and section 9.4.

    Example:
        >>> round(float(gaussian_capacity(np.array([[3.0, 0.0], [0.0, 15.0]]), 1.0)), 9)  # log2(4) / 2 + log2(16) / 2
        3.0
    """
    check_noise(noise)
    signal = wide_matrix("covariance", covariance, "[dim, dim]").numpy()
    dim = len(signal)
    if signal.shape != (dim, dim) or not np.allclose(signal, signal.T, atol=1e-9 * abs(signal).max()):
        raise UserError(f"`covariance` must be square and symmetric, got shape {list(signal.shape)}: pass np.cov(...).")
    steps = noise_steps(sigma, 1, dim)[0].numpy()
    eigenvalues = np.linalg.eigvalsh(signal / np.outer(steps, steps))
    if eigenvalues[0] < -1e-6 * max(eigenvalues[-1], 0.0):
        raise UserError(
            f"`covariance` must be positive semi-definite, got an eigenvalue of {eigenvalues[0]:.3g} in units of the "
            "noise: pass the covariance of a signal."
        )
    nats = 0.5 * float(np.log1p(eigenvalues.clip(min=0.0)).sum()) + (noise == "uniform") * dim * SHAPING_NATS
    bits = nats * BITS_PER_NAT
    return Estimate(bits, bits, bits, kind="upper bound", method="Gaussian capacity, covariance as given")


def budget(
    states: Float[Tensor, "rows dim"] | Float[np.ndarray, "rows dim"],
    sigma: float | int | Float[Tensor, "*dims"] | Float[np.ndarray, "*dims"],
    *,
    groups: Int[Tensor, "rows"] | Int[np.ndarray, "rows"] | None = None,
    observed: bool = False,
    noise: Literal["gaussian", "uniform"] = "gaussian",
    confidence: float = 0.95,
) -> Estimate:
    r"""Upper bound on everything that a noisy state can tell, the whole past together, in bits.

    .. math:: I(X_1 \ldots X_t; H + \sigma N) \le \tfrac12 \log_2 \det(I + \Sigma_H / \sigma^2)

    It bounds each single token of any law, and for independent tokens the sum over lags. The covariance is that of the
    samples, whose log-determinant is low by about :math:`k (k + 1) / 4n` nats for k directions above the noise and n
    degrees of freedom: that is removed, for k as large as n too (`infodil.bounds.spectrum`). Where more directions rise
    above the noise than n can show, the bound is that of their mean variance, :math:`\tfrac{d}{2} \log_2(1 + tr \Sigma
    / d \sigma^2)`, which is never less.

    Args:
        states: States of the site, without the noise unless `observed`.
        sigma: Standard deviation of the noise, one number or `[dim]`.
        groups: Document of each state. States of one document resemble each other: the samples then count for as many
            as make half of the documents and all of them agree.
        observed: Whether the states carry the noise already; they then vary by it at least, and no end is below zero.
        noise: Law of the noise, `"gaussian"` or `"uniform"`; for the latter, that of dithered rounding, see
            `gaussian_capacity`.
        confidence: Confidence level of the interval.

    Returns:
        An upper bound; the true bound is below its high end with the stated confidence, on either side.

    Raises:
        UserError: There are fewer than eight states or two groups, arguments have another shape or are not finite, or
            the noise has no size.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), theorem 8.6.5; see `infodil.bounds.spectrum` for samples.

    Example:
        >>> states = np.random.default_rng(0).standard_normal((2000, 4))
        >>> bound = budget(3.0 ** 0.5 * states, 1.0)  # four times log2(4) / 2
        >>> bool(bound.low_bits < 4.0 < bound.high_bits), round(float(bound), 1)
        (True, 4.0)
    """
    check_noise(noise)
    check_confidence(confidence)
    rows = wide_matrix("states", states, "[rows, dim]").numpy()
    samples, dim = rows.shape
    if samples < FEWEST_STATES:
        raise UserError(f"`states` must be at least {FEWEST_STATES} rows, got {samples}: pass more states.")
    clusters = group_clusters(groups, samples)
    rows = (rows - rows.mean(0)) / noise_steps(sigma, 1, dim)[0].numpy()
    floor = 0.0 if observed else 1.0

    eigenvalues, left = decompose(rows)
    freedom = samples - 1.0 if groups is None else effective_freedom(rows, eigenvalues, clusters, floor)
    found = correct(eigenvalues, freedom, floor)
    if found is not None and found.unseen >= LEAST_UNSEEN:
        terms = (left**2) @ found.shares[: left.shape[1]]
        tails = spread_ratio(found, terms, freedom, clusters)
        error = math.sqrt(0.25 * found.variance * max(1.0, tails))
        # Tails heavier than a Gaussian's lower the log-determinant by half of what they add to its variance.
        surely = max(0.0, tails - 1.0 - 2.0 * math.sqrt(2.0 / samples)) if groups is None else 0.0
        value = 0.5 * (found.value_nats + surely * found.gamma)
        method = "log-determinant, bias removed"
    else:
        terms = (rows**2).sum(1)
        value, error = mean_bound(terms, dim, clusters, floor)
        method = "mean variance"
    down, up = clusters.skewed_quantiles(terms, confidence)
    extra = dim * SHAPING_NATS if noise == "uniform" else 0.0
    ends = (value - down * error, value, value + up * error)
    # What carries noise of this size cannot vary less: an estimate that says so is wrong, and zero is nearer.
    low, value, high = ((max(nats, 0.0) + extra) * BITS_PER_NAT for nats in ends)
    return Estimate(value, low, high, confidence, "upper bound", samples, f"budget, {method}")


def effective_freedom(
    rows: Float[np.ndarray, "rows dim"],
    eigenvalues: Float[np.ndarray, "dim"],
    clusters: Clusters,
    floor: float,
) -> float:
    """The degrees of freedom with which half of the documents give the same answer, corrected, as all of them.

    Halves have half of the freedom and so about twice the bias. What complementary halves err otherwise cancels in
    their mean, but for terms of second order.
    """
    generator = np.random.default_rng(0)
    halves = []
    for _ in range(HALVINGS):
        first = generator.permutation(clusters.number) % 2 == 0
        for side in (first[clusters.index], ~first[clusters.index]):
            if side.sum() < 2:
                continue
            halves.append((spectrum(rows[side] - rows[side].mean(0)), side.mean()))

    def grows(freedom: float) -> bool:
        whole, parts = correct(eigenvalues, freedom, floor), [correct(part, freedom * s, floor) for part, s in halves]
        if whole is None or None in parts:
            return True
        return float(np.mean([part.value_nats for part in parts])) > whole.value_nats

    low, high = 1.0, len(rows) - 1.0
    if not grows(low):
        return low
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if grows(middle) else (low, middle)
    return high


def decompose(rows: Float[np.ndarray, "rows dim"]) -> tuple[Float[np.ndarray, "dim"], Float[np.ndarray, "rows some"]]:
    """All eigenvalues of the covariance of centred rows, greatest first, and the left singular vectors beside them."""
    samples, dim = rows.shape
    if samples < dim:
        values, left = np.linalg.eigh(rows @ rows.T / (samples - 1))
        values, left = values[::-1].clip(min=0.0), left[:, ::-1]
        values[values < 1e-12 * values[0]] = 0.0
        return np.concatenate([values, np.zeros(dim - samples)]), left
    values, axes = np.linalg.eigh(rows.T @ rows / (samples - 1))
    values, axes = values[::-1].clip(min=0.0), axes[:, ::-1]
    kept = values > 1e-14 * max(values[0], 1e-300)
    left = np.zeros((samples, dim))
    left[:, kept] = rows @ axes[:, kept] / np.sqrt((samples - 1) * values[kept])
    return values, left


def spectrum(rows: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "dim"]:
    """All eigenvalues of the covariance of centred rows, from the smaller of its two Gram matrices."""
    samples, dim = rows.shape
    gram = rows @ rows.T if samples < dim else rows.T @ rows
    values = np.linalg.eigvalsh(gram / (samples - 1)).clip(min=0.0)
    values[values < 1e-12 * values[-1]] = 0.0
    return np.concatenate([values, np.zeros(dim - len(values))])


def spread_ratio(found: Corrected, leverage: Float[np.ndarray, "rows"], freedom: float, clusters: Clusters) -> float:
    r"""Variance of the estimate by its own terms, over that for Gaussian states.

    The terms are the leverages :math:`h = y^\top (S + x)^{-1} y / n` of the states; those of independent Gaussian ones
    have the variance :math:`2 \gamma (1-u)^2 / n (1-\gamma)` (for x = 0 that of a beta law, to order 1/n).
    """
    expected = 2.0 * found.gamma * found.unseen**2 / (1.0 - found.gamma) / freedom
    return len(leverage) * clusters.standard_error(leverage) ** 2 / expected if expected > 0 else 1.0


def mean_bound(squares: Float[np.ndarray, "rows"], dim: int, clusters: Clusters, floor: float) -> tuple[float, float]:
    """`d / 2 log(floor + mean variance)` and its standard error: all directions as if they had the same variance."""
    power = squares / dim * len(squares) / (len(squares) - 1)
    total = floor + float(power.mean())
    error = 0.5 * dim / total * clusters.standard_error(power) if total > 0 else 0.0
    # The logarithm of a mean is low by half its relative variance.
    return 0.5 * dim * math.log(max(total, 1e-300)) + error**2 / dim, error
