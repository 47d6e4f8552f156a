"""Mutual information of a token and its point seen through white Gaussian noise: quadrature, or Monte Carlo. Nats."""

__all__ = ["gaussian_information"]

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.bounds.codebook import Codebook

STEP, REACH = 0.02, 9.0
"""Step and reach of the trapezoidal rule, in standard deviations: beyond nine there is less than 1e-18 of the noise."""

MOST_TERMS = 2**26
"""Terms of a quadrature; more are left to Monte Carlo."""

LOGITS = 2**22
"""Log-likelihoods held at once, in float64."""

DRAWS_OF_A_TYPE = 8
"""Fewest draws of each type, where every type has draws of its own."""

NEAR = 1e-6
"""Points nearer than this share of their size are compared digit by digit: products of their numbers would cancel."""


def gaussian_information(
    book: Codebook, gains: Sequence[float], draws: int, seed: int
) -> tuple[Float[np.ndarray, "gains"], Float[np.ndarray, "gains"]]:
    r"""Information about the token in `gain * point + noise` for each gain, and its standard error (zero if exact).

    .. math:: I = E_y\, KL(p(x \mid y) \,\|\, p(x)) = E\Big[\sum_v q_v a_v - \log \sum_v p_v e^{a_v}\Big], \quad
              a_v = -\tfrac12 |c_x - c_v|^2 - n \cdot (c_x - c_v), \; q_v \propto p_v e^{a_v}

    The divergence of the posterior in place of the pointwise information: the same mean and never more variance.
    """
    book = book.turned()
    types = len(book.prior)
    if types == 1 or book.points.shape[1] == 0:
        return np.zeros(len(gains)), np.zeros(len(gains))
    if book.points.shape[1] == 1 and types**2 * 2 * REACH / STEP <= MOST_TERMS:
        exact = [quadrature(gain * book.points[:, 0], book.prior) for gain in gains]
        return np.array(exact), np.zeros(len(gains))
    which = draw_types(book.prior, draws, seed)
    divergence = divergences(book, gains, which, seed)
    if types * DRAWS_OF_A_TYPE <= draws:
        return by_type(divergence, which, book.prior)
    return with_control(divergence, -book.prior.log()[which] - book.entropy_nats)


def quadrature(points: Float[Tensor, "types"], prior: Float[Tensor, "types"]) -> float:
    """The information of one number, by the trapezoidal rule over the noise: exact to float64."""
    noise = torch.arange(-REACH, REACH + STEP / 2, STEP, dtype=torch.float64)
    density = STEP * torch.exp(-0.5 * noise.square()) / math.sqrt(2 * math.pi)
    total = 0.0
    for point, probability in zip(points, prior, strict=True):
        away = point - points
        logs = prior.log() - 0.5 * away.square() - noise[:, None] * away
        total -= float(probability * (density * torch.logsumexp(logs, 1)).sum())
    return max(total, 0.0)  # zero may have been rounded


def draw_types(prior: Float[Tensor, "types"], draws: int, seed: int) -> Int[Tensor, "draws"]:
    """Types to draw noise for: each its share and a few at least, or at random where the types are too many."""
    if len(prior) * DRAWS_OF_A_TYPE <= draws:
        return torch.arange(len(prior)).repeat_interleave((draws * prior).round().clamp(min=DRAWS_OF_A_TYPE).long())
    generator = torch.Generator().manual_seed(seed)
    # Not torch.multinomial, which takes at most 2**24 types: where a uniform draw falls among the cumulative sums.
    uniform = torch.rand(draws, generator=generator, dtype=torch.float64)
    return torch.searchsorted(prior.cumsum(0), uniform).clamp(max=len(prior) - 1)


def divergences(
    book: Codebook, gains: Sequence[float], which: Int[Tensor, "draws"], seed: int
) -> Float[Tensor, "gains draws"]:
    """Divergence of the posterior from the prior for each gain and draw; all gains share the products and the noise."""
    points, log_prior = book.points, book.prior.log()
    generator = torch.Generator().manual_seed(seed + 1)
    size = points.square().sum(1)
    answer = torch.empty(len(gains), len(which), dtype=torch.float64)
    for rows in torch.arange(len(which)).split(max(1, LOGITS // len(points))):
        here = points[which[rows]]
        noise = torch.randn(here.shape, generator=generator, dtype=torch.float64)
        square = size[which[rows], None] + size - 2.0 * here @ points.T
        slope = noise @ points.T - (noise * here).sum(1, keepdim=True)
        row, near = torch.nonzero(square < NEAR * (size[which[rows], None] + size), as_tuple=True)
        for part in torch.arange(len(row)).split(max(1, LOGITS // points.shape[1])):
            away = here[row[part]] - points[near[part]]
            square[row[part], near[part]] = away.square().sum(1)
            slope[row[part], near[part]] = -(noise[row[part]] * away).sum(1)
        for number, gain in enumerate(gains):
            fit = slope * gain - square * (0.5 * gain**2)
            log_total = torch.logsumexp(fit + log_prior, 1, keepdim=True)
            posterior = (fit + log_prior - log_total).exp_()
            # A divergence is never negative; the rounding of zero may be.
            answer[number, rows] = ((posterior * fit).sum(1) - log_total[:, 0]).clamp(min=0.0)
    return answer


def by_type(
    divergence: Float[Tensor, "gains draws"], which: Int[Tensor, "draws"], prior: Float[Tensor, "types"]
) -> tuple[Float[np.ndarray, "gains"], Float[np.ndarray, "gains"]]:
    """Mean and its standard error from draws stratified by type, each type with its own probability."""
    count = torch.bincount(which, minlength=len(prior)).double()
    empty = torch.zeros(len(divergence), len(prior), dtype=torch.float64)
    mean = empty.index_add(1, which, divergence) / count
    spread = empty.index_add(1, which, (divergence - mean[:, which]).square()) / (count - 1)
    return (mean @ prior).numpy(), (spread / count @ prior.square()).sqrt().numpy()


def with_control(
    divergence: Float[Tensor, "gains draws"], surprise: Float[Tensor, "draws"]
) -> tuple[Float[np.ndarray, "gains"], Float[np.ndarray, "gains"]]:
    """Mean and its standard error where the mean of `surprise` (the types drawn, less their entropy) is known: zero.

    Regression on a control variate; with little noise the two are equal, and nothing is left to chance.
    """
    centred = surprise - surprise.mean()
    slope = (divergence @ centred / centred.square().sum().clamp(min=1e-300)).clamp(0.0, 1.0)
    mean = divergence.mean(1) - slope * surprise.mean()
    rest = divergence - divergence.mean(1, keepdim=True) - slope[:, None] * centred
    draws = divergence.shape[1]
    return mean.numpy(), (rest.square().sum(1) / (draws - 2) / draws).sqrt().numpy()
