"""Which tokens are in a superposition, and how much of each: orthogonal matching pursuit on many states at once."""

__all__ = ["Support", "find_support"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

FALSE_ALARM = 0.05
"""Chance that a step over pure noise takes a type that is not there."""

STEP_SHARE = 0.5
"""Types whose correlation reaches this share of the largest are taken in the same step..."""

COHERENT = 1.2
"""...but a larger share where token vectors correlate as much by chance: few dims, many types."""

MOST_IN_A_STEP = 16

CERTAIN_DIMS = 256
"""Up to so many dims the pursuit goes on beyond what stands out of the residual, and is believed if nothing is left."""

NOTHING_LEFT = 30.0
"""A residual of so many times the floor is no more than the states' own error."""
REFINEMENTS = 6
FLATTEST = 1e-3
"""Directions in which token vectors vary less than this share of the mean are not stretched further."""


@dataclass(frozen=True)
class Support:
    """The types found in each state, their coefficients, and what is left unexplained."""

    types: Int[Tensor, "samples most"]
    """In the order they were found; -1 fills the rest."""
    coefficients: Float[Tensor, "samples scales most"]
    error: Float[Tensor, "samples scales most"]
    """Standard error of each coefficient, from what the found types leave unexplained."""


class Dictionary:
    """Token vectors in coordinates of their own span: as they are, and with all directions about as strong.

    Matching in the second kind finds types faster where token vectors share directions, as learned ones do;
    coefficients are fitted in the first, where noise is white.
    """

    def __init__(self, embedding: Float[Tensor, "vocabulary dim"]) -> None:
        spread, axes = torch.linalg.eigh(embedding.T @ embedding)
        kept = spread > 1e-10 * spread[-1]
        self.axes = axes[:, kept]
        self.plain = embedding @ self.axes
        stretch = (spread[kept] + FLATTEST * spread[kept].mean()).rsqrt()
        level = self.plain * stretch
        self.stretch = stretch.float()
        self.length = level.norm(dim=1).clamp(min=1e-30).float()
        self.unit = (level.float() / self.length[:, None]).T.contiguous()
        self.rank = int(kept.sum())


def find_support(
    states: Float[Tensor, "samples scales dim"],
    dictionary: Dictionary,
    floor: Float[Tensor, "samples"],
    *,
    positive: bool,
) -> Support:
    r"""Find the few types whose weighted sum a state is.

    Each step takes the types that correlate most with what is unexplained, all scales together, and fits all
    coefficients again by least squares. It stops where the largest correlation is no larger than the largest of as
    many correlations of noise: :math:`2 \ln V + 2 \ln (1 / 0.05)` in units of the residual's variance. In few dims
    even a strong token does not stand out of the tokens behind it; there it goes on, and what it finds is believed only
    where it explains the state down to the floor with half as many types as dims. Products run in float32; the residual
    is kept in float64, so the coefficients come out to the precision of the states.

    Args:
        states: Float64, on the device of the dictionary.
        dictionary: The token vectors.
        floor: Standard deviation of a number of the states below which nothing is signal.
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
    left = inside.clone()
    enough = 2.0 * math.log(vocabulary) + 2.0 * math.log(1.0 / FALSE_ALARM) + 2.0 * (scales - 1)
    by_chance = math.sqrt(2.0 * math.log(vocabulary) / rank)
    step_share = min(0.95, max(STEP_SHARE, COHERENT * by_chance))
    firm = torch.full((samples,), -1, device=device)
    live = torch.arange(samples, device=device)
    while len(live):
        level = left[live].float() * dictionary.stretch
        noise = torch.maximum(
            level.pow(2).mean(2).sqrt(), floor[live, None].float() * dictionary.stretch.pow(2).mean().sqrt()
        )
        match = (level / noise[..., None]) @ dictionary.unit
        match = (match.clamp(min=0.0) if positive else match).pow(2).sum(1)
        known = types[live]
        match.scatter_(1, known.clamp(min=0), torch.where(known >= 0, -1.0, match.gather(1, known.clamp(min=0))))
        best, which = match.topk(min(MOST_IN_A_STEP, vocabulary), 1)
        stands = best[:, 0] > enough
        firm[live] = torch.where(~stands & (firm[live] < 0), count[live], firm[live])
        going = (count[live] < most) & (best[:, 0] > 0.0)
        if rank <= CERTAIN_DIMS:
            going &= stands | (left[live].pow(2).mean(2).sqrt() > NOTHING_LEFT * floor[live, None]).any(1)
        else:
            going &= stands
        live, best, which = live[going], best[going], which[going]
        if len(live) == 0:
            break
        take = best >= torch.maximum(best[:, :1] * step_share**2, best[:, :1].clamp(max=enough))
        take &= torch.arange(take.shape[1], device=device) < (most - count[live])[:, None]
        place = count[live, None] + take.cumsum(1) - 1
        row, column = take.nonzero(as_tuple=True)
        types[live[row], place[row, column]] = which[row, column]
        count[live] += take.sum(1)
        width = int(count[live].max())
        found[live, :, :width], left[live] = refit(
            inside[live], dictionary, types[live, :width], found[live, :, :width], 2
        )
    unexplained = (left.pow(2).mean(2).sqrt() > NOTHING_LEFT * floor[:, None]).any(1)
    count = torch.where(unexplained & (firm >= 0), torch.minimum(firm, count), count)
    types = torch.where(torch.arange(most, device=device) < count[:, None], types, -1)
    found = found * (types >= 0)[:, None]
    width = max(1, int(count.max()))
    types, found = types[:, :width], found[:, :, :width]
    found, left = refit(inside, dictionary, types, found, REFINEMENTS)
    variance = (left.pow(2).sum(2) + outside) / (states.shape[2] - count[:, None]).clamp(min=1)
    spread = torch.maximum(variance.sqrt(), floor[:, None])
    return Support(types, found, spread[..., None] * unit_error(dictionary, types)[:, None])


def members(dictionary: Dictionary, types: Int[Tensor, "samples most"]) -> Float[Tensor, "samples most rank"]:
    """The token vectors of the types, zeros where there is none."""
    return dictionary.plain[types.clamp(min=0)] * (types >= 0)[..., None]


def refit(
    inside: Float[Tensor, "samples scales rank"],
    dictionary: Dictionary,
    types: Int[Tensor, "samples most"],
    found: Float[Tensor, "samples scales most"],
    refinements: int,
) -> tuple[Float[Tensor, "samples scales most"], Float[Tensor, "samples scales rank"]]:
    """Least squares on the found types, and the residual: float32 factors, refined against a float64 residual."""
    atoms = members(dictionary, types)
    narrow = atoms.float()
    factor = factored(gram(narrow, types))
    for _ in range(refinements):
        left = inside - found @ atoms
        size = left.abs().amax((1, 2), keepdim=True).clamp(min=1e-300)
        slope = (left / size).float() @ narrow.transpose(1, 2)
        found = found + torch.cholesky_solve(slope.transpose(1, 2), factor).transpose(1, 2).double() * size
    return found, inside - found @ atoms


def gram(narrow: Float[Tensor, "samples most rank"], types: Int[Tensor, "samples most"]) -> Tensor:
    """Inner products of the found token vectors, a unit matrix where there is none, and a touch of ridge."""
    products = narrow @ narrow.transpose(1, 2)
    diagonal = products.diagonal(dim1=1, dim2=2)
    diagonal.mul_(1.0 + 1e-6).add_((types < 0).float())
    return products


def factored(products: Float[Tensor, "samples most most"]) -> Float[Tensor, "samples most most"]:
    """Cholesky factors; where token vectors coincide to rounding, with as much ridge as it takes."""
    factor, failed = torch.linalg.cholesky_ex(products)
    for ridge in (1e-4, 1e-2, 1.0):
        bad = ((failed > 0) | (factor.diagonal(dim1=1, dim2=2) <= 0).any(1)).nonzero().squeeze(1)
        if len(bad) == 0:
            break
        products[bad] = products[bad] + ridge * torch.diag_embed(products[bad].diagonal(dim1=1, dim2=2))
        factor[bad], failed[bad] = torch.linalg.cholesky_ex(products[bad])
    return factor


def unit_error(dictionary: Dictionary, types: Int[Tensor, "samples most"]) -> Float[Tensor, "samples most"]:
    """Standard error of each coefficient for noise of one: the diagonal of the inverse inner products."""
    factor = factored(gram(members(dictionary, types).float(), types))
    return torch.cholesky_inverse(factor).diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt().double()


def all_types(
    inside: Float[Tensor, "samples scales rank"],
    dictionary: Dictionary,
    outside: Float[Tensor, "samples scales"],
    freedom: int,
    floor: Float[Tensor, "samples"],
) -> Support:
    """With no more types than independent directions nothing is searched: least squares gives every coefficient."""
    inverse = torch.linalg.pinv(dictionary.plain)
    found = inside @ inverse
    measured = (outside / max(1, freedom)).sqrt() if freedom >= 8 else torch.zeros_like(outside)
    spread = torch.maximum(measured, floor[:, None])
    error = spread[..., None] * inverse.norm(dim=0)
    types = torch.arange(found.shape[2], device=inside.device).expand(len(inside), -1)
    # A coefficient below four standard errors everywhere is noise: a type that is not there, or too deep to place.
    there = (found.abs() > 4.0 * error).any(1)
    return Support(torch.where(there, types, -1), found, error)
