"""Discrete messages from continuous writes: a product quantiser over principal coordinates."""

__all__ = ["ProductQuantizer"]

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

COORDINATES = 4
"""Principal coordinates of each part of the code."""


@dataclass(frozen=True, eq=False)
class ProductQuantizer:
    """Label of a vector: the nearest centre in each of several groups of its principal coordinates, all together.

    Reference:
        Jegou, Douze and Schmid, Product Quantization for Nearest Neighbor Search (2011).
    """

    mean: Float[Tensor, "dim"]
    axes: Float[Tensor, "dim coordinates"]
    """Principal axes; those of group g are every `len(centres)`-th from g on."""
    centres: tuple[Float[Tensor, "_ _"], ...]
    """Centres of each group, `[codes, coordinates]`."""

    @classmethod
    def fit(cls, vectors: Float[Tensor, "rows dim"], codes: tuple[int, ...], seed: int) -> "ProductQuantizer":
        """A quantiser whose centres are the k-means of some vectors.

        Args:
            vectors: Vectors of documents that are used for nothing else.
            codes: Number of centres of each group.
            seed: Seed of k-means.
        """
        from sklearn.cluster import KMeans

        vectors = vectors.double()
        mean = vectors.mean(0)
        _, _, axes = torch.linalg.svd(vectors - mean, full_matrices=False)
        axes = axes[: COORDINATES * len(codes)].T
        coordinates = ((vectors - mean) @ axes).numpy()
        centres = []
        for group, number in enumerate(codes):
            part = np.ascontiguousarray(coordinates[:, group :: len(codes)])
            number = min(number, len(np.unique(part, axis=0)))
            centres.append(torch.from_numpy(KMeans(number, n_init=1, random_state=seed).fit(part).cluster_centers_))
        return cls(mean, axes, tuple(centres))

    def labels(self, vectors: Float[Tensor, "rows dim"]) -> Int[Tensor, "rows"]:
        """The label of each vector, below the product of the numbers of centres."""
        coordinates = (vectors.double() - self.mean) @ self.axes
        label = torch.zeros(len(vectors), dtype=torch.long)
        for group, centres in enumerate(self.centres):
            nearest = torch.cdist(coordinates[:, group :: len(self.centres)], centres).argmin(1)
            label = label * len(centres) + nearest
        return label
