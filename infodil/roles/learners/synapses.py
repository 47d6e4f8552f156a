"""What Hebbian synapses keep of the activity that they see, and where linear units that learn by them come to rest."""

__all__ = ["CoActivity", "leading_directions"]

import torch
from jaxtyping import Float, Float64
from torch import Tensor


class CoActivity:
    """What Hebbian synapses between the units of a layer keep: running sums of activities and of their products."""

    def __init__(self, dim: int) -> None:
        self.rows = 0
        self.sums = torch.zeros(dim, dtype=torch.float64)
        self.products = torch.zeros(dim, dim, dtype=torch.float64)

    def update(self, activity: Float[Tensor, "samples dim"]) -> None:
        """Every synapse adds the product of the two units that it joins."""
        self.rows += len(activity)
        self.sums += activity.sum(0)
        self.products += activity.T @ activity

    def mean(self) -> Float64[Tensor, "dim"]:
        """Of the activities."""
        return self.sums / self.rows

    def covariance(self) -> Float64[Tensor, "dim dim"]:
        """Of the activities."""
        return self.products / self.rows - torch.outer(self.mean(), self.mean())


def leading_directions(products: Float[Tensor, "dim dim"], number: int) -> Float[Tensor, "dim leading"]:
    """The fixed point of Sanger's rule for units with these products: the leading eigenvectors, strongest first."""
    _, directions = torch.linalg.eigh(products.double())
    leading = directions[:, -number:].flip(1).float()
    # The sign of a direction is nobody's: the largest entry is made positive, for the same answer everywhere.
    return leading * leading.gather(0, leading.abs().argmax(0, keepdim=True)).sign()
