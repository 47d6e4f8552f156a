"""Standardization of states, dim by dim, and whitening."""

__all__ = ["Standardizer", "whitening"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

MIN_VARIANCE_SHARE = 1e-10
"""Directions in which states vary less than this share of the largest variance are left out of white coordinates."""

ROUNDING_SHARE = 1e-6
"""A dim whose spread is within this share of its mean, or zero, does not vary but for rounding."""


@dataclass(frozen=True)
class Standardizer:
    """A fixed shift and scale for each dim, so that float32 sums neither cancel nor overflow."""

    shift: Float[Tensor, "dim"]
    scale: Float[Tensor, "dim"]

    @classmethod
    def of(cls, states: Float[Tensor, "rows dim"]) -> "Standardizer":
        """Mean and standard deviation of some states; an invertible map, so it changes no information.

        A dim that is constant in them may vary in others, as the place of a rare word in one-hot states: it is scaled
        like the dim of the largest spread, not blown up.
        """
        mean, spread = states.mean(0), states.std(0, correction=0)
        largest = float(spread.max())
        if largest == 0:
            return cls(mean, torch.ones_like(spread))
        constant = spread <= ROUNDING_SHARE * mean.abs()
        return cls(mean, torch.where(constant, largest, spread.clamp(min=1e-5 * largest)))

    def apply(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """The states, shifted and scaled."""
        return (states - self.shift) * self.scale.reciprocal()


def whitening(states: Float[Tensor, "rows dim"]) -> Float[Tensor, "dim white"]:
    """The map that makes states white, float64: directions in which they do not vary are left out."""
    spread, axes = torch.linalg.eigh(torch.cov(states.double().T).reshape(states.shape[1], -1))
    kept = spread > MIN_VARIANCE_SHARE * spread[-1]
    return axes[:, kept] * spread[kept].rsqrt()
