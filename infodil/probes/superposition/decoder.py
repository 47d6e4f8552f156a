"""The superposition decoder: from a weighted sum of token vectors back to the token at each lag."""

__all__ = ["SuperpositionDecoder", "pursuit"]

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.channel import Decoding, log_prior_of
from infodil.checks import UserError, check_not_empty, check_whole
from infodil.probes.superposition.lag_assignment import assign_lags
from infodil.probes.superposition.matching_pursuit import Dictionary, match_tokens
from infodil.probes.superposition.options import DecoderOptions
from infodil.progress import progress_bar

SAMPLES_AT_ONCE = 64
"""States decoded at once: memory in proportion."""

WEIGHT_ROUNDING = {torch.float64: 2.0**-53, torch.float32: 2.0**-25}
"""Relative error of a token's weight in states of this format: half a unit in the last place, root mean square."""


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
    r"""Posterior of the tokens in states that sum weighted token vectors, :math:`h_s = \sum_k w_{s,k}\, e(x_{t-k})`.

    (1) *Matching pursuit* finds the types, all scales together, until the residual is noise. (2) *Lag assignment*: a
    type's coefficient is the sum of the weights of its lags. Sets of lags that fit are weighed against each other by
    lag belief propagation, and open tokens are divided among the free lags by a joint lag search (subset sums, meet in
    the middle). A bank is decoded fastest trace first, and settled tokens are subtracted from the slower ones. (3) The
    posterior over tokens at every lag; where a lag is out of reach, it is the prior.

    Nothing here is random; `seed` keeps the signature common to all decoders.

    Args:
        states: One state a row, `[samples, dim]`, or `[samples, scales, dim]` for a bank.
        embedding: Token vectors, `[vocabulary, dim]`.
        weights: Weight of each lag from 0 on, `[tokens]`, or `[scales, tokens]` for a bank; later lags weigh nothing.
        lags: Lags to decode.
        prior: Probability of each type; uniform by default.
        sigma: Standard deviation of the noise in each number of the states. By default it is estimated from the
            residual of the found tokens, and is at least the rounding of the states' format.
        device: Device of the computation; that of `states` by default.
        seed: Ignored: the decoder is deterministic.
        progress: Whether to show a progress bar over the samples.

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
        check_whole("lags", lag, 0, "a state is wanted for tokens it has seen")
    states, weights = check_shapes(states, embedding, weights)
    if sigma is not None and not sigma >= 0:
        raise UserError(f"`sigma` must be at least zero, got {sigma!r}: pass a standard deviation, or None to measure.")
    device = torch.device(device) if device is not None else states.device
    decoder = SuperpositionDecoder(embedding, weights, log_prior_of(prior, len(embedding)), device, DecoderOptions())
    return decoder.decode(states, lags, sigma=sigma, progress=progress)


class SuperpositionDecoder:
    """The decoder of one code: its dictionary, in which types whose vectors coincide are one.

    Args:
        embedding: Token vectors.
        weights: Weight of each lag in each scale.
        log_prior: Log-probability of every type, nats.
        device: Device of the computation.
        options: Options of the decoder.
    """

    def __init__(
        self,
        embedding: Float[Tensor, "vocabulary dim"],
        weights: Float[Tensor, "scales tokens"],
        log_prior: Float[Tensor, "vocabulary"],
        device: torch.device,
        options: DecoderOptions,
    ) -> None:
        self.options = options
        self.device, self.log_prior = device, log_prior.to(device)
        self.weights = weights.to(device, torch.float64)
        # Types with identical vectors (unused ones of a trained vocabulary) cannot be told apart.
        vectors, group = torch.unique(embedding.to(device, torch.float64), dim=0, return_inverse=True)
        self.dictionary = Dictionary(vectors)
        empty = torch.zeros(len(vectors), dtype=torch.float64, device=device)
        self.group_prior = empty.index_add(0, group, self.log_prior.exp())
        likeliest = torch.full_like(empty, -torch.inf).scatter_reduce(0, group, self.log_prior, "amax")
        self.share = likeliest.exp() / self.group_prior
        self.representative = torch.zeros(len(vectors), dtype=torch.long, device=device)
        first = (self.log_prior == likeliest[group]).nonzero().squeeze(1).flip(0)
        self.representative[group[first]] = first

    def decode(
        self,
        states: Float[Tensor, "samples scales dim"],
        lags: tuple[int, ...],
        *,
        sigma: float | None = None,
        progress: bool = False,
    ) -> Decoding:
        """Posterior of the tokens at the given lags; see `pursuit`.

        Args:
            states: States with an axis for scales.
            lags: Lags to decode.
            sigma: Standard deviation of the noise, or None to estimate it.
            progress: Whether to show a progress bar.
        """
        device, weights = self.device, self.weights
        relative = WEIGHT_ROUNDING.get(states.dtype, WEIGHT_ROUNDING[torch.float32])
        options, places = self.options, (len(states), len(lags), self.options.candidates)
        candidates = torch.full(places, -1, device=device)
        mass = torch.zeros(places, dtype=torch.float64, device=device)
        wanted = torch.tensor(lags, device=device)
        parts = torch.arange(len(states)).split(SAMPLES_AT_ONCE)
        for rows in progress_bar(parts, "decoding superpositions", shown=progress, unit="batch"):
            some = states[rows].to(device, torch.float64)
            size = some.pow(2).mean((1, 2)).sqrt()
            floor = (torch.full_like(size, sigma) if sigma else relative / 4.0 * size).clamp(min=1e-300)
            support = match_tokens(some, self.dictionary, floor, options, positive=bool((weights >= 0).all()))
            posterior = assign_lags(support, weights, self.group_prior.log(), relative, wanted, options)
            candidates[rows], mass[rows] = best_candidates(support.types, posterior, wanted, options)
        group = candidates.clamp(min=0)
        types = torch.where(candidates >= 0, self.representative[group], -1)
        return Decoding(lags, types, mass * self.share[group], self.log_prior)


def check_shapes(
    states: Tensor, embedding: Tensor, weights: Tensor
) -> tuple[Float[Tensor, "samples scales dim"], Float[Tensor, "scales tokens"]]:
    """States and weights with an axis for scales.

    Raises:
        UserError: Shapes that do not fit each other, or states that are not finite.
    """
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
    types: Int[Tensor, "samples slots"],
    posterior: Float[Tensor, "samples slots seen"],
    wanted: Int[Tensor, "lags"],
    options: DecoderOptions,
) -> tuple[Int[Tensor, "samples lags candidates"], Float[Tensor, "samples lags candidates"]]:
    """The likeliest types at the wanted lags, and their probability mass.

    Args:
        types: Types found in each state.
        posterior: Probability of each of them at each lag.
        wanted: Lags to decode.
        options: Options of the decoder.
    """
    seen = posterior.shape[2]
    by_lag = posterior[:, :, wanted.clamp(max=seen - 1)].transpose(1, 2) * (wanted < seen)[:, None]
    share, place = by_lag.topk(min(options.candidates, by_lag.shape[2]), 2)
    best = types[:, None].expand(-1, len(wanted), -1).gather(2, place)
    best = torch.where(share > 1e-9, best, -1)
    share = torch.where(best >= 0, share, 0.0)
    share = (1.0 - options.smoothing) * share / share.sum(2, keepdim=True).clamp(min=1.0)
    short = options.candidates - best.shape[2]
    return torch.nn.functional.pad(best, (0, short), value=-1), torch.nn.functional.pad(share, (0, short))
