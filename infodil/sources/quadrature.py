"""Mutual information between tokens and one noisy number: densities by Fourier inversion, exact for any memory."""

__all__ = ["scalar_information_bits"]

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from infodil.checks import UserError

DEPTH = 8.6
"""Noise is cut where its density, or its transform, has fallen to exp(-DEPTH**2 / 2) = 9e-17 of its peak."""

POINTS_PER_SIGMA = 8
"""Points of the grid on one sigma.

The trapezoid rule errs by less than exp(-2 (pi * POINTS_PER_SIGMA)**2 / 2) on the noise's density.
"""

MOST_POINTS = 2**20


def scalar_information_bits(
    values: Float64[Tensor, "vocabulary"],
    weights: Float64[Tensor, "memory"],
    sigma: float,
    lags: Sequence[int],
    prior: Float64[Tensor, "vocabulary"],
    follow: Float64[Tensor, "before vocabulary"],
) -> tuple[float, ...]:
    r"""Bits of the token at each lag in one number :math:`h = \sum_k w_k\, e(x_{t-k}) + \sigma n`.

    .. math:: I(X_{t-k}; H) = \sum_v \int p(v, h) \log_2 \frac{p(v, h)}{p(v)\, p(h)}\, dh

    The joint density of token and state has the transform :math:`p(v)\, A_k(u, v)\, e^{i u w_k e(v)}\, B_k(u, v)\,
    e^{-\sigma^2 u^2 / 2}`, where A is the expectation of :math:`e^{iu\,\cdot}` over the older tokens given that one,
    and B over the newer ones: one step of a recursion for each token of the memory, backward and forward in time.
    Every transform is band-limited by the noise, so both sums converge exponentially.

    Args:
        values: One number for each type.
        weights: Weight of the token at each lag from 0 on; later lags weigh nothing.
        sigma: Standard deviation of the noise, above 0.
        lags: Distances of the tokens asked for, in steps back.
        prior: Stationary probability of each type.
        follow: `follow[i, j]` is the probability that j comes after i; one row where tokens are independent.

    Returns:
        Bits at each lag.

    Raises:
        UserError: `sigma` is too small against the range of the states for a grid of 2**20 points.

    Reference:
        Trefethen & Weideman, "The Exponentially Convergent Trapezoidal Rule", SIAM Review 56 (2014), theorem 5.1.

    Example:
        >>> coin = torch.tensor([0.5, 0.5], dtype=torch.float64)
        >>> bits = scalar_information_bits(torch.tensor([-1.0, 1.0]).double(), torch.ones(1).double(), 1.0, [0],
        ...     coin, coin[None])
        >>> round(bits[0], 4)  # a binary signal as strong as its noise
        0.4859
    """
    low = float(torch.minimum(weights * values.min(), weights * values.max()).sum())
    high = float(torch.maximum(weights * values.min(), weights * values.max()).sum())
    length = high - low + 2 * DEPTH * sigma
    points = 2 ** math.ceil(math.log2(POINTS_PER_SIGMA * length / sigma))
    if points > MOST_POINTS:
        raise UserError(
            f"`sigma` must be at least {POINTS_PER_SIGMA * length / MOST_POINTS:.2g} for states of this range, "
            f"got {sigma}: pass more noise."
        )
    steps = torch.arange(1 + math.ceil(DEPTH * length / (2 * math.pi * sigma)), dtype=torch.float64)
    frequencies = 2 * math.pi / length * steps
    # The grid starts at the least state there is.
    noise = torch.polar(torch.exp(-0.5 * (sigma * frequencies) ** 2), -frequencies * (low - DEPTH * sigma)) * (
        points / length
    )
    back = follow
    if len(follow) > 1:
        # A type that never occurs needs some past, or what is no number would spoil the rest.
        back = torch.where(prior[:, None] > 0, (prior[:, None] * follow).T / prior[:, None], prior)
    older, newer = _expect(values, weights, frequencies, lags, back, follow)
    answers = []
    for lag in lags:
        weight = float(weights[lag]) if lag < len(weights) else 0.0
        own = torch.polar(torch.ones_like(frequencies)[:, None], frequencies[:, None] * weight * values)
        spectrum = prior * own * older[lag] * newer[lag] * noise[:, None]
        # rfft's convention has the sign of the exponent the other way round.
        density = torch.fft.irfft(spectrum.conj(), n=points, dim=0)
        answers.append(_information_bits(density, prior) * length / points)
    return tuple(answers)


def _expect(
    values: Tensor, weights: Tensor, frequencies: Tensor, lags: Sequence[int], back: Tensor, follow: Tensor
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """E[exp(iu sum)] over the tokens older, and newer, than the one at each lag, given its type."""
    memory, last = len(weights), max(lags)

    def turn(lag: int) -> Tensor:
        weight = float(weights[lag]) if lag < memory else 0.0
        return torch.polar(torch.ones_like(frequencies)[:, None], frequencies[:, None] * weight * values)

    shape = (len(frequencies), len(values))
    ones = torch.ones(shape, dtype=torch.complex128)
    older, expected = {}, ones
    for lag in range(max(memory, last + 1) - 1, -1, -1):
        if lag in lags:
            older[lag] = expected
        expected = ((turn(lag) * expected) @ back.T.to(expected)).expand(shape)
    newer, expected = {}, ones
    for lag in range(last + 1):
        if lag in lags:
            newer[lag] = expected
        expected = ((turn(lag) * expected) @ follow.T.to(expected)).expand(shape)
    return older, newer


def _information_bits(density: Float64[Tensor, "points vocabulary"], prior: Float64[Tensor, "vocabulary"]) -> float:
    # Where a density is below the rounding of the transform its sign is noise: there it counts as none.
    density = torch.where(density > 1e-15 * density.max(), density, 0.0)
    independent = density.sum(1, keepdim=True) * prior
    terms = torch.where(density > 0, density * (density / independent).log2(), 0.0)
    return float(terms.sum())
