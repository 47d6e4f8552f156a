"""Sums of token vectors over all sequences: their distances from a state, and what those say of each token."""

__all__ = ["log_joint", "marginals", "sequence_prior", "superpose"]

import torch
from jaxtyping import Float
from torch import Tensor

MARGIN_NATS = 64.0
"""Sequences this much less likely than the best add nothing that float64 could hold: 2**20 exp(-64) < 1e-21."""

TOLERANCE_NATS = 1e-6
"""Log-likelihoods that rounding may change by more than this are computed again, from differences."""


def superpose(parts: list[Tensor], like: Float[Tensor, "samples numbers"]) -> Float[Tensor, "sequences numbers"]:
    """The sum of one row of each part, for every choice of rows; the first part's row changes slowest."""
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
    r"""Log-probability of each sequence together with the state, nats, up to a constant.

    Newer tokens are subtracted from the state, older ones enter by one matrix product,
    :math:`|z-a-b|^2 = |z-a|^2 - 2 (z-a)^\top b + |b|^2`. Where noise is so small that this cancels, the sequences
    that could matter are found by it, with a margin for its error, and computed again from differences.
    """
    left = white[:, None] - heads
    bend = 0.5 * left.square().sum(2)
    joint = (left @ tails.T).add_(prior - 0.5 * tails.square().sum(1)).sub_(bend[..., None])
    size = tails.norm(dim=1).max() + (2.0 * bend.amin(1)).sqrt()
    error = 2 * (white.shape[1] + 8) * torch.finfo(white.dtype).eps * size**2
    if len(white) == 0 or float(error.max()) < TOLERANCE_NATS:
        return joint
    least = joint.amax((1, 2)) - 2.0 * error - MARGIN_NATS
    for some in torch.nonzero(joint > least[:, None, None]).split(2**16):
        sample, head, tail = some.unbind(1)
        joint[sample, head, tail] = prior[head, tail] - 0.5 * (left[sample, head] - tails[tail]).square().sum(1)
    return joint


def sequence_prior(
    prior: Float[Tensor, "vocabulary"], follow: Float[Tensor, "vocabulary vocabulary"], tokens: int
) -> Float[Tensor, "sequences"]:
    """Log-probability of each sequence, nats; the type of the newest token changes slowest.

    Args:
        prior: Of the oldest token.
        follow: `follow[i, j]` is the probability that type j comes after i.
        tokens: Length of the sequences.
    """
    if tokens == 0:
        return prior.new_zeros(1)
    table = prior.log()
    for _ in range(tokens - 1):
        table = (follow.log().T[..., None] + table.view(1, len(prior), -1)).flatten()
    return table


def marginals(joint: Float[Tensor, "samples sequences"], vocabulary: int) -> list[Float[Tensor, "samples vocabulary"]]:
    """Log of the sum over all tokens but one, for each token of the sequences, newest first."""
    found, before = [], 1
    while before < joint.shape[1]:
        found.append(torch.logsumexp(joint.view(len(joint), before, vocabulary, -1), (1, 3)))
        before *= vocabulary
    return found
