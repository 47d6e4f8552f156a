"""States drawn from a channel, and how much they tell of each token: a Monte Carlo mean with its standard error."""

__all__ = ["draw_posteriors", "information_bits_drawn"]

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel.markov_chain import draw_chain, normalized_transition, stationary_distribution
from infodil.channel.posterior import Channel
from infodil.estimate import BITS_PER_NAT


@torch.no_grad()
def draw_posteriors(
    channel: Channel, embedding: Float[Tensor, "vocabulary dim"], lags: Sequence[int], samples: int, seed: int
) -> tuple[Float[Tensor, "samples lags vocabulary"], Int[Tensor, "samples lags"]]:
    """Log-posteriors, nats, of states drawn from the model, and the tokens that were sent.

    All states have every token that the weights reach behind them.
    """
    matrix = normalized_transition(channel.follow.cpu().numpy())
    chains = draw_chain(
        matrix, stationary_distribution(matrix), samples, max(channel.reach, *lags) + 1, np.random.default_rng(seed)
    )
    drawn = torch.from_numpy(chains).flip(1)
    vectors = embedding.to(channel.weights)
    states = torch.randn(
        samples,
        len(channel.weights),
        embedding.shape[1],
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    ).to(vectors)
    states *= channel.sigma
    for lag in range(channel.reach):
        states += channel.weights[:, lag, None] * vectors[drawn[:, lag].to(vectors.device)][:, None]
    posterior, _ = channel.log_posterior(states, lags)
    return posterior, drawn[:, list(lags)].to(posterior.device)


@torch.no_grad()
def information_bits_drawn(
    channel: Channel, embedding: Float[Tensor, "vocabulary dim"], lags: Sequence[int], samples: int, seed: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    r"""Mutual information at each lag, and its standard error: the mean of :math:`D(p(\cdot \mid h) \| p)` over states.

    The posterior's divergence from the prior has the mean of the log of their ratio at the token that was sent, and
    less spread, for what was sent is averaged over.
    """
    posterior, _ = draw_posteriors(channel, embedding, lags, samples, seed)
    gain = torch.where(posterior > -math.inf, posterior.exp() * (posterior - channel.prior.log()), 0.0)
    bits = gain.sum(2) * BITS_PER_NAT
    return tuple(bits.mean(0).tolist()), tuple((bits.std(0) / math.sqrt(samples)).tolist())
