"""Discrete messages from continuous writes: a product quantiser whose sub-vectors have codebooks of their own."""

__all__ = ["ProductQuantizer"]

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

LEAST_VARIANCE = 1e-9
"""Variance of a principal coordinate, as a share of the largest, below which it is rounding in float32."""


@dataclass(frozen=True, eq=False)
class ProductQuantizer:
    r"""Label of a vector: the nearest centre of each of its sub-vectors, all together.

    The principal coordinates of the vectors are dealt out to the sub-vectors so that the products of their variances
    come out even, and each sub-vector has a codebook of its own, the centres of k-means. Sub-vectors of principal
    coordinates do not depend on the axes in which a model happens to keep its stream. A sub-vector's nearest centre c
    is the one with the largest :math:`a_c^\top x - b_c`.

    Reference:
        Jegou, Douze and Schmid, Product Quantization for Nearest Neighbor Search (2011); Ge, He, Ke and Sun, Optimized
        Product Quantization (2013), section 3.2, for the sub-vectors.
    """

    directions: tuple[Float[Tensor, "dim _"], ...]
    """Centres of each sub-vector in the axes of the vectors, a."""
    offsets: tuple[Float[Tensor, "_"], ...]
    """What is subtracted of each centre's score, b."""

    @classmethod
    def fit(cls, vectors: Float[Tensor, "rows dim"], codes: tuple[int, ...], seed: int) -> "ProductQuantizer":
        """A quantiser whose centres are the k-means of some vectors.

        Args:
            vectors: Vectors of documents that are used for nothing else.
            codes: Number of centres of each sub-vector.
            seed: Seed of k-means.
        """
        from sklearn.cluster import KMeans

        mean = vectors.mean(0, dtype=torch.float64)
        variances, axes = torch.linalg.eigh(torch.cov(vectors.T.double(), correction=0))
        coordinates = ((vectors.double() - mean) @ axes).float().numpy()
        directions, offsets = [], []
        for own, number in zip(dealt_coordinates(variances.numpy(), len(codes)), codes, strict=True):
            part = np.ascontiguousarray(coordinates[:, own])
            number = min(number, len(np.unique(part, axis=0)))
            found = KMeans(number, n_init=1, random_state=seed).fit(part)
            centres = torch.from_numpy(found.cluster_centers_).double()
            direction = axes[:, own] @ centres.T
            directions.append(direction.float())
            offsets.append((mean @ direction + 0.5 * centres.square().sum(1)).float())
        return cls(tuple(directions), tuple(offsets))

    def labels(self, vectors: Float[Tensor, "rows dim"]) -> Int[Tensor, "rows"]:
        """The label of each vector, below the product of the numbers of centres."""
        label = torch.zeros(len(vectors), dtype=torch.long)
        for direction, offset in zip(self.directions, self.offsets, strict=True):
            label = label * len(offset) + (vectors @ direction - offset).argmax(1)
        return label


def dealt_coordinates(variances: Float[ndarray, "coordinates"], parts: int) -> list[Int[ndarray, "_"]]:
    """Coordinates of each sub-vector: the largest variance left goes to the one whose product is the least so far.

    Args:
        variances: Variance of each principal coordinate.
        parts: Number of sub-vectors, which get equally many coordinates.

    Returns:
        Places of the coordinates; a sub-vector without any variance of its own gets the least coordinate.

    Example:
        >>> [own.tolist() for own in dealt_coordinates(np.array([8.0, 4.0, 2.0, 1.0]), 2)]
        [[0, 3], [1, 2]]
    """
    order = np.argsort(-variances, kind="stable")
    order = order[: max(1, int((variances > LEAST_VARIANCE * variances.max()).sum()))]
    size = math.ceil(len(order) / parts)
    least = np.log(variances[order].clip(min=np.finfo(float).tiny))
    least -= least.min()  # Every further coordinate adds to a product, so that sub-vectors fill up together.
    dealt: list[list[int]] = [[] for _ in range(parts)]
    products = np.zeros(parts)
    for place, log in zip(order, least, strict=True):
        part = int(np.argmin(np.where([len(own) < size for own in dealt], products, np.inf)))
        dealt[part].append(int(place))
        products[part] += log
    return [np.array(own or [order[-1]]) for own in dealt]
