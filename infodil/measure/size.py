"""The size of each site's state, counted from tensors: numbers, bits at their type, effective rank."""

__all__ = ["effective_rank", "site_sizes", "size_columns"]

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.ladder import LadderData, MeasuredSites


def site_sizes(sites: MeasuredSites, data: LadderData) -> dict[str, dict[str, Any]]:
    """Numbers of a state, the bits that they are stored in, and the effective rank of the observed states, by site.

    Of a site that is sketched, numbers and bits are those of the whole state, and the rank is that of its sketch.

    Args:
        sites: The encoder, whose own tensors tell their type.
        data: Calibration states, whose number is the most that the rank can be.
    """
    stored = sites.encoder.encoder.encode(torch.zeros(1, 1, dtype=torch.long))
    found = {}
    for site, dim in sites.dims.items():
        numbers = sites.encoder.sketched.get(site, dim)
        found[site] = {
            "numbers": numbers,
            "stored_bits": numbers * 8 * stored[site].element_size(),
            "effective_rank": effective_rank(spectrum_of(data.calibration.states[site])),
            "effective_rank_of": "sketch" if site in sites.encoder.sketched else "state",
        }
    return found


def spectrum_of(states: Float[Tensor, "rows dim"]) -> Float[Tensor, "values"]:
    """Singular values of the centred states, from the smaller of their two products in float64.

    Sums in float32, as the Gaussian probe keeps, would leave a floor of a thousandth of the largest value in every
    direction, and a state of thousands of numbers has a rank of hundreds by that alone.
    """
    centred = states.double() - states.double().mean(0)
    product = centred.T @ centred if states.shape[1] <= len(states) else centred @ centred.T
    return torch.linalg.eigvalsh(product).clamp(min=0.0).sqrt()


def effective_rank(singular_values: Float[Tensor, "values"]) -> float:
    r"""Exponential of the entropy of the normalised singular values.

    .. math:: \exp\Big(-\sum_i p_i \ln p_i\Big), \qquad p_i = \sigma_i / \sum_j \sigma_j

    Args:
        singular_values: Singular values, not all zero.

    Returns:
        Between one and the rank; zero for states that never change.

    Reference:
        Roy and Vetterli (2007), The effective rank: a measure of effective dimensionality, EUSIPCO.

    Example:
        >>> round(effective_rank(torch.tensor([2.0, 2.0, 2.0, 0.0])), 6)
        3.0
    """
    total = singular_values.sum()
    if not total > 0:
        return 0.0
    share = singular_values / total
    return float(torch.exp(-torch.special.xlogy(share, share).sum()))


def size_columns(size: dict[str, Any], bits: float) -> dict[str, Any]:
    """The size of a site beside some bits that its state holds: bits a number, and bits a stored bit.

    Args:
        size: What `site_sizes` gave for the site.
        bits: Bits that are held.
    """
    ratios = {"bits_per_number": bits / size["numbers"], "bits_per_stored_bit": bits / size["stored_bits"]}
    return {name: size[name] for name in ("stored_bits", "effective_rank", "effective_rank_of")} | ratios
