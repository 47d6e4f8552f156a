"""From the coefficients of the found tokens to the chance of each token at each lag: one scale after another."""

__all__ = ["assign_lags"]

import itertools

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.probes.superposition.joint_lag_search import divide_lags
from infodil.probes.superposition.lag_beliefs import LagBeliefs
from infodil.probes.superposition.matching_pursuit import Support

SETTLED = 0.02
"""A token none of whose claims on a sharp lag is further than this from yes or no needs no search."""

SHARP_ERRORS = 3.0
"""Neighbouring lags are told apart where their weights differ by this many errors."""

SEEN_ERRORS = 2.0
PRESENT_ERRORS = 4.0
"""A coefficient with more errors than this left, once the settled lags are taken off, is at some other lag too."""

MOST_LAGS = 256
"""Lags that are told apart one by one; triples of lags are listed, which grow with the cube."""

FEW_TOKENS = 8
"""So few are always searched: beliefs that go round in a loop settle on one of several divisions that fit alike."""

SOFT_SHARE = 0.05
"""Weight of the beliefs before the search in the answer: the search keeps only the best divisions it met."""


def assign_lags(
    support: Support,
    weights: Float[Tensor, "scales tokens"],
    log_prior: Float[Tensor, "vocabulary"],
    relative: float,
    asked: Int[Tensor, "asked"],
) -> Float[Tensor, "samples slots lags"]:
    """The chance that each found token stands at each of the newest lags.

    The fastest scale is read first: its newest tokens tower over the rest. What it settles is taken off the
    coefficients of the slower scales, which go on from there until all lags asked for are settled; a lag's answer is
    that of the scale that is surest of it.

    Args:
        support: The types in each state and their coefficients.
        weights: Of every lag, in each scale.
        log_prior: Of every type.
        relative: Relative error of a weight, as the states have it.
        asked: The lags that are asked for.
    """
    types, found, error = support.types, support.coefficients.clone(), support.error.clone()
    lags = min(MOST_LAGS, weights.shape[1])
    answer = torch.zeros(*types.shape, lags, dtype=torch.float64, device=types.device)
    taken = torch.zeros(len(types), lags, dtype=torch.bool, device=types.device)
    past, excess = count_past(support, weights, typical_errors(support))  # [samples, 2], least and most
    error = (error**2 + excess[..., None] ** 2).sqrt()
    levels = typical_errors(Support(types, found, error))
    asked = asked[asked < lags]
    fastest_first = by_memory(weights)
    for place in range(len(fastest_first)):
        scales = fastest_first[: place + 1]
        for level, members in noise_levels(levels[:, scales]):
            members = members[~taken[members][:, asked].all(1)]
            # What is settled differs from state to state, and an answer must not depend on its neighbours.
            for some in members.split(1 if place else len(types)):
                part = Support(types[some], found[some][:, scales], error[some][:, scales])
                read = read_scale(part, weights[scales], level, log_prior, relative, past[some], taken[some])
                if read is not None:
                    answer[some] = surer(answer[some], read)
        if place + 1 < len(fastest_first):
            sure = (answer > 1.0 - SETTLED) & ~taken[:, None]
            taken |= sure.any(1)
            found -= torch.einsum("nvk,sk->nsv", sure.double(), weights[:, :lags])
            error = (error**2 + relative**2 * torch.einsum("nvk,sk->nsv", sure.double(), weights[:, :lags] ** 2)).sqrt()
    return answer


def surer(
    known: Float[Tensor, "samples slots lags"], read: Float[Tensor, "samples slots seen"]
) -> Float[Tensor, "samples slots lags"]:
    """For each lag, whichever of two answers gives its likeliest token more."""
    answer = known.clone()
    old = known[:, :, : read.shape[2]]
    better = read.amax(1, keepdim=True) > old.amax(1, keepdim=True)
    answer[:, :, : read.shape[2]] = torch.where(better, read, old)
    return answer


def by_memory(weights: Float[Tensor, "scales tokens"]) -> list[int]:
    """The scales, the one with the shortest memory first."""
    lag = torch.arange(weights.shape[1], device=weights.device, dtype=weights.dtype)
    size = weights.abs()
    return torch.argsort((size @ lag) / size.sum(1).clamp(min=1e-300), stable=True).tolist()


def typical_errors(support: Support) -> Float[Tensor, "samples scales"]:
    """The error of a coefficient in each scale of each state; NaN where nothing was found."""
    there = support.types >= 0
    return torch.where(there[:, None], support.error, torch.nan).nanmedian(2).values


def noise_levels(
    error: Float[Tensor, "samples scales"],
) -> list[tuple[Float[Tensor, "scales"], Int[Tensor, "members"]]]:
    """The samples in groups of about equal error, so that an answer does not depend on its neighbours in a batch."""
    level = torch.ceil(torch.log2(error))
    groups = []
    known = torch.isfinite(level).all(1)
    for row in torch.unique(level[known], dim=0):
        groups.append((torch.exp2(row), ((level == row).all(1) & known).nonzero().squeeze(1)))
    return groups


def read_scale(
    support: Support,
    weights: Float[Tensor, "scales tokens"],
    level: Float[Tensor, "scales"],
    log_prior: Float[Tensor, "vocabulary"],
    relative: float,
    past: Int[Tensor, "samples bounds"],
    taken: Bool[Tensor, "samples lags"],
) -> Float[Tensor, "samples slots seen"] | None:
    """Chances at the lags that show in samples of one noise level; None where they are all settled."""
    there = support.types >= 0
    if taken.any():
        there &= (support.coefficients.abs() > PRESENT_ERRORS * support.error).any(1)
    step = (weights[:, :-1] - weights[:, 1:]).abs() > SHARP_ERRORS * level[:, None]
    step = torch.cat([step, step[:, -1:]], 1)  # the last lag is told apart if the one before it is
    seen = min(MOST_LAGS, deepest((weights.abs() > SEEN_ERRORS * level[:, None]).any(0)))
    shows = weights[-1, :seen].abs() > SEEN_ERRORS * level[-1]
    if not there.any() or not (shows & ~taken[:, :seen]).any():
        return None
    # Lags of equal weight are never told apart, but each still holds one token.
    sharp = min(seen, deepest(step.any(0))) if step.any() else seen
    sample, slot = there.nonzero(as_tuple=True)
    coefficient, error = (part.transpose(1, 2)[there] for part in (support.coefficients, support.error))
    own_prior = log_prior[support.types[there]]
    beliefs = LagBeliefs(sample, coefficient, error, own_prior, weights, relative, sharp, seen, past, taken[:, :seen])
    firm, soft = beliefs.solve()
    answer = torch.zeros(*there.shape, seen, dtype=torch.float64, device=there.device)
    answer[sample, slot] = settle(beliefs, firm, soft)
    return answer


def deepest(shown: Bool[Tensor, "lags"]) -> int:
    """How many lags there are up to the last that shows; at least one."""
    place = shown.nonzero()
    return int(place.max()) + 1 if len(place) else 1


def count_past(
    support: Support, weights: Float[Tensor, "scales tokens"], level: Float[Tensor, "samples scales"]
) -> tuple[Int[Tensor, "samples bounds"], Float[Tensor, "samples scales"]]:
    """How many tokens each state has seen at least and at most, and what those beyond the last weight add.

    Coefficients add up to the weights of the lags there are. All lags and nothing, where the weights have both signs.
    """
    tokens = weights.shape[1]
    if (weights < 0).any():
        return torch.full((len(level), 2), tokens, device=level.device), torch.zeros_like(level)
    there = (support.types >= 0)[:, None]
    total = torch.where(there, support.coefficients, 0.0).sum(2)
    spread = torch.where(there, support.error, 0.0).pow(2).sum(2).sqrt()
    reached = weights.cumsum(1)
    # What is too small to be found is missing from the total.
    unfound = torch.where(weights < 5.0 * level[..., None], weights, 0.0).sum(2)
    slack = 4.0 * spread + 1e-7 * total.abs()
    least = torch.searchsorted(reached, (total - slack).T.contiguous()).T + 1
    most = torch.searchsorted(reached, (total + slack + unfound).T.contiguous(), right=True).T
    # Scales agree, but for what their errors miss.
    least, most = least.clamp(1, tokens).amax(1), most.clamp(1, tokens).amin(1)
    bounds = torch.stack([torch.minimum(least, most), most], 1)
    return bounds, (total - slack - reached[:, -1]).clamp(min=0.0)


def settle(
    beliefs: LagBeliefs, firm: Float[Tensor, "nodes lags"], soft: Float[Tensor, "nodes lags"]
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
    sample, past = beliefs.sample.cpu().numpy(), beliefs.past.cpu().numpy()
    taken = beliefs.taken[:, :sharp].cpu().numpy()
    edges = np.searchsorted(sample, np.arange(beliefs.samples + 1))
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        if end - begin <= FEW_TOKENS:
            open_nodes[begin:end], held[begin:end] = True, False
        nodes = begin + np.flatnonzero(open_nodes[begin:end])
        divided = divide_lags(beliefs, nodes, held[begin:end].any(0) | taken[number], *past[number].tolist())
        if divided is not None:
            new = torch.from_numpy(divided).to(answer.device)
            lags = new.sum(0) > 0.5
            index = torch.from_numpy(nodes).to(answer.device)
            own = answer[begin:end, :sharp]
            mixed = SOFT_SHARE * own
            mixed[index - begin] += (1.0 - SOFT_SHARE) * new
            answer[begin:end, :sharp] = torch.where(lags, mixed, own)
    return answer
