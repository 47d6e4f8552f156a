"""Orthogonal matching pursuit on many states at once: the types in each superposition, and their coefficients."""

__all__ = ["Dictionary", "Support", "match_tokens"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.superposition.options import DecoderOptions

MIN_VARIANCE = 1e-3
"""Share of the mean variance below which a direction of the token vectors is not stretched further."""


@dataclass(frozen=True)
class Support:
    """Types found in each state, their coefficients, and the standard errors of these."""

    types: Int[Tensor, "samples most"]
    """Types in the order in which they were found; -1 fills unused places."""
    coefficients: Float[Tensor, "samples scales most"]
    """Sum of the weights of each type's lags, by least squares."""
    error: Float[Tensor, "samples scales most"]
    """Standard error of each coefficient, from the residual of the fit."""


class Dictionary:
    """Token vectors in coordinates of their span, plain and with all directions stretched to about equal variance.

    Types are matched in stretched coordinates, which separate token vectors that share directions, as learned ones do;
    coefficients are fitted in plain coordinates, where noise is white.
    """

    def __init__(self, embedding: Float[Tensor, "vocabulary dim"]) -> None:
        spread, axes = torch.linalg.eigh(embedding.T @ embedding)
        kept = spread > 1e-10 * spread[-1]
        self.axes = axes[:, kept]
        self.plain = embedding @ self.axes
        stretch = (spread[kept] + MIN_VARIANCE * spread[kept].mean()).rsqrt()
        level = self.plain * stretch
        self.stretch = stretch.float()
        self.length = level.norm(dim=1).clamp(min=1e-30).float()
        self.unit = (level.float() / self.length[:, None]).T.contiguous()
        self.rank = int(kept.sum())


def match_tokens(
    states: Float[Tensor, "samples scales dim"],
    dictionary: Dictionary,
    floor: Float[Tensor, "samples"],
    options: DecoderOptions,
    *,
    positive: bool,
) -> Support:
    r"""Sparse decomposition of each state into token vectors by orthogonal matching pursuit.

    Each step takes the types that correlate most with the residual, all scales together, and fits all coefficients
    again by least squares. It stops where the largest correlation is below the largest of as many correlations of
    noise: :math:`2 \ln V + 2 \ln (1 / \text{false alarm})` in units of the residual's variance. In few dims even a
    strong token is hidden by the older ones: there the pursuit goes on, and its types are kept only where half as many
    of them as dims explain the state down to the floor. Products run in float32; the residual is kept in float64, so
    the coefficients have the precision of the states.

    Args:
        states: States in float64, on the device of the dictionary.
        dictionary: The token vectors.
        floor: Standard deviation of the states' own error in each number: nothing below it is signal.
        options: Options of the decoder.
        positive: Whether coefficients are known to be positive.

    Reference:
        Pati, Rezaiifar and Krishnaprasad (1993), Orthogonal matching pursuit; several types a step as in Donoho et al.
        (2012), Sparse solution of underdetermined systems by stagewise orthogonal matching pursuit.
    """
    inside = states @ dictionary.axes
    samples, scales, rank = inside.shape
    vocabulary, device = len(dictionary.plain), states.device
    outside = (states.pow(2).sum(2) - inside.pow(2).sum(2)).clamp(min=0.0)
    freedom = states.shape[2] - rank
    if vocabulary <= rank:
        return all_types(inside, dictionary, outside, freedom, floor)

    most = max(1, rank // 2)
    types = torch.full((samples, most), -1, device=device)
    found = torch.zeros(samples, scales, most, dtype=torch.float64, device=device)
    count = torch.zeros(samples, dtype=torch.long, device=device)
    residual = inside.clone()
    threshold = 2.0 * math.log(vocabulary) + 2.0 * math.log(1.0 / options.false_alarm) + 2.0 * (scales - 1)
    by_chance = math.sqrt(2.0 * math.log(vocabulary) / rank)
    step_share = min(0.95, max(options.step_share, options.chance_correlations * by_chance))
    significant = torch.full((samples,), -1, device=device)
    live = torch.arange(samples, device=device)
    while len(live):
        level = residual[live].float() * dictionary.stretch
        noise = torch.maximum(
            level.pow(2).mean(2).sqrt(), floor[live, None].float() * dictionary.stretch.pow(2).mean().sqrt()
        )
        match = (level / noise[..., None]) @ dictionary.unit
        match = (match.clamp(min=0.0) if positive else match).pow(2).sum(1)
        previous = types[live]
        match.scatter_(
            1, previous.clamp(min=0), torch.where(previous >= 0, -1.0, match.gather(1, previous.clamp(min=0)))
        )
        best, which = match.topk(min(options.max_step_types, vocabulary), 1)
        noticeable = best[:, 0] > threshold
        significant[live] = torch.where(~noticeable & (significant[live] < 0), count[live], significant[live])
        going = (count[live] < most) & (best[:, 0] > 0.0)
        if rank <= options.exhaustive_dims:
            going &= noticeable | (
                residual[live].pow(2).mean(2).sqrt() > options.residual_floors * floor[live, None]
            ).any(1)
        else:
            going &= noticeable
        live, best, which = live[going], best[going], which[going]
        if len(live) == 0:
            break
        take = best >= torch.maximum(best[:, :1] * step_share**2, best[:, :1].clamp(max=threshold))
        take &= torch.arange(take.shape[1], device=device) < (most - count[live])[:, None]
        place = count[live, None] + take.cumsum(1) - 1
        row, column = take.nonzero(as_tuple=True)
        types[live[row], place[row, column]] = which[row, column]
        count[live] += take.sum(1)
        width = int(count[live].max())
        found[live, :, :width], residual[live] = refit(
            inside[live], dictionary, types[live, :width], found[live, :, :width], 2
        )
    unexplained = (residual.pow(2).mean(2).sqrt() > options.residual_floors * floor[:, None]).any(1)
    count = torch.where(unexplained & (significant >= 0), torch.minimum(significant, count), count)
    types = torch.where(torch.arange(most, device=device) < count[:, None], types, -1)
    found = found * (types >= 0)[:, None]
    width = max(1, int(count.max()))
    types, found = types[:, :width], found[:, :, :width]
    found, residual = refit(inside, dictionary, types, found, options.refinements)
    variance = (residual.pow(2).sum(2) + outside) / (states.shape[2] - count[:, None]).clamp(min=1)
    spread = torch.maximum(variance.sqrt(), floor[:, None])
    return Support(types, found, spread[..., None] * unit_error(dictionary, types)[:, None])


def atoms_of(dictionary: Dictionary, types: Int[Tensor, "samples most"]) -> Float[Tensor, "samples most rank"]:
    """Token vectors of the types, zeros at unused places."""
    return dictionary.plain[types.clamp(min=0)] * (types >= 0)[..., None]


def refit(
    inside: Float[Tensor, "samples scales rank"],
    dictionary: Dictionary,
    types: Int[Tensor, "samples most"],
    found: Float[Tensor, "samples scales most"],
    refinements: int,
) -> tuple[Float[Tensor, "samples scales most"], Float[Tensor, "samples scales rank"]]:
    """Least-squares coefficients of the given types, and the residual: float32 factors, float64 refinement."""
    atoms = atoms_of(dictionary, types)
    narrow = atoms.float()
    factor = factored(gram(narrow, types))
    for _ in range(refinements):
        residual = inside - found @ atoms
        size = residual.abs().amax((1, 2), keepdim=True).clamp(min=1e-300)
        slope = (residual / size).float() @ narrow.transpose(1, 2)
        found = found + torch.cholesky_solve(slope.transpose(1, 2), factor).transpose(1, 2).double() * size
    return found, inside - found @ atoms


def gram(narrow: Float[Tensor, "samples most rank"], types: Int[Tensor, "samples most"]) -> Tensor:
    """Gram matrix of the given token vectors with a small ridge, the identity at unused places."""
    products = narrow @ narrow.transpose(1, 2)
    diagonal = products.diagonal(dim1=1, dim2=2)
    diagonal.mul_(1.0 + 1e-6).add_((types < 0).float())
    return products


def factored(products: Float[Tensor, "samples most most"]) -> Float[Tensor, "samples most most"]:
    """Cholesky factors of the Gram matrices, with a larger ridge where token vectors coincide to rounding."""
    factor, failed = torch.linalg.cholesky_ex(products)
    for ridge in (1e-4, 1e-2, 1.0):
        bad = ((failed > 0) | (factor.diagonal(dim1=1, dim2=2) <= 0).any(1)).nonzero().squeeze(1)
        if len(bad) == 0:
            break
        products[bad] = products[bad] + ridge * torch.diag_embed(products[bad].diagonal(dim1=1, dim2=2))
        factor[bad], failed[bad] = torch.linalg.cholesky_ex(products[bad])
    return factor


def unit_error(dictionary: Dictionary, types: Int[Tensor, "samples most"]) -> Float[Tensor, "samples most"]:
    """Standard error of each coefficient for unit noise: root diagonal of the inverse Gram matrix."""
    factor = factored(gram(atoms_of(dictionary, types).float(), types))
    return torch.cholesky_inverse(factor).diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt().double()


def all_types(
    inside: Float[Tensor, "samples scales rank"],
    dictionary: Dictionary,
    outside: Float[Tensor, "samples scales"],
    freedom: int,
    floor: Float[Tensor, "samples"],
) -> Support:
    """Coefficients of all types by least squares, where there are no more types than independent directions."""
    inverse = torch.linalg.pinv(dictionary.plain)
    found = inside @ inverse
    measured = (outside / max(1, freedom)).sqrt() if freedom >= 8 else torch.zeros_like(outside)
    spread = torch.maximum(measured, floor[:, None])
    error = spread[..., None] * inverse.norm(dim=0)
    types = torch.arange(found.shape[2], device=inside.device).expand(len(inside), -1)
    # Below four standard errors in every scale a type is absent, or too deep to be placed.
    present = (found.abs() > 4.0 * error).any(1)
    return Support(torch.where(present, types, -1), found, error)
