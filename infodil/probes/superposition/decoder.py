"""The superposition decoder: from a weighted sum of token vectors back to the token at each lag."""

__all__ = ["SuperpositionDecoder", "pursuit"]

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from infodil.channel import Decoding, log_prior_of
from infodil.checks import UserError, check_not_empty, check_whole
from infodil.probes.superposition.lag_assignment import assign_lags
from infodil.probes.superposition.matching_pursuit import Dictionary, find_support

SAMPLES_AT_ONCE = 64
CANDIDATES = 8
DOUBT = 1e-3
"""Mass kept for the prior at every lag: a type that no step found is never ruled out."""

WEIGHT_ROUNDING = {torch.float64: 2.0**-53, torch.float32: 2.0**-25}
"""Relative error of a token's weight in states computed in this format: half a unit in the last place, as rms."""


def pursuit(
    states: Tensor,
    embedding: Tensor,
    weights: Tensor,
    *,
    lags: Iterable[int],
    prior: Tensor | ndarray | Sequence[float] | None = None,
    sigma: float | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Decoding:
    r"""Decode the tokens in states that are weighted sums of token vectors, :math:`h_s = \sum_k w_{s,k}\, e(x_{t-k})`.

    In three steps. (1) Which tokens: orthogonal matching pursuit, all scales together, until what is left is noise.
    (2) Which lags: each token's coefficient is the sum of the weights of the lags it stands at; sets of lags that fit
    are listed and weighed against each other by belief propagation, and tokens that stay open are divided among the
    free lags by a search over all of them at once (subset sums, meet in the middle). A bank is read fastest trace
    first, and what that settles is taken off the slower ones. (3) A posterior over tokens for every lag. Where a lag
    is out of reach, the posterior is the prior.

    Nothing here is random; `seed` is taken for the sake of one signature for all readers.

    Args:
        states: One state a row, `[samples, dim]`; `[samples, scales, dim]` for a bank.
        embedding: Token vectors, `[vocabulary, dim]`.
        weights: Weight of each lag from 0 on, `[tokens]`; `[scales, tokens]` for a bank. Later lags weigh
            nothing.
        lags: Which lags to answer.
        prior: Probability of each type; uniform by default.
        sigma: Standard deviation of the noise in each number of the states. By default it is measured on what the
            tokens found leave unexplained, and is never taken below the rounding of the states' format.
        device: Where to decode; that of `states` by default.
        seed: Not used.
        progress: Show a bar over the samples.

    Returns:
        A `Decoding`: `.tokens [samples, lags]` and `.log_probs(tokens) -> [samples, lags]` in nats.

    Raises:
        UserError: Shapes that do not fit each other, a lag below zero, `sigma` below zero, or states not finite.

    Reference:
        Pati, Rezaiifar and Krishnaprasad (1993) for the pursuit; Horowitz and Sahni (1974) for subset sums; Pearl
        (1988) for the beliefs.

    Example:
        >>> from infodil.encoders import TraceEncoder
        >>> from infodil.traces import weights
        >>> encoder = TraceEncoder(50, (0.5,), dim=64)
        >>> tokens = torch.tensor([[3, 1, 4, 1, 5, 9]])
        >>> states = encoder.encode(tokens)["ema"][:, -1]
        >>> pursuit(states, encoder.embedding, weights(0.5, 40), lags=range(6)).tokens
        tensor([[9, 5, 1, 4, 1, 3]])
    """
    del seed
    lags = tuple(int(lag) for lag in lags)
    check_not_empty("lags", lags, "pass at least one, such as lags=range(16)")
    for lag in lags:
        check_whole("lags", lag, 0, "a state is asked for tokens it has seen")
    states, weights = check_shapes(states, embedding, weights)
    if sigma is not None and not sigma >= 0:
        raise UserError(f"`sigma` must be at least zero, got {sigma!r}: pass a standard deviation, or None to measure.")
    device = torch.device(device) if device is not None else states.device
    decoder = SuperpositionDecoder(embedding, weights, log_prior_of(prior, len(embedding)), device)
    return decoder.decode(states, lags, sigma=sigma, progress=progress)


class SuperpositionDecoder:
    """What `pursuit` prepares once for a code: the token vectors in their span, and one name for those that coincide.

    Args:
        embedding: Token vectors.
        weights: Of each lag, in each scale.
        log_prior: Of every type.
        device: Where to decode.
    """

    def __init__(
        self,
        embedding: Float[Tensor, "vocabulary dim"],
        weights: Float[Tensor, "scales tokens"],
        log_prior: Float[Tensor, "vocabulary"],
        device: torch.device,
    ) -> None:
        self.device, self.log_prior = device, log_prior.to(device)
        self.weights = weights.to(device, torch.float64)
        # Types whose vectors are the same to the bit (unused ones of a trained vocabulary) are one for the decoder.
        vectors, group = torch.unique(embedding.to(device, torch.float64), dim=0, return_inverse=True)
        self.dictionary = Dictionary(vectors)
        empty = torch.zeros(len(vectors), dtype=torch.float64, device=device)
        self.group_prior = empty.index_add(0, group, self.log_prior.exp())
        likeliest = torch.full_like(empty, -torch.inf).scatter_reduce(0, group, self.log_prior, "amax")
        self.share = likeliest.exp() / self.group_prior
        self.spokesman = torch.zeros(len(vectors), dtype=torch.long, device=device)
        first = (self.log_prior == likeliest[group]).nonzero().squeeze(1).flip(0)
        self.spokesman[group[first]] = first

    def decode(
        self,
        states: Float[Tensor, "samples scales dim"],
        lags: tuple[int, ...],
        *,
        sigma: float | None = None,
        progress: bool = False,
    ) -> Decoding:
        """The answer of `pursuit`."""
        device, weights = self.device, self.weights
        relative = WEIGHT_ROUNDING.get(states.dtype, WEIGHT_ROUNDING[torch.float32])
        candidates = torch.full((len(states), len(lags), CANDIDATES), -1, device=device)
        mass = torch.zeros(len(states), len(lags), CANDIDATES, dtype=torch.float64, device=device)
        asked = torch.tensor(lags, device=device)
        parts = torch.arange(len(states)).split(SAMPLES_AT_ONCE)
        for rows in tqdm(parts, "decoding superpositions", leave=False, disable=not progress, unit="batch"):
            some = states[rows].to(device, torch.float64)
            size = some.pow(2).mean((1, 2)).sqrt()
            floor = (torch.full_like(size, sigma) if sigma else relative / 4.0 * size).clamp(min=1e-300)
            support = find_support(some, self.dictionary, floor, positive=bool((weights >= 0).all()))
            chance = assign_lags(support, weights, self.group_prior.log(), relative, asked)
            candidates[rows], mass[rows] = best_candidates(support.types, chance, asked)
        named = candidates.clamp(min=0)
        spoken = torch.where(candidates >= 0, self.spokesman[named], -1)
        return Decoding(lags, spoken, mass * self.share[named], self.log_prior)


def check_shapes(
    states: Tensor, embedding: Tensor, weights: Tensor
) -> tuple[Float[Tensor, "samples scales dim"], Float[Tensor, "scales tokens"]]:
    """States and weights with an axis for scales, or `UserError`."""
    if weights.dim() not in (1, 2) or states.dim() != weights.dim() + 1:
        raise UserError(
            f"`weights` has shape {list(weights.shape)} and `states` {list(states.shape)}: pass weights [tokens] with "
            "states [samples, dim], or [scales, tokens] with [samples, scales, dim]."
        )
    if weights.dim() == 1:
        states, weights = states[:, None], weights[None]
    if states.shape[1] != len(weights):
        raise UserError(f"`states` has {states.shape[1]} scales and `weights` {len(weights)}: pass one row a scale.")
    if embedding.dim() != 2 or embedding.shape[1] != states.shape[2]:
        raise UserError(
            f"`embedding` must have shape [vocabulary, {states.shape[2]}] like the states, got {list(embedding.shape)}."
        )
    if not torch.isfinite(states).all():
        raise UserError("`states` has numbers that are not finite: check the encoder that made them.")
    return states, weights


def best_candidates(
    types: Int[Tensor, "samples slots"], chance: Float[Tensor, "samples slots seen"], asked: Int[Tensor, "lags"]
) -> tuple[Int[Tensor, "samples lags candidates"], Float[Tensor, "samples lags candidates"]]:
    """The likeliest types at the lags asked for, and their probability."""
    seen = chance.shape[2]
    by_lag = chance[:, :, asked.clamp(max=seen - 1)].transpose(1, 2) * (asked < seen)[:, None]
    share, place = by_lag.topk(min(CANDIDATES, by_lag.shape[2]), 2)
    best = types[:, None].expand(-1, len(asked), -1).gather(2, place)
    best = torch.where(share > 1e-9, best, -1)
    share = torch.where(best >= 0, share, 0.0)
    share = (1.0 - DOUBT) * share / share.sum(2, keepdim=True).clamp(min=1.0)
    short = CANDIDATES - best.shape[2]
    return torch.nn.functional.pad(best, (0, short), value=-1), torch.nn.functional.pad(share, (0, short))
