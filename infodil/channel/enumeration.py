"""Enumeration of token sequences: their joint log-probability with a state, and its marginals at each token."""

__all__ = ["log_joint", "marginals", "sequence_prior", "superpose"]

import torch
from jaxtyping import Float
from torch import Tensor

MARGIN_NATS = 64.0
"""Sequences less likely than the best by this are below the rounding of float64: 2**20 exp(-64) < 1e-21."""

TOLERANCE_NATS = 1e-6
"""Largest rounding error of a log-likelihood by the matrix product; beyond it differences are taken instead."""


def superpose(parts: list[Tensor], like: Float[Tensor, "samples numbers"]) -> Float[Tensor, "sequences numbers"]:
    """Sums of one row of each part, for every choice of rows; the row of the first part changes slowest.

    Args:
        parts: The contribution of each type, one table a token.
        like: A tensor whose dtype, device and number of columns the sums take.
    """
    total = like.new_zeros(1, like.shape[1])
    for part in parts:
        total = (total[:, None] + part).flatten(0, 1)
    return total


def log_joint(
    white: Float[Tensor, "samples numbers"],
    heads: Float[Tensor, "heads numbers"],
    tails: Float[Tensor, "tails numbers"],
    prior: Float[Tensor, "heads tails"],
) -> Float[Tensor, "samples heads tails"]:
    r"""Joint log-probability of each sequence and the state, nats, up to a constant.

    .. math:: \log p(a, b, z) = \log p(a, b) - \tfrac12 |z-a-b|^2, \qquad
              |z-a-b|^2 = |z-a|^2 - 2 (z-a)^\top b + |b|^2

    Newer tokens (heads, a) are subtracted from the white state z; older ones (tails, b) enter by one matrix product.
    Where the noise is so small that the product cancels, it only selects the sequences that could matter, with a margin
    for its error, and their distances are computed again from differences.

    Args:
        white: States in coordinates in which the noise is white with variance 1.
        heads: Sums over the newer tokens.
        tails: Sums over the older tokens.
        prior: Log-probability of each pair of head and tail.
    """
    residual = white[:, None] - heads
    half_square = 0.5 * residual.square().sum(2)
    joint = (residual @ tails.T).add_(prior - 0.5 * tails.square().sum(1)).sub_(half_square[..., None])
    size = tails.norm(dim=1).max() + (2.0 * half_square.amin(1)).sqrt()
    error = 2 * (white.shape[1] + 8) * torch.finfo(white.dtype).eps * size**2
    if len(white) == 0 or float(error.max()) < TOLERANCE_NATS:
        return joint
    threshold = joint.amax((1, 2)) - 2.0 * error - MARGIN_NATS
    for places in torch.nonzero(joint > threshold[:, None, None]).split(2**16):
        sample, head, tail = places.unbind(1)
        joint[sample, head, tail] = prior[head, tail] - 0.5 * (residual[sample, head] - tails[tail]).square().sum(1)
    return joint


def sequence_prior(
    prior: Float[Tensor, "vocabulary"], follow: Float[Tensor, "vocabulary vocabulary"], tokens: int
) -> Float[Tensor, "sequences"]:
    """Log-probability of each sequence, nats; the type of the newest token changes slowest.

    Args:
        prior: Probability of each type of the oldest token.
        follow: `follow[i, j]` is the probability that type j comes after type i.
        tokens: Length of the sequences.
    """
    if tokens == 0:
        return prior.new_zeros(1)
    table = prior.log()
    for _ in range(tokens - 1):
        table = (follow.log().T[..., None] + table.view(1, len(prior), -1)).flatten()
    return table


def marginals(joint: Float[Tensor, "samples sequences"], vocabulary: int) -> list[Float[Tensor, "samples vocabulary"]]:
    """Marginal log-probability of each type at each token of the sequences, newest token first."""
    tables, before = [], 1
    while before < joint.shape[1]:
        tables.append(torch.logsumexp(joint.view(len(joint), before, vocabulary, -1), (1, 3)))
        before *= vocabulary
    return tables
