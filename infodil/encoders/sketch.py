"""Count sketch: a seeded linear map of many numbers to few, which keeps inner products on average."""

__all__ = ["CountSketch"]

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

SKETCH_SEED_OFFSET = 0x5CE7C4
"""Added to the seed, so that a sketch shares no random numbers with weights drawn from the same seed."""

BLOCK_NUMBERS = (2**18, 2**26)
"""Numbers that are summed at once on a CPU, a megabyte, which stays in the cache of a core, and on any other device."""


@dataclass(frozen=True, eq=False)
class CountSketch:
    r"""The count sketch of vectors: each coordinate is added, with a random sign, to one of a few sums.

    .. math:: s_j = \sum_{i : b(i) = j} \sigma_i h_i, \qquad E\,\langle s(h), s(g) \rangle = \langle h, g \rangle

    Signs :math:`\sigma_i` are independent coin flips. The coordinates are cut into parts as long as the sketch, and a
    random permutation deals out each part to the sums: every sum has as many coordinates as any other, to within one,
    so none is empty, and two coordinates of a part never meet. The sketch depends on the two lengths and the seed
    alone. The parts are added in their order, row by row, so that it is the same in any batch and on any run; in
    float32, or in float64 where the states are.

    Args:
        places: Sum that each coordinate is added to.
        signs: Sign of each coordinate.
        size: Number of sums.

    Reference:
        Charikar, Chen and Farach-Colton (2002), Finding frequent items in data streams; Weinberger et al. (2009),
        Feature hashing for large scale multitask learning.

    Example:
        >>> sketch = CountSketch.of(24_576, 4096, seed=0)
        >>> sketch.apply(torch.ones(2, 24_576)).shape
        torch.Size([2, 4096])
    """

    places: Int[Tensor, "numbers"]
    signs: Float[Tensor, "numbers"]
    size: int

    @classmethod
    def of(cls, numbers: int, size: int, seed: int = 0) -> "CountSketch":
        """The sketch of vectors of one length.

        Args:
            numbers: Length of a vector.
            size: Length of its sketch.
            seed: Seed of places and signs.
        """
        generator = torch.Generator().manual_seed(seed + SKETCH_SEED_OFFSET)
        signs = 1.0 - 2.0 * torch.randint(2, (numbers,), generator=generator).float()
        parts = [torch.randperm(size, generator=generator) for _ in range(0, numbers, size)]
        return cls(torch.cat(parts)[:numbers], signs, size)

    def apply(self, states: Float[Tensor, "*rows numbers"]) -> Float[Tensor, "*rows size"]:
        """The sketch of each vector; a vector that is no longer than the sketch comes as it is.

        Args:
            states: Vectors of the length that the sketch is made for.
        """
        numbers, size = len(self.places), self.size
        if numbers <= size:
            return states
        dtype = states.dtype if states.dtype == torch.float64 else torch.float32
        places, signs = self.places.to(states.device), self.signs.to(states.device, dtype)
        rows = states.reshape(-1, numbers)
        sketched = torch.zeros(len(rows), size, dtype=dtype, device=states.device)
        step = max(1, BLOCK_NUMBERS[states.device.type != "cpu"] // size)
        for some, sums in zip(rows.split(step), sketched.split(step), strict=True):
            for first in range(0, numbers, size):
                part = slice(first, min(numbers, first + size))
                # The places of a part are distinct: no two additions meet, and their order is fixed on any device.
                sums.index_add_(1, places[part], some[:, part].to(dtype) * signs[part])
        return sketched.reshape(*states.shape[:-1], size)
