"""The truth itself, where tokens, code and noise are declared and few enough to enumerate."""

__all__ = ["exact_posterior"]

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.channel.arguments import Transition
from infodil.channel.information import channel_information
from infodil.channel.posterior import Channel
from infodil.checks import UserError, accepts_former_name
from infodil.estimate import Estimate


@accepts_former_name(samples="draws")
def exact_posterior(
    embedding: Float[Tensor, "vocabulary dim"],
    weights: Float[Tensor, "*scales tokens"],
    sigma: float | int,
    *,
    lags: Sequence[int],
    prior: Float[Tensor, "vocabulary"] | Sequence[float] | None = None,
    transition: Transition | None = None,
    window: int | None = None,
    draws: int = 4096,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Estimate, ...]:
    r"""What the noisy state of a linear trace tells of the token at each lag, by enumeration and Monte Carlo, in bits.

    Where all tokens with weight can be enumerated (2**20 sequences), this is the mutual information: kind `estimate`.
    Where they cannot, the older tokens are revealed,

    .. math:: I(X_k; H) \le I(X_k; H \mid X_{older})

    for independent tokens, and the channel of the newest ones is enumerated: kind `upper bound`, never above the
    genie's, which reveals all others. See `infodil.channel.information.channel_information`, which is asked.

    Args:
        embedding: One vector a type.
        weights: `[tokens]` or `[scales, tokens]`.
        sigma: Standard deviation of the Gaussian noise of each number.
        lags: Which tokens, steps back.
        prior: Of the types of independent tokens; uniform by default.
        transition: Of a Markov chain, in place of `prior`; then all tokens must be enumerated.
        window: How many of the newest tokens to enumerate; by default as many as there may be.
        draws: Number of states drawn.
        confidence: Of the intervals.
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
    options = {"prior": prior, "transition": transition, "samples": draws, "confidence": confidence, "seed": seed}
    weights = weights[None] if weights.dim() == 1 else weights
    channel = Channel(embedding, weights, sigma, prior=prior, transition=transition, window=window)
    if channel.is_exact:
        return channel_information(embedding, weights, sigma, lags=lags, window=window, **options)
    if transition is not None:
        raise UserError(
            f"`transition` makes tokens depend on each other, and {channel.reach} of them are too many to enumerate: "
            "shorten `weights`, or bound by infodil.bounds.entropy and budget."
        )
    newest = torch.zeros_like(weights)
    newest[:, list(channel.window)] = weights[:, list(channel.window)]
    known = [lag for lag in lags if lag in channel.window]
    found = dict(zip(known, channel_information(embedding, newest, sigma, lags=known, **options), strict=True))
    for lag in set(lags) - set(known):
        alone = torch.zeros_like(weights)
        if lag < weights.shape[1]:
            alone[:, lag] = weights[:, lag]
        found[lag] = channel_information(embedding, alone, sigma, lags=[lag], **options)[0]
    said = ("Tokens older than the window are revealed: it bounds I(X; H) where tokens are independent.",)
    return tuple(dataclasses.replace(found[lag], kind="upper bound", warnings=said) for lag in lags)
