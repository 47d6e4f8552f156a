"""Noisy traces of tokens, and how many bits of each token they hold: moving averages and shift registers."""

__all__ = ["ema_channel", "shift_register"]

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.channel import (
    Channel,
    Code,
    Prior,
    TokenLaw,
    Transition,
    information_draws_bits,
    longest_window,
    probabilities_of,
)
from infodil.checks import UserError, check_not_empty, check_seed, check_whole
from infodil.sources.pairs import Recall
from infodil.sources.quadrature import scalar_information_bits
from infodil.sources.tokens import IID, Markov, markov
from infodil.traces import ema_bank, weights

ABSENT = 1e-9
"""Tokens that all together move a state by less than this share of its noise count as absent."""

GAUSSIAN = 0.5
"""Tokens that are not enumerated enter as Gaussian noise, whose standard deviation is at most this many sigma."""

CHEAP = 0.3
"""No more tokens are enumerated than bring that standard deviation below this many sigma."""

NOTHING = 1e-3
"""Lags that cannot hold as many bits need not be enumerated."""


def ema_channel(
    embedding: Float[Tensor, "vocabulary dim"],
    alpha: float | int | Sequence[float],
    sigma: float | int,
    *,
    lags: Sequence[int] = (0, 1, 2, 3),
    prior: Prior | None = None,
    transition: Transition | None = None,
    documents: int = 100,
    tokens: int = 100,
    truth_samples: int = 2048,
    seed: int = 0,
) -> Recall:
    r"""Exponential moving averages of token vectors, with noise, and the bits of the token at each lag.

    ::

        x ~ iid or Markov --> embedding[x] --> trace at each alpha --(+ sigma N)--> state

    .. math:: h_t = \sum_k \alpha (1 - \alpha)^k\, e(x_{t-k}) + \sigma n_t

    Every state has the whole memory of its trace behind it. For one number a state (one dimension, one alpha) the truth
    is an integral, exact to rounding. Otherwise it is a Monte Carlo mean over `truth_samples` states of the posterior,
    by enumeration of the newest tokens (`infodil.channel.Channel`); those older, whose standard deviation
    must be below half of sigma, enter as Gaussian noise, which moves the truth by less than 0.003 bits.

    Args:
        embedding: One vector a type.
        alpha: One smoothing weight, or several for a bank of traces side by side.
        sigma: Standard deviation of the noise of each number of a state.
        lags: Distances of the tokens asked for, in steps back.
        prior: Probability of each type of independent tokens; uniform by default.
        transition: Transition matrix of a stationary Markov chain, in place of `prior`.
        documents: Documents drawn.
        tokens: States of each document.
        truth_samples: States of the Monte Carlo mean.
        seed: The same seed gives the same samples.

    Returns:
        The states, the token at each lag behind each of them, and the bits of it that a state holds.

    Raises:
        UserError: An argument is malformed, or the memory is too long to be enumerated at this noise.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 2.4.

    Example:
        >>> source = ema_channel(torch.tensor([[-1.0], [1.0]]), 0.5, 0.1, lags=[0, 1, 8])
        >>> [round(bits, 3) for bits in source.truth_bits], source.standard_error_bits
        ([0.87, 0.611, 0.0], (0.0, 0.0, 0.0))
    """
    lags, sigma = _check(embedding, lags, sigma, documents=documents, tokens=tokens, seed=seed)
    check_whole("truth_samples", truth_samples, 2, "pass how many states to draw")
    alphas = (alpha,) if isinstance(alpha, int | float) else tuple(alpha)
    check_not_empty("alpha", alphas, "pass at least one smoothing weight")
    vectors = embedding.detach().to("cpu", torch.float64)
    if len(vectors) < 2:
        raise UserError("`embedding` must have at least 2 types, got 1: one alone tells nothing.")
    if not sigma:
        raise UserError("`sigma` must be above 0, got 0: without noise a state tells every token that it can resolve.")

    memory = max(_memory(one, float(vectors.norm(dim=1).max()), sigma) for one in alphas)
    bank = torch.stack([weights(one, memory) for one in alphas])
    if transition is None:
        prior = probabilities_of(prior, len(vectors))
    law = TokenLaw.of(prior, transition, len(vectors))
    burn = max(memory, *lags)
    drawn = markov(law.follow.numpy(), documents=documents, tokens=burn + tokens, seed=seed).tokens
    states = ema_bank(vectors[drawn], alphas)[:, burn:].flatten(0, 1).flatten(1)
    generator = torch.Generator().manual_seed(seed)
    states = states + sigma * torch.randn(states.shape, generator=generator, dtype=torch.float64)
    if states.shape[1] == 1:
        follow = law.follow if law.is_chain else law.prior[None]
        truth = scalar_information_bits(vectors[:, 0], bank[0], sigma, lags, law.prior, follow)
        error = (0.0,) * len(lags)
    else:
        truth, error = _monte_carlo(vectors, bank, sigma, lags, prior, transition, truth_samples, seed)
    return _recall(states, drawn, burn, lags, truth, error)


def shift_register(
    source: IID | Markov,
    length: int,
    *,
    embedding: Float[Tensor, "vocabulary dim"] | None = None,
    lags: Sequence[int] = (0, 1, 2, 3),
) -> Recall:
    r"""States that hold the last `length` tokens side by side, and nothing else: perfect memory, then none.

    ::

        state = [ e(x_t) | e(x_{t-1}) | ... | e(x_{t-length+1}) ]

    .. math:: I(X_{t-k}; H_t) = H(X) \text{ for } k < L, \quad I(X_{t-k}; X_{t-L+1}) \text{ beyond}

    Args:
        source: The tokens; every position with `length` tokens, and every lag, behind it becomes a sample.
        length: How many tokens a state holds.
        embedding: A vector for each type, distinct; one-hot by default.
        lags: Distances of the tokens asked for, in steps back.

    Returns:
        The states, the token at each lag behind each of them, and the bits of it that a state holds, exact to rounding.

    Raises:
        UserError: A document is not longer than the register and the lags, or two vectors coincide.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), sections 2.8 (beyond the register a chain forgets).

    Example:
        >>> from infodil.sources import iid
        >>> shift_register(iid(4, documents=2, tokens=10), 2, lags=[0, 1, 2]).truth_bits
        (2.0, 2.0, 0.0)
    """
    check_whole("length", length, 1, "pass how many tokens the register holds")
    vectors = torch.eye(source.vocabulary) if embedding is None else embedding.detach().cpu()
    lags, _ = _check(vectors, lags, 0.0, documents=1, tokens=1, seed=0)
    if len(vectors) != source.vocabulary or len(vectors.unique(dim=0)) < len(vectors):
        raise UserError(f"`embedding` must have {source.vocabulary} distinct vectors, one a type: pass such ones.")
    burn = max(length - 1, *lags)
    total = source.tokens.shape[1]
    if total <= burn:
        raise UserError(f"`source` must have documents of more than {burn} tokens, got {total}: draw longer ones.")
    held = [vectors.double()[source.tokens[:, burn - back : total - back]] for back in range(length)]
    states = torch.cat(held, 2).flatten(0, 1)
    truth = tuple(source.mutual_information_bits(max(0, lag - length + 1)) for lag in lags)
    return _recall(states, source.tokens, burn, lags, truth, (0.0,) * len(lags))


def _recall(
    states: Tensor, drawn: Tensor, burn: int, lags: tuple[int, ...], truth: tuple[float, ...], error: tuple[float, ...]
) -> Recall:
    documents, total = drawn.shape
    behind = torch.stack([drawn[:, burn - lag : total - lag].flatten() for lag in lags], 1)
    groups = torch.arange(documents).repeat_interleave(total - burn)
    return Recall(states, behind, groups, lags, truth, error)


def _memory(alpha: float | int, largest: float, sigma: float | int) -> int:
    """Tokens of one trace until those older count as absent: all of them together weigh (1 - alpha)**memory."""
    weights(alpha, 0)  # its message where alpha is not one
    if alpha == 1 or largest == 0:
        return 1
    return max(1, math.ceil(math.log(ABSENT * sigma / largest) / math.log1p(-alpha)))


def _monte_carlo(
    vectors: Tensor,
    bank: Tensor,
    sigma: float | int,
    lags: tuple[int, ...],
    prior: Prior | None,
    transition: Transition | None,
    draws: int,
    seed: int,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    def enumerate_newest(window: int) -> Channel:
        return Channel(Code(vectors, bank), sigma, prior=prior, transition=transition, window=window)

    longest, channel = longest_window(len(vectors)), enumerate_newest(1)
    stretch = torch.linalg.svdvals(channel.law.prior.sqrt()[:, None] * channel.vectors) / sigma
    # The capacity of each lag alone, all other tokens revealed.
    most_bits = 0.5 * torch.log2(1 + torch.outer(bank.square().sum(0), stretch**2)).sum(1)
    holding = max((lag for lag in lags if lag < len(most_bits) and most_bits[lag] > NOTHING), default=0)
    if holding >= longest:
        raise UserError(
            f"`lags` must be below {longest} to be enumerated with {len(vectors)} types where they may hold anything, "
            f"got {holding}: pass nearer ones, more noise or fewer types."
        )
    for window in range(holding + 1, longest + 1):
        channel = enumerate_newest(window)
        if channel.older_deviation() < CHEAP:
            break
    deviation = channel.older_deviation()
    if deviation > GAUSSIAN:
        raise UserError(
            f"`sigma` must be at least {deviation * sigma / GAUSSIAN:.2g} for the truth to be enumerated, "
            f"got {sigma}: pass more noise, a larger alpha or fewer types."
        )
    bits = information_draws_bits(channel, lags, draws, seed + 1, averaged=True)
    return tuple(bits.mean(0).tolist()), tuple((bits.std(0) / math.sqrt(draws)).tolist())


def _check(
    embedding: Tensor, lags: Sequence[int], sigma: float | int, *, documents: int, tokens: int, seed: int
) -> tuple[tuple[int, ...], float]:
    if embedding.dim() != 2 or not embedding.numel() or not torch.isfinite(embedding).all():
        raise UserError(f"`embedding` must be finite, [vocabulary, dim], got shape {list(embedding.shape)}: mend it.")
    check_not_empty("lags", lags, "pass at least one lag, such as lags=range(8)")
    for lag in lags:
        check_whole("lags", lag, 0, "pass steps back, 0 for the newest token")
    if not 0 <= sigma < math.inf:
        raise UserError(f"`sigma` must be finite and at least 0, got {sigma}: pass the noise's standard deviation.")
    check_whole("documents", documents, 1, "pass 1 or more")
    check_whole("tokens", tokens, 1, "pass 1 or more")
    check_seed(seed)
    return tuple(lags), float(sigma)
