"""Mutual information between the tokens and the noisy state of a known code: a Monte Carlo mean over its posterior."""

__all__ = ["channel_information", "estimate_information", "information_draws_bits"]

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from infodil.channel.arguments import check_lags, check_sigma
from infodil.channel.code import Code
from infodil.channel.markov_chain import draw_chain, normalized_transition, stationary_distribution
from infodil.channel.posterior import Channel
from infodil.channel.probabilities import Prior, entropy_bits
from infodil.channel.token_law import Transition
from infodil.checks import check_confidence, check_seed, check_whole
from infodil.estimate import BITS_PER_NAT, Estimate


def channel_information(
    embedding: Float[Tensor, "vocabulary dim"],
    weights: Float[Tensor, "*scales tokens"],
    sigma: float,
    *,
    lags: Sequence[int],
    prior: Prior | None = None,
    transition: Transition | None = None,
    window: int | None = None,
    draws: int = 4096,
    confidence: float = 0.95,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> tuple[Estimate, ...]:
    r"""Mutual information between the token at each lag and the noisy state of a linear code.

    .. math:: I(X_{t-k}; H_t) = H(X) + E \log p(x_{t-k} \mid h_t)

    The mean is taken over states drawn from the model, all with every token that the weights reach behind them. Its
    interval is that of a mean of independent draws, and is extended downwards by the loss of states that none of n
    draws met: with probability :math:`\delta` their share is above :math:`\ln(1/\delta)/n`, and each loses the
    logarithm of the number of types at most. Where some tokens cannot be enumerated, the posterior is approximate and
    the value is a lower bound.

    Args:
        embedding: One vector a type.
        weights: Weight of the token at each lag from 0 on, `[tokens]` or `[scales, tokens]`.
        sigma: Standard deviation of the noise of each number of a state.
        lags: Lags of the tokens, steps back.
        prior: Weights or probabilities of the types of independent tokens; uniform by default.
        transition: Transition matrix of a stationary Markov chain, in place of `prior`.
        window: Number of tokens to enumerate; by default as many as there may be.
        draws: Number of Monte Carlo states.
        confidence: Confidence level of each pointwise interval.
        seed: The same seed gives the same draws.
        device: Device of the computation.

    Returns:
        One estimate a lag.

    Raises:
        UserError: An argument is malformed or out of range, `draws` is below 2, or both `prior` and `transition` are
            given.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), sections 2.4 and 2.10; Hanley and Lippman-Hand (1983),
        "If nothing goes wrong, is everything all right?", for events that no draw met.

    Example:
        >>> embedding, weights = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.5, 0.25])
        >>> newest, older = channel_information(embedding, weights, 0.01, lags=[0, 1])
        >>> newest.value_bits, older.value_bits
        (1.0, 1.0)
    """
    check_sigma(sigma)
    code = Code(embedding, weights[None] if weights.dim() == 1 else weights)
    channel = Channel(code, sigma, prior=prior, transition=transition, window=window, device=device)
    return estimate_information(channel, lags, draws=draws, confidence=confidence, seed=seed)


def estimate_information(
    channel: Channel, lags: Sequence[int], *, draws: int, confidence: float, seed: int
) -> tuple[Estimate, ...]:
    """Mutual information between the token at each lag and the state of a channel, with intervals.

    Args:
        channel: The code, its noise and the law of its tokens.
        lags: Lags of the tokens, steps back.
        draws: Number of Monte Carlo states.
        confidence: Confidence level of each pointwise interval.
        seed: The same seed gives the same draws.

    Raises:
        UserError: A lag is malformed, `draws` is below 2, or `confidence` lies outside [0.5, 1).
    """
    lags = check_lags(lags)
    check_whole("draws", draws, 2, "pass how many states to draw")
    check_confidence(confidence)
    check_seed(seed)
    # At the token that was sent: where the posterior is approximate, its own average would not be a lower bound.
    bits = information_draws_bits(channel, lags, draws, seed, averaged=False)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) / math.sqrt(draws)
    # Near certainty losses are rare and none may be drawn: without this the interval would have no width.
    unmet = math.log(2.0 / (1.0 - confidence)) / draws * math.log2(len(channel.law.prior))
    kind, warnings = "estimate", ()
    if not channel.is_exact:
        kind = "lower bound"
        warnings = (f"tokens older than the {len(channel.window)} enumerated enter as Gaussian noise.",)
    return tuple(
        Estimate(
            value_bits=float(column.mean()),
            low_bits=float(column.mean() - reach * column.std() - unmet),
            high_bits=float(column.mean() + reach * column.std()),
            confidence=confidence,
            kind=kind,
            samples=draws,
            method="exact posterior, Monte Carlo",
            warnings=warnings,
        )
        for column in bits.T
    )


@torch.no_grad()
def information_draws_bits(
    channel: Channel, lags: Sequence[int], draws: int, seed: int, *, averaged: bool
) -> Float[Tensor, "draws lags"]:
    r"""Information gain of each drawn state about the token at each lag, bits; its mean is the mutual information.

    .. math:: \log_2 \frac{p(x_{t-k} \mid h)}{p(x_{t-k})} \quad\text{or, averaged over } x, \quad
              D\big(p(\cdot \mid h) \,\|\, p\big)

    Both have the same mean where the posterior is exact, and the second has less spread. Where it is approximate, only
    the first has a mean that is a lower bound.

    Args:
        channel: The code, its noise and the law of its tokens.
        lags: Lags of the tokens, steps back.
        draws: Number of Monte Carlo states.
        seed: The same seed gives the same draws.
        averaged: Whether the gain is averaged over the posterior rather than taken at the token that was sent.
    """
    states, tokens = draw_states(channel, lags, draws, seed)
    posterior, _ = channel.log_posterior(states, lags)
    if averaged:
        gain = torch.where(posterior > -math.inf, posterior.exp() * (posterior - channel.law.prior.log()), 0.0)
        return gain.sum(2) * BITS_PER_NAT
    sent = posterior.gather(2, tokens.to(posterior.device)[..., None]).squeeze(2).cpu()
    return entropy_bits(channel.law.prior.cpu().numpy()) + sent * BITS_PER_NAT


def draw_states(
    channel: Channel, lags: Sequence[int], draws: int, seed: int
) -> tuple[Float64[Tensor, "draws scales dim"], Int[Tensor, "draws lags"]]:
    """States drawn from a channel, and the tokens sent at each lag; every state has the channel's whole memory."""
    matrix = normalized_transition(channel.law.follow.cpu().numpy())
    chains = draw_chain(
        matrix, stationary_distribution(matrix), draws, max(channel.memory, *lags) + 1, np.random.default_rng(seed)
    )
    tokens = torch.from_numpy(chains).flip(1)
    vectors, weights = channel.code
    states = torch.randn(
        draws,
        len(weights),
        vectors.shape[1],
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    ).to(vectors)
    states *= channel.sigma
    for lag in range(channel.memory):
        states += weights[:, lag, None] * vectors[tokens[:, lag].to(vectors.device)][:, None]
    return states, tokens[:, list(lags)]
