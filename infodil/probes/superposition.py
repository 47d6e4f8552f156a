"""The superposition decoder: from a weighted sum of token vectors back to the token at each lag."""

__all__ = ["pursuit"]

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from infodil.checks import UserError, check_not_empty, check_whole
from infodil.probes.decoding import Decoding
from infodil.probes.lags import LagBeliefs
from infodil.probes.partition import divide_lags
from infodil.probes.support import Dictionary, Support, find_support
from infodil.sources.tokens import log_prior_of

SAMPLES_AT_ONCE = 64
CANDIDATES = 8
SETTLED = 0.02
"""A token none of whose claims on a sharp lag is further than this from yes or no needs no search."""

SHARP_ERRORS = 3.0
"""Neighbouring lags are told apart where their weights differ by this many errors."""

SEEN_ERRORS = 2.0
MOST_LAGS = 256
"""Lags that are told apart one by one; triples of lags are listed, which grow with the cube."""

SOFT_SHARE = 0.05
"""Weight of the beliefs before the search in the answer: the search keeps only the best divisions it met."""

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
    free lags by a search over all of them at once (subset sums, meet in the middle). (3) A posterior over tokens for
    every lag. Where a lag is out of reach, the posterior is the prior.

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
    relative = WEIGHT_ROUNDING.get(states.dtype, WEIGHT_ROUNDING[torch.float32])
    log_prior = log_prior_of(prior, len(embedding)).to(device)
    weights = weights.to(device, torch.float64)
    # Types whose vectors are the same to the bit (unused ones of a trained vocabulary) are one for the decoder.
    vectors, group = torch.unique(embedding.to(device, torch.float64), dim=0, return_inverse=True)
    dictionary = Dictionary(vectors)
    group_prior = torch.zeros(len(vectors), dtype=torch.float64, device=device).index_add_(0, group, log_prior.exp())
    likeliest = torch.full_like(group_prior, -torch.inf).scatter_reduce_(0, group, log_prior, "amax")
    spokesman = torch.zeros(len(vectors), dtype=torch.long, device=device)
    first = (log_prior == likeliest[group]).nonzero().squeeze(1).flip(0)
    spokesman[group[first]] = first

    candidates = torch.full((len(states), len(lags), CANDIDATES), -1, device=device)
    mass = torch.zeros(len(states), len(lags), CANDIDATES, dtype=torch.float64, device=device)
    asked = torch.tensor(lags, device=device)
    parts = torch.arange(len(states)).split(SAMPLES_AT_ONCE)
    for rows in tqdm(parts, "decoding superpositions", leave=False, disable=not progress, unit="batch"):
        some = states[rows].to(device, torch.float64)
        size = some.pow(2).mean((1, 2)).sqrt()
        floor = torch.full_like(size, sigma) if sigma else relative / 4.0 * size
        support = find_support(some, dictionary, floor.clamp(min=1e-300), positive=bool((weights >= 0).all()))
        for level, members in noise_levels(support):
            best, share = read_lags(support, members, level, weights, group_prior.log(), relative, asked)
            candidates[rows[members.cpu()].to(device)], mass[rows[members.cpu()].to(device)] = best, share
    named = candidates.clamp(min=0)
    mass = mass * (likeliest.exp() / group_prior)[named]
    return Decoding(lags, torch.where(candidates >= 0, spokesman[named], -1), mass, log_prior)


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


def noise_levels(support: Support) -> list[tuple[Float[Tensor, "scales"], Int[Tensor, "members"]]]:
    """The samples in groups of about equal error, so that an answer does not depend on its neighbours in a batch."""
    there = support.types >= 0
    error = torch.where(there[:, None], support.error, torch.nan).nanmedian(2).values
    level = torch.ceil(torch.log2(error))
    groups = []
    known = torch.isfinite(level).all(1)
    for row in torch.unique(level[known], dim=0):
        groups.append((torch.exp2(row), ((level == row).all(1) & known).nonzero().squeeze(1)))
    return groups


def read_lags(
    support: Support,
    members: Int[Tensor, "members"],
    level: Float[Tensor, "scales"],
    weights: Float[Tensor, "scales tokens"],
    log_prior: Float[Tensor, "vocabulary"],
    relative: float,
    asked: Int[Tensor, "lags"],
) -> tuple[Int[Tensor, "members lags candidates"], Float[Tensor, "members lags candidates"]]:
    """Candidates and their mass at the lags asked for, for samples of one noise level."""
    types, found, error = (part[members] for part in (support.types, support.coefficients, support.error))
    there = types >= 0
    sample, slot = there.nonzero(as_tuple=True)
    coefficient, error = found.transpose(1, 2)[there], error.transpose(1, 2)[there]
    step = (weights[:, :-1] - weights[:, 1:]).abs() > SHARP_ERRORS * level[:, None]
    seen = min(MOST_LAGS, deepest((weights.abs() > SEEN_ERRORS * level[:, None]).any(0)))
    # Lags of equal weight are never told apart, but each still holds one token.
    sharp = min(seen, deepest(step.any(0))) if step.any() else seen
    past = count_past(coefficient, error, sample, len(members), weights, level)
    beliefs = LagBeliefs(sample, coefficient, error, log_prior[types[there]], weights, relative, sharp, seen, past)
    firm, soft = beliefs.solve()
    answer = settle(beliefs, firm, soft, past)

    by_slot = torch.zeros(*types.shape, seen, dtype=torch.float64, device=types.device)
    by_slot[sample, slot] = answer
    within = asked < seen
    by_lag = by_slot[:, :, asked.clamp(max=seen - 1)].transpose(1, 2) * within[:, None]
    share, place = by_lag.topk(min(CANDIDATES, by_lag.shape[2]), 2)
    best = types[:, None].expand(-1, len(asked), -1).gather(2, place)
    best = torch.where(share > 1e-9, best, -1)
    share = torch.where(best >= 0, share, 0.0)
    share = (1.0 - DOUBT) * share / share.sum(2, keepdim=True).clamp(min=1.0)
    short = CANDIDATES - best.shape[2]
    return torch.nn.functional.pad(best, (0, short), value=-1), torch.nn.functional.pad(share, (0, short))


def deepest(shown: Tensor) -> int:
    """How many lags there are up to the last that shows; at least one."""
    place = shown.nonzero()
    return int(place.max()) + 1 if len(place) else 1


def count_past(
    coefficient: Float[Tensor, "nodes scales"],
    error: Float[Tensor, "nodes scales"],
    sample: Int[Tensor, "nodes"],
    samples: int,
    weights: Float[Tensor, "scales tokens"],
    level: Float[Tensor, "scales"],
) -> Int[Tensor, "samples"]:
    """How many tokens each state has seen: coefficients add up to the weights of the lags there are.

    All lags, where the sum cannot tell (long documents, or weights of both signs).
    """
    tokens = weights.shape[1]
    longest = torch.full((samples,), tokens, device=sample.device)
    if (weights < 0).any():
        return longest
    total = coefficient.new_zeros(samples, coefficient.shape[1]).index_add_(0, sample, coefficient)
    spread = coefficient.new_zeros(samples, coefficient.shape[1]).index_add_(0, sample, error.pow(2)).sqrt()
    reached = weights.cumsum(1)
    # What is too small to be found is missing from the total.
    unfound = torch.where(weights < 5.0 * level[:, None], weights, 0.0).sum(1)
    slack = 4.0 * spread + 1e-7 * total.abs()
    counts = torch.stack(
        [torch.searchsorted(reached[scale], total[:, scale] - slack[:, scale]) + 1 for scale in range(len(weights))], 1
    )
    all_of_them = total + slack + unfound >= reached[:, -1]
    counts = torch.where(all_of_them, tokens, counts)
    return counts.amin(1).clamp(max=tokens)


def settle(
    beliefs: LagBeliefs, firm: Float[Tensor, "nodes lags"], soft: Float[Tensor, "nodes lags"], past: Tensor
) -> Float[Tensor, "nodes lags"]:
    """The answer: beliefs where they are firm, else the search over divisions, else beliefs with their last word."""
    sharp = beliefs.sharp
    claims = firm[:, :sharp]
    clear = ((claims < SETTLED) | (claims > 1.0 - SETTLED)).all(1) & (beliefs.unlisted < SETTLED)
    clear &= firm.sum(1) > 0.5
    lightest = beliefs.weights[:, :sharp].abs().amin(1)
    clear |= (beliefs.coefficient[:, beliefs.key] + 5.0 * beliefs.error[:, beliefs.key]) < lightest[beliefs.key]
    answer = soft.clone()
    open_nodes, held = (~clear).cpu().numpy(), ((claims > 0.5) & clear[:, None]).cpu().numpy()
    sample, past = beliefs.sample.cpu().numpy(), past.cpu().numpy()
    edges = np.searchsorted(sample, np.arange(beliefs.samples + 1))
    for begin, end, tokens in zip(edges[:-1], edges[1:], past, strict=True):
        nodes = begin + np.flatnonzero(open_nodes[begin:end])
        divided = divide_lags(beliefs, nodes, held[begin:end].any(0), int(tokens))
        if divided is not None:
            new = torch.from_numpy(divided).to(answer.device)
            lags = new.sum(0) > 0.5
            index = torch.from_numpy(nodes).to(answer.device)
            own = answer[begin:end, :sharp]
            mixed = SOFT_SHARE * own
            mixed[index - begin] += (1.0 - SOFT_SHARE) * new
            answer[begin:end, :sharp] = torch.where(lags, mixed, own)
    return answer
