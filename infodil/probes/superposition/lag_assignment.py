"""Lag assignment: the probability of each found token at each lag from its coefficients, one scale after another."""

__all__ = ["assign_lags"]

import itertools

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.probes.superposition.joint_lag_search import divide_lags
from infodil.probes.superposition.lag_beliefs import LagBeliefs
from infodil.probes.superposition.matching_pursuit import Support
from infodil.probes.superposition.options import DecoderOptions


def assign_lags(
    support: Support,
    weights: Float[Tensor, "scales tokens"],
    log_prior: Float[Tensor, "vocabulary"],
    relative: float,
    wanted: Int[Tensor, "wanted"],
    options: DecoderOptions,
) -> Float[Tensor, "samples slots lags"]:
    """Probability of each found token at each of the newest lags.

    The fastest scale is decoded first: its newest tokens weigh far more than the rest. Settled tokens are subtracted
    from the coefficients of the slower scales, which continue from there until all wanted lags are settled; each lag
    takes the posterior of the scale that is most certain of it.

    Args:
        support: The types in each state and their coefficients.
        weights: Weight of every lag in each scale.
        log_prior: Log-probability of every type, nats.
        relative: Relative error of a weight in the precision of the states.
        wanted: Lags whose posterior is wanted.
        options: Options of the decoder.
    """
    types, found, error = support.types, support.coefficients.clone(), support.error.clone()
    lags = min(options.max_lags, weights.shape[1])
    answer = torch.zeros(*types.shape, lags, dtype=torch.float64, device=types.device)
    taken = torch.zeros(len(types), lags, dtype=torch.bool, device=types.device)
    past, excess = count_past(support, weights, typical_errors(support))  # [samples, 2], least and most
    error = (error**2 + excess[..., None] ** 2).sqrt()
    levels = typical_errors(Support(types, found, error))
    wanted = wanted[wanted < lags]
    fastest_first = by_memory(weights)
    for place in range(len(fastest_first)):
        scales = fastest_first[: place + 1]
        for level, members in noise_levels(levels[:, scales]):
            members = members[~taken[members][:, wanted].all(1)]
            # Settled lags differ from state to state, and a posterior must not depend on the neighbours in a batch.
            for some in members.split(1 if place else len(types)):
                part = Support(types[some], found[some][:, scales], error[some][:, scales])
                scale = weights[scales], level, log_prior, relative
                posterior = decode_scale(part, *scale, past[some], taken[some], options)
                if posterior is not None:
                    answer[some] = more_certain(answer[some], posterior)
        if place + 1 < len(fastest_first):
            sure = (answer > 1.0 - options.settled) & ~taken[:, None]
            taken |= sure.any(1)
            found -= torch.einsum("nvk,sk->nsv", sure.double(), weights[:, :lags])
            error = (error**2 + relative**2 * torch.einsum("nvk,sk->nsv", sure.double(), weights[:, :lags] ** 2)).sqrt()
    return answer


def more_certain(
    known: Float[Tensor, "samples slots lags"], new: Float[Tensor, "samples slots seen"]
) -> Float[Tensor, "samples slots lags"]:
    """The one of two posteriors, lag by lag, whose likeliest token is likelier."""
    answer = known.clone()
    old = known[:, :, : new.shape[2]]
    better = new.amax(1, keepdim=True) > old.amax(1, keepdim=True)
    answer[:, :, : new.shape[2]] = torch.where(better, new, old)
    return answer


def by_memory(weights: Float[Tensor, "scales tokens"]) -> list[int]:
    """Order of the scales, the one with the shortest memory first."""
    lag = torch.arange(weights.shape[1], device=weights.device, dtype=weights.dtype)
    size = weights.abs()
    return torch.argsort((size @ lag) / size.sum(1).clamp(min=1e-300), stable=True).tolist()


def typical_errors(support: Support) -> Float[Tensor, "samples scales"]:
    """Median error of a coefficient in each scale of each state; NaN where nothing was found."""
    there = support.types >= 0
    return torch.where(there[:, None], support.error, torch.nan).nanmedian(2).values


def noise_levels(
    error: Float[Tensor, "samples scales"],
) -> list[tuple[Float[Tensor, "scales"], Int[Tensor, "members"]]]:
    """Samples in groups of about equal error, so that a posterior does not depend on the neighbours in a batch."""
    level = torch.ceil(torch.log2(error))
    groups = []
    known = torch.isfinite(level).all(1)
    for row in torch.unique(level[known], dim=0):
        groups.append((torch.exp2(row), ((level == row).all(1) & known).nonzero().squeeze(1)))
    return groups


def decode_scale(
    support: Support,
    weights: Float[Tensor, "scales tokens"],
    level: Float[Tensor, "scales"],
    log_prior: Float[Tensor, "vocabulary"],
    relative: float,
    past: Int[Tensor, "samples bounds"],
    taken: Bool[Tensor, "samples lags"],
    options: DecoderOptions,
) -> Float[Tensor, "samples slots seen"] | None:
    """Posterior at the lags that show in samples of one noise level; None where they are all settled.

    Args:
        support: The types in each state and their coefficients.
        weights: Weight of every lag in each scale; the last scale is decoded.
        level: Error of a coefficient in each scale.
        log_prior: Log-probability of every type, nats.
        relative: Relative error of a weight in the precision of the states.
        past: Smallest and largest number of tokens behind each state.
        taken: Lags whose token is settled.
        options: Options of the decoder.
    """
    there = support.types >= 0
    if taken.any():
        there &= (support.coefficients.abs() > options.present_errors * support.error).any(1)
    step = (weights[:, :-1] - weights[:, 1:]).abs() > options.sharp_errors * level[:, None]
    step = torch.cat([step, step[:, -1:]], 1)  # the last lag is told apart if the one before it is
    seen = min(options.max_lags, deepest((weights.abs() > options.shown_errors * level[:, None]).any(0)))
    shows = weights[-1, :seen].abs() > options.shown_errors * level[-1]
    if not there.any() or not (shows & ~taken[:, :seen]).any():
        return None
    # Lags of equal weight cannot be told apart, but each still holds one token.
    sharp = min(seen, deepest(step.any(0))) if step.any() else seen
    sample, slot = there.nonzero(as_tuple=True)
    coefficient, error = (part.transpose(1, 2)[there] for part in (support.coefficients, support.error))
    type_prior = log_prior[support.types[there]]
    beliefs = LagBeliefs(
        sample, coefficient, error, type_prior, weights, relative, sharp, seen, past, taken[:, :seen], options
    )
    listed, soft = beliefs.solve()
    answer = torch.zeros(*there.shape, seen, dtype=torch.float64, device=there.device)
    answer[sample, slot] = settle(beliefs, listed, soft)
    return answer


def deepest(shown: Bool[Tensor, "lags"]) -> int:
    """Number of lags up to the last that shows, at least one."""
    place = shown.nonzero()
    return int(place.max()) + 1 if len(place) else 1


def count_past(
    support: Support, weights: Float[Tensor, "scales tokens"], level: Float[Tensor, "samples scales"]
) -> tuple[Int[Tensor, "samples bounds"], Float[Tensor, "samples scales"]]:
    """Smallest and largest number of tokens behind each state, and the excess of its coefficients over all weights.

    The coefficients of a state add up to the weights of the lags it has. Where weights have both signs, the sum tells
    nothing: all lags, and no excess.

    Args:
        support: The types in each state and their coefficients.
        weights: Weight of every lag in each scale.
        level: Error of a coefficient in each scale.
    """
    tokens = weights.shape[1]
    if (weights < 0).any():
        return torch.full((len(level), 2), tokens, device=level.device), torch.zeros_like(level)
    there = (support.types >= 0)[:, None]
    total = torch.where(there, support.coefficients, 0.0).sum(2)
    spread = torch.where(there, support.error, 0.0).pow(2).sum(2).sqrt()
    reached = weights.cumsum(1)
    # Tokens too light to be found are missing from the total.
    unfound = torch.where(weights < 5.0 * level[..., None], weights, 0.0).sum(2)
    slack = 4.0 * spread + 1e-7 * total.abs()
    least = torch.searchsorted(reached, (total - slack).T.contiguous()).T + 1
    most = torch.searchsorted(reached, (total + slack + unfound).T.contiguous(), right=True).T
    # All scales bound the same number.
    least, most = least.clamp(1, tokens).amax(1), most.clamp(1, tokens).amin(1)
    bounds = torch.stack([torch.minimum(least, most), most], 1)
    return bounds, (total - slack - reached[:, -1]).clamp(min=0.0)


def settle(
    beliefs: LagBeliefs, listed: Float[Tensor, "nodes lags"], soft: Float[Tensor, "nodes lags"]
) -> Float[Tensor, "nodes lags"]:
    """Posterior of each token at each lag: beliefs where they are settled, else the joint search, else soft beliefs.

    Args:
        beliefs: The tokens and their beliefs.
        listed: Beliefs from listed sets alone.
        soft: Beliefs with messages from unlisted sets too.
    """
    options = beliefs.options
    sharp = beliefs.sharp
    claims = listed[:, :sharp]
    clear = ((claims < options.settled) | (claims > 1.0 - options.settled)).all(1) & (
        beliefs.unlisted < options.settled
    )
    clear &= listed.sum(1) > 0.5
    lightest = beliefs.weights[:, :sharp].abs().amin(1)
    clear |= (beliefs.coefficient[:, beliefs.key] + 5.0 * beliefs.error[:, beliefs.key]) < lightest[beliefs.key]
    answer = soft.clone()
    open_nodes, held = (~clear).cpu().numpy(), ((claims > 0.5) & clear[:, None]).cpu().numpy()
    sample, past = beliefs.sample.cpu().numpy(), beliefs.past.cpu().numpy()
    taken = beliefs.taken[:, :sharp].cpu().numpy()
    edges = np.searchsorted(sample, np.arange(beliefs.samples + 1))
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        if end - begin <= options.few_tokens:
            open_nodes[begin:end], held[begin:end] = True, False
        nodes = begin + np.flatnonzero(open_nodes[begin:end])
        divided = divide_lags(beliefs, nodes, held[begin:end].any(0) | taken[number], *past[number].tolist())
        if divided is not None:
            new = torch.from_numpy(divided).to(answer.device)
            lags = new.sum(0) > 0.5
            index = torch.from_numpy(nodes).to(answer.device)
            belief = answer[begin:end, :sharp]
            mixed = options.belief_share * belief
            mixed[index - begin] += (1.0 - options.belief_share) * new
            answer[begin:end, :sharp] = torch.where(lags, mixed, belief)
    return answer
