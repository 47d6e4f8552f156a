"""The exact posterior as a bound: the truth itself where tokens, code and noise are declared and can be enumerated."""

__all__ = ["exact_posterior"]

import dataclasses
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from infodil.channel import Channel, Code, Transition, check_lags, check_sigma, estimate_information
from infodil.checks import UserError, accepts_former_name, check_seed
from infodil.estimate import Estimate


@accepts_former_name(samples="draws")
def exact_posterior(
    embedding: Float[Tensor, "vocabulary dim"] | Float[np.ndarray, "vocabulary dim"],
    weights: Float[Tensor, "*scales tokens"] | Float[np.ndarray, "*scales tokens"],
    sigma: float | int,
    *,
    lags: Sequence[int],
    prior: Float[Tensor, "vocabulary"] | Sequence[float] | None = None,
    transition: Transition | None = None,
    window: int | None = None,
    draws: int = 4096,
    confidence: float = 0.95,
    seed: SupportsIndex = 0,
) -> tuple[Estimate, ...]:
    r"""Mutual information between the token at each lag and the noisy state of a linear code, or an upper bound on it.

    Where all tokens with weight can be enumerated (2**20 sequences), this is the mutual information: kind `estimate`.
    Where they cannot, the older tokens are revealed,

    .. math:: I(X_k; H) \le I(X_k; H \mid X_{older})

    for independent tokens, and the channel of the newest ones is enumerated: kind `upper bound`, never above the
    genie's, which reveals all others. The engine is that of `infodil.channel.channel_information`.

    Args:
        embedding: One vector a type.
        weights: Weight of the token at each lag from 0 on, `[tokens]` or `[scales, tokens]`.
        sigma: Standard deviation of the Gaussian noise of each number.
        lags: Lags of the tokens, steps back.
        prior: Probability of each type of independent tokens; uniform by default.
        transition: Transition matrix of a Markov chain, in place of `prior`; then all tokens must be enumerated.
        window: Number of newest tokens to enumerate; by default as many as there may be.
        draws: Number of Monte Carlo states.
        confidence: Confidence level of each pointwise interval.
        seed: The same seed gives the same draws.

    Returns:
        One estimate a lag; for lags older than the window the genie's information.

    Raises:
        UserError: as `channel_information`; a chain with more tokens than can be enumerated.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), sections 2.4, 2.5 (chain rule) and 2.10.

    Example:
        >>> vectors, weights = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.5, 0.25])
        >>> [estimate.value_bits for estimate in exact_posterior(vectors, weights, 0.01, lags=[0, 1])]
        [1.0, 1.0]
    """
    check_sigma(sigma)
    seed = check_seed(seed)
    options = {"draws": draws, "confidence": confidence, "seed": seed}
    embedding, weights = torch.as_tensor(embedding), torch.as_tensor(weights)
    embedding = embedding if embedding.is_floating_point() else embedding.double()
    weights = (weights[None] if weights.dim() == 1 else weights).to(embedding)
    channel = Channel(Code(embedding, weights), sigma, prior=prior, transition=transition, window=window)
    if channel.is_exact:
        return estimate_information(channel, lags, **options)
    if transition is not None:
        raise UserError(
            f"`transition` makes tokens depend on each other, and {channel.memory} of them are too many to enumerate: "
            "shorten `weights`, or bound by infodil.bounds.entropy and budget."
        )

    def reveal_all_but(hidden: Sequence[int], lags: Sequence[int]) -> dict[int, Estimate]:
        kept = torch.zeros_like(weights)
        kept[:, list(hidden)] = weights[:, list(hidden)]
        if not kept.any():  # independent tokens without weight are not in the state at all
            return {lag: Estimate(0.0, 0.0, 0.0, confidence, "estimate", draws, "exact posterior") for lag in lags}
        revealed = Channel(Code(embedding, kept), sigma, prior=prior)
        return dict(zip(lags, estimate_information(revealed, lags, **options), strict=True))

    lags = check_lags(lags)
    newest = [lag for lag in lags if lag in channel.window]
    bounds = reveal_all_but(channel.window, newest) if newest else {}
    for lag in set(lags) - set(bounds):
        bounds |= reveal_all_but([lag] if lag < weights.shape[1] else [], [lag])
    assumption = ("Tokens older than the window are revealed: it bounds I(X; H) where tokens are independent.",)
    return tuple(dataclasses.replace(bounds[lag], kind="upper bound", warnings=assumption) for lag in lags)
