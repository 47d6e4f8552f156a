"""What one token can put into a state, in units of the noise, and how probable each possibility is."""

__all__ = ["Codebook", "group_rows"]

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

QUICK_TYPES = 2048
"""Up to so many types a rotation of the points is worth its cost where the dims are more."""


@dataclass(frozen=True)
class Codebook:
    """Distinct points and their probabilities; types that coincide are one point, types that never occur none.

    Example:
        >>> vectors = torch.tensor([[0.0], [2.0], [2.0], [5.0]], dtype=torch.float64)
        >>> book = Codebook.of(vectors, torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64))
        >>> book.prior.tolist(), round(book.entropy_nats, 4)
        ([0.5, 0.5], 0.6931)
    """

    points: Float[Tensor, "types dim"]
    """About their mean, float64, in units of the noise: its standard deviation or its step."""
    prior: Float[Tensor, "types"]
    """Positive; the sum is 1."""

    @classmethod
    def of(cls, points: Float[Tensor, "vocabulary dim"], prior: Float[Tensor, "vocabulary"]) -> "Codebook":
        """Of the points of all types, float64, and their probabilities."""
        points, prior = points[prior > 0], prior[prior > 0]
        # Zero added: minus zero is zero, but not bit by bit.
        first, group = group_rows((points + 0.0).numpy().view(np.int64))
        merged = torch.zeros(len(first), dtype=torch.float64)
        merged.index_add_(0, torch.from_numpy(group), prior)
        points = points[torch.from_numpy(first)]
        return cls(points - merged @ points, merged)

    @property
    def entropy_nats(self) -> float:
        """Of the points: no state tells more."""
        return float(-(self.prior * self.prior.log()).sum())

    def turned(self) -> "Codebook":
        """The same points within their span, which white noise does not notice, where that has fewer dims."""
        types, dim = self.points.shape
        if types > min(dim, QUICK_TYPES):
            return self
        left, stretch, _ = torch.linalg.svd(self.points, full_matrices=False)
        # What is dropped is below a billionth of the noise, or of the rounding of the largest number.
        kept = stretch > max(1e-9, 1e-13 * float(stretch[0]))
        return Codebook((left * stretch)[:, kept], self.prior)

    def spectrum(self) -> Float[Tensor, "numbers"]:
        """Eigenvalues of the points' covariance, in units of the noise's variance; those that can differ from zero."""
        weighted = self.prior.sqrt()[:, None] * self.points
        gram = weighted @ weighted.T if len(weighted) < weighted.shape[1] else weighted.T @ weighted
        return torch.linalg.eigvalsh(gram).clamp(min=0.0)

    def split_nats(self) -> float:
        r"""How fast thresholds at random places split the points: :math:`\sum_j \int h(F_j(t))\, dt`, nats.

        :math:`F_j` is the distribution of number j and h the entropy of a coin.
        """
        total = 0.0
        for numbers in self.points.T:
            ordered, place = numbers.sort()
            below = self.prior[place].cumsum(0)[:-1].clamp(max=1.0)
            coin = torch.special.entr(below) + torch.special.entr(1.0 - below)
            total += float((coin * ordered.diff()).sum())
        return total


def group_rows(rows: Int[np.ndarray, "rows numbers"]) -> tuple[Int[np.ndarray, "groups"], Int[np.ndarray, "rows"]]:
    """Where each group of equal rows is first met, in order, and the group of each row.

    Rows are compared by a random linear hash modulo 2**64: among 100,000 rows two that differ are taken for equal with
    a chance below 1e-9.

    Example:
        >>> group_rows(np.array([[1, 2], [0, 0], [1, 2]]))[1].tolist()
        [0, 1, 0]
    """
    odd = np.random.default_rng(0xC0DE).integers(-(2**62), 2**62, rows.shape[1]) * 2 + 1
    with np.errstate(over="ignore"):
        keys = (rows * odd).sum(1)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[group]
