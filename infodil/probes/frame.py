"""The frame that readers see states in, shifted and scaled to about one; and white coordinates."""

__all__ = ["Frame", "whitening"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

FLATTEST = 1e-10
"""Directions in which states vary less than this share of the largest variance are left out of white coordinates."""


@dataclass(frozen=True)
class Frame:
    """A fixed shift and scale for each dim, so that float32 sums neither cancel nor overflow."""

    shift: Float[Tensor, "dim"]
    scale: Float[Tensor, "dim"]

    @classmethod
    def of(cls, states: Float[Tensor, "rows dim"]) -> "Frame":
        """Mean and standard deviation of some states; an invertible map, so it changes no information."""
        spread = states.std(0, correction=0)
        largest = float(spread.max())
        return cls(states.mean(0), spread.clamp(min=1e-5 * largest) if largest > 0 else torch.ones_like(spread))

    def apply(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """The states in this frame."""
        return (states - self.shift) * self.scale.reciprocal()


def whitening(states: Float[Tensor, "rows dim"]) -> Float[Tensor, "dim white"]:
    """The map that makes states white, float64: directions in which they do not vary are left out."""
    spread, axes = torch.linalg.eigh(torch.cov(states.double().T).reshape(states.shape[1], -1))
    seen = spread > FLATTEST * spread[-1]
    return axes[:, seen] * spread[seen].rsqrt()
