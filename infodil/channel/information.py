"""How much a noisy state tells about each token where the code is known: the truth that readers are held against."""

__all__ = ["channel_information"]

import math
from collections.abc import Sequence
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.channel.arguments import Transition, check_lags, check_sigma
from infodil.channel.draws import draw_posteriors
from infodil.channel.posterior import Channel
from infodil.channel.probabilities import entropy_bits
from infodil.checks import check_confidence, check_seed, check_whole
from infodil.estimate import BITS_PER_NAT, Estimate


@torch.no_grad()
def channel_information(
    embedding: Float[Tensor, "vocabulary dim"],
    weights: Float[Tensor, "*scales tokens"],
    sigma: float,
    *,
    lags: Sequence[int],
    prior: Float[Tensor, "vocabulary"] | Sequence[float] | None = None,
    transition: Transition | None = None,
    window: int | None = None,
    samples: int = 4096,
    confidence: float = 0.95,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> tuple[Estimate, ...]:
    r"""Mutual information between the token at each lag and the noisy state, the truth that any reader is held against.

    .. math:: I(X_{t-k}; H_t) = H(X) + E \log p(x_{t-k} \mid h_t)

    The mean is taken over states drawn from the model, all with every token that the weights reach behind them. The
    interval is that of the mean of independent draws, and reaches lower by what states that none of n draws met may
    lose: with probability :math:`\delta` there are more than :math:`\ln(1/\delta)/n` of them, and each leaves the
    logarithm of the number of types in doubt at most. Where some tokens could not be enumerated the posterior is not
    quite Bayes' and the value is a lower bound.

    Args:
        embedding: One vector a type.
        weights: As in `exact`.
        sigma: Standard deviation of the noise of each number of a state.
        lags: Which tokens, steps back.
        prior: As in `exact`.
        transition: As in `exact`.
        window: How many tokens to enumerate; by default as many as there may be.
        samples: States drawn.
        confidence: Of the intervals.
        seed: The same seed gives the same draws.
        device: Where to compute.

    Returns:
        One estimate a lag.

    Raises:
        UserError: as `exact`; `draws` below 2, `confidence` outside [0.5, 1).

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), sections 2.4 and 2.10; Hanley and Lippman-Hand (1983),
        "If nothing goes wrong, is everything all right?", for what was not met.

    Example:
        >>> embedding, weights = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.5, 0.25])
        >>> newest, older = channel_information(embedding, weights, 0.01, lags=[0, 1])
        >>> newest.value_bits, older.value_bits
        (1.0, 1.0)
    """
    lags = check_lags(lags)
    check_sigma(sigma)
    check_whole("samples", samples, 2, "pass how many states to draw")
    check_confidence(confidence)
    check_seed(seed)
    weights = weights[None] if weights.dim() == 1 else weights
    channel = Channel(embedding, weights, sigma, prior=prior, transition=transition, window=window, device=device)
    posterior, sent = draw_posteriors(channel, embedding, lags, samples, seed)
    # At the token that was sent, and not averaged over the posterior: wrong where that is, it only makes the mean low.
    true = posterior.gather(2, sent[..., None]).squeeze(2).cpu()
    bits = entropy_bits(channel.prior.cpu().numpy()) + true * BITS_PER_NAT
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) / math.sqrt(samples)
    # Without this, states near enough to certainty would look certain: their losses are rare, and none may be drawn.
    unmet = math.log(2.0 / (1.0 - confidence)) / samples * math.log2(posterior.shape[2])
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
            samples=samples,
            method="exact posterior, Monte Carlo",
            warnings=warnings,
        )
        for column in bits.T
    )
