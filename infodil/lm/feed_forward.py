"""The feed-forward layer of a block, dense or with few units active."""

__all__ = ["FeedForward"]

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn


class FeedForward(nn.Module):
    """Linear -> GELU or ReLU -> the largest units alone -> linear.

    Args:
        dim: Width of the stream.
        hidden: Units.
        active_share: Share of the units that stay active at a position; all by default, as in GPT-2.
        activation: `gelu` or `relu`.
        active_by: Largest by `value` or by `magnitude`.

    Reference:
        Makhzani and Frey (2014), k-sparse autoencoders, arXiv 1312.5663, for keeping the largest.
    """

    def __init__(
        self, dim: int, hidden: int, active_share: float = 1.0, activation: str = "gelu", active_by: str = "value"
    ) -> None:
        super().__init__()
        self.active = math.ceil(active_share * hidden)
        self.by_magnitude = active_by == "magnitude"
        self.activation = getattr(nn.functional, activation)
        self.into = nn.Linear(dim, hidden)
        self.out = nn.Linear(hidden, dim)

    def forward(self, x: Float[Tensor, "documents tokens dim"]) -> Float[Tensor, "documents tokens dim"]:
        """What is added to the stream."""
        units = self.activation(self.into(x))  # [documents, tokens, hidden]
        if self.active < units.shape[-1]:
            size = units.detach().abs() if self.by_magnitude else units.detach()
            units = units.masked_fill(size < least_of_largest(size, self.active), 0.0)
        return self.out(units)


def least_of_largest(sizes: Float[Tensor, "*places units"], number: int) -> Float[Tensor, "*places 1"]:
    """The smallest of the largest `number` entries of each row.

    numpy partitions a row with vector instructions, on a CPU about five times as fast as `torch.topk`.

    Example:
        >>> least_of_largest(torch.tensor([[3.0, 1.0, 2.0]]), 2).tolist()
        [[2.0]]
    """
    if sizes.device.type != "cpu":
        return sizes.topk(number, sorted=False).values.amin(-1, keepdim=True)
    place = sizes.shape[-1] - number
    least = np.partition(sizes.float().numpy(), place, axis=-1)[..., place : place + 1]
    return torch.from_numpy(np.ascontiguousarray(least)).to(sizes.dtype)
